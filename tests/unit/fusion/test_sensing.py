"""Configurations and estimates."""

import math

import numpy as np
import pytest

from fusion.sensing import CHI2_50, CHI2_95, PositionEstimate, SensingConfig


def test_chi_square_quantiles_golden():
    # Tables of chi-square, two degrees of freedom
    assert pytest.approx(5.9915, abs=1e-4) == CHI2_95
    assert pytest.approx(1.3863, abs=1e-4) == CHI2_50


def test_radius_and_bound_golden():
    # Semi-axes of deviation 2 and 1 m, turned by 30 degrees: 2 sqrt(5.9915) = 4.8955 m, and
    # sqrt(4 + 1) = 2.2361 m
    turn = math.radians(30.0)
    axes = np.array([[math.cos(turn), -math.sin(turn)], [math.sin(turn), math.cos(turn)]])
    covariance = axes @ np.diag([4.0, 1.0]) @ axes.T
    estimate = PositionEstimate(np.zeros(2), covariance, 1.0, "converged")
    assert estimate.radius_95_m == pytest.approx(4.8955, abs=1e-4)
    assert estimate.peb_m == pytest.approx(2.2361, abs=1e-4)


def test_the_order_of_receivers_makes_no_other_configuration():
    config = SensingConfig("a", ("b", "c"))
    assert config.same_nodes(SensingConfig("a", ("c", "b")))
    assert not config.same_nodes(SensingConfig("b", ("a", "c")))
    assert not config.same_nodes(SensingConfig("a", ("b", "d")))
    assert not config.same_nodes(SensingConfig("a", ("b",)))
