"""Starts of P1: where one ray meets one ellipse, and where two ellipses with one focus meet."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from fusion.measurement import Measurement, bearing_range_points, shared_focus_points
from processing.report import Hypothesis
from tests.unit.fusion.halls import (
    C_M_PER_S,
    hypothesis_at,
    make_node,
    true_angle_rad,
    true_range_m,
)

coordinate_m = st.floats(-100.0, 100.0)
place = st.tuples(coordinate_m, coordinate_m)


def link(tx, rx, target_m, **fields) -> Measurement:
    return Measurement(tx, rx, hypothesis_at(tx, rx, np.array(target_m), 1e3), 2.0, **fields)


@given(tx_m=place, rx_m=place, target_m=place, boresight_rad=st.floats(-math.pi, math.pi))
def test_ray_meets_ellipse_in_the_truth(tx_m, rx_m, target_m, boresight_rad):
    tx, rx = make_node("tx", tx_m), make_node("rx", rx_m, boresight_rad)
    assume(min(math.dist(tx_m, target_m), math.dist(rx_m, target_m)) > 1.0)
    # Near the baseline the ellipse is a line, and rounding moves the intersection along it.
    assume(true_range_m(tx, rx, target_m) - math.dist(tx_m, rx_m) > 0.1)
    cosine = math.cos(true_angle_rad(rx, target_m))
    assume(abs(cosine) > 0.01)  # at endfire front and back are one
    front, back = bearing_range_points(link(tx, rx, target_m))
    truth, mirrored = (front, back) if cosine > 0.0 else (back, front)
    np.testing.assert_allclose(truth, target_m, atol=1e-6)
    # The other one is its mirror image in the array's line as far as a sine can tell.
    assert true_range_m(tx, rx, mirrored) == pytest.approx(true_range_m(tx, rx, target_m))
    assert math.sin(true_angle_rad(rx, mirrored)) == pytest.approx(
        math.sin(true_angle_rad(rx, target_m)), abs=1e-7
    )
    assert math.cos(true_angle_rad(rx, mirrored)) * cosine < 0.0


def test_ray_and_ellipse_golden():
    # Foci (0, 0) and (6, 0), range 10: semi-axes 5 and 4 about (3, 0). Straight up from the
    # receiver at (6, 0) is the semi-latus rectum, 16 / 5 = 3.2 m.
    tx, rx = make_node("tx", (0.0, 0.0)), make_node("rx", (6.0, 0.0), math.pi / 2)
    measurement = Measurement(tx, rx, Hypothesis(10.0 / C_M_PER_S, 1e-20, 0.0, 1e-4, 100.0), 2.0)
    front, back = bearing_range_points(measurement)
    np.testing.assert_allclose(front, [6.0, 3.2], atol=1e-9)
    np.testing.assert_allclose(back, [6.0, -3.2], atol=1e-9)


def test_no_ray_or_no_ellipse_gives_no_point():
    tx, rx = make_node("tx", (0.0, 0.0)), make_node("rx", (60.0, 0.0))
    single = make_node("rx", (60.0, 0.0), num_elements=1)
    target_m = (30.0, 40.0)
    assert bearing_range_points(link(tx, single, target_m)) == []
    assert bearing_range_points(link(tx, rx, target_m, use_delay=False)) == []
    # Noise may leave a target on the baseline with less than its length.
    short = Hypothesis(59.99 / C_M_PER_S, 1e-20, 0.5, 1e-4, 100.0)
    assert bearing_range_points(Measurement(tx, rx, short, 2.0)) == []


@pytest.mark.parametrize("shared", ["tx", "rx", "one sends, then listens"])
@given(places=st.tuples(place, place, place), target_m=place)
def test_two_ellipses_meet_in_the_truth(shared, places, target_m):
    common, first, second = (
        make_node(name, position, num_elements=1)
        for name, position in zip("abc", places, strict=True)
    )
    arms = np.array([first.pose.position, second.pose.position]) - common.pose.position
    assume(abs(np.linalg.det(arms)) > 100.0)  # not in one line
    assume(min(math.dist(p, target_m) for p in places) > 1.0)
    # Where the ellipses touch instead of crossing, a root is lost to rounding.
    normals = [ellipse_normal(common, other, target_m) for other in (first, second)]
    assume(abs(np.linalg.det(normals)) > 1e-2)
    pairs = {
        "tx": [(common, first), (common, second)],
        "rx": [(first, common), (second, common)],
        "one sends, then listens": [(common, first), (second, common)],
    }[shared]
    one, other = (link(*pair, target_m) for pair in pairs)
    points = shared_focus_points(one, other)
    assert 1 <= len(points) <= 2
    assert min(math.dist(point, target_m) for point in points) < 1e-4
    for point in points:  # and whatever else comes back lies on both ellipses too
        for pair in pairs:
            assert true_range_m(*pair, point) == pytest.approx(
                true_range_m(*pair, target_m), abs=1e-4
            )


def ellipse_normal(first, second, point_m) -> np.ndarray:
    legs = [np.array(point_m) - node.pose.position for node in (first, second)]
    return sum(leg / math.hypot(*leg) for leg in legs)


def nodes_abcd():
    places = {"a": (0.0, 0.0), "b": (60.0, 0.0), "c": (0.0, 50.0), "d": (70.0, 70.0)}
    return {name: make_node(name, position, num_elements=1) for name, position in places.items()}


@pytest.mark.parametrize(
    ("first", "second"),
    [("ab", "cd"), ("ab", "ab"), ("ab", "ba")],
    ids=["none shared", "one link twice", "and back"],
)
def test_other_than_one_shared_node_gives_no_point(first, second):
    nodes, target_m = nodes_abcd(), (30.0, 20.0)
    pair = [link(nodes[tx], nodes[rx], target_m) for tx, rx in (first, second)]
    assert shared_focus_points(*pair) == []


def test_nodes_in_one_line_give_no_point():
    nodes, target_m = nodes_abcd(), (30.0, 20.0)
    beyond = make_node("e", (120.0, 0.0), num_elements=1)
    pair = [link(nodes["a"], rx, target_m) for rx in (nodes["b"], beyond)]
    assert shared_focus_points(*pair) == []


def test_relative_delays_give_no_point():
    nodes, target_m = nodes_abcd(), (30.0, 20.0)
    absolute = link(nodes["a"], nodes["b"], target_m)
    relative = link(nodes["a"], nodes["c"], target_m, use_delay=False)
    assert shared_focus_points(absolute, relative) == []
    assert shared_focus_points(relative, absolute) == []


def test_ellipses_that_do_not_meet_give_no_point():
    # Thin ellipses along the two sides of a right angle, and the second one far from the focus
    # a: its nearest end to a is 1 m behind it, where the first does not reach.
    nodes = nodes_abcd()
    thin = Measurement(
        nodes["a"], nodes["b"], Hypothesis(60.001 / C_M_PER_S, 1e-20, None, None, 1e3), 2.0
    )
    wide = Measurement(
        nodes["a"], nodes["c"], Hypothesis(300.0 / C_M_PER_S, 1e-20, None, None, 1e3), 2.0
    )
    assert shared_focus_points(thin, wide) == []
