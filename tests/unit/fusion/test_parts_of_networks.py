"""A network restricted to some of its nodes is the network of those nodes, to the last bit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.node_errors import NUM_ERRORS, NodeErrors
from fusion.error_bound import REGULARIZATION_PER_M2
from fusion.initialization import expected_error_plan, field_of_view_plan
from fusion.network import Network
from fusion.planning import best_configuration
from tests.oracles import planning as literal
from tests.unit.fusion.halls import AREA_M, DETECTION_SNR, GRID, mixed_nodes, random_nodes

COUNT = 7
NONE = np.zeros(3)


def errors_of(nodes, seed: int) -> NodeErrors:
    """Errors that all nodes share, as a calibration leaves them."""
    size = NUM_ERRORS * len(nodes)
    root = 1e-3 * np.random.default_rng([seed, 1]).standard_normal((size, size))
    return NodeErrors(tuple(node.node_id for node in nodes), root @ root.T)


def delay_var_s2(seed: int) -> np.ndarray:
    """Of links with a direct path, and infinite of those without."""
    rng = np.random.default_rng([seed, 2])
    return np.where(rng.random((COUNT, COUNT)) < 0.3, np.inf, 1e-20 * rng.random((COUNT, COUNT)))


@st.composite
def restrictions(draw):
    """A network, some of its nodes, and the network that was made of those."""
    seed, aligned = draw(st.integers(0, 1000)), draw(st.booleans())
    nodes = mixed_nodes(seed, COUNT)
    kept = draw(st.sets(st.integers(0, COUNT - 1), min_size=2))
    order = sorted(kept)
    wanted = draw(st.permutations([nodes[n].node_id for n in order]))
    part = [nodes[n] for n in order]
    if draw(st.booleans()):  # as surveyed
        return Network(nodes, GRID, aligned=aligned), wanted, Network(part, GRID, aligned=aligned)
    errors, var_s2 = errors_of(nodes, seed), delay_var_s2(seed)
    own = NodeErrors(tuple(node.node_id for node in part), errors.of([n.node_id for n in part]))
    return (
        Network(nodes, GRID, errors, var_s2, aligned=aligned),
        wanted,
        Network(part, GRID, own, var_s2[np.ix_(order, order)], aligned=aligned),
    )


@given(case=restrictions(), num_points=st.integers(1, 5))
def test_it_is_the_network_of_those_nodes(case, num_points):
    whole, wanted, made = case
    part = whole.only(wanted)
    rng = np.random.default_rng(0)
    points_m = rng.uniform(AREA_M[:2], AREA_M[2:], (num_points, 2))
    rcs_m2 = rng.exponential(size=num_points)
    assert part.nodes == made.nodes
    assert part.index == made.index
    assert part.errors.node_ids == made.errors.node_ids
    np.testing.assert_array_equal(part.errors.covariance, made.errors.covariance)
    snr = made.snr(points_m, rcs_m2)
    np.testing.assert_array_equal(part.snr(points_m, rcs_m2), snr)
    np.testing.assert_array_equal(part.in_view(points_m), made.in_view(points_m))
    np.testing.assert_array_equal(
        part.information(points_m, snr), made.information(points_m, snr)
    )  # fmt: skip
    for own, expected in zip(
        part.predictions(points_m, rcs_m2), made.predictions(points_m, rcs_m2), strict=True
    ):
        for left, right in zip(own, expected, strict=True):
            np.testing.assert_array_equal(left, right)
    for tx in made.nodes:
        np.testing.assert_array_equal(part.node_var(tx), made.node_var(tx))
        for rx in made.nodes:
            assert part.range_var_m2(tx, rx) == made.range_var_m2(tx, rx)
            for face in ("link_snr", "link_shares"):
                left, right = (getattr(network, face)(tx, rx, points_m) for network in (part, made))
                np.testing.assert_array_equal(left, right)


@given(case=restrictions(), num_receivers=st.integers(1, 3))
def test_plans_are_those_of_that_network(case, num_receivers):
    whole, wanted, made = case
    part = whole.only(wanted)
    fewer = min(num_receivers, len(wanted) - 1)
    points_m = np.random.default_rng(1).uniform(AREA_M[:2], AREA_M[2:], (16, 2))
    ones = np.ones(len(points_m))
    information = made.information(points_m, made.snr(points_m, ones)).mean(axis=0)
    planned = [
        (
            expected_error_plan(network, points_m, ones, DETECTION_SNR, 283.0, fewer),
            field_of_view_plan(network, points_m, 1.0, fewer),
            best_configuration(network, information, NONE, fewer),
        )
        for network in (part, made)
    ]
    assert planned[0] == planned[1]


@given(seed=st.integers(0, 10_000), num_receivers=st.integers(1, 3), empty=st.floats(0.0, 1.0))
def test_p2_is_solved_among_those_nodes_also_where_links_bring_nothing(seed, num_receivers, empty):
    rng = np.random.default_rng(seed)
    part = Network(random_nodes(seed, COUNT), GRID).only([f"n0{n}" for n in (5, 1, 2, 6)])
    root = rng.standard_normal((4, 4, 2, 2))
    full = root @ root.swapaxes(-1, -2) * (rng.random((4, 4, 1, 1)) >= empty)
    information = np.stack((full[..., 0, 0], full[..., 0, 1], full[..., 1, 1]), axis=-1)
    plan = best_configuration(part, information, NONE, num_receivers)
    peb_m, _, _ = literal.best_configuration(
        information, NONE, num_receivers, REGULARIZATION_PER_M2
    )
    assert plan.peb_m == pytest.approx(peb_m, rel=1e-6)
    chosen = {plan.config.tx_id, *plan.config.rx_ids}
    assert len(chosen) == num_receivers + 1
    assert chosen <= {"n01", "n02", "n05", "n06"}


@pytest.mark.parametrize("num_receivers", [1, 2, 3])
def test_without_any_information_the_first_of_those_nodes_are_taken(num_receivers):
    part = Network(random_nodes(0, COUNT), GRID).only(["n06", "n04", "n03", "n01"])
    plan = best_configuration(part, np.zeros((4, 4, 3)), NONE, num_receivers)
    assert plan.config.tx_id == "n01"
    assert plan.config.rx_ids == ("n03", "n04", "n06")[:num_receivers]
    assert plan.peb_m == pytest.approx(np.sqrt(2.0 / REGULARIZATION_PER_M2))


def test_a_restriction_is_made_once_and_all_nodes_are_none():
    network = Network(random_nodes(0, COUNT), GRID)
    assert network.only(["n02", "n00"]) is network.only(("n00", "n02"))
    assert network.only(network.index) is network
    part = network.only(["n00", "n02", "n05"])
    assert part.only(["n00", "n05"]).index == {"n00": 0, "n05": 1}


def test_many_restrictions_do_not_add_up():
    network = Network(random_nodes(0, COUNT), GRID)
    first = network.only(["n00", "n01"])
    for n in range(2, COUNT):
        for m in range(n):
            network.only([f"n0{n}", f"n0{m}"])
    assert network.only(["n00", "n01"]) is not first
    assert network.only(["n00", "n01"]).nodes == first.nodes


@pytest.mark.parametrize(
    ("wanted", "rule"), [(["n00"], "at least 2 nodes"), (["n00", "m1"], r"no nodes \['m1'\]")]
)
def test_what_is_no_network_is_refused(wanted, rule):
    with pytest.raises(ValueError, match=rule):
        Network(random_nodes(0, 3), GRID).only(wanted)
