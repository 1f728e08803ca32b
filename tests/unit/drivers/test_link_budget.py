"""Radar equation, direct path, noise and bounds, against calculations by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, Pose
from drivers.link_budget import (
    channel_noise_var,
    delay_var_s2,
    direct_path_gain,
    leg_gain_per_m2,
    path_gain,
    sine_var,
    snr_scale_m2,
)
from drivers.node import Node
from drivers.waveform import OfdmGrid
from tests.oracles.channel import radar_amplitude

GRID = OfdmGrid(carrier_hz=10e9, subcarrier_spacing_hz=15e3, num_subcarriers=6666)
ARRAY = UniformLinearArray(4, GRID.wavelength_m / 2)
OMNIDIRECTIONAL = ElementPattern(kind="omnidirectional")


def node(x_m: float, y_m: float, boresight_rad: float = 0.0, **fields) -> Node:
    fields.setdefault("receive_pattern", OMNIDIRECTIONAL)
    return Node("n", "n", Pose((x_m, y_m), boresight_rad), ARRAY, **fields)


# 50 m and 100 m from the point (30, 40)
TX = node(0.0, 0.0)
RX = node(90.0, -40.0)
POINT_M = (30.0, 40.0)


def test_path_gain_golden():
    # lambda = 0.029 979 245 8 m; (4 pi)^1.5 = 44.546 623 975;
    # 0.029 979 245 8 / 44.546 623 975 / (50 * 100) = 1.345 971 619e-7
    gain = path_gain(TX, RX, POINT_M, 1.0, GRID.wavelength_m)
    assert gain == pytest.approx(1.345971619e-7, rel=1e-9)


def test_path_gain_follows_rcs_and_element_gains():
    # amplitude: twice for 4 m^2; 6 dB + 10 dB of gain is 16 dB of power, 10^0.8 of amplitude
    loud = replace(TX, transmit_pattern=ElementPattern("omnidirectional", gain_dbi=6.0))
    keen = replace(RX, receive_pattern=ElementPattern("omnidirectional", gain_dbi=10.0))
    gain = path_gain(loud, keen, POINT_M, 4.0, GRID.wavelength_m)
    assert gain == pytest.approx(2 * 10**0.8 * 1.345971619e-7, rel=1e-9)


def test_receiver_that_faces_away_hears_the_back_lobe():
    # From (90, -40) the point bears 127 degrees: in view of boresight 127, behind boresight -53.
    facing = node(90.0, -40.0, math.radians(127), receive_pattern=ElementPattern())
    away = node(90.0, -40.0, math.radians(-53), receive_pattern=ElementPattern())
    towards = path_gain(TX, facing, POINT_M, 1.0, GRID.wavelength_m)
    behind = path_gain(TX, away, POINT_M, 1.0, GRID.wavelength_m)
    assert 20 * math.log10(towards / behind) == pytest.approx(30.0)


coordinate_m = st.floats(-100.0, 100.0)


@given(
    tx_m=st.tuples(coordinate_m, coordinate_m),
    rx_m=st.tuples(coordinate_m, coordinate_m),
    rcs_m2=st.floats(1e-3, 1e3),
)
def test_path_gain_equals_the_literal_equation_and_is_reciprocal(tx_m, rx_m, rcs_m2):
    point_m = (150.0, 0.0)  # never nearer than 50 m
    forth = path_gain(node(*tx_m), node(*rx_m), point_m, rcs_m2, GRID.wavelength_m)
    back = path_gain(node(*rx_m), node(*tx_m), point_m, rcs_m2, GRID.wavelength_m)
    literal = radar_amplitude(tx_m, rx_m, point_m, rcs_m2, GRID.wavelength_m)
    assert forth == pytest.approx(literal, rel=1e-12)
    assert back == pytest.approx(literal, rel=1e-12)


def test_leg_gain_has_a_floor_on_distance_where_asked():
    points_m = [(0.0, 0.0), (0.1, 0.0), (10.0, 0.0)]
    floored = leg_gain_per_m2(OMNIDIRECTIONAL, (0.0, 0.0), 0.0, points_m, min_distance_m=0.5)
    np.testing.assert_allclose(floored, [4.0, 4.0, 0.01])
    plain = leg_gain_per_m2(OMNIDIRECTIONAL, (0.0, 0.0), 0.0, points_m)
    np.testing.assert_allclose(plain, [math.inf, 100.0, 0.01])


def test_leg_gain_of_several_nodes_at_once_is_that_of_each():
    rng = np.random.default_rng(1)
    positions_m = rng.uniform(-50.0, 50.0, (3, 2))
    boresights_rad = rng.uniform(-math.pi, math.pi, 3)
    points_m = rng.uniform(-50.0, 50.0, (40, 2))
    sector = ElementPattern(gain_dbi=3.0)
    together = leg_gain_per_m2(
        sector, positions_m[:, None], boresights_rad[:, None], points_m, min_distance_m=0.5
    )
    one_by_one = [
        leg_gain_per_m2(sector, position, boresight, points_m, min_distance_m=0.5)
        for position, boresight in zip(positions_m, boresights_rad, strict=True)
    ]
    np.testing.assert_array_equal(together, one_by_one)


def test_direct_path_golden():
    # Friis at 100 m: 0.029 979 245 8 / (4 pi 100) = 2.385 672 58e-5
    gain = direct_path_gain(node(0.0, 0.0), node(60.0, 80.0), GRID.wavelength_m)
    assert gain == pytest.approx(2.38567258e-5, rel=1e-8)
    # The echo of 1 m^2 at 100 m from both is sqrt(4 pi) 100 = 354.5 times, 51 dB, weaker.
    echo = path_gain(node(0.0, 0.0), node(0.0, 0.0), (100.0, 0.0), 1.0, GRID.wavelength_m)
    assert 20 * math.log10(gain / echo) == pytest.approx(50.99, abs=0.01)


def test_direct_path_takes_both_element_gains():
    # The receiver at (60, 80) sees the transmitter in its back (bearing -127 degrees, 30 dB
    # down); the transmitter's sector faces it (bearing 53 degrees, 5 dBi).
    tx = node(0.0, 0.0, transmit_pattern=ElementPattern(field_of_view_rad=math.pi, gain_dbi=5.0))
    rx = node(60.0, 80.0, receive_pattern=ElementPattern())
    gain = direct_path_gain(tx, rx, GRID.wavelength_m)
    assert 20 * math.log10(gain / 2.38567258e-5) == pytest.approx(5.0 - 30.0, abs=1e-6)


def test_noise_var_golden():
    # noise -174 + 10 log10(15e3) = -132.2391 dBm per tone; tone 23 - 10 log10(6666) =
    # -15.2387 dBm; -117.0004 dB = 1.995 06e-12
    assert channel_noise_var(TX, RX, GRID) == pytest.approx(1.99506e-12, rel=1e-5)
    # 10 dB less power and 5 dB noise figure: 15 dB more
    weak, noisy = replace(TX, tx_power_dbm=13.0), replace(RX, noise_figure_db=5.0)
    assert channel_noise_var(weak, noisy, GRID) == pytest.approx(10**1.5 * 1.99506e-12, rel=1e-5)


def test_snr_scale_is_the_matched_cell_snr():
    # alpha^2 K M / sigma_H^2 = (1.345 971 6e-7)^2 * 6666 * 4 / 1.995 06e-12 = 242.12, 23.84 dB
    legs = 1 / 50**2 * 1 / 100**2
    snr = snr_scale_m2(TX, RX, GRID) * legs
    assert snr == pytest.approx(242.12, rel=1e-4)
    alpha = float(path_gain(TX, RX, POINT_M, 1.0, GRID.wavelength_m))
    cells = GRID.num_subcarriers * ARRAY.num_elements
    assert snr == pytest.approx(alpha**2 * cells / channel_noise_var(TX, RX, GRID))


def test_delay_bound_golden():
    # PAPER-NOTES row 4: 0.05 m at 27 dB, 0.012 m at 40 dB. W_c = 99.99 MHz / sqrt(12) =
    # 28.865 MHz; 1 / (2 pi sqrt(2) 28.865e6 sqrt(10^2.7)) = 0.174 16 ns, times c = 0.0522 m
    snr = np.array([10**2.7, 1e4])
    std_m = SPEED_OF_LIGHT_M_PER_S * np.sqrt(delay_var_s2(snr, GRID.rms_bandwidth_hz))
    np.testing.assert_allclose(std_m, [0.05221, 0.01169], rtol=1e-3)


def test_sine_bound_golden():
    # M = 4, half a wavelength, 20 dB: 6 / (100 * pi^2 * 15) = 4.052 85e-4
    assert sine_var(100.0, 4, 0.5) == pytest.approx(4.05285e-4, rel=1e-5)


def test_bounds_without_information_are_infinite():
    assert delay_var_s2(0.0, 1e6) == math.inf
    assert sine_var(0.0, 4, 0.5) == math.inf
    assert sine_var(100.0, 1, 0.5) == math.inf  # one element sees no angle


def test_bounds_equal_the_inverse_fisher_information():
    """Independent: the information of (7) in delay, sine and complex amplitude, inverted."""
    tones_hz, num_elements = 64, 8
    grid = OfdmGrid(10e9, 100e6 / tones_hz, tones_hz)
    array = UniformLinearArray(num_elements, grid.wavelength_m / 2)
    sine, snr = 0.4, 200.0
    element_s = array.element_delay_s(1.0)  # per unit sine
    model = np.exp(-2j * np.pi * grid.frequency_hz[:, None] * element_s * sine)
    noise_var = tones_hz * num_elements / snr  # so that |model|^2 K M / noise_var = snr
    slopes = np.stack(
        [
            -2j * np.pi * grid.frequency_hz[:, None] * model,  # delay
            -2j * np.pi * grid.frequency_hz[:, None] * element_s * model,  # sine
            model,  # real part of the amplitude
            1j * model,  # and imaginary
        ]
    ).reshape(4, -1)
    scale = np.array([1e-9, 1e-3, 1.0, 1.0])  # else the matrix is too ill-conditioned to invert
    slopes = slopes * scale[:, None]
    bound = np.linalg.inv(2 / noise_var * np.real(slopes.conj() @ slopes.T))
    delay_bound_s2, sine_bound = np.diag(bound)[:2] * scale[:2] ** 2
    # 1e-3: squint ties the two together by (W / f_c)^2 / 12 = 8e-6 at most
    assert delay_var_s2(snr, grid.rms_bandwidth_hz) == pytest.approx(delay_bound_s2, rel=1e-3)
    assert sine_var(snr, num_elements, 0.5) == pytest.approx(sine_bound, rel=1e-3)
