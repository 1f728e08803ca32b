"""Echoes beside a strong path: found where they are, and noise known where alignment takes it."""

import numpy as np
import pytest

from processing.alignment import align
from processing.channel import suppress_background
from processing.near_background import NearBackground
from processing.near_residual import NearResidual
from processing.power_map import plan_power_map, power_map
from processing.report import Hypothesis
from tests.unit.processing.echoes import (
    CELL_S,
    GRID,
    echo,
    half_wavelength_array,
    remainder_of,
    unit_noise,
)

DIRECT_S, DIRECT_SINE = 40.2 * CELL_S, 0.3


def direct_path(array) -> np.ndarray:
    return echo(DIRECT_S, DIRECT_SINE, array, 75.0).astype(np.complex64)


@pytest.mark.parametrize("num_elements", [1, 2, 8])
def test_noise_in_each_cell_is_what_alignment_leaves_of_it(num_elements):
    array = half_wavelength_array(num_elements)
    plan = plan_power_map(GRID, array, 80.0 * CELL_S, num_angles=45)
    background = direct_path(array)
    share = NearBackground(background, GRID, array, ()).share(plan)
    left = np.zeros_like(share)
    num_draws = 200
    for seed in range(num_draws):
        heard = (background + unit_noise(np.random.default_rng(seed), array)).astype(np.complex64)
        aligned, _ = align(heard, background, GRID)
        residual = suppress_background(aligned, background)
        left += power_map(residual, plan).power / GRID.num_subcarriers / num_draws
    at_path = np.abs(plan.delay_grid_s - DIRECT_S) < 1.2 * CELL_S
    # A mean of 200 exponentials is off by 7 %; nothing is left at the path itself.
    np.testing.assert_allclose(left[:, at_path], share[:, at_path], atol=0.3)
    assert share[:, at_path].min() < 0.2
    assert np.median(share[:, ~at_path]) == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize(
    ("num_elements", "cells", "off_sine"),
    [(1, 0.6, 0.0), (1, 0.9, 0.0), (2, 0.4, 0.2), (8, 0.3, 0.02), (8, 0.05, 0.15)],
)
def test_an_echo_beside_the_path_is_found_to_its_bound(num_elements, cells, off_sine):
    array = half_wavelength_array(num_elements)
    near = NearBackground(direct_path(array), GRID, array, ())
    delay_s, sine = DIRECT_S + cells * CELL_S, DIRECT_SINE + off_sine
    off_cells, off_sines = [], []
    for seed in range(12):
        residual = NearResidual(
            near, remainder_of(left_of(delay_s, sine, array, seed), near.background)
        )
        found = residual.whole([peak(delay_s, sine, array)], DIRECT_S)[0]
        off_cells.append(abs(found.delay_s - delay_s) / CELL_S)
        off_sines.append(0.0 if found.sine is None else abs(found.sine - sine))
    # 45 dB, of which alignment leaves a quarter and less
    assert np.median(off_cells) < 0.1
    assert np.median(off_sines) < 0.05


def peak(delay_s: float, sine: float, array, off_cells: float = 0.4) -> Hypothesis:
    """Where something was seen of an echo."""
    sines = (sine, 1e-12) if array.num_elements > 1 else (None, None)
    return Hypothesis(delay_s + off_cells * CELL_S, 1e-24, *sines, 10.0**4.5)


def left_of(delay_s: float, sine: float, array, seed: int) -> np.ndarray:
    """What alignment leaves of an echo of 45 dB in noise."""
    rng = np.random.default_rng(seed)
    background = direct_path(array)
    target = echo(delay_s, sine, array, 45.0) * np.exp(2j * np.pi * rng.uniform())
    heard = (background + target + unit_noise(rng, array)).astype(np.complex64)
    return suppress_background(align(heard, background, GRID)[0], background)


def test_an_echo_like_the_path_itself_is_not_reported():
    array = half_wavelength_array(1)
    near = NearBackground(direct_path(array), GRID, array, ())
    beside = Hypothesis(DIRECT_S + 0.05 * CELL_S, 1e-24, None, None, 1e4)
    apart = Hypothesis(DIRECT_S + 1.5 * CELL_S, 1e-24, None, None, 1e4)
    assert [h.delay_s for h in near.told_apart([beside, apart])] == [apart.delay_s]


def test_a_start_that_is_off_is_followed_to_the_echo():
    """Gauss and Newton's method, noise-free: to a thousandth of a cell and of a beam."""
    array = half_wavelength_array(4)
    background = direct_path(array)
    near = NearBackground(background, GRID, array, ())
    delay_s, sine = DIRECT_S + 0.7 * CELL_S, 0.45
    weak = (1e-3 * echo(delay_s, sine, array, 75.0)).astype(np.complex64)
    start = Hypothesis(delay_s + 0.25 * CELL_S, 1e-24, sine - 0.1, 1e-12, 10.0**4.5)
    found = NearResidual(near, remainder_of(weak, near.background)).fitted([start])[0]
    assert found.delay_s == pytest.approx(delay_s, abs=1e-3 * CELL_S)
    assert found.sine == pytest.approx(sine, abs=5e-4)


@pytest.mark.parametrize("off_cells", [0.4, -1.2, 9.0])
def test_an_echo_is_searched_about_the_peak_and_beside_the_path(off_cells):
    """Wherever what alignment left of it peaks; one before the path can be none."""
    array = half_wavelength_array(4)
    near = NearBackground(direct_path(array), GRID, array, ())
    delay_s, sine = DIRECT_S + 0.8 * CELL_S, 0.45
    residual = NearResidual(near, remainder_of(left_of(delay_s, sine, array, 3), near.background))
    (found,) = residual.whole([peak(delay_s, sine + 0.1, array, off_cells)], DIRECT_S)
    assert found.delay_s == pytest.approx(delay_s, abs=0.05 * CELL_S)
    assert found.sine == pytest.approx(sine, abs=0.02)
