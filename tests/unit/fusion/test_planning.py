"""P2 against all sets tried one by one, and its bound against exact arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.error_bound import REGULARIZATION_PER_M2, peb_m
from fusion.network import Network
from fusion.planning import MAX_EFFORT, best_configuration
from tests.oracles import planning as literal
from tests.unit.fusion.halls import AREA_M, GRID, mixed_nodes, random_nodes

NONE = np.zeros(3)


def literal_peb_m(information: np.ndarray) -> float:
    return literal.peb_m(information, REGULARIZATION_PER_M2)


def brute_force(
    information: np.ndarray, prior: np.ndarray, num_receivers: int
) -> tuple[float, int, tuple[int, ...]]:
    return literal.best_configuration(information, prior, num_receivers, REGULARIZATION_PER_M2)


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


@pytest.mark.parametrize("num_receivers", [1, 2, 3])
def test_best_configuration_of_a_site_is_the_literal_one(num_receivers):
    nodes = random_nodes(1, 16)
    network, rng = Network(nodes, GRID), np.random.default_rng(num_receivers)
    for _ in range(3):
        information = linked_information(nodes, rng.uniform(AREA_M[:2], AREA_M[2:]))
        plan = best_configuration(network, information, NONE, num_receivers)
        assert_same_choice(plan, nodes, brute_force(information, NONE, num_receivers))
        assert plan.gap == 0.0


def drawn_information(rng: np.random.Generator, shape, kind: str, octaves: int) -> np.ndarray:
    """``R R^T`` of small integers times powers of two: entries without rounding."""
    root = rng.integers(-9, 10, (*shape, 2, 2)).astype(float)
    if kind == "alike":
        root = 1000.0 + rng.integers(0, 3, (*shape, 2, 2))
    if kind == "equal":
        root[:] = rng.integers(-9, 10, (2, 2))
    if kind == "rank one":
        root[..., 1] = 0.0
    if kind == "two directions":
        root[..., 0] = np.array([[1.0, 0.0], [3.0, 5.0]])[rng.integers(0, 2, shape)]
        root[..., 1] = 0.0
    if kind == "sparse":
        root[rng.random(shape) < 0.6] = 0.0
    root *= 2.0 ** rng.integers(-octaves, octaves + 1, (*shape, 1, 1))
    full = root @ root.swapaxes(-1, -2)
    return np.stack((full[..., 0, 0], full[..., 0, 1], full[..., 1, 1]), axis=-1)


def exact_var_m2(*information: np.ndarray) -> tuple[Fraction, float]:
    """``tr(A^-1)`` of a sum, and what closed forms in double precision may miss, relative."""
    xx, xy, yy = (
        sum(map(Fraction, map(float, values))) for values in zip(*information, strict=True)
    )
    regularization = Fraction(REGULARIZATION_PER_M2)
    xx, yy = xx + regularization, yy + regularization
    det = xx * yy - xy * xy
    return (xx + yy) / det, 1e-12 + 1e-15 * float(xx * yy / det)


@given(
    seed=st.integers(0, 100_000), num_nodes=st.integers(2, 7), fewer=st.integers(0, 5),
    kind=st.sampled_from(["full", "alike", "equal", "rank one", "two directions", "sparse"]),
    octaves=st.sampled_from([0, 3, 9]), with_prior=st.booleans(),
    max_effort=st.sampled_from([MAX_EFFORT, 0, 500, 2000]),
)  # fmt: skip
def test_nothing_is_below_the_bound(seed, num_nodes, fewer, kind, octaves, with_prior, max_effort):
    """Whatever the information, and however soon the search is ended."""
    num_receivers = max(1, num_nodes - 1 - fewer)
    rng = np.random.default_rng(seed)
    information = drawn_information(rng, (num_nodes, num_nodes), kind, octaves)
    prior = drawn_information(rng, (), kind, octaves) if with_prior else NONE
    network = Network(random_nodes(0, num_nodes), GRID)
    plan = best_configuration(network, information, prior, num_receivers, max_effort)
    var_m2 = {
        (tx, rx): exact_var_m2(prior, *information[tx, list(rx)])
        for tx, rx in literal.configurations(num_nodes, num_receivers)
    }
    chosen = network.index[plan.config.tx_id], tuple(network.index[n] for n in plan.config.rx_ids)
    own_m2, rounding = var_m2[chosen]
    assert plan.peb_m**2 == pytest.approx(float(own_m2), rel=4 * rounding)
    for other_m2, other_rounding in var_m2.values():
        margin = 4 * (rounding + other_rounding)
        assert float(Fraction(plan.bound_m) ** 2 / other_m2) <= 1.0 + margin
    assert plan.bound_m <= plan.peb_m
    if max_effort == MAX_EFFORT:
        assert plan.gap == 0.0


def directed_information(rng: np.random.Generator, num_nodes: int, kind: str) -> np.ndarray:
    """Of links of nearly one worth each: what a search can rule out last."""
    shape = num_nodes, num_nodes
    direction = rng.uniform(0.0, math.pi, shape)
    if kind == "few directions":
        direction = rng.integers(0, 3, shape) * 0.9
    if kind == "narrow":
        direction *= 0.1
    worth, second = rng.uniform(0.8, 1.2, shape), np.zeros(shape)
    if kind == "round":
        second = rng.uniform(0.0, 0.9, shape) * worth
    cosine, sine = np.cos(direction), np.sin(direction)
    return np.stack(
        (
            worth * cosine**2 + second * sine**2,
            (worth - second) * cosine * sine,
            worth * sine**2 + second * cosine**2,
        ),
        axis=-1,
    )


@given(
    seed=st.integers(0, 100_000), num_nodes=st.integers(9, 13), num_receivers=st.integers(2, 5),
    kind=st.sampled_from(["directions", "few directions", "narrow", "round"]),
    strengths=st.sampled_from([0.0, 0.05, 1.0]), with_prior=st.booleans(),
)  # fmt: skip
def test_links_of_nearly_one_worth_are_searched_to_the_best(
    seed, num_nodes, num_receivers, kind, strengths, with_prior
):
    rng = np.random.default_rng(seed)
    information = directed_information(rng, num_nodes, kind)
    information *= 2.0 ** (strengths * rng.standard_normal((num_nodes, 1, 1)))
    prior = directed_information(rng, 1, kind)[0, 0] if with_prior else NONE
    plan = best_configuration(
        Network(random_nodes(0, num_nodes), GRID), information, prior, num_receivers
    )
    every = [
        prior + information[tx, list(rx)].sum(axis=0)
        for tx, rx in literal.configurations(num_nodes, num_receivers)
    ]
    xx, xy, yy = np.array(every).T
    regularized = np.array([[xx, xy], [xy, yy]]).T + REGULARIZATION_PER_M2 * np.eye(2)
    least_m = math.sqrt(np.trace(np.linalg.inv(regularized), axis1=1, axis2=2).min())
    assert plan.peb_m == pytest.approx(least_m, rel=1e-9)
    assert plan.gap == 0.0


def test_a_search_that_ends_too_soon_says_so():
    """Directions all alike in worth: very many sets are within little of the best."""
    rng = np.random.default_rng(0)
    direction = rng.uniform(0.0, math.pi, (40, 40))
    cosine, sine = np.cos(direction), np.sin(direction)
    information = np.stack((cosine**2, cosine * sine, sine**2), axis=-1)
    network = Network(random_nodes(0, 40), GRID)
    plan = best_configuration(network, information, NONE, 8, max_effort=100_000)
    assert plan.bound_m < plan.peb_m
    assert 0.0 < plan.gap < 0.01
    # No set of unit traces is better than one without a preferred direction: 4 / 8 m^2.
    least_m = math.sqrt(4.0 / (8.0 + 2.0 * REGULARIZATION_PER_M2))
    assert plan.bound_m <= least_m * (1 + 1e-9)
    assert plan.peb_m >= least_m * (1 - 1e-9)


@pytest.mark.parametrize(("num_nodes", "num_receivers"), [(40, 5), (40, 8), (300, 4)])
def test_many_nodes_are_searched_to_the_end(num_nodes, num_receivers):
    nodes = random_nodes(2, num_nodes)
    information = linked_information(nodes, (90.0, 120.0))
    for prior in (NONE, np.array([1e3, 0.0, 2e3])):
        plan = best_configuration(Network(nodes, GRID), information, prior, num_receivers)
        assert plan.gap == 0.0
        rng = np.random.default_rng(3)
        for _ in range(300):
            tx, *rx = rng.permutation(num_nodes)[: num_receivers + 1]
            assert literal_peb_m(prior + information[tx, rx].sum(axis=0)) >= plan.peb_m
        # Nor does any exchange of one receiver.
        index = {node.node_id: n for n, node in enumerate(nodes)}
        tx, rx = index[plan.config.tx_id], [index[name] for name in plan.config.rx_ids]
        total = prior + information[tx, rx].sum(axis=0)
        others = np.delete(information[tx], [tx, *rx], axis=0)
        for n in rx:
            assert (peb_m(total - information[tx, n] + others) >= plan.peb_m).all()


def test_receivers_that_bring_nothing_are_the_first_ones():
    information = np.zeros((6, 6, 3))
    network = Network(random_nodes(0, 6), GRID)
    names = [node.node_id for node in network.nodes]
    nothing = best_configuration(network, information, NONE, 3)
    assert (nothing.config.tx_id, nothing.config.rx_ids) == (names[0], tuple(names[1:4]))
    information[2, 4] = 5.0, 1.0, 3.0
    plan = best_configuration(network, information, NONE, 3)
    assert plan.config.tx_id == names[2]
    assert plan.config.rx_ids == (names[0], names[1], names[4])


@pytest.mark.parametrize("num_receivers", [0, 5])
def test_a_number_of_receivers_that_the_nodes_do_not_allow_is_refused(num_receivers):
    network = Network(random_nodes(0, 5), GRID)
    with pytest.raises(ValueError, match=f"{num_receivers} receivers of 5 nodes"):
        best_configuration(network, np.ones((5, 5, 3)), NONE, num_receivers)


def test_information_that_is_not_a_number_yields_no_finite_bound():
    network = Network(random_nodes(0, 5), GRID)
    for num_receivers in (1, 3):
        plan = best_configuration(network, np.full((5, 5, 3), np.nan), NONE, num_receivers)
        assert not np.isfinite(plan.peb_m)
