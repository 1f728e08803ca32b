"""Errors of reported echoes over what is stated of them, by how far they are from the direct path.

    python -m tests.paper.echo_errors examples/usrp_array.yaml --scenes 150 --looks 6

Simulated radios of a site's impairments calibrate, learn their backgrounds and look at a target:
every link some times, in one hall after the other. Printed is how many looks report an echo, and
how far the strongest is from the target: delay and sine over their stated deviations, beside an
allowance for what calibration leaves of the nodes. Beyond five of them it is another echo, or none.
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from rich.console import Console
from rich.progress import track
from threadpoolctl import threadpool_limits

from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    FloatArray,
    angle_from_boresight_rad,
    bistatic_delay_s,
    distance_m,
)
from drivers.node import Node
from fusion.sensing import SensingConfig
from processing.report import LinkReport
from testbed.build import build_nodes, build_scene, simulated
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.preparation import prepared
from testbed.runs.setup import opened_setup
from testbed.site import Site, load_site
from tests.paper.direct_paths import root_mean_square

# Standard deviations of what calibration leaves: of a direct path's delay, and of a boresight.
LEFT_OF_DELAY_M, LEFT_OF_SINE = 0.06, 0.009
EDGES_M = (0.0, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 100.0)


@dataclass(frozen=True)
class EchoError:
    """One look at one link.

    Attributes
    ----------
    excess_m
        Bistatic range of the target over the direct path's length.
    is_reported
        Whether there was an echo at all.
    delay_over_std, sine_over_std
        Errors of the strongest over their standard deviations; the sine's is zero for one element.
    """

    excess_m: float
    is_reported: bool
    delay_over_std: float = 0.0
    sine_over_std: float = 0.0

    @property
    def is_elsewhere(self) -> bool:
        """Whether what is reported is another echo, or none."""
        return max(abs(self.delay_over_std), abs(self.sine_over_std)) > 5.0


def echo_errors(site: Site, seed: int, num_looks: int) -> Iterator[EchoError]:
    """All links of one hall, each looked at so many times."""
    nodes = build_nodes(site, seed)
    scene = build_scene(site, nodes, seed)
    true = {node.node_id: node for node in scene.nodes}
    with (
        TemporaryDirectory() as folder,
        opened_setup(site, seed, "iq") as setup,
        prepared(site, setup, "learned", Path(folder) / "dictionary") as known,
    ):
        links = LocalLinks(
            site, setup.source, known.background_of, Processors(site), known.calibration
        )
        for number in range(num_looks * len(nodes)):
            tx_id = nodes[number % len(nodes)].node_id
            others = tuple(name for name in true if name != tx_id)
            for look in links.sense(SensingConfig(tx_id, others), number).looks:
                report = look.report
                ends = true[report.tx_id], true[report.rx_id]
                period = links.network.sine_period(ends[1])
                yield _error_of(report, *ends, scene.target_m, period)


def _error_of(
    report: LinkReport, tx: Node, rx: Node, target_m: FloatArray, sine_period: float
) -> EchoError:
    at_m = tx.pose.position_m, rx.pose.position_m
    range_m = float(bistatic_delay_s(*at_m, target_m)) * SPEED_OF_LIGHT_M_PER_S
    excess_m = range_m - float(distance_m(*at_m))
    if not report.hypotheses:
        return EchoError(excess_m, False)
    echo = report.hypotheses[0]
    std_m = np.sqrt(echo.delay_var_s2 + report.link_delay_var_s2) * SPEED_OF_LIGHT_M_PER_S
    off_m = echo.delay_s * SPEED_OF_LIGHT_M_PER_S - range_m
    over_std = off_m / float(np.hypot(std_m, LEFT_OF_DELAY_M))
    if echo.sine is None or echo.sine_var is None:
        return EchoError(excess_m, True, over_std)
    angle = angle_from_boresight_rad(rx.pose.position_m, rx.pose.boresight_rad, target_m)
    half = sine_period / 2.0
    off = (echo.sine - float(np.sin(angle)) + half) % sine_period - half
    return EchoError(
        excess_m, True, over_std, off / float(np.hypot(np.sqrt(echo.sine_var), LEFT_OF_SINE))
    )


def row(errors: list[EchoError], least_m: float, most_m: float) -> str:
    """Of the looks at excess ranges from one to another, for people."""
    looks = [error for error in errors if least_m <= error.excess_m < most_m]
    found = [error for error in looks if error.is_reported]
    if not found:
        return f"{least_m:5.1f} to {most_m:5.1f} m: none of {len(looks)} looks reported an echo"
    at_place = [error for error in found if not error.is_elsewhere]
    delay, sine = (
        root_mean_square([getattr(error, name) for error in at_place] or [0.0])
        for name in ("delay_over_std", "sine_over_std")
    )
    return (
        f"{least_m:5.1f} to {most_m:5.1f} m: {len(found):5d} of {len(looks):5d} looks reported, "
        f"{len(found) - len(at_place):4d} of them elsewhere; the others over what is stated: "
        f"delay {delay:.2f}, sine {sine:.2f}"
    )


def main() -> None:
    """Print what the module says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--scenes", type=int, default=150)
    parser.add_argument("--looks", type=int, default=6, help="at each link")
    parser.add_argument("--first-seed", type=int, default=1001)
    asked = parser.parse_args()
    site = simulated(load_site(asked.site))
    seeds = range(asked.first_seed, asked.first_seed + asked.scenes)
    with threadpool_limits(limits=1):
        errors = [
            error
            for seed in track(seeds, "halls", console=Console(stderr=True))
            for error in echo_errors(site, seed, asked.looks)
        ]
    print(f"{site.name}: {len(errors)} looks in {asked.scenes} halls, by excess range")  # noqa: T201
    for least_m, most_m in pairwise(EDGES_M):
        print(row(errors, least_m, most_m))  # noqa: T201


if __name__ == "__main__":
    main()
