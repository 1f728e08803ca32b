"""One contract for every calibration: the truth comes back, as exactly as its noise allows."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from calibration.learning import learn_background
from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import Pose
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.channel import channel_estimate, suppress_background
from sim_backend.channel import background_channel, target_channel
from sim_backend.scene import SceneStatistics, draw_scene
from sim_backend.source import SimulatedSource, median_var_ratio
from tests.contract.calibrations import Calibration, Outcome
from tests.contract.embedded_arrays import GRIDS, ArrayCalibration
from tests.contract.embedded_times import TimingCalibration

GRID = OfdmGrid(10e9, 15e3, 256)
AREA_M = (0.0, 0.0, 100.0, 100.0)
NUM_DRAWS = 8
# Two-sided 99.9 % intervals
TAIL = 0.0005


class BackgroundCalibration:
    """Clutter and direct path of a random hall, learned by (8), taken away by (9)."""

    def __init__(self, num_captures: int, num_elements: int) -> None:
        self._num_captures = num_captures
        self._array = UniformLinearArray(num_elements, GRID.wavelength_m / 2)

    def _hall(self, seed: int, noise_figure_db: float):
        rng = np.random.default_rng([seed, 21])
        pattern = ElementPattern(kind="omnidirectional")
        nodes = [
            Node(
                name, f"at-{name}", Pose((float(x), float(y)), float(turn)), self._array, pattern,
                noise_figure_db=noise_figure_db,
            )
            for name, (x, y, turn) in zip("ab", rng.uniform(0.0, 100.0, (2, 3)), strict=True)
        ]  # fmt: skip
        scene = draw_scene(seed, nodes, SceneStatistics(AREA_M))
        return nodes, scene, SimulatedSource(scene, nodes, GRID)

    def draw(self, seed: int) -> Outcome:
        nodes, scene, source = self._hall(seed, 3.0)
        truth = background_channel(scene, GRID, 0, 1)
        learned = learn_background(source, "a", "b", self._num_captures).channel
        noise_var = channel_noise_var(nodes[0], nodes[1], GRID)
        entry_var = noise_var * median_var_ratio(self._num_captures)
        error = (learned - truth) / math.sqrt(entry_var / 2)
        capture = source.sense("a", ("b",), 0)[0]
        estimate = channel_estimate(capture.rx_pilots, pilot_symbols(GRID))
        return Outcome(
            normalized_error=np.stack((error.real, error.imag)),
            corrected=suppress_background(estimate, learned),
            wanted=target_channel(scene, GRID, 0, 1, scene.target_rcs_m2(0, 1, 0)),
            corrected_std=math.sqrt((noise_var + entry_var) / 2),
        )

    def without_noise(self, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
        _, scene, source = self._hall(seed, -400.0)
        truth = background_channel(scene, GRID, 0, 1)
        # complex64 at some five roundings
        rounding = 5e-7 * float(np.abs(truth).max())
        return learn_background(source, "a", "b", self._num_captures).channel, truth, rounding


CALIBRATIONS: dict[str, Calibration] = {
    "background, 1 capture": BackgroundCalibration(1, 4),
    "background, 4 captures": BackgroundCalibration(4, 4),
    "background, 7 captures": BackgroundCalibration(7, 1),
    "background, 70 captures": BackgroundCalibration(70, 4),
    "array of 4, 20 MHz": ArrayCalibration(GRIDS[20], 4),
    "array of 8, 40 MHz": ArrayCalibration(GRIDS[40], 8),
    "timing of 4 nodes, 40 MHz": TimingCalibration(GRIDS[40], 4),
    "timing of 6 nodes, 20 MHz": TimingCalibration(GRIDS[20], 6),
}


@pytest.fixture(params=CALIBRATIONS)
def calibration(request) -> Calibration:
    return CALIBRATIONS[request.param]


def test_truth_is_recovered_exactly_without_noise(calibration):
    for seed in range(NUM_DRAWS):
        estimate, truth, rounding = calibration.without_noise(seed)
        np.testing.assert_allclose(estimate, truth, rtol=0.0, atol=rounding)


def test_error_is_as_large_as_it_ought_to_be(calibration):
    errors = np.concatenate([calibration.draw(seed).normalized_error.ravel() for seed in range(4)])
    low, high = stats.chi2.ppf([TAIL, 1 - TAIL], errors.size) / errors.size
    assert low < np.mean(errors**2) < high
    assert abs(np.mean(errors)) < 3.29 / math.sqrt(errors.size)


def test_correction_leaves_what_is_wanted(calibration):
    residuals = []
    for seed in range(NUM_DRAWS):
        outcome = calibration.draw(seed)
        residual = (outcome.corrected - outcome.wanted) / outcome.corrected_std
        residuals += [residual.real.ravel(), residual.imag.ravel()]
    normalized = np.concatenate(residuals)
    low, high = stats.chi2.ppf([TAIL, 1 - TAIL], normalized.size) / normalized.size
    assert low < np.mean(normalized**2) < high
    assert stats.kstest(normalized, "norm").pvalue > 1e-3


def test_same_seed_same_estimate(calibration):
    first, second = (calibration.draw(3) for _ in range(2))
    np.testing.assert_array_equal(first.corrected, second.corrected)
    other = calibration.draw(4)
    assert not np.array_equal(first.corrected, other.corrected)


def test_background_of_a_hall_that_has_changed_is_not_recovered():
    """What a dictionary cannot know: clutter that moved after calibration stays in the residual."""
    case = BackgroundCalibration(7, 4)
    nodes, scene, source = case._hall(1, 3.0)
    moved = replace(scene, clutter_m=scene.clutter_m + 0.1)
    learned = learn_background(source, "a", "b", 7).channel
    error = np.abs(learned - background_channel(moved, GRID, 0, 1)) ** 2
    noise_var = channel_noise_var(nodes[0], nodes[1], GRID)
    assert error.mean() > 10 * noise_var
