"""What errors of nodes do to ranges and sines: slopes of the truth, and who shares them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.array import UniformLinearArray
from drivers.geometry import Pose, arrival_angle_rad, distance_m
from drivers.node import Node, SurveyUncertainty
from drivers.node_errors import (
    BORESIGHT_RAD,
    NUM_ERRORS,
    SINE,
    SPACING,
    TIME_M,
    X_M,
    Y_M,
    NodeErrors,
    leg_sensitivity,
    sine_sensitivity,
    survey_errors,
)

STEP = 1e-6
coordinates = st.floats(-50.0, 50.0)
angles = st.floats(-np.pi, np.pi)


def node_at(x, y, boresight_rad, name="n", survey=None) -> Node:
    array = UniformLinearArray(4, 0.025)
    return Node(
        name, name, Pose((x, y), boresight_rad), array, survey=survey or SurveyUncertainty()
    )


def with_errors(node: Node, error: np.ndarray) -> Node:
    """The node as it really stands, if it is that far from where it is said to be."""
    x, y = node.pose.position + error[[X_M, Y_M]]
    pose = Pose((float(x), float(y)), node.pose.boresight_rad + float(error[BORESIGHT_RAD]))
    return replace(node, pose=pose)


def leg_m(node: Node, error: np.ndarray, point_m: np.ndarray) -> float:
    return float(distance_m(with_errors(node, error).pose.position_m, point_m))


def measured_sine(node: Node, error: np.ndarray, point_m: np.ndarray) -> float:
    """Phase slope over elements of that spacing, read with the spacing as stated."""
    truth = np.sin(arrival_angle_rad(with_errors(node, error).pose, point_m))
    return float(truth * (1.0 + error[SPACING]) + error[SINE])


def slopes(function, node: Node, point_m: np.ndarray) -> np.ndarray:
    steps = STEP * np.eye(NUM_ERRORS)
    return np.array(
        [(function(node, s, point_m) - function(node, -s, point_m)) / (2.0 * STEP) for s in steps]
    )


@given(x=coordinates, y=coordinates, boresight_rad=angles, way_m=st.floats(0.5, 60.0), way=angles)
def test_sensitivities_are_the_slopes_of_what_is_measured(x, y, boresight_rad, way_m, way):
    """Also behind the array, where the sine falls as the boresight turns the other way."""
    node = node_at(x, y, boresight_rad)
    point_m = node.pose.position + way_m * np.array([np.cos(way), np.sin(way)])
    legs = slopes(leg_m, node, point_m)
    np.testing.assert_allclose(leg_sensitivity(node, point_m), legs, rtol=1e-5, atol=1e-6)
    sines = slopes(measured_sine, node, point_m)
    np.testing.assert_allclose(sine_sensitivity(node, point_m), sines, rtol=1e-5, atol=1e-6)


def test_sensitivities_by_hand():
    """A node at the origin that looks along x; a target 10 m away at 30 degrees."""
    node = node_at(0.0, 0.0, 0.0)
    point_m = 10.0 * np.array([np.sqrt(0.75), 0.5])
    cosine, sine = np.sqrt(0.75), 0.5
    np.testing.assert_allclose(leg_sensitivity(node, point_m), [-cosine, -sine, 0, 0, 0, 0])
    np.testing.assert_allclose(
        sine_sensitivity(node, point_m),
        [cosine * sine / 10.0, -(cosine**2) / 10.0, -cosine, 1.0, sine, 0.0],
    )


def test_at_the_node_itself_sensitivities_are_finite():
    node = node_at(3.0, 4.0, 1.0)
    assert np.all(leg_sensitivity(node, node.pose.position) == 0.0)
    assert np.all(np.isfinite(sine_sensitivity(node, node.pose.position)))


def joint(num_nodes: int, seed: int = 0) -> NodeErrors:
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((NUM_ERRORS * num_nodes, NUM_ERRORS * num_nodes))
    return NodeErrors(tuple("abcdef"[:num_nodes]), root @ root.T)


@pytest.mark.parametrize("names", [["c"], ["a", "b", "c"], ["c", "a"], []])
def test_the_covariance_of_some_nodes_is_in_their_order(names):
    errors = joint(3)
    chosen = errors.of(names)
    assert chosen.shape == (6 * len(names), 6 * len(names))
    blocks = errors.covariance.reshape(3, 6, 3, 6)
    for row, one in enumerate(names):
        for column, other in enumerate(names):
            block = blocks["abc".index(one), :, "abc".index(other), :]
            own = chosen[6 * row : 6 * row + 6, 6 * column : 6 * column + 6]
            np.testing.assert_array_equal(own, block)


def test_variances_are_each_error_s_own():
    errors = joint(2)
    assert errors.variances.shape == (2, 6)
    assert errors.variances[1, SINE] == errors.covariance[6 + SINE, 6 + SINE]
    assert not errors.none
    assert NodeErrors(("a",), np.zeros((6, 6))).none


def test_what_is_common_to_two_times_drops_out_of_their_difference():
    """Of draws of the joint distribution, and exactly for times that are wholly common."""
    errors = joint(3, 1)
    draws = np.random.default_rng(2).multivariate_normal(np.zeros(18), errors.covariance, 20_000)
    times = draws[:, TIME_M::NUM_ERRORS]
    # 20 000 draws: a variance to 1 %
    drawn = np.var(times[:, :, None] - times[:, None, :], axis=0)
    np.testing.assert_allclose(errors.time_difference_var_m2, drawn, rtol=0.05, atol=1e-9)
    covariance = np.zeros((12, 12))
    covariance[np.ix_([TIME_M, 6 + TIME_M], [TIME_M, 6 + TIME_M])] = 9.0
    assert np.all(NodeErrors(("a", "b"), covariance).time_difference_var_m2 == 0.0)


def test_surveys_leave_positions_and_boresights_each_on_its_own():
    nodes = [
        node_at(0.0, 0.0, 0.0, "a", SurveyUncertainty(0.5, 0.25)),
        node_at(1.0, 0.0, 0.0, "b"),
    ]
    errors = survey_errors(nodes)
    assert errors.node_ids == ("a", "b")
    wanted = np.zeros((2, 6))
    wanted[0, [X_M, Y_M, BORESIGHT_RAD]] = 0.25, 0.25, 0.0625
    np.testing.assert_array_equal(errors.covariance, np.diag(wanted.ravel()))
    assert survey_errors(nodes[1:]).none


def test_a_covariance_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"shape \(6, 6\), \(12, 12\) are needed"):
        NodeErrors(("a", "b"), np.zeros((6, 6)))
