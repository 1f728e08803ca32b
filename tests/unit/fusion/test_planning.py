"""P2 and the initialization, against all sets tried one by one."""

import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.array import ElementPattern
from fusion.error_bound import REGULARIZATION_PER_M2, peb_m
from fusion.initialization import MAX_SETS, expected_error_plan, field_of_view_plan
from fusion.network import Network
from fusion.planning import best_configuration
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

NONE = np.zeros(3)
SPAN_M = math.hypot(200.0, 200.0)


def matrix(entries: np.ndarray) -> np.ndarray:
    return np.array([[entries[0], entries[1]], [entries[1], entries[2]]])


def literal_peb_m(information: np.ndarray) -> float:
    """(18) as it is printed."""
    regularized = matrix(information) + REGULARIZATION_PER_M2 * np.eye(2)
    return math.sqrt(np.trace(np.linalg.inv(regularized)))


def brute_force(
    information: np.ndarray, prior: np.ndarray, num_receivers: int
) -> tuple[float, int, tuple[int, ...]]:
    """(19): every transmitter with every set of receivers."""
    num_nodes = len(information)
    return min(
        (literal_peb_m(prior + information[tx, list(rx)].sum(axis=0)), tx, rx)
        for tx in range(num_nodes)
        for rx in combinations([n for n in range(num_nodes) if n != tx], num_receivers)
    )


def random_information(rng: np.random.Generator, num_nodes: int) -> np.ndarray:
    """Positive semidefinite, over many magnitudes, a third of them of rank one; zero diagonal."""
    root = rng.standard_normal((num_nodes, num_nodes, 2, 2))
    root[rng.random((num_nodes, num_nodes)) < 1 / 3, :, 1] = 0.0
    root *= 10.0 ** rng.uniform(-1.5, 1.5, (num_nodes, num_nodes, 1, 1))
    full = root @ root.swapaxes(-1, -2)
    full[np.arange(num_nodes), np.arange(num_nodes)] = 0.0
    return np.stack((full[..., 0, 0], full[..., 0, 1], full[..., 1, 1]), axis=-1)


def linked_information(nodes, point_m, rcs_m2: float = 1.0) -> np.ndarray:
    network = Network(nodes, GRID)
    points_m = np.array([point_m])
    return network.information(points_m, network.snr(points_m, np.array([rcs_m2])))[0]


def assert_same_choice(plan, nodes, expected) -> None:
    peb, tx, rx = expected
    assert plan.peb_m == pytest.approx(peb, rel=1e-6)
    assert plan.config.tx_id == nodes[tx].node_id
    assert sorted(plan.config.rx_ids) == sorted(nodes[n].node_id for n in rx)


@pytest.mark.parametrize("num_receivers", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_best_configuration_is_the_best_of_all(seed, num_receivers):
    nodes = mixed_nodes(seed, 8)
    network = Network(nodes, GRID)
    point_m = np.random.default_rng(seed).uniform(AREA_M[:2], AREA_M[2:])
    information = linked_information(nodes, point_m)
    prior = random_information(np.random.default_rng(seed), 2)[0, 1]
    for known in (NONE, prior):
        plan = best_configuration(network, information, known, num_receivers)
        assert_same_choice(plan, nodes, brute_force(information, known, num_receivers))


@given(seed=st.integers(0, 100_000), num_receivers=st.integers(1, 3), with_prior=st.booleans())
def test_best_configuration_is_the_best_for_any_information(seed, num_receivers, with_prior):
    rng = np.random.default_rng(seed)
    nodes = random_nodes(seed, 5)
    information = random_information(rng, 5)
    prior = random_information(rng, 2)[0, 1] if with_prior else NONE
    plan = best_configuration(Network(nodes, GRID), information, prior, num_receivers)
    assert_same_choice(plan, nodes, brute_force(information, prior, num_receivers))


@given(seed=st.integers(0, 100_000))
def test_the_bound_that_ends_the_search_is_one(seed):
    """``tr(A^-1) >= 4 / tr(A)``, on which the order of transmitters relies."""
    for information in random_information(np.random.default_rng(seed), 6).reshape(-1, 3):
        trace = information[0] + information[2] + 2 * REGULARIZATION_PER_M2
        assert 2.0 / math.sqrt(trace) <= peb_m(information) * (1 + 1e-12)


@given(seed=st.integers(0, 100_000))
def test_closed_form_is_the_trace_of_the_inverse(seed):
    for information in random_information(np.random.default_rng(seed), 4).reshape(-1, 3):
        assert peb_m(information) == pytest.approx(literal_peb_m(information), rel=1e-4)


def test_bound_golden():
    # diag(4, 1) per m^2: 1/4 + 1 = 1.25 m^2; the regularization is a millionth of it.
    assert peb_m(np.array([4.0, 0.0, 1.0])) == pytest.approx(math.sqrt(1.25), rel=1e-5)
    # Nothing known: 2 / 1e-6, 1.4 km
    assert peb_m(NONE) == pytest.approx(math.sqrt(2e6))


@pytest.mark.parametrize("magnitude", 10.0 ** np.arange(15))
def test_bound_stays_real_where_one_direction_holds_everything(magnitude):
    direction = np.random.default_rng(0).uniform(0.0, 2 * np.pi, 500)
    cosine, sine = np.cos(direction), np.sin(direction)
    bound = peb_m(magnitude * np.stack((cosine**2, cosine * sine, sine**2), axis=-1))
    # What is not known at all is at most mu: 1 km, plus rounding's share where there is some.
    assert np.isfinite(bound).all()
    assert (bound > 0.0).all()
    assert (bound <= 1000.0 * math.sqrt(2.0)).all()


@pytest.mark.parametrize("with_prior", [False, True])
def test_beyond_the_limit_the_search_is_greedy_and_still_valid(with_prior):
    num_nodes, num_receivers = 60, 6
    assert math.comb(num_nodes, num_receivers) > MAX_SETS
    nodes = random_nodes(2, num_nodes)
    information = linked_information(nodes, (90.0, 120.0))
    prior = np.array([1e3, 0.0, 2e3]) if with_prior else NONE
    plan = best_configuration(Network(nodes, GRID), information, prior, num_receivers)
    index = {node.node_id: n for n, node in enumerate(nodes)}
    tx, rx = index[plan.config.tx_id], [index[name] for name in plan.config.rx_ids]
    assert len(set(rx)) == num_receivers
    assert tx not in rx
    assert plan.peb_m == pytest.approx(literal_peb_m(prior + information[tx, rx].sum(axis=0)))
    # Each receiver was the best one to add; and no random set does better.
    total = prior
    for n in rx:
        others = [m for m in range(num_nodes) if m not in (tx, *rx[: rx.index(n)])]
        assert min(others, key=lambda m: literal_peb_m(total + information[tx, m])) == n
        total = total + information[tx, n]
    rng = np.random.default_rng(3)
    for _ in range(300):
        i, *j = rng.permutation(num_nodes)[: num_receivers + 1]
        assert literal_peb_m(prior + information[i, j].sum(axis=0)) > plan.peb_m


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
        plan = best_configuration(network, information, NONE, num_receivers)
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
