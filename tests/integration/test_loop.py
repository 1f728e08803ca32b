"""The whole loop over simulated captures: sense, subtract, detect, refine, fuse, plan."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from calibration.dictionary import DictionaryError
from drivers.capture import Capture, CaptureQuality
from drivers.node import Node
from drivers.waveform import OfdmGrid
from processing.suppression import Background
from sim_backend.source import SimulatedSource
from testbed.build import Overrides, overridden
from testbed.runs.backgrounds import (
    LearnedBackgrounds,
    equivalent_background,
    no_background,
    open_dictionary,
    perfect_background,
)
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization, SensingRecord
from testbed.runs.paper_literal import paper_literal
from testbed.runs.setup import Setup, simulate
from testbed.site import Site, load_site

ROOT = Path(__file__).parents[2]
BackgroundOf = Callable[[str, str], Background | None]


@pytest.fixture(scope="module")
def lab() -> Site:
    return load_site(ROOT / "examples" / "lab.yaml")


@pytest.fixture(scope="module")
def processors(lab) -> Processors:
    return Processors(lab)


def localize(
    site: Site,
    simulation: Setup,
    background_of: BackgroundOf,
    processors: Processors,
    source=None,
) -> tuple[list[SensingRecord], Localization]:
    run = Localization(
        site,
        LocalLinks(site, source or simulation.source, background_of, processors),
        simulation.planning_rng(),
        simulation.target_m,
    )
    return list(run.run()), run


def learned(site: Site, simulation: Setup, root: Path, num_captures: int):
    dictionary = open_dictionary(root, simulation.source, num_captures)
    return LearnedBackgrounds(simulation.source, dictionary), dictionary


def nees(record: SensingRecord, simulation: Setup) -> float:
    offset = record.estimate.position_m - simulation.target_m
    return float(offset @ np.linalg.solve(record.estimate.covariance_m2, offset))


def changed(site: Site, section: str, **fields) -> Site:
    return msgspec.structs.replace(
        site, **{section: msgspec.structs.replace(getattr(site, section), **fields)}
    )


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_target_is_located_over_learned_backgrounds(lab, processors, seed, tmp_path):
    """Everything synthesized: clutter, direct path, and entries learned on the way."""
    simulation = simulate(lab, seed)
    background_of, dictionary = learned(lab, simulation, tmp_path / "d", 24)
    records, run = localize(lab, simulation, background_of, processors)
    last = records[-1]
    assert last.estimate.status == "converged"
    assert last.error_m is not None
    assert last.error_m < 0.3
    assert nees(last, simulation) < 20.0
    assert run.controller.num_sensings == len(records)
    # Every link that was sensed has an entry now, and its report names it.
    links = {
        (report.tx_id, report.rx_id): report.background_hash
        for record in records
        for report in record.reports
    }
    assert len(dictionary) == len(links)
    places = {node.node_id: node.location_id for node in simulation.source.nodes}
    for (tx_id, rx_id), content_hash in links.items():
        assert dictionary.get(places[tx_id], places[rx_id]).header.content_hash == content_hash


def test_a_second_run_finds_its_backgrounds_and_ends_the_same(lab, processors, tmp_path):
    simulation = simulate(lab, 4)
    estimates = []
    for _ in range(2):
        background_of, dictionary = learned(lab, simulation, tmp_path / "d", 24)
        before = len(dictionary)
        records, _ = localize(lab, simulation, background_of, processors)
        estimates.append([record.estimate.position_m.tolist() for record in records])
    assert before == len(dictionary)
    assert estimates[0] == estimates[1]


@pytest.mark.parametrize(
    ("section", "fields", "reason"),
    [
        ("simulation", {"num_clutter": 19}, "another origin"),
        ("simulation", {"wavefront": "plane"}, "another origin"),
        ("waveform", {"num_subcarriers": 1331}, "another waveform"),
        ("waveform", {"carrier_mhz": 5801.0}, "another waveform"),
    ],
)
def test_backgrounds_of_another_scene_or_waveform_are_refused(
    lab, tmp_path, section, fields, reason
):
    learned(lab, simulate(lab, 4), tmp_path / "d", 24)
    site = changed(lab, section, **fields)
    with pytest.raises(DictionaryError, match=reason):
        learned(site, simulate(site, 4), tmp_path / "d", 24)
    learned(changed(lab, "simulation", mean_rcs_dbsm=0.0), simulate(lab, 4), tmp_path / "d", 24)


def test_learned_and_equivalent_backgrounds_end_alike(lab, processors, tmp_path):
    """The forms share targets and noise, only the entries' 2 % of noise differ."""
    for seed in range(10, 16):
        full, cancelled = simulate(lab, seed), simulate(lab, seed, cancel_static=True)
        background_of, _ = learned(lab, full, tmp_path / str(seed), 70)
        first, _ = localize(lab, full, background_of, processors)
        second, _ = localize(
            lab, cancelled, equivalent_background(cancelled.source, 70), processors
        )
        assert first[0].config == second[0].config
        a, b = first[-1].estimate, second[-1].estimate
        assert a.status == b.status == "converged"
        spread = a.covariance_m2 + b.covariance_m2
        offset = a.position_m - b.position_m
        assert offset @ np.linalg.solve(spread, offset) < 20.0


def test_without_suppression_clutter_misleads(lab, processors):
    """What the background is for: over the same scenes errors are metres, not centimetres."""
    site = changed(lab, "sensing", num_receivers=1, max_sensings=4)
    errors: dict[str, list[float]] = {"none": [], "perfect": []}
    for seed in range(20, 25):
        simulation = simulate(site, seed)
        for name, background_of in (
            ("none", no_background), ("perfect", perfect_background(simulation.source)),
        ):  # fmt: skip
            records, _ = localize(site, simulation, background_of, processors)
            assert records[-1].error_m is not None
            errors[name].append(records[-1].error_m)
    assert np.median(errors["perfect"]) < 0.1
    assert np.median(errors["none"]) > 1.0


@pytest.mark.parametrize(
    "overrides",
    [
        Overrides(num_elements=1),
        Overrides(num_receivers=1),
        Overrides(num_receivers=5),
        Overrides(num_elements=2, rcs_draw="link"),
    ],
    ids=["one element", "one receiver", "all receivers", "two elements, lasting fades"],
)
def test_variants_of_the_lab_converge_on_the_target(lab, overrides):
    site = overridden(lab, overrides)
    processors = Processors(site)
    for seed in (31, 32):
        simulation = simulate(site, seed, cancel_static=True)
        records, _ = localize(
            site, simulation, equivalent_background(simulation.source, 70), processors
        )
        assert records[-1].estimate.status == "converged"
        assert records[-1].error_m is not None
        assert records[-1].error_m < 0.5
        assert nees(records[-1], simulation) < 20.0


@pytest.mark.parametrize("seed", [41, 42])
def test_the_paper_s_loop_runs_on_captures(lab, processors, seed):
    site = paper_literal(lab)
    simulation = simulate(site, seed, cancel_static=True)
    records, _ = localize(
        site, simulation, equivalent_background(simulation.source, 70), processors
    )
    assert 1 <= len(records) <= site.sensing.max_sensings
    assert records[-1].estimate.status in ("converged", "unresolved")


def test_a_target_too_small_to_be_seen_ends_unresolved(lab, processors):
    site = changed(changed(lab, "simulation", mean_rcs_dbsm=-120.0), "sensing", max_sensings=4)
    simulation = simulate(site, 5, cancel_static=True)
    records, _ = localize(
        site, simulation, equivalent_background(simulation.source, 70), processors
    )
    assert len(records) == 4
    estimate = records[-1].estimate
    assert estimate.status == "unresolved"
    # A false alarm (one in a million cells) has no weight against the misses; none, no mode.
    assert estimate.probability < 0.5
    assert estimate.probability > 0.0 or estimate.peb_m > 5.0


class FaultySource:
    """A simulated source of which some captures are unusable."""

    def __init__(self, source: SimulatedSource, deaf: set[str]) -> None:
        self._source = source
        self._deaf = deaf

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self._source.nodes

    @property
    def grid(self) -> OfdmGrid:
        return self._source.grid

    @property
    def origin(self) -> str:
        return self._source.origin

    def sense(self, tx_id, rx_ids, sensing_index) -> tuple[Capture, ...]:
        return tuple(
            replace(capture, quality=CaptureQuality(overflow=True))
            if capture.rx_id in self._deaf
            else capture
            for capture in self._source.sense(tx_id, rx_ids, sensing_index)
        )

    def sense_background(self, tx_id, rx_ids, capture_index) -> tuple[Capture, ...]:
        return self._source.sense_background(tx_id, rx_ids, capture_index)


def test_a_receiver_that_overflows_costs_its_reports_not_the_run(lab, processors):
    simulation = simulate(lab, 6, cancel_static=True)
    background_of = equivalent_background(simulation.source, 70)
    whole, _ = localize(lab, simulation, background_of, processors)
    used = whole[0].config.rx_ids[0]
    records, _ = localize(
        lab, simulation, background_of, processors, FaultySource(simulation.source, {used})
    )
    assert len(records[0].reports) == len(records[0].config.rx_ids) - 1
    assert records[0].problems == {used: "samples were lost (overflow)"}
    assert all(report.rx_id != used for record in records for report in record.reports)
    everyone = {node.node_id for node in simulation.source.nodes}
    silent, run = localize(
        lab, simulation, background_of, processors, FaultySource(simulation.source, everyone)
    )
    assert len(silent) == lab.sensing.max_sensings
    assert run.controller.estimate.status == "unresolved"
    assert run.controller.estimate.probability == 0.0
