"""Delays of one scene through vendors' clients and through simulated radios, link by link.

    python -m tests.vendor.same_delays examples/three_plutos.yaml --seed 4

prints each link's difference over its standard deviation. For USRPs, run it with the environment's
own Python.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S
from fusion.sensing import SensingConfig
from processing.report import LinkReport
from testbed.build import build_nodes, simulated
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
            calibrate(site, setup, root, lambda _done, _total: None)
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
    found = [
        {(r.tx_id, r.rx_id): r for r in reports_of(each, seed) if r.hypotheses}
        for each in (site, simulated(site))
    ]
    both = {}
    for link in found[0].keys() & found[1].keys():
        one, other = (reports[link] for reports in found)
        off_s = one.hypotheses[0].delay_s - other.hypotheses[0].delay_s
        var_s2 = sum(r.hypotheses[0].delay_var_s2 + r.link_delay_var_s2 for r in (one, other))
        std_m = float(np.sqrt(var_s2)) * SPEED_OF_LIGHT_M_PER_S
        both[" -> ".join(link)] = off_s * SPEED_OF_LIGHT_M_PER_S, std_m
    return both


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
