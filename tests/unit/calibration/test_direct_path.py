"""An entry is placed on its direct path, and its variance says how well."""

import numpy as np
import pytest

from calibration.background import BackgroundLearner
from calibration.direct_path import direct_path_channel, placed_on_direct_path
from drivers.array import UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node
from drivers.waveform import OfdmGrid
from processing.alignment import align, shifted

GRID = OfdmGrid(5.8e9, 60e3, 334)  # 20 MHz: a cell is 15 m
SPACING_M = GRID.wavelength_m / 2.0
TX = Node("tx", "tx", Pose((0.0, 0.0), 0.0), UniformLinearArray(4, SPACING_M))
RX = Node("rx", "rx", Pose((30.0, 40.0), np.deg2rad(-150.0)), UniformLinearArray(4, SPACING_M))


def test_the_direct_path_is_as_long_and_as_strong_as_the_survey_and_friis_say():
    channel = direct_path_channel(TX, RX, GRID)
    # 50 m: 166.8 ns; the wavelength of 51.7 mm over 4 pi 50 m is -81.7 dB
    assert 20.0 * np.log10(np.abs(channel).mean()) == pytest.approx(-81.69, abs=0.02)
    turn = np.angle(np.vdot(channel[:-1], channel[1:]))
    assert -turn / (2 * np.pi * 60e3) == pytest.approx(50.0 / 299_792_458.0, rel=1e-3)


@pytest.mark.parametrize("delay_s", [0.0, 4e-9, -300e-9])
@pytest.mark.parametrize("gain", [1.0, 0.02j, -37.0])
def test_whatever_clocks_and_gains_did_is_taken_back(delay_s, gain):
    truth = direct_path_channel(TX, RX, GRID)
    placed = placed_on_direct_path(shifted(truth, GRID, delay_s) * gain, TX, RX, GRID)
    assert placed is not None
    np.testing.assert_allclose(placed.channel, truth, rtol=1e-3, atol=1e-3 * np.abs(truth).max())
    assert placed.delay_var_s2 < (1e-11) ** 2


def test_out_of_view_or_drowned_there_is_nothing_to_place_on():
    away = Node("rx", "rx", Pose((30.0, 40.0), np.deg2rad(30.0)), RX.array)
    assert placed_on_direct_path(direct_path_channel(TX, away, GRID), TX, away, GRID) is None
    rng = np.random.default_rng(0)
    entry = direct_path_channel(TX, RX, GRID)
    parts = rng.standard_normal((*entry.shape, 2)) * 3.0 * np.abs(entry).mean()
    drowned = entry + parts.view(np.complex128)[..., 0].astype(np.complex64)
    assert placed_on_direct_path(drowned, TX, RX, GRID) is None


def test_the_variance_is_that_of_the_errors_that_a_path_nearby_makes():
    """One path of random excess delay, phase and angle; the mean over many of each."""
    truth = direct_path_channel(TX, RX, GRID)
    amplitude = np.abs(truth).mean()
    rng = np.random.default_rng(1)
    squared, stated = [], []
    for _ in range(600):
        excess_s = rng.uniform(0.0, 2.0) / GRID.bandwidth_hz
        path = 0.05 * amplitude * np.exp(2j * np.pi * rng.uniform())
        same_angle = truth / amplitude
        entry = truth + shifted(same_angle, GRID, excess_s) * path
        placed = placed_on_direct_path(entry.astype(np.complex64), TX, RX, GRID)
        _, lay = align(placed.channel, entry.astype(np.complex64), GRID)
        squared.append(lay.delay_s[0] ** 2)
        stated.append(placed.delay_var_s2)
    # 600 draws of a heavy-tailed square: 10 %; the ratio of the means is derived, not fitted
    assert np.mean(squared) / np.mean(stated) == pytest.approx(1.0, abs=0.35)


def captures(count: int, seed: int) -> list[np.ndarray]:
    """The same background under another phase, delay and gain each time, and noise."""
    rng = np.random.default_rng(seed)
    truth = direct_path_channel(TX, RX, GRID)
    for delay_s in rng.uniform(5e-9, 200e-9, 8):
        truth = truth + 0.2 * np.exp(2j * np.pi * rng.uniform()) * shifted(truth, GRID, delay_s)
    noise = 1e-2 * np.abs(truth).mean()
    found = []
    for _ in range(count):
        gain = np.exp(rng.normal(0.0, 0.1) + 2j * np.pi * rng.uniform())
        parts = rng.standard_normal((*truth.shape, 2)) * noise
        capture = shifted(truth, GRID, rng.uniform(-100e-9, 100e-9)) * gain
        found.append((capture + parts.view(np.complex128)[..., 0]).astype(np.complex64))
    return found


def test_captures_of_radios_that_share_nothing_are_learned_from():
    """Suppression of a fresh capture: to its noise with alignment, hardly at all without."""
    *taken, fresh = captures(13, 2)
    suppressed_db = {}
    for grid in (GRID, None):
        learner = BackgroundLearner(len(taken), grid)
        for capture in taken:
            learner.add(capture)
        entry = learner.entry()
        aligned = align(fresh, entry, GRID)[0] if grid else fresh
        left = np.mean(np.abs(aligned - entry) ** 2) / np.mean(np.abs(entry) ** 2)
        suppressed_db[grid] = -10.0 * np.log10(left)
    assert suppressed_db[GRID] > 34.0  # noise is 37 dB down, and the entry has some of its own
    assert suppressed_db[None] < 3.0
