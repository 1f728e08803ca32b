"""Errors of direct paths as references of delay: in metres, and over what is stated of them.

    python -m tests.paper.direct_paths examples/three_plutos.yaml --scenes 400

Halls of a site's statistics, nodes without common time whose powers and gains are off nominal as
the site's impairments have it. Scatterers within a cell of a direct path pull at its delay; printed
is how far, with and without what levels tell of them, and whether the stated deviations hold.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy import stats
from threadpoolctl import threadpool_limits

from calibration.direct_path import direct_path_window, find_direct_path
from calibration.node_calibration import NodeCalibration
from drivers.capture import Capture
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, distance_m
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.waveform import OfdmGrid
from sim_backend.channel import background_channel
from sim_backend.impairments import PRESETS
from sim_backend.scene import Scene
from sim_backend.source import SimulatedSource
from testbed.build import build_grid, build_nodes, build_scene, simulated
from testbed.runs.node_calibration import calibrate_nodes
from testbed.site import Site, load_site


@dataclass(frozen=True)
class PathError:
    """One link's direct path, there and back alike.

    Attributes
    ----------
    error_m, alone_m
        Found minus true length, with and without what its level tells.
    stated_std_m
        What is said of the former.
    """

    error_m: float
    alone_m: float
    stated_std_m: float


class OffNominal:
    """Captures of a scene by radios without common time, their powers and gains off nominal."""

    origin = "direct paths"

    def __init__(self, site: Site, scene: Scene, nodes: Sequence[Node], grid: OfdmGrid) -> None:
        self._pilots = SimulatedSource(scene, nodes, grid)
        self.nodes, self.grid = self._pilots.nodes, grid
        impairments = PRESETS[site.simulation.impairments.preset]
        rng = np.random.default_rng([scene.seed, 10])
        power_db = rng.normal(0.0, impairments.tx_power_error_db, len(nodes))
        gain_db = rng.normal(0.0, impairments.rx_gain_error_db, len(nodes))
        self.amplitude = {
            (tx.node_id, rx.node_id): np.float32(10.0 ** ((power_db[i] + gain_db[j]) / 20.0))
            for i, tx in enumerate(nodes)
            for j, rx in enumerate(nodes)
        }

    def sense_background(
        self, tx_id: str, rx_ids: Sequence[str], capture_index: int, *, brief: bool = False
    ) -> tuple[Capture, ...]:
        """As `drivers.capture.CaptureSource` has it."""
        captures = self._pilots.sense_background(tx_id, rx_ids, capture_index, brief=brief)
        return tuple(
            replace(
                capture, delay_is_absolute=False,
                rx_pilots=capture.rx_pilots * self.amplitude[capture.tx_id, capture.rx_id],
            )
            for capture in captures
        )  # fmt: skip

    def sense(self, tx_id: str, rx_ids: Sequence[str], sensing_index: int) -> tuple[Capture, ...]:
        """Of the empty hall as well."""
        return self.sense_background(tx_id, rx_ids, sensing_index, brief=True)


def path_errors(site: Site, seed: int) -> Iterator[PathError]:
    """Of every pair of nodes that hear each other, in one scene."""
    nodes, grid = build_nodes(site, seed), build_grid(site)
    scene = build_scene(site, nodes, seed)
    source = OffNominal(site, scene, nodes, grid)
    calibration = calibrate_nodes(source)
    for j in range(len(nodes)):
        for i in range(j):
            found = _path_error(source, scene, calibration, i, j)
            if found is not None:
                yield found


def _path_error(
    source: OffNominal, scene: Scene, calibration: NodeCalibration, i: int, j: int
) -> PathError | None:
    tx, rx = calibration.nodes[i], calibration.nodes[j]
    link = tx.node_id, rx.node_id
    channel = background_channel(scene, source.grid, i, j) * source.amplitude[link]
    noise_var = channel_noise_var(tx, rx, source.grid)
    window = direct_path_window(channel, tx, rx, source.grid, noise_var)
    if window is None:
        return None
    alone = find_direct_path(window)
    path = calibration.as_expected(link, alone)
    longer_m = _separation_m(scene.nodes[i], scene.nodes[j]) - _separation_m(tx, rx)
    return PathError(
        path.delay_s * SPEED_OF_LIGHT_M_PER_S - longer_m,
        alone.delay_s * SPEED_OF_LIGHT_M_PER_S - longer_m,
        float(np.sqrt(path.delay_var_s2)) * SPEED_OF_LIGHT_M_PER_S,
    )


def _separation_m(tx: Node, rx: Node) -> float:
    return float(distance_m(tx.pose.position_m, rx.pose.position_m))


def root_mean_square(values: Sequence[float]) -> float:
    """Of whatever they are."""
    return float(np.sqrt(np.mean(np.square(values))))


def main() -> None:
    """Print what the module says."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path)
    parser.add_argument("--scenes", type=int, default=400)
    asked = parser.parse_args()
    site = simulated(load_site(asked.site))
    with threadpool_limits(limits=1):
        found = [path for seed in range(asked.scenes) for path in path_errors(site, seed)]
    ratio = np.array([path.error_m / path.stated_std_m for path in found])
    print(  # noqa: T201
        f"{site.name}, {len(found)} direct paths in {asked.scenes} scenes: error "
        f"{root_mean_square([path.error_m for path in found]):.4f} m (root mean square), without "
        f"what levels tell {root_mean_square([path.alone_m for path in found]):.4f} m; over what "
        f"is stated {root_mean_square(ratio.tolist()):.2f}"
    )
    for beyond in (1.96, 3.0):
        count = int(np.sum(np.abs(ratio) > beyond))
        least, most = stats.binomtest(count, len(ratio)).proportion_ci(0.95, method="exact")
        print(  # noqa: T201
            f"beyond {beyond} stated deviations: {100.0 * count / len(ratio):.1f} % "
            f"[{100.0 * least:.1f}, {100.0 * most:.1f}]"
        )


if __name__ == "__main__":
    main()
