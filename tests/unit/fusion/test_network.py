"""Predicted SNR and Fisher information of all links, against the equations written out."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.array import UniformLinearArray
from drivers.link_budget import channel_noise_var, path_gain
from drivers.node import SurveyUncertainty
from fusion.error_bound import peb_m
from fusion.network import MIN_DISTANCE_M, Network
from processing.accuracy import LEAST_SHARE
from tests.unit.fusion.halls import (
    AREA_M,
    C_M_PER_S,
    GRID,
    HALF_PLANE,
    make_node,
    mixed_nodes,
    random_nodes,
    range_std_m,
    sine_std,
    true_angle_rad,
    true_snr,
)


def points_clear_of(nodes, count: int, seed: int = 0) -> np.ndarray:
    points_m = np.random.default_rng([seed, 9]).uniform(AREA_M[:2], AREA_M[2:], (4 * count, 2))
    clear = [
        point_m for point_m in points_m
        if min(math.dist(point_m, node.pose.position_m) for node in nodes) > 2 * MIN_DISTANCE_M
    ]  # fmt: skip
    return np.array(clear[:count])


def literal_information(tx, rx, q: np.ndarray, rcs_m2: float) -> np.ndarray:
    """(17) of one link with the angle's variance, `None` elements left out."""
    s_i, s_j = tx.pose.position, rx.pose.position
    snr = true_snr(tx, rx, q, rcs_m2)
    if snr == 0.0:
        return np.zeros((2, 2))
    delay = ((q - s_i) / math.dist(q, s_i) + (q - s_j) / math.dist(q, s_j)) / C_M_PER_S
    delay_var = (range_std_m(snr) / C_M_PER_S) ** 2
    information = np.outer(delay, delay) / delay_var
    if rx.array.num_elements > 1:
        x, y = q - s_j
        angle = np.array([-y, x]) / (x**2 + y**2)
        cos2 = math.cos(true_angle_rad(rx, q)) ** 2
        information += np.outer(angle, angle) / (sine_std(snr, rx.array.num_elements) ** 2 / cos2)
    return information


def entries(matrix: np.ndarray) -> list[float]:
    return [matrix[0, 0], matrix[0, 1], matrix[1, 1]]


@pytest.mark.parametrize("seed", range(4))
def test_snr_is_the_radar_equation_for_unlike_nodes(seed):
    nodes = mixed_nodes(seed, 6)
    network = Network(nodes, GRID)
    points_m = points_clear_of(nodes, 5, seed)
    rcs_m2 = np.array([0.1, 0.5, 1.0, 3.0, 20.0])
    snr = network.snr(points_m, rcs_m2)
    assert snr.shape == (5, 6, 6)
    for p, point_m in enumerate(points_m):
        for i, tx in enumerate(nodes):
            for j, rx in enumerate(nodes):
                expected = 0.0 if i == j else true_snr(tx, rx, point_m, rcs_m2[p])
                assert snr[p, i, j] == pytest.approx(expected, rel=1e-9)
                if i != j:
                    one = network.link_snr(tx, rx, point_m) * rcs_m2[p]
                    assert one == pytest.approx(expected, rel=1e-9)


def test_snr_is_what_the_simulator_s_channel_has():
    """Same as `drivers.link_budget`, by which the simulator scales its echoes."""
    nodes = mixed_nodes(5, 4)
    network = Network(nodes, GRID)
    for point_m in points_clear_of(nodes, 3, 5):
        for tx in nodes:
            for rx in nodes:
                alpha = float(path_gain(tx, rx, point_m, 2.0, GRID.wavelength_m))
                cells = GRID.num_subcarriers * rx.array.num_elements
                expected = alpha**2 * cells / channel_noise_var(tx, rx, GRID)
                assert 2.0 * network.link_snr(tx, rx, point_m) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_information_is_the_literal_sum_for_unlike_nodes(seed):
    nodes = mixed_nodes(seed, 6)
    network = Network(nodes, GRID)
    points_m = points_clear_of(nodes, 5, seed)
    rcs_m2 = np.array([0.1, 0.5, 1.0, 3.0, 20.0])
    information = network.information(points_m, network.snr(points_m, rcs_m2))
    assert information.shape == (5, 6, 6, 3)
    for p, point_m in enumerate(points_m):
        for i, tx in enumerate(nodes):
            for j, rx in enumerate(nodes):
                if i == j:
                    expected = np.zeros((2, 2))
                else:
                    expected = literal_information(tx, rx, point_m, rcs_m2[p])
                np.testing.assert_allclose(
                    information[p, i, j], entries(expected),
                    rtol=1e-7, atol=1e-9 * np.trace(expected),
                )  # fmt: skip


def test_a_point_behind_an_ideal_half_plane_is_not_heard():
    tx = make_node("tx", (0.0, 0.0))
    rx = make_node("rx", (50.0, 0.0), 0.0, receive_pattern=HALF_PLANE)  # looks along +x
    network = Network([tx, rx], GRID)
    points_m = np.array([[60.0, 10.0], [40.0, 10.0]])  # before it, behind it
    snr = network.snr(points_m, np.ones(2))
    assert snr[0, 0, 1] > 0.0
    assert snr[1, 0, 1] == 0.0
    information = network.information(points_m, snr)
    assert information[0, 0, 1, 0] > 0.0
    np.testing.assert_array_equal(information[1, 0, 1], 0.0)


def test_one_element_brings_no_bearing():
    tx, rx = make_node("tx", (0.0, 0.0)), make_node("rx", (50.0, 0.0), num_elements=1)
    network = Network([tx, rx], GRID)
    point_m = np.array([[60.0, 30.0]])
    xx, xy, yy = network.information(point_m, network.snr(point_m, np.ones(1)))[0, 0, 1]
    assert xx * yy == pytest.approx(xy**2, rel=1e-9)


def test_survey_adds_to_the_variances():
    survey = SurveyUncertainty(position_std_m=0.3, boresight_std_rad=0.01)
    nodes = [make_node("tx", (10.0, 20.0)), make_node("rx", (150.0, 60.0), 2.5, 8)]
    unsure = [replace(node, survey=survey) for node in nodes]
    q = np.array([70.0, 130.0])
    sure, less = (
        network.information(q[None], network.snr(q[None], np.ones(1)))[0, 0, 1]
        for network in (Network(nodes, GRID), Network(unsure, GRID))
    )
    tx, rx = nodes
    s_i, s_j = tx.pose.position, rx.pose.position
    snr = true_snr(tx, rx, q, 1.0)
    delay = (q - s_i) / math.dist(q, s_i) + (q - s_j) / math.dist(q, s_j)  # of the range
    x, y = q - s_j
    angle = np.array([-y, x]) / (x**2 + y**2)
    cos2 = math.cos(true_angle_rad(rx, q)) ** 2
    # Both ends' places along the legs; the receiver's place across the ray, and its boresight
    range_var = range_std_m(snr) ** 2 + 2 * 0.3**2
    angle_var = sine_std(snr, 8) ** 2 / cos2 + 0.3**2 / (x**2 + y**2) + 0.01**2
    expected = np.outer(delay, delay) / range_var + np.outer(angle, angle) / angle_var
    np.testing.assert_allclose(less, entries(expected), rtol=1e-9)
    assert peb_m(less) > peb_m(sure)


def test_nothing_is_infinite_at_a_node():
    nodes = random_nodes(1, 3)
    network = Network(nodes, GRID)
    points_m = np.array([node.pose.position_m for node in nodes])
    snr = network.snr(points_m, np.ones(3))
    information = network.information(points_m, snr)
    assert np.isfinite(snr).all()
    assert np.isfinite(information).all()
    # Counted as 0.5 m away, in whatever direction
    tx, rx = nodes[0], make_node("x", (0.0, 0.0))
    near = Network([tx, rx], GRID).link_snr(rx, tx, np.array([0.0, 0.0]))
    at_half_a_metre = true_snr(rx, tx, np.array([0.5, 0.0]), 1.0)
    leg_ratio = math.dist(tx.pose.position_m, (0.5, 0.0)) / math.dist(tx.pose.position_m, (0, 0))
    assert near == pytest.approx(at_half_a_metre * leg_ratio**2, rel=1e-6)


def test_sine_period_is_wavelengths_over_spacing():
    node = make_node("n", (0.0, 0.0))
    dense = replace(node, array=UniformLinearArray(4, 0.3 * GRID.wavelength_m))
    network = Network([node, dense], GRID)
    assert network.sine_period(node) == pytest.approx(2.0)
    assert network.sine_period(dense) == pytest.approx(1 / 0.3)


@given(seed=st.integers(0, 10_000), num_receivers=st.integers(1, 4))
def test_another_receiver_never_raises_the_bound(seed, num_receivers):
    rng = np.random.default_rng(seed)
    nodes = mixed_nodes(seed, 6)
    network = Network(nodes, GRID)
    point_m = points_clear_of(nodes, 1, seed)
    information = network.information(point_m, network.snr(point_m, np.ones(1)))[0]
    tx, *receivers = rng.permutation(6)[: num_receivers + 2]
    fewer = peb_m(information[tx, receivers[:-1]].sum(axis=0))
    more = peb_m(information[tx, receivers].sum(axis=0))
    # Rounding of a determinant of nearly singular information
    assert more <= fewer * (1 + 1e-6)


@given(seed=st.integers(0, 10_000), between=st.floats(0.0, 1.0), aside_m=st.floats(0.0, 30.0))
def test_what_alignment_takes_of_all_links_is_what_it_takes_of_each(seed, between, aside_m):
    """Also beside a direct path and in the nulls of an array, where sums of phases cancel."""
    nodes = mixed_nodes(seed, 4)
    first, second = (node.pose.position for node in nodes[:2])
    direction = np.random.default_rng(seed).standard_normal(2)
    beside_m = first + between * (second - first) + aside_m * direction / np.hypot(*direction)
    points_m = np.concatenate((beside_m[None], points_clear_of(nodes, 3, seed)))
    plain, aligned = Network(nodes, GRID), Network(nodes, GRID, aligned=True)
    whole, left = plain.snr(points_m, np.ones(4)), aligned.snr(points_m, np.ones(4))
    for i, tx in enumerate(nodes):
        for j, rx in enumerate(nodes):
            if i != j:
                mean, least = aligned.link_shares(tx, rx, points_m)
                expected = whole[:, i, j] * np.where(least >= LEAST_SHARE, mean, 0.0)
                np.testing.assert_allclose(left[:, i, j], expected, rtol=1e-10)


def test_a_few_transmitters_at_a_time_are_predicted_as_all_at_once(monkeypatch):
    nodes = mixed_nodes(2, 7)
    points_m, rcs_m2 = points_clear_of(nodes, 5), np.linspace(0.5, 2.0, 5)
    receivers = np.array([5, 1, 2])
    for aligned in (False, True):
        network = Network(nodes, GRID, aligned=aligned)
        snr = network.snr(points_m, rcs_m2)
        information = network.information(points_m, snr)
        monkeypatch.setattr("fusion.network._LINKS_TOGETHER", 2 * 5 * 3)
        parts = list(network.predictions(points_m, rcs_m2, receivers))
        assert [tx.tolist() for tx, _, _ in parts] == [[0, 1], [2, 3], [4, 5], [6]]
        for tx, part, own in parts:
            np.testing.assert_array_equal(part, snr[:, tx][:, :, receivers])
            np.testing.assert_array_equal(own, information[:, tx][:, :, receivers])
