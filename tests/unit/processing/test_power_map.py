"""The range-angle map against the literal (10) and (11), and its noise floor."""

import math
from dataclasses import replace

import numpy as np
import pytest

from drivers.array import UniformLinearArray
from drivers.waveform import OfdmGrid
from processing.power_map import (
    bistatic_range_m,
    energy_outside_db,
    plan_power_map,
    power_map,
)
from tests.oracles import power_map as oracle
from tests.unit.processing.echoes import (
    CELL_S,
    GRID,
    MAX_DELAY_S,
    echo,
    half_wavelength_array,
    unit_noise,
)

# Two-sided 99.9 % of a normal distribution
NORMAL_999 = 3.29


def small_grid(num_subcarriers: int, bandwidth_hz: float) -> OfdmGrid:
    return OfdmGrid(10e9, bandwidth_hz / num_subcarriers, num_subcarriers)


def busy_residual(grid: OfdmGrid, array: UniformLinearArray, seed: int) -> np.ndarray:
    """Three echoes between bins and swept angles, and noise; complex64 as from a radio."""
    cell_s = 1 / grid.bandwidth_hz
    residual = unit_noise(np.random.default_rng(seed), array, grid)
    for delay_cells, sine, snr_db in ((5.4, 0.31, 30.0), (11.5, -0.83, 35.0), (2.0, 0.97, 25.0)):
        residual += echo(delay_cells * cell_s, sine, array, snr_db, grid)
    return residual.astype(np.complex64)


@pytest.mark.parametrize("num_elements", [1, 2, 5, 8])
@pytest.mark.parametrize(
    ("num_subcarriers", "oversampling", "fft_length"),
    # 48, 96, 112 and 300 are fast lengths; 64 of 300 delays are kept
    [(48, 1, 48), (47, 1, 48), (48, 2, 96), (37, 3, 112), (299, 1, 300)],
)
@pytest.mark.parametrize("bandwidth_hz", [100e6, 1.5e9])
@pytest.mark.parametrize("tolerance", [1e-2, 1e-4])
def test_map_equals_the_literal_equations(
    num_elements, num_subcarriers, oversampling, fft_length, bandwidth_hz, tolerance
):
    grid = small_grid(num_subcarriers, bandwidth_hz)
    array = half_wavelength_array(num_elements, grid)
    max_delay_s = 20 / bandwidth_hz
    plan = plan_power_map(
        grid, array, max_delay_s,
        num_angles=9, delay_oversampling=oversampling, tolerance=tolerance,
    )  # fmt: skip
    residual = busy_residual(grid, array, num_elements)
    found = power_map(residual, plan).power
    literal = oracle.power_map(
        residual, grid.frequency_hz, array.spacing_m, plan.angle_grid_rad, fft_length
    )
    # Here noise alone has mean K sigma^2 in a cell: the FFT does not divide by its length.
    literal *= fft_length**2

    assert plan.fft_length == fft_length
    assert plan.expansion_error <= tolerance
    literal = literal[:, : found.shape[1]]
    # Every one of K M terms over sqrt(M) may be off by the expansion's error and the gate's, and by
    # some roundings of complex64 (6e-8).
    error = np.abs(np.sqrt(found) - np.sqrt(literal)).max()
    terms = np.abs(residual).sum() / math.sqrt(num_elements)
    assert error <= (plan.expansion_error + plan.gate.error + 1e-6) * terms
    assert np.abs(found - literal).max() <= tolerance * literal.max()


def test_narrowband_steering_would_not_do():
    """The comparison above can tell: without squint its default tolerance is exceeded 20 times."""
    grid = small_grid(48, 100e6)
    array = half_wavelength_array(8, grid)
    plan = plan_power_map(grid, array, 20 / grid.bandwidth_hz, num_angles=9)
    residual = busy_residual(grid, array, 3)
    found = power_map(residual, plan).power
    carrier_hz = np.full(48, grid.carrier_hz)
    narrowband = oracle.power_map(residual, carrier_hz, array.spacing_m, plan.angle_grid_rad, 48)
    narrowband = narrowband[:, : found.shape[1]] * 48**2
    assert np.abs(found - narrowband).max() > 20e-4 * found.max()


def test_map_covers_the_longest_delay_and_no_more_than_the_fft():
    array = half_wavelength_array(2)
    for oversampling in (1, 2):
        plan = plan_power_map(GRID, array, MAX_DELAY_S, delay_oversampling=oversampling)
        bin_s = CELL_S / oversampling
        np.testing.assert_allclose(np.diff(plan.delay_grid_s), bin_s)
        assert plan.delay_grid_s[0] == 0.0
        assert MAX_DELAY_S < plan.delay_grid_s[-1] < MAX_DELAY_S + 3 * bin_s
        assert plan.bins_per_cell == oversampling
        np.testing.assert_allclose(
            bistatic_range_m(plan), plan.delay_grid_s * 299_792_458.0, rtol=1e-15
        )
    assert len(plan_power_map(GRID, array, 1.0).delay_grid_s) == 1000  # a second: all there is


def test_angles_are_swept_from_side_to_side():
    plan = plan_power_map(GRID, half_wavelength_array(2), MAX_DELAY_S, num_angles=5)
    np.testing.assert_allclose(np.rad2deg(plan.angle_grid_rad), [-90, -45, 0, 45, 90])
    plan = plan_power_map(GRID, half_wavelength_array(1), MAX_DELAY_S, num_angles=5)
    np.testing.assert_array_equal(plan.angle_grid_rad, [0.0])  # one element sees no angle


def test_peak_is_the_matched_cell():
    # An echo on a bin and a swept angle: P = snr K sigma^2, with K = 1000 and unit variance
    array = half_wavelength_array(8)
    plan = plan_power_map(GRID, array, MAX_DELAY_S, num_angles=181)
    found = power_map(echo(40 * CELL_S, math.sin(math.radians(30)), array, 20.0), plan).power
    assert found.argmax() == np.ravel_multi_index((120, 40), found.shape)  # 90 + 30 degrees
    assert found.max() == pytest.approx(100 * 1000, rel=1e-4)


@pytest.mark.parametrize("snr_db", [None, 60.0])
@pytest.mark.parametrize(("num_elements", "num_captures"), [(4, 250), (32, 120)])
def test_noise_floor_is_unbiased(num_elements, num_captures, snr_db):
    """Within 1 %, its 99.9 % interval included, with noise alone and beside a strong echo."""
    grid = OfdmGrid(10e9, 15e3, 6666)  # the paper's: 190 of 6720 bins can hold an echo
    array = half_wavelength_array(num_elements, grid)
    plan = plan_power_map(grid, array, MAX_DELAY_S, num_angles=2)  # angles do not enter
    rng = np.random.default_rng(num_elements)
    estimates = []
    for _ in range(num_captures):
        residual = unit_noise(rng, array, grid)
        if snr_db is not None:
            # anywhere, and so nearly always between bins, where sidelobes are strongest
            delay_s = rng.uniform(0.0, MAX_DELAY_S)
            residual += echo(delay_s, rng.uniform(-1.0, 1.0), array, snr_db, grid)
        found = power_map(residual, plan)
        estimates.append(found.noise_power / 6666)
        assert found.noise_var == pytest.approx(estimates[-1])
    halfwidth = NORMAL_999 * np.std(estimates, ddof=1) / math.sqrt(num_captures)
    assert abs(np.mean(estimates) - 1.0) + halfwidth < 0.01


@pytest.mark.parametrize("dead", range(0, 32, 5))
def test_no_element_counts_more_than_another_in_the_floor(dead):
    """One of 32 that is silent takes a 32nd of the noise; the median is off by 1.4 %."""
    grid = OfdmGrid(10e9, 15e3, 6666)
    array = half_wavelength_array(32, grid)
    plan = plan_power_map(grid, array, MAX_DELAY_S, num_angles=2)
    residual = unit_noise(np.random.default_rng(dead), array, grid)
    residual[:, dead] = 0.0
    assert power_map(residual, plan).noise_power / 6666 == pytest.approx(31 / 32, abs=0.06)


def test_noise_power_is_the_mean_of_every_cell():
    array = half_wavelength_array(4)
    plan = plan_power_map(GRID, array, MAX_DELAY_S, num_angles=9, delay_oversampling=2)
    rng = np.random.default_rng(2)
    num_captures = 400
    mean = np.zeros((9, len(plan.delay_grid_s)))
    for _ in range(num_captures):
        mean += power_map(unit_noise(rng, array), plan).power / num_captures / 1000
    # Averages of 400 unit exponentials: deviation 5 %; 3500 cells, some 1000 independent: 4.5
    # deviations hold all of them in more than 99 sets of 100.
    assert np.abs(mean - 1.0).max() < 4.5 / math.sqrt(num_captures)
    assert mean.mean() == pytest.approx(1.0, abs=NORMAL_999 / math.sqrt(num_captures * 4 * 190))


def test_floor_comes_from_the_map_itself_when_the_delay_axis_is_full():
    # As in the paper; the echoes in the map count then, so only roughly: 64 x 8 cells of noise
    # and one echo of some 3 x 3.
    grid = small_grid(64, 100e6)
    array = half_wavelength_array(4, grid)
    plan = plan_power_map(grid, array, 64 / grid.bandwidth_hz, num_angles=31)
    rng = np.random.default_rng(3)
    estimates = [power_map(unit_noise(rng, array, grid), plan).noise_power / 64 for _ in range(200)]
    halfwidth = NORMAL_999 * np.std(estimates, ddof=1) / math.sqrt(200)
    assert abs(np.mean(estimates) - 1.0) + halfwidth < 0.05


def test_energy_outside_is_that_of_noise_whatever_echo_is_inside_and_of_all_that_is_not():
    array = half_wavelength_array(8)
    plan = plan_power_map(GRID, array, MAX_DELAY_S)
    rng = np.random.default_rng(5)
    limits_s = 10.0 * CELL_S, 20.0 * CELL_S
    noise = unit_noise(rng, array)
    quiet = energy_outside_db(power_map(noise, plan), limits_s)
    assert abs(quiet) < 0.5
    seen = noise + echo(15.0 * CELL_S, 0.3, array, 25.0)
    assert energy_outside_db(power_map(seen, plan), limits_s) == pytest.approx(quiet, abs=0.3)
    # As strong again as noise, before the first echo and after the last, but in no other cell.
    found = power_map(noise, plan)
    delay_s = plan.delay_grid_s
    outside = (delay_s < limits_s[0] - 2.0 * CELL_S) | (delay_s > limits_s[1] + 2.0 * CELL_S)
    more = replace(found, power=np.where(outside, 2.0, 1.0) * found.power)
    assert energy_outside_db(more, limits_s) == pytest.approx(quiet + 10.0 * np.log10(2.0))
    inside = replace(found, power=np.where(outside, 1.0, 9.0) * found.power)
    assert energy_outside_db(inside, limits_s) == quiet
    left_out = replace(found, power=(np.arange(len(delay_s)) % 2) * found.power)
    assert abs(energy_outside_db(left_out, limits_s)) < 0.5
    assert energy_outside_db(found, (0.0, np.inf)) is None
