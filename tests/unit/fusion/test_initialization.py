"""The initialization, against all sets tried one by one."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.array import ElementPattern
from fusion.error_bound import REGULARIZATION_PER_M2
from fusion.initialization import (
    MAX_SETS,
    _num_ones,
    _num_ones_by_halves,
    expected_error_plan,
    field_of_view_plan,
)
from fusion.likelihood import detection_probability
from fusion.network import Network
from fusion.planning import best_configuration
from tests.oracles import planning as literal
from tests.unit.fusion.halls import (
    AREA_M,
    DETECTION_SNR,
    GRID,
    make_node,
    mixed_nodes,
    random_nodes,
    true_angle_rad,
    true_snr,
)

SPAN_M = math.hypot(200.0, 200.0)


def literal_peb_m(information: np.ndarray) -> float:
    return literal.peb_m(information, REGULARIZATION_PER_M2)


def linked_information(nodes, point_m, rcs_m2: float = 1.0) -> np.ndarray:
    network = Network(nodes, GRID)
    points_m = np.array([point_m])
    return network.information(points_m, network.snr(points_m, np.array([rcs_m2])))[0]


def uniform_points(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng([seed, 7]).uniform(AREA_M[:2], AREA_M[2:], (count, 2))


def literal_coverage(nodes, receivers, points_m: np.ndarray) -> int:
    """(13): points in the field of view of at least one."""
    return sum(
        any(
            abs(math.remainder(true_angle_rad(nodes[n], point_m), 2 * math.pi))
            <= nodes[n].receive_pattern.field_of_view_rad / 2
            for n in receivers
        )
        for point_m in points_m
    )


def narrow_nodes(seed: int, count: int):
    pattern = ElementPattern(field_of_view_rad=math.radians(100.0), front_to_back_db=30.0)
    return random_nodes(seed, count, receive_pattern=pattern)


@pytest.mark.parametrize("num_receivers", [1, 2, 3])
@pytest.mark.parametrize("seed", range(4))
def test_field_of_view_plan_covers_as_much_as_any(seed, num_receivers):
    nodes, points_m = narrow_nodes(seed, 8), uniform_points(100, seed)
    network = Network(nodes, GRID)
    plan = field_of_view_plan(network, points_m, 1.0, num_receivers)
    receivers = [network.index[name] for name in plan.config.rx_ids]
    best = max(
        literal_coverage(nodes, chosen, points_m)
        for chosen in combinations(range(8), num_receivers)
    )
    assert literal_coverage(nodes, receivers, points_m) == best
    # (14): and the transmitter has the least mean bound over the same points.
    information = network.information(points_m, network.snr(points_m, np.ones(100)))
    mean = {
        tx: np.mean([literal_peb_m(p[tx, receivers].sum(axis=0)) for p in information])
        for tx in range(8)
        if tx not in receivers
    }
    assert network.index[plan.config.tx_id] == min(mean, key=lambda tx: mean[tx])
    assert plan.peb_m == pytest.approx(min(mean.values()), rel=1e-3)


def test_field_of_view_plan_of_many_nodes_is_greedy_and_covers_no_less_than_it_must():
    num_receivers = 5
    nodes, points_m = narrow_nodes(1, 40), uniform_points(200)
    assert math.comb(40, num_receivers) > MAX_SETS
    network = Network(nodes, GRID)
    plan = field_of_view_plan(network, points_m, 1.0, num_receivers)
    receivers = [network.index[name] for name in plan.config.rx_ids]
    assert len(set(receivers)) == num_receivers
    assert network.index[plan.config.tx_id] not in receivers
    covered = literal_coverage(nodes, receivers, points_m)
    assert covered >= (1 - 1 / math.e) * 200  # of what all points are at most
    rng = np.random.default_rng(4)
    for _ in range(50):
        chosen = rng.permutation(40)[:num_receivers]
        assert literal_coverage(nodes, chosen, points_m) <= covered


def literal_expected_error(nodes, tx: int, rx: int, points_m, rcs_m2) -> float:
    """A sample that the link sees is worth its bound, one that it misses the span."""
    errors = []
    for point_m, rcs in zip(points_m, rcs_m2, strict=True):
        snr = true_snr(nodes[tx], nodes[rx], point_m, rcs)
        seen = math.exp(-DETECTION_SNR / (1 + snr)) if snr > 0.0 else 0.0
        information = linked_information(nodes, point_m, rcs)[tx, rx]
        bound = min(literal_peb_m(information) if seen > 0.0 else SPAN_M, SPAN_M)
        errors.append(seen * bound + (1 - seen) * SPAN_M)
    return float(np.mean(errors))


@pytest.mark.parametrize("seed", range(3))
def test_expected_error_plan_is_the_best_of_all_for_one_receiver(seed):
    nodes = mixed_nodes(seed, 5)
    rng = np.random.default_rng(seed)
    points_m, rcs_m2 = uniform_points(12, seed), rng.exponential(size=12)
    plan = expected_error_plan(Network(nodes, GRID), points_m, rcs_m2, DETECTION_SNR, SPAN_M, 1)
    cost = {
        (tx, rx): literal_expected_error(nodes, tx, rx, points_m, rcs_m2)
        for tx in range(5)
        for rx in range(5)
        if tx != rx
    }
    tx, rx = min(cost, key=lambda link: cost[link])
    assert (plan.config.tx_id, *plan.config.rx_ids) == (nodes[tx].node_id, nodes[rx].node_id)
    assert plan.peb_m == pytest.approx(cost[tx, rx], rel=1e-3)


@pytest.mark.parametrize("num_receivers", [1, 2])
def test_expected_error_plan_listens_where_the_target_may_be_seen(num_receivers):
    # Samples about (100, 100). Four receivers look at it, four as near look away.
    ring = [(60.0, 60.0), (140.0, 60.0), (140.0, 140.0), (60.0, 140.0)]
    inward = [math.atan2(100.0 - y, 100.0 - x) for x, y in ring]
    facing = [make_node(f"f{n}", ring[n], inward[n]) for n in range(4)]
    away = [
        make_node(f"a{n}", (ring[n][0] + 2.0, ring[n][1]), inward[n] + math.pi) for n in range(4)
    ]
    points_m = 100.0 + np.random.default_rng(5).uniform(-10.0, 10.0, (64, 2))
    plan = expected_error_plan(
        Network(away + facing, GRID), points_m, np.ones(64), DETECTION_SNR, SPAN_M, num_receivers
    )
    assert all(name.startswith("f") for name in plan.config.rx_ids)
    assert plan.peb_m < SPAN_M


@given(
    seed=st.integers(0, 1000),
    num_receivers=st.integers(1, 4),
    planner=st.sampled_from(["P2", "expected error", "field of view"]),
)
def test_receivers_are_distinct_and_do_not_send(seed, num_receivers, planner):
    nodes = mixed_nodes(seed, 5)
    network = Network(nodes, GRID)
    points_m = uniform_points(16, seed)
    if planner == "P2":
        information = linked_information(nodes, points_m[0])
        plan = best_configuration(network, information, np.zeros(3), num_receivers)
    elif planner == "expected error":
        plan = expected_error_plan(
            network, points_m, np.ones(16), DETECTION_SNR, SPAN_M, num_receivers
        )
    else:
        plan = field_of_view_plan(network, points_m, 1.0, num_receivers)
    receivers = plan.config.rx_ids
    assert len(receivers) == num_receivers
    assert len(set(receivers)) == num_receivers
    assert plan.config.tx_id not in receivers
    assert {plan.config.tx_id, *receivers} <= set(network.index)
    assert np.isfinite(plan.peb_m)


def named(network: Network, plan) -> tuple[int, tuple[int, ...]]:
    return network.index[plan.config.tx_id], tuple(network.index[n] for n in plan.config.rx_ids)


@given(
    seed=st.integers(0, 10_000), num_nodes=st.integers(2, 7), num_points=st.integers(1, 70),
    num_receivers=st.integers(1, 4), like=st.booleans(),
)  # fmt: skip
def test_field_of_view_plan_is_the_literal_one(seed, num_nodes, num_points, num_receivers, like):
    """Among them ties: the first of equal sets, whether points fill a word of bits or not."""
    num_receivers = min(num_receivers, num_nodes - 1)
    nodes = (narrow_nodes if like else mixed_nodes)(seed, num_nodes)
    network, points_m = Network(nodes, GRID), uniform_points(num_points, seed)
    in_view = np.array([
        [
            node.receive_pattern.kind == "omnidirectional"
            or literal_coverage(nodes, [n], point_m[None]) == 1
            for n, node in enumerate(nodes)
        ]
        for point_m in points_m
    ])  # fmt: skip
    information = network.information(points_m, network.snr(points_m, np.full(num_points, 0.7)))
    expected = literal.field_of_view_plan(
        in_view, information, num_receivers, REGULARIZATION_PER_M2
    )
    plan = field_of_view_plan(network, points_m, 0.7, num_receivers)
    assert named(network, plan)[1] == expected[2]
    assert plan.peb_m == pytest.approx(expected[0], rel=1e-3)  # of near singular information
    assert plan.bound_m is None
    assert plan.gap is None


@given(seed=st.integers(0, 10_000), num_nodes=st.integers(2, 6), num_receivers=st.integers(1, 3))
def test_expected_error_plan_is_the_literal_one(seed, num_nodes, num_receivers):
    num_receivers = min(num_receivers, num_nodes - 1)
    network, points_m = Network(mixed_nodes(seed, num_nodes), GRID), uniform_points(9, seed)
    rcs_m2 = np.random.default_rng(seed).exponential(size=9)
    snr = network.snr(points_m, rcs_m2)
    seen = detection_probability(snr, DETECTION_SNR)
    error_m, tx, rx = literal.expected_error_plan(
        seen, network.information(points_m, snr), SPAN_M, num_receivers, REGULARIZATION_PER_M2
    )
    plan = expected_error_plan(network, points_m, rcs_m2, DETECTION_SNR, SPAN_M, num_receivers)
    assert plan.peb_m == pytest.approx(error_m, rel=1e-4)
    assert named(network, plan) == (tx, rx)


def test_more_links_than_fit_together_are_planned_for_as_all_at_once(monkeypatch):
    network, points_m = Network(mixed_nodes(3, 9), GRID), uniform_points(20)
    whole = expected_error_plan(network, points_m, np.ones(20), DETECTION_SNR, SPAN_M, 3)
    wide = field_of_view_plan(network, points_m, 1.0, 3)
    monkeypatch.setattr("fusion.network._LINKS_TOGETHER", 2 * 20 * 9)
    assert len(list(network.predictions(points_m, np.ones(20)))) == 5
    assert expected_error_plan(network, points_m, np.ones(20), DETECTION_SNR, SPAN_M, 3) == whole
    assert field_of_view_plan(network, points_m, 1.0, 3) == wide


@given(words=st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_bits_are_counted_the_same_with_any_numpy(words):
    counts = [word.bit_count() for word in words]
    assert _num_ones(np.array(words, np.uint64)).tolist() == counts
    assert _num_ones_by_halves(np.array(words, np.uint64)).tolist() == counts
