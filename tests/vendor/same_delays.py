"""Delays of one target through vendors' clients and through simulated radios, link by link.

    python -m tests.vendor.same_delays examples/three_plutos.yaml --seed 4

prints each link's difference over its standard deviation. For USRPs, run it with the environment's
own Python.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, bistatic_delay_s
from fusion.sensing import SensingConfig
from processing.report import Hypothesis, LinkReport
from testbed.build import build_nodes, build_scene, simulated
from testbed.runs.backgrounds import LearnedBackgrounds
from testbed.runs.calibrate import calibrate
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.preparation import prepared
from testbed.runs.setup import opened_setup
from testbed.services.hall import ask_hall, hall_address
from testbed.site import Site, load_site
from tests.vendor.emulated_runs import serving


def reports_of(site: Site, seed: int) -> Iterator[LinkReport]:
    """What each link reports once, the hall empty while its background is learned."""
    is_real = site.nodes[0].radio is not None and site.nodes[0].radio.kind != "sim"
    with TemporaryDirectory() as folder, opened_setup(site, seed, "iq") as setup:
        root = Path(folder) / "dictionary"
        if is_real:
            ask_hall(hall_address(site.services), target_is_present=False)
            calibrate(site, setup, root)
            ask_hall(hall_address(site.services), target_is_present=True)
        with prepared(site, setup, "learned", root) as known:
            assert isinstance(known.background_of, LearnedBackgrounds)
            links = LocalLinks(
                site, setup.source, known.background_of, Processors(site), known.calibration
            )
            names = [node.node_id for node in build_nodes(site, seed)]
            for number, tx_id in enumerate(names):
                others = tuple(name for name in names if name != tx_id)
                for look in links.sense(SensingConfig(tx_id, others), number).looks:
                    yield look.report


def differences(site: Site, seed: int) -> dict[str, tuple[float, float]]:
    """Difference of delays in metres and its standard deviation, of links that both ways see."""
    nodes = build_nodes(site, seed)
    at_m = {node.node_id: node.pose.position_m for node in nodes}
    target_m = build_scene(site, nodes, seed).target_m
    found = [
        {(r.tx_id, r.rx_id): r for r in reports_of(each, seed) if r.hypotheses}
        for each in (site, simulated(site))
    ]
    both = {}
    for link in found[0].keys() & found[1].keys():
        true_s = float(bistatic_delay_s(at_m[link[0]], at_m[link[1]], target_m))
        one, other = (_nearest(reports[link], true_s) for reports in found)
        shared_s2 = sum(reports[link].link_delay_var_s2 for reports in found)
        std_s = float(np.sqrt(one.delay_var_s2 + other.delay_var_s2 + shared_s2))
        off_s = one.delay_s - other.delay_s
        both[" -> ".join(link)] = off_s * SPEED_OF_LIGHT_M_PER_S, std_s * SPEED_OF_LIGHT_M_PER_S
    return both


def _nearest(report: LinkReport, delay_s: float) -> Hypothesis:
    """The echo that both ways are asked for: a report's strongest may be another."""
    return min(report.hypotheses, key=lambda hypothesis: abs(hypothesis.delay_s - delay_s))


def main() -> None:
    """Print the differences."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--seed", type=int, default=4)
    asked = parser.parse_args()
    with serving("emulate", str(asked.site), "--seed", str(asked.seed)):
        for link, (off_m, std_m) in sorted(differences(load_site(asked.site), asked.seed).items()):
            print(  # noqa: T201
                f"{link}: {off_m:+.3f} m, standard deviation {std_m:.3f} m, {off_m / std_m:+.2f}"
            )


if __name__ == "__main__":
    main()
