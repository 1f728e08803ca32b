"""A rehearsal goes through all steps and leaves no trace."""

import sys
from pathlib import Path

import numpy as np
import pytest

from calibration.learning import learn_background
from drivers.compiled import compiled
from testbed.build import Overrides
from testbed.commands.options import resolve_site
from testbed.runs.backgrounds import perfect_background
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization
from testbed.runs.preparation import prepared
from testbed.runs.rehearsal import rehearse, rehearse_learning
from testbed.runs.setup import opened_setup, simulate

LAB = Path(__file__).parents[3] / "examples" / "lab.yaml"


def made(seed: int, *, rehearsed: bool = False) -> Localization:
    site = resolve_site(LAB, Overrides(), simulate=False, fidelity="pilot")
    scene = simulate(site, seed)
    links = LocalLinks(site, scene.source, perfect_background(scene.source), Processors(site))
    if rehearsed:
        rehearse(site, links.reporter)
    return Localization(site, links, scene.planning_rng(), scene.target_m)


@pytest.mark.parametrize("seed", [0, 3])
def test_a_run_is_the_same_after_it(seed):
    plain, rehearsed = made(seed), made(seed, rehearsed=True)
    for left, right in zip(plain.run(), rehearsed.run(), strict=True):
        assert left.config == right.config
        np.testing.assert_array_equal(left.estimate.position_m, right.estimate.position_m)


@pytest.mark.timeout(180)
def test_what_a_run_calls_is_compiled_by_it(tmp_path):
    """After it a run through radios compiles nothing: no function meets arguments of a new kind."""
    site = resolve_site(LAB, Overrides(impairments="lab"), simulate=False, fidelity="iq")
    with (
        opened_setup(site, 1, "iq") as setup,
        prepared(site, setup, "learned", tmp_path / "dictionary") as known,
    ):
        links = LocalLinks(
            site, setup.source, known.background_of, Processors(site), known.calibration
        )
        run = Localization(site, links, setup.planning_rng(), setup.target_m)
        assert links.reporter.aligns
        rehearse(site, links.reporter)
        config = run.controller.next_config()
        assert config is not None
        for rx_id in config.rx_ids:
            known.background_of(config.tx_id, rx_id)
        before = _num_compiled()
        assert sum(before.values()) > 20
        record = next(run.run())
        assert record.looks
        assert _num_compiled() == before


def test_what_learning_calls_is_compiled_by_it():
    site = resolve_site(LAB, Overrides(impairments="lab"), simulate=False, fidelity="iq")
    with opened_setup(site, 1, "iq") as setup:
        rehearse_learning(site, setup.source.nodes)
        before = _num_compiled()
        assert any(count for name, count in before.items() if "median" in name)
        learn_background(setup.source, "a", "d", 3)
        assert _num_compiled() == before


def _num_compiled() -> dict[str, int]:
    """Compiled forms of each function of this project's that is loaded."""
    kind = type(compiled(lambda value: value).__wrapped__)
    return {
        f"{name}.{value.__name__}": len(value.__wrapped__.signatures)
        for name, module in list(sys.modules.items())
        if name.split(".")[0] in ("drivers", "calibration", "processing", "fusion", "sim_backend")
        for value in vars(module).values()
        if isinstance(getattr(value, "__wrapped__", None), kind)
    }
