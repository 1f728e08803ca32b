"""Angles and their variances as reported."""

import math

import pytest

from processing.report import Hypothesis


def hypothesis(sine: float | None, sine_var: float | None = 1e-4) -> Hypothesis:
    return Hypothesis(1e-6, 1e-18, sine, sine_var, 100.0)


def test_angle_golden():
    # sine 0.5: 30 degrees; variance over cos^2 = 3/4
    assert hypothesis(0.5).angle_rad == pytest.approx(math.pi / 6)
    assert hypothesis(0.5).angle_var_rad2 == pytest.approx(1e-4 / 0.75)
    assert hypothesis(-0.5).angle_rad == pytest.approx(-math.pi / 6)


@pytest.mark.parametrize("sine", [1.0, -1.0, 1.02])
def test_angle_at_endfire_is_known_to_be_unknown(sine):
    assert hypothesis(sine).angle_rad == pytest.approx(math.copysign(math.pi / 2, sine))
    assert hypothesis(sine).angle_var_rad2 == math.inf


def test_one_element_has_no_angle():
    assert hypothesis(None, None).angle_rad is None
    assert hypothesis(None, None).angle_var_rad2 is None
