"""Refinement of one candidate; at the bound it is held in tests/paper."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.waveform import OfdmGrid
from processing.refine import refine
from tests.unit.processing.echoes import CELL_S, GRID, echo, half_wavelength_array, unit_noise

ARRAYS = {num: half_wavelength_array(num) for num in (1, 2, 4, 8, 16, 32)}


@settings(max_examples=40)
@given(
    num_elements=st.sampled_from([2, 4, 16, 32]),
    delay_cells=st.floats(3.0, 180.0),
    angle_deg=st.floats(-75.0, 75.0),
    delay_offset=st.floats(-0.5, 0.5),
    angle_offset_deg=st.floats(-0.5, 0.5),
    num_snapshots=st.sampled_from([1, 4, 8]),
)
def test_without_noise_the_echo_is_recovered(
    num_elements, delay_cells, angle_deg, delay_offset, angle_offset_deg, num_snapshots
):
    array = ARRAYS[num_elements]
    delay_s, sine = delay_cells * CELL_S, math.sin(math.radians(angle_deg))
    refined = refine(
        echo(delay_s, sine, array, 20.0), GRID, array,
        delay_s + delay_offset * CELL_S, math.radians(angle_deg + angle_offset_deg),
        num_snapshots=num_snapshots,
    )  # fmt: skip
    # What is left is squint within the half degree between the coarse angle and the true one:
    # a few hundredths of the deviation at 60 dB, which is 3.9e-4 cells and 7.8e-4 / M in sine.
    assert refined.delay_s == pytest.approx(delay_s, abs=2e-5 * CELL_S)
    assert refined.sine == pytest.approx(sine, abs=2e-5 / num_elements)
    # Matched power alpha^2 K M = snr, less what half a cell turns within a sub-band (1/32 of
    # the band): 1 - sinc^2(1/64) = 0.08 %
    assert refined.matched_power == pytest.approx(100.0, rel=1e-3)


@pytest.mark.parametrize("offset", [-0.5, 0.2, 0.5])
def test_a_single_element_gives_the_delay_only(offset):
    array = ARRAYS[1]
    delay_s = 61.3 * CELL_S
    noisy = echo(delay_s, 0.0, array, 40.0) + unit_noise(np.random.default_rng(1), array)
    refined = refine(noisy, GRID, array, delay_s + offset * CELL_S, 0.0)
    assert refined.sine is None
    # bound at 40 dB: sqrt(12) / (2 pi sqrt(2 * 10^4)) = 0.0039 cells; four deviations
    assert refined.delay_s == pytest.approx(delay_s, abs=4 * 0.0039 * CELL_S)
    assert refined.matched_power == pytest.approx(1e4, rel=0.06)  # four of sqrt(2 / 10^4)


@pytest.mark.parametrize("sine", [0.9999, -0.9999, 1.0, -1.0])
def test_sine_stays_within_its_period_at_endfire(sine):
    # Half a wavelength: period 2, so -1 and +1 are one; the estimate may be at either.
    array = ARRAYS[8]
    residual = echo(20.2 * CELL_S, sine, array, 40.0)
    residual = residual + unit_noise(np.random.default_rng(2), array)
    refined = refine(residual, GRID, array, 20.0 * CELL_S, math.copysign(math.pi / 2, sine))
    assert refined.sine is not None
    assert -1.0 <= refined.sine <= 1.0
    # four deviations of sqrt(6 / (10^4 pi^2 63)) = 9.8e-4
    assert math.remainder(refined.sine - sine, 2.0) == pytest.approx(0.0, abs=4e-3)


def test_another_echo_outside_the_gate_does_not_matter():
    # 60 cells away and 10 dB stronger, where sub-bands pass +-16 cells
    array = ARRAYS[4]
    wanted = echo(50.3 * CELL_S, 0.2, array, 30.0)
    alone = refine(wanted, GRID, array, 50.0 * CELL_S, 0.2)
    residual = wanted + echo(110.8 * CELL_S, -0.6, array, 40.0)
    beside = refine(residual, GRID, array, 50.0 * CELL_S, 0.2)
    assert alone.sine is not None
    assert beside.sine is not None
    # less than noise at 30 dB does: sqrt(12 / 2000) / (2 pi) = 0.012 cells and
    # sqrt(6 / (1000 pi^2 15)) = 0.0064 in sine
    assert beside.delay_s == pytest.approx(alone.delay_s, abs=0.012 * CELL_S)
    assert beside.sine == pytest.approx(alone.sine, abs=0.0064)


@pytest.mark.parametrize("num_subcarriers", [12, 31, 33, 64])
def test_few_tones_do(num_subcarriers):
    # Fewer tones than sub-bands, or not a multiple of them
    grid = OfdmGrid(10e9, 100e6 / num_subcarriers, num_subcarriers)
    array = half_wavelength_array(4, grid)
    residual = echo(3.3 * CELL_S, 0.25, array, 40.0, grid)
    refined = refine(residual, grid, array, 3.0 * CELL_S, 0.26)
    assert refined.delay_s == pytest.approx(3.3 * CELL_S, abs=1e-3 * CELL_S)
    assert refined.sine == pytest.approx(0.25, abs=1e-3)


def test_phase_and_scale_of_the_residual_do_not_matter():
    array = ARRAYS[4]
    residual = echo(50.3 * CELL_S, 0.2, array, 20.0) + unit_noise(np.random.default_rng(3), array)
    first = refine(residual, GRID, array, 50.0 * CELL_S, 0.2)
    turned = refine(1e-6 * np.exp(2.1j) * residual, GRID, array, 50.0 * CELL_S, 0.2)
    assert turned.delay_s == pytest.approx(first.delay_s, rel=1e-12)
    assert turned.sine == pytest.approx(first.sine, rel=1e-9)
    assert turned.matched_power == pytest.approx(1e-12 * first.matched_power)
