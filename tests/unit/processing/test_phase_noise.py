"""Copies that phase noise leaves in the map are expected where they are, as strong as they are."""

import numpy as np
import pytest

from drivers.waveform import OfdmGrid, pilot_symbols
from processing.phase_noise import PhaseNoiseCopies
from processing.power_map import plan_power_map, power_map
from tests.unit.processing.echoes import CELL_S, GRID, echo, half_wavelength_array, unit_noise

ARRAY = half_wavelength_array(4)
PLAN = plan_power_map(GRID, ARRAY, 60.0 * CELL_S)
PATH = (echo(20.0 * CELL_S, 0.3, ARRAY, 90.0) + echo(31.0 * CELL_S, -0.5, ARRAY, 70.0)).astype("c8")
NUM_TONES, NUM_DRAWS = 120, 30


def residual(rng: np.random.Generator, strength: float) -> np.ndarray:
    """Noise and what `NUM_TONES` tones on both sides leave, each of the same mean power."""
    pilots = pilot_symbols(GRID)[:, None]
    sent = pilots * PATH
    heard = unit_noise(rng, ARRAY)
    parts = rng.standard_normal((2 * NUM_TONES + 1, 2)) * np.sqrt(strength / 2.0)
    for n, weight in zip(range(-NUM_TONES, NUM_TONES + 1), parts.view(np.complex128), strict=True):
        if n:
            moved = np.roll(sent, n, axis=0)
            moved[: max(n, 0)] = 0.0
            moved[len(moved) + min(n, 0) :] = 0.0
            heard = heard + weight * moved * pilots.conj()
    return heard.astype(np.complex64)


def mean_maps(strength: float) -> tuple[np.ndarray, np.ndarray]:
    """Of the residual and of what is expected of the copies, over the noise in a cell."""
    copies = PhaseNoiseCopies(PLAN).of(PATH)
    found, expected = 0.0, 0.0
    for seed in range(NUM_DRAWS):
        left = residual(np.random.default_rng(seed), strength)
        found = found + power_map(left, PLAN).power / GRID.num_subcarriers / NUM_DRAWS
        expected = expected + copies.power(left) / GRID.num_subcarriers / NUM_DRAWS
    return np.asarray(found), np.asarray(expected)


def test_copies_are_where_they_are_expected_and_as_strong():
    found, expected = mean_maps(1e-7)  # 70 dB under the path, which stands 90 dB over noise
    strong = expected > 10.0
    assert strong.sum() > 20
    assert found[strong].sum() / expected[strong].sum() == pytest.approx(1.0, abs=0.35)
    # All that stands out of the noise is expected: edges of copies at the most are not.
    assert np.mean(expected[found > 10.0] > 3.0) > 0.9
    # What is left is noise. Truncation at the band's edges leaves a few per cent more.
    assert np.median(found[expected < 0.1]) == pytest.approx(1.0, abs=0.15)


def test_without_phase_noise_none_is_expected():
    found, expected = mean_maps(0.0)
    assert found.mean() == pytest.approx(1.0, abs=0.1)
    assert expected.max() < 2.0
    assert expected.mean() < 0.02


def test_a_waveform_without_room_beside_its_map_is_left_alone():
    grid = OfdmGrid(5.8e9, 240e3, 64)
    plan = plan_power_map(grid, ARRAY, 1e-6)
    ones = np.ones((64, 4), dtype=np.complex64)
    assert not PhaseNoiseCopies(plan).of(ones).power(ones).any()
