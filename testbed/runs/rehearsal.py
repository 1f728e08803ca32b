"""A sensing or two on made-up captures, so that no deadline waits for what happens once.

Functions are compiled when they are first called, plans and caches made when first needed.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from calibration.background import BackgroundLearner
from drivers.array import UniformLinearArray
from drivers.capture import Capture
from drivers.geometry import ComplexArray, FloatArray, arrival_angle_rad, bistatic_delay_s
from drivers.node import Node
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.suppression import Background
from testbed.build import build_grid
from testbed.runs.links import LinkReporter
from testbed.runs.localize import new_controller
from testbed.site import Site

_NUM_SENSINGS = 2
_NUM_CAPTURES = 3  # of a background
_SNR_DB = 30.0  # of the matched cell


def rehearse(site: Site, reporter: LinkReporter, *, aligned: bool | None = None) -> None:
    """Go through the steps of a run's sensings, from captures to plans.

    Parameters
    ----------
    aligned
        Whether captures will have to be aligned; as the reporter says, if left out.
    """
    rng = np.random.default_rng(0)
    controller = new_controller(site, reporter, rng)
    x_min, y_min, x_max, y_max = site.area_m
    target_m = np.array([0.6 * x_min + 0.4 * x_max, 0.55 * y_min + 0.45 * y_max])
    network = reporter.network
    for index in range(_NUM_SENSINGS):
        config = controller.next_config()
        if config is None:
            return
        reports = []
        for rx_id in config.rx_ids:
            tx, rx = (network.nodes[network.index[name]] for name in (config.tx_id, rx_id))
            capture, background = _made_up(tx, rx, target_m, network.grid, rng)
            if reporter.aligns if aligned is None else aligned:
                moved = replace(capture, needs_alignment=True)
                reporter.look(moved, background, index)
            reports.append(reporter.look(capture, background, index).report)
        controller.update(reports)


def rehearse_learning(site: Site, nodes: Sequence[Node]) -> None:
    """Learn a made-up background, of captures that lie alike and of such that do not."""
    rng, grid = np.random.default_rng(0), build_grid(site)
    for array in {node.array for node in nodes}:
        for needed in (None, grid):
            learner = BackgroundLearner(_NUM_CAPTURES, needed)
            path = _wave(grid, array, 2.0 / grid.bandwidth_hz, 0.1, 10.0)
            while not learner.complete:
                noise = rng.standard_normal((*path.shape, 2)).view(np.complex128)[..., 0]
                learner.add((path + noise).astype(np.complex64))
            learner.entry()


def _made_up(
    tx: Node, rx: Node, target_m: FloatArray, grid: OfdmGrid, rng: np.random.Generator
) -> tuple[Capture, Background]:
    """A capture of a target beside one strong path, and the background of that."""
    delay_s = float(bistatic_delay_s(tx.pose.position_m, rx.pose.position_m, target_m))
    sine = float(np.sin(arrival_angle_rad(rx.pose, target_m)))
    size = grid.num_subcarriers * rx.array.num_elements
    amplitude = float(np.sqrt(10.0 ** (_SNR_DB / 10.0) / size))
    echo = _wave(grid, rx.array, delay_s, sine, amplitude)
    path = _wave(grid, rx.array, 0.7 * delay_s, -0.3, 10.0)
    noise = rng.standard_normal((*echo.shape, 2)).view(np.complex128)[..., 0] / np.sqrt(2.0)
    received = (path + echo + noise) * pilot_symbols(grid)[:, None]
    capture = Capture(tx.node_id, rx.node_id, received.astype(np.complex64), 1, grid.waveform_hash)
    return capture, Background(path, "rehearsal")


def _wave(
    grid: OfdmGrid, array: UniformLinearArray, delay_s: float, sine: float, amplitude: float
) -> ComplexArray:
    """Plane wave at the elements, shape ``(K, M)``."""
    late_s = delay_s + array.element_delay_s(sine)
    return np.asarray(amplitude * np.exp(-2j * np.pi * grid.frequency_hz[:, None] * late_s))
