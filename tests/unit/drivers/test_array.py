"""Steering of a uniform linear array and element patterns; eq. (6), TR 38.901."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.array import ElementPattern, UniformLinearArray, steering_matrix
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S
from tests.oracles.channel import steering

CARRIER_HZ = 10e9
HALF_WAVELENGTH_M = SPEED_OF_LIGHT_M_PER_S / CARRIER_HZ / 2

angle_rad = st.floats(-math.pi, math.pi)


def test_steering_golden():
    # Half a wavelength, 30 degrees: 2 pi * 0.5 * sin(30) * (-1/2, 1/2) = (-pi/4, pi/4); minus j.
    array = UniformLinearArray(2, HALF_WAVELENGTH_M)
    found = steering_matrix(array, np.array([CARRIER_HZ]), [math.pi / 6])
    expected = [[[(1 + 1j) / math.sqrt(2), (1 - 1j) / math.sqrt(2)]]]
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_steering_equals_the_literal_equation():
    array = UniformLinearArray(5, 0.011)
    tones_hz = CARRIER_HZ + np.array([-50e6, 0.0, 12e6, 50e6])
    angles_rad = np.array([-2.0, -0.5, 0.0, 1.2])
    found = steering_matrix(array, tones_hz, angles_rad)
    literal = [
        [[steering(f, angle, m, 5, 0.011) for m in range(5)] for angle in angles_rad]
        for f in tones_hz
    ]
    assert found.shape == (4, 4, 5)
    np.testing.assert_allclose(found, literal, atol=1e-12)


@given(angle=angle_rad, num_elements=st.integers(1, 64))
def test_steering_has_unit_modulus_and_its_phase_reference_at_the_centre(angle, num_elements):
    array = UniformLinearArray(num_elements, HALF_WAVELENGTH_M)
    response = steering_matrix(array, np.array([CARRIER_HZ]), [angle])[0, 0]
    np.testing.assert_allclose(np.abs(response), 1.0, rtol=1e-14)
    # phases of elements mirrored about the centre cancel
    np.testing.assert_allclose(response * response[::-1], 1.0, atol=1e-12)


@given(angle=angle_rad)
def test_front_and_back_look_alike(angle):
    array = UniformLinearArray(8, HALF_WAVELENGTH_M)
    front, back = steering_matrix(array, np.array([CARRIER_HZ]), [angle, math.pi - angle])[0]
    np.testing.assert_allclose(front, back, atol=1e-12)


def test_element_0_is_nearest_to_a_source_at_plus_90_degrees():
    # Boresight along x, so +90 degrees is up the y axis, and a source 1 km up there is nearest
    # to the element with the largest y. Delays must grow with distance, element by element.
    array = UniformLinearArray(4, HALF_WAVELENGTH_M)
    element_y_m = (1.5 - np.arange(4)) * HALF_WAVELENGTH_M  # element 0 on top
    distance_m = 1000.0 - element_y_m
    expected_s = (distance_m - 1000.0) / SPEED_OF_LIGHT_M_PER_S
    found_s = array.element_delay_s(math.sin(math.pi / 2))
    np.testing.assert_allclose(found_s, expected_s, rtol=1e-10)
    assert int(np.argmin(found_s)) == 0


def test_element_delay_adds_the_element_axis():
    array = UniformLinearArray(3, 0.5)
    assert array.element_delay_s(0.0).shape == (3,)
    assert array.element_delay_s(np.zeros((2, 5))).shape == (2, 5, 3)
    np.testing.assert_array_equal(array.element_offset_m, [-0.5, 0.0, 0.5])


def test_sector_drops_by_its_front_to_back_ratio():
    pattern = ElementPattern(field_of_view_rad=math.pi / 2, front_to_back_db=20.0, gain_dbi=3.0)
    angles_rad = np.deg2rad([0.0, 44.9, -44.9, 45.1, 180.0, 360.0])
    inside = 10**0.3
    outside = 10**-1.7  # 3 dB - 20 dB
    expected = [inside, inside, inside, outside, outside, inside]
    np.testing.assert_allclose(pattern.power_gain(angles_rad), expected, rtol=1e-12)
    np.testing.assert_array_equal(
        pattern.in_view(angles_rad), [True, True, True, False, False, True]
    )


def test_edges_belong_to_the_field_of_view():
    assert ElementPattern(field_of_view_rad=math.pi).in_view([-math.pi / 2, math.pi / 2]).all()


def test_infinite_front_to_back_ratio_hears_nothing_behind():
    pattern = ElementPattern(front_to_back_db=math.inf)
    np.testing.assert_array_equal(pattern.power_gain([0.0, math.pi, -2.0]), [1.0, 0.0, 0.0])


def test_3gpp_element_golden():
    # TR 38.901 table 7.3-1: 8 dBi; 12 (angle / 65 deg)^2 dB down, so 3 dB at half the beamwidth
    # and 12 dB at 65 degrees; never more than 30 dB.
    pattern = ElementPattern(kind="3gpp_38901")
    angles_rad = np.deg2rad([0.0, 32.5, -65.0, 150.0, 180.0])
    found_db = 10 * np.log10(pattern.power_gain(angles_rad))
    np.testing.assert_allclose(found_db, [8.0, 5.0, -4.0, -22.0, -22.0], atol=1e-10)


@given(angle=st.floats(-20.0, 20.0))
def test_omnidirectional_is_the_same_everywhere(angle):
    pattern = ElementPattern(kind="omnidirectional", gain_dbi=2.0)
    assert pattern.power_gain(angle) == pytest.approx(10**0.2)
    assert pattern.in_view(angle)


@given(angle=angle_rad, kind=st.sampled_from(["sector", "3gpp_38901", "omnidirectional"]))
def test_patterns_are_symmetric_and_periodic(angle, kind):
    # 2 rad, so that no drawn angle lies within rounding of the edge once 2 pi has been added
    pattern = ElementPattern(kind=kind, field_of_view_rad=2.0)
    gains = pattern.power_gain([angle, -angle])
    assert gains[0] == pytest.approx(gains[1])
    if abs(abs(angle) - 1.0) > 1e-12:
        assert pattern.power_gain(angle + 2 * math.pi) == pytest.approx(gains[0])
