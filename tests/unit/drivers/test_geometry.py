"""Delays, angles and gradients on the plane; eqs. (4), (5), (15), (16)."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    Pose,
    angle_from_boresight_rad,
    angle_gradient_rad_per_m,
    arrival_angle_rad,
    bistatic_delay_s,
    delay_gradient_s_per_m,
    distance_m,
    wrap_angle,
)

# 3-4-5 triangles: the point is 50 m from the transmitter (30, 40) and 100 m from the receiver
# (-60, 80).
TX_M = (0.0, 0.0)
RX_M = (90.0, -40.0)
POINT_M = (30.0, 40.0)

coordinate_m = st.floats(-100.0, 100.0)
point_m = st.tuples(coordinate_m, coordinate_m)
angle_rad = st.floats(-10.0, 10.0)


def turn(point: tuple[float, float], by_rad: float) -> np.ndarray:
    cosine, sine = math.cos(by_rad), math.sin(by_rad)
    return np.array([cosine * point[0] - sine * point[1], sine * point[0] + cosine * point[1]])


def test_delay_golden():
    # (50 m + 100 m) / 299 792 458 m/s = 500.346 142 797 ns
    assert bistatic_delay_s(TX_M, RX_M, POINT_M) == pytest.approx(500.346142797e-9, rel=1e-11)


@pytest.mark.parametrize(
    ("boresight_rad", "expected_rad"),
    [
        # bearing of (-60, 80): pi - atan(4/3) = 2.214 297 435 6
        (0.0, 2.2142974356),
        # 2.214 297 435 6 - 2.356 194 490 2
        (3 * math.pi / 4, -0.1418970546),
        # 2.214 297 435 6 + 2.356 194 490 2 = 4.570 491 925 8; less 2 pi
        (-3 * math.pi / 4, -1.7126933814),
    ],
)
def test_angle_golden(boresight_rad, expected_rad):
    found = arrival_angle_rad(Pose(RX_M, boresight_rad), POINT_M)
    assert found == pytest.approx(expected_rad, abs=1e-10)


def test_delay_gradient_golden():
    # (0.6, 0.8) + (-0.6, 0.8) = (0, 1.6); 1.6 / c = 5.337 025 523 ns/m
    found = delay_gradient_s_per_m(TX_M, RX_M, POINT_M)
    np.testing.assert_allclose(found, [0.0, 5.337025523e-9], rtol=1e-9, atol=1e-24)


def test_angle_gradient_golden():
    # (-80, -60) / 100^2
    found = angle_gradient_rad_per_m(RX_M, POINT_M)
    np.testing.assert_allclose(found, [-0.008, -0.006], rtol=1e-14)


@given(angle=st.floats(-1e3, 1e3))
@example(angle=math.pi)
@example(angle=-math.pi)
@example(angle=math.nextafter(-math.pi, -4.0))  # plus pi, modulo 2 pi, this rounds to 2 pi
@example(angle=math.nextafter(math.pi, 0.0))
def test_wrapped_angle_is_half_open_and_the_same_direction(angle):
    wrapped = float(wrap_angle(angle))
    assert -math.pi <= wrapped < math.pi
    # 1e-12: a few roundings of 1e3 rad, 1.1e-13 each
    assert math.remainder(wrapped - angle, math.tau) == pytest.approx(0.0, abs=1e-12)


@given(tx=point_m, rx=point_m, point=point_m, by_m=point_m, by_rad=angle_rad, boresight=angle_rad)
def test_moving_and_turning_the_scene_changes_nothing(tx, rx, point, by_m, by_rad, boresight):
    assume(math.dist(rx, point) > 0.1)  # nearer than that, rounding of positions turns the angle
    moved_tx, moved_rx, moved_point = (turn(p, by_rad) + by_m for p in (tx, rx, point))
    before_m = bistatic_delay_s(tx, rx, point) * SPEED_OF_LIGHT_M_PER_S
    after_m = bistatic_delay_s(moved_tx, moved_rx, moved_point) * SPEED_OF_LIGHT_M_PER_S
    assert after_m == pytest.approx(float(before_m), abs=1e-11)

    before_rad = arrival_angle_rad(Pose(rx, boresight), point)
    moved_pose = Pose((float(moved_rx[0]), float(moved_rx[1])), boresight + by_rad)
    change_rad = float(arrival_angle_rad(moved_pose, moved_point) - before_rad)
    # 1e-11: a few roundings of 240 m, 2.8e-14 m each, seen from 0.1 m
    assert math.remainder(change_rad, math.tau) == pytest.approx(0.0, abs=1e-11)


@given(tx=point_m, rx=point_m, point=point_m)
def test_swapping_transmitter_and_receiver_keeps_the_delay(tx, rx, point):
    assert bistatic_delay_s(tx, rx, point) == bistatic_delay_s(rx, tx, point)


def central_difference(function, point: tuple[float, float], step_m: float = 1e-3) -> np.ndarray:
    """Slope along x and y; off by step^2/6 times the third derivative."""
    steps = step_m * np.eye(2)
    return np.array(
        [
            math.remainder(float(function(point + s) - function(point - s)), math.tau)
            / (2 * step_m)
            for s in steps
        ]
    )


@given(tx=point_m, rx=point_m, point=point_m)
def test_gradients_match_finite_differences(tx, rx, point):
    # At 1 m or more third derivatives are at most 2 per m^3, so differences err by under 4e-7.
    assume(math.dist(tx, point) > 1.0)
    assume(math.dist(rx, point) > 1.0)
    slope = central_difference(
        lambda p: bistatic_delay_s(tx, rx, p) * SPEED_OF_LIGHT_M_PER_S, point
    )
    gradient = delay_gradient_s_per_m(tx, rx, point) * SPEED_OF_LIGHT_M_PER_S
    np.testing.assert_allclose(gradient, slope, rtol=0.0, atol=1e-6)

    slope = central_difference(lambda p: arrival_angle_rad(Pose(rx, 0.3), p), point)
    np.testing.assert_allclose(angle_gradient_rad_per_m(rx, point), slope, rtol=0.0, atol=1e-6)


def test_gradients_are_undefined_at_a_node():
    assert np.isnan(delay_gradient_s_per_m(TX_M, RX_M, TX_M)).all()
    assert np.isnan(delay_gradient_s_per_m(TX_M, RX_M, RX_M)).all()
    assert np.isnan(angle_gradient_rad_per_m(RX_M, RX_M)).all()


def test_angles_at_several_nodes_at_once_are_those_at_each():
    rng = np.random.default_rng(2)
    positions_m = rng.uniform(-100.0, 100.0, (3, 2))
    boresights_rad = rng.uniform(-4.0, 4.0, 3)
    points_m = rng.uniform(-100.0, 100.0, (7, 2))
    together = angle_from_boresight_rad(positions_m[:, None], boresights_rad[:, None], points_m)
    one_by_one = [
        arrival_angle_rad(Pose((float(x), float(y)), float(boresight)), points_m)
        for (x, y), boresight in zip(positions_m, boresights_rad, strict=True)
    ]
    np.testing.assert_array_equal(together, one_by_one)


def test_batched_equals_looped():
    points = np.random.default_rng(1).uniform(-100.0, 100.0, (3, 4, 2))
    pose = Pose(RX_M, 1.0)
    functions = {
        (): [
            lambda p: distance_m(RX_M, p),
            lambda p: bistatic_delay_s(TX_M, RX_M, p),
            lambda p: arrival_angle_rad(pose, p),
        ],
        (2,): [
            lambda p: delay_gradient_s_per_m(TX_M, RX_M, p),
            lambda p: angle_gradient_rad_per_m(RX_M, p),
        ],
    }
    for trailing, batched in functions.items():
        for function in batched:
            together = function(points)
            assert together.shape == (3, 4, *trailing)
            one_by_one = [function(p) for p in points.reshape(-1, 2)]
            np.testing.assert_array_equal(together, np.reshape(one_by_one, together.shape))
