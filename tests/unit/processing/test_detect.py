"""CA-CFAR against the textbook, and what becomes a candidate."""

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy import stats

from drivers.waveform import OfdmGrid
from processing.detect import CfarPlan, detect, exceedances, plan_cfar, training_mean
from processing.power_map import PowerMap, PowerMapPlan, plan_power_map, power_map
from tests.oracles import cfar as oracle
from tests.unit.processing.echoes import (
    CELL_S,
    GRID,
    MAX_DELAY_S,
    echo,
    half_wavelength_array,
    unit_noise,
)

GUARD, TRAIN, ANGLE_HALFWIDTH = 2, 24, 4  # cells; the defaults, with one bin per cell


def plan_for(num_elements: int, max_delay_s: float = MAX_DELAY_S, **options) -> PowerMapPlan:
    return plan_power_map(GRID, half_wavelength_array(num_elements), max_delay_s, **options)


def detect_all(found: PowerMap, cfar: CfarPlan, max_candidates: int = 8, **limits):
    limits = {"min_delay_s": 0.0, "max_delay_s": MAX_DELAY_S, **limits}
    return detect(found, cfar, max_candidates=max_candidates, **limits)


@pytest.mark.parametrize("probability", [1e-2, 1e-3, 1e-6])
def test_independent_cells_have_the_textbook_threshold(probability):
    # One element and unpadded bins: all cells are independent.
    plan = plan_for(1)
    cfar = plan_cfar(plan, probability)
    shape = cfar.threshold.shape
    assert shape == (1, len(plan.delay_grid_s))
    for delay in range(shape[1]):
        cells = oracle.training_cells(0, delay, shape, GUARD, TRAIN, ANGLE_HALFWIDTH)
        expected = oracle.factor(len(cells), probability)
        assert cfar.threshold[0, delay] == pytest.approx(expected, rel=1e-9)
    assert cfar.typical_snr == pytest.approx(oracle.factor(48, probability))


@pytest.mark.parametrize("oversampling", [1, 2])
@pytest.mark.parametrize("num_elements", [1, 4])
def test_training_mean_equals_the_loop(num_elements, oversampling):
    plan = plan_for(num_elements, 70 * CELL_S, num_angles=11, delay_oversampling=oversampling)
    cfar = plan_cfar(plan, 1e-3)
    guard, train = GUARD * oversampling, TRAIN * oversampling
    assert (cfar.guard, cfar.train, cfar.angle_halfwidth) == (guard, train, ANGLE_HALFWIDTH)
    shape = len(plan.angle_grid_rad), len(plan.delay_grid_s)
    power = np.random.default_rng(1).exponential(size=shape)
    power[0, 3] = 1e6  # 60 dB: running sums must not lose the small cells beside it
    expected = oracle.training_mean(power, guard, train, ANGLE_HALFWIDTH)
    np.testing.assert_allclose(training_mean(power, cfar), expected, rtol=1e-9)
    np.testing.assert_array_equal(exceedances(power, cfar), power > cfar.threshold * expected)


def test_threshold_falls_with_the_false_alarm_probability():
    plan = plan_for(4, 70 * CELL_S, num_angles=21)
    rising = [plan_cfar(plan, p).threshold for p in (0.1, 1e-2, 1e-3, 1e-6, 1e-9)]
    assert all((high > low).all() for low, high in pairwise(rising))


def test_edges_have_fewer_cells_and_so_higher_thresholds():
    threshold = plan_cfar(plan_for(4, num_angles=31), 1e-6).threshold
    middle = threshold.shape[1] // 2
    assert (threshold[:, 0] > 1.02 * threshold[:, middle]).all()
    assert (threshold[:, -1] > 1.02 * threshold[:, middle]).all()
    assert threshold[0, middle] > threshold[15, middle]
    # left and right, front and back of the sweep mirror each other
    np.testing.assert_allclose(threshold, threshold[:, ::-1], rtol=1e-6)
    np.testing.assert_allclose(threshold, threshold[::-1], rtol=1e-6)


@pytest.mark.parametrize("oversampling", [1, 2])
@pytest.mark.parametrize("num_elements", [2, 4, 16])
def test_threshold_holds_for_correlated_training_cells(num_elements, oversampling):
    """The set probability, given the training mean, averaged over drawn noise.

    An independent exponential cell of unit mean exceeds ``a T`` with probability ``exp(-a T)``.
    Its average over captures must be the set one in every part of the map; textbook factors for
    as many independent cells give twice as much and more.
    """
    plan = plan_for(num_elements, 60 * CELL_S, num_angles=31, delay_oversampling=oversampling)
    cfar = plan_cfar(plan, 1e-3)
    rng = np.random.default_rng(3)
    array = half_wavelength_array(num_elements)
    rates = []
    for _ in range(400):
        mean = training_mean(power_map(unit_noise(rng, array), plan).power / 1000, cfar)
        given = np.exp(-cfar.threshold * mean)
        num_bins = given.shape[1]
        rates.append([given[:, :5].mean(), given[:, num_bins // 3 : -num_bins // 3].mean()])
    ratio = np.mean(rates, axis=0) / 1e-3
    halfwidth = 3.29 * np.std(rates, axis=0, ddof=1) / math.sqrt(len(rates)) / 1e-3  # 99.9 %
    assert (halfwidth < 0.25).all(), "too few captures to tell"
    assert (np.abs(ratio - 1.0) < np.maximum(halfwidth, 0.05)).all()


def test_a_small_room_with_a_narrow_band_can_be_planned_for():
    grid = OfdmGrid(2.4e9, 15e3, 1320)  # 19.8 MHz: bins of 50 ns, 15 m
    plan = plan_power_map(grid, half_wavelength_array(2, grid), 67e-9)  # 20 m there and back
    threshold = plan_cfar(plan, 1e-6).threshold
    assert np.isfinite(threshold).all()
    assert np.median(threshold) < 20.0  # 13 dB: enough training cells for a useful threshold


def test_nothing_is_found_in_a_flat_map():
    plan = plan_for(4, num_angles=31)
    flat = PowerMap(np.ones((31, len(plan.delay_grid_s))), 1.0, plan)
    assert detect_all(flat, plan_cfar(plan, 1e-6)) == []


def test_delays_outside_the_limits_are_not_reported():
    plan = plan_for(4)
    cfar = plan_cfar(plan, 1e-6)
    noise = unit_noise(np.random.default_rng(4), half_wavelength_array(4))
    found = power_map(noise + echo(50 * CELL_S, 0.0, half_wavelength_array(4), 30.0), plan)
    assert [cell[1] for cell in detect_all(found, cfar)] == [50]
    # half a cell of tolerance: the true delay may lie that far from the cell's
    assert len(detect_all(found, cfar, min_delay_s=50.4 * CELL_S)) == 1
    assert len(detect_all(found, cfar, max_delay_s=49.6 * CELL_S)) == 1
    assert detect_all(found, cfar, min_delay_s=50.6 * CELL_S) == []
    assert detect_all(found, cfar, max_delay_s=49.4 * CELL_S) == []


@pytest.mark.parametrize("num_elements", [1, 4, 32])
@pytest.mark.parametrize("offset_bins", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("snr_db", [40.0, 50.0, 60.0])
def test_sidelobes_of_a_strong_echo_are_not_reported(num_elements, offset_bins, snr_db):
    """One echo, one candidate.

    Half-way between two bins is the hard case: both hold the echo, and noise decides in which
    of the two each of its angular sidelobes is the stronger.
    """
    array = half_wavelength_array(num_elements)
    plan = plan_for(num_elements)
    cfar = plan_cfar(plan, 1e-6)
    rng = np.random.default_rng([num_elements, int(4 * offset_bins), int(snr_db)])
    num_draws, num_single = 25, 0
    for _ in range(num_draws):
        delay_s = (rng.integers(10, 170) + offset_bins) * CELL_S
        sine = math.sin(rng.uniform(-1.2, 1.2))
        found = power_map(unit_noise(rng, array) + echo(delay_s, sine, array, snr_db), plan)
        cells = detect_all(found, cfar)
        assert abs(plan.delay_grid_s[cells[0][1]] - delay_s) < 0.51 * CELL_S
        num_single += len(cells) == 1
    # 95 % Clopper-Pearson: 0.887 for 25 of 25, 0.824 for 24
    low = stats.beta.ppf(0.05, num_single, num_draws - num_single + 1)
    assert low > 0.8


@pytest.mark.parametrize("num_elements", [4, 32])
def test_an_echo_near_endfire_is_reported_once(num_elements):
    # At half a wavelength -90 and +90 degrees are the same beam: both ends of the sweep respond.
    array = half_wavelength_array(num_elements)
    plan = plan_for(num_elements)
    noise = unit_noise(np.random.default_rng(5), array)
    found = power_map(noise + echo(50.3 * CELL_S, 0.999, array, 40.0), plan)
    assert len(detect_all(found, plan_cfar(plan, 1e-6))) == 1


def both_found(found: PowerMap, cfar: CfarPlan, echoes, num_elements: int) -> bool:
    cells = detect_all(found, cfar)
    sines = np.sin(found.plan.angle_grid_rad)
    return all(
        any(
            abs(found.plan.delay_grid_s[b] - delay_s) < 0.75 * CELL_S
            and (num_elements == 1 or abs(sines[g] - sine) < 1 / num_elements)
            for g, b in cells
        )
        for delay_s, sine, _ in echoes
    )


@pytest.mark.parametrize(
    ("num_elements", "apart_cells", "apart_sine", "weaker_db"),
    [
        (1, 8.0, 0.0, 0.0),
        (1, 30.0, 0.0, 10.0),
        (4, 6.0, 0.0, 0.0),  # same angle
        (4, 40.0, 0.9, 15.0),
        (32, 0.0, 0.5, 0.0),  # same delay: 8 beamwidths of 1/16
        (32, 5.0, 0.3, 15.0),
    ],
)
def test_two_separated_echoes_are_both_found(num_elements, apart_cells, apart_sine, weaker_db):
    array = half_wavelength_array(num_elements)
    plan = plan_for(num_elements)
    cfar = plan_cfar(plan, 1e-6)
    rng = np.random.default_rng([num_elements, int(apart_cells)])
    num_draws, num_found = 30, 0
    for _ in range(num_draws):
        delay_s, sine = rng.uniform(20.0, 120.0) * CELL_S, rng.uniform(-0.45, 0.0)
        echoes = [
            (delay_s, sine, 35.0),
            (delay_s + apart_cells * CELL_S, sine + apart_sine, 35.0 - weaker_db),
        ]
        residual = unit_noise(rng, array)
        for at_s, at_sine, snr_db in echoes:
            residual = residual + echo(at_s, at_sine, array, snr_db)
        num_found += both_found(power_map(residual, plan), cfar, echoes, num_elements)
    # 95 % Clopper-Pearson: 0.905 for 30 of 30, 0.851 for 29
    assert stats.beta.ppf(0.05, num_found, num_draws - num_found + 1) > 0.85


def test_candidates_are_the_strongest_ones_in_order():
    array = half_wavelength_array(8)
    plan = plan_for(8)
    cfar = plan_cfar(plan, 1e-6)
    residual = unit_noise(np.random.default_rng(6), array)
    for delay_cells, sine, snr_db in ((30.0, -0.5, 25.0), (80.0, 0.5, 35.0), (120.0, 0.0, 30.0)):
        residual = residual + echo(delay_cells * CELL_S, sine, array, snr_db)
    found = power_map(residual, plan)
    assert [b for _, b in detect_all(found, cfar)] == [80, 120, 30]
    assert [b for _, b in detect_all(found, cfar, max_candidates=2)] == [80, 120]
    assert detect_all(found, cfar, max_candidates=0) == []


@pytest.mark.parametrize("probability", [1e-3, 1e-6])
def test_half_of_the_echoes_at_the_threshold_are_detected(probability):
    """`typical_snr` is where detection sets in: an echo on its cell, as strong as that.

    Power of a steady echo in noise is a non-central chi-square, whose median is near its mean.
    """
    plan = plan_for(4)
    cfar = plan_cfar(plan, probability)
    array = half_wavelength_array(4)
    rng = np.random.default_rng(7)
    num_draws = 200
    num_detected = 0
    for _ in range(num_draws):
        bin_index, angle_index = int(rng.integers(30, 160)), int(rng.integers(20, 160))
        sine = math.sin(plan.angle_grid_rad[angle_index])
        residual = unit_noise(rng, array) + echo(
            bin_index * CELL_S, sine, array, 10 * math.log10(cfar.typical_snr)
        )
        above = exceedances(power_map(residual, plan).power, cfar)
        num_detected += bool(above[angle_index, bin_index])
    low = stats.beta.ppf(0.025, num_detected, num_draws - num_detected + 1)
    high = stats.beta.ppf(0.975, num_detected + 1, num_draws - num_detected)
    assert low < 0.55
    assert high > 0.45
