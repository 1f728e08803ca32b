"""P1 compiled is P1 literal: equations, covariance, minimum and what follows from it."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from drivers import node_errors
from drivers.node_errors import NUM_ERRORS, NodeErrors
from fusion import gauss_newton
from fusion.measurement import Measurement
from fusion.wls import WlsProblem
from tests.oracles.wls import LiteralProblem
from tests.unit.fusion.halls import C_M_PER_S, hypothesis_at, mixed_nodes

TARGET_M = np.array([95.0, 110.0])
seeds = st.integers(0, 2**32 - 1)
bearings = st.sampled_from(["sine", "angle"])


def drawn_links(rng: np.random.Generator, count: int) -> list[Measurement]:
    """Looks at some links of four nodes, some of them twice, in every time base."""
    nodes = mixed_nodes(int(rng.integers(1000)), 4)
    links = []
    for _ in range(count):
        tx, rx = (nodes[n] for n in rng.permutation(4)[:2])
        hypothesis = hypothesis_at(tx, rx, TARGET_M, 10.0 ** rng.uniform(1.5, 4.0), rng)
        absolute = rx.array.num_elements == 1 or bool(rng.random() < 0.8)
        shared_s2 = float(rng.choice([0.0, (0.1 / C_M_PER_S) ** 2]))
        on_path = bool(rng.random() < 0.3)
        links.append(Measurement(tx, rx, hypothesis, 2.0, absolute, on_path, shared_s2))
    return links


def drawn_errors(rng: np.random.Generator, links: list[Measurement]) -> NodeErrors:
    """Of the links' nodes and one more, all correlated."""
    names = ("another", *sorted({n.node_id for m in links for n in (m.tx, m.rx)}))
    size = NUM_ERRORS * len(names)
    std = np.tile([0.1, 0.1, 0.004, 0.003, 0.002, 0.1], len(names))
    mixing = rng.standard_normal((size, size)) * std[:, None] / math.sqrt(size)
    return NodeErrors(names, mixing @ mixing.T)


@given(seed=seeds, bearing=bearings, count=st.integers(1, 6), known=st.booleans())
@settings(deadline=None)
def test_compiled_equations_are_the_literal_ones(seed, bearing, count, known):
    rng = np.random.default_rng(seed)
    links = drawn_links(rng, count)
    errors = None if known else drawn_errors(rng, links)
    problem = WlsProblem(links, bearing, errors)
    literal = LiteralProblem(links, bearing, errors)
    point_m = rng.uniform(-20.0, 220.0, 2)
    residual = literal.residual(point_m)
    assume(np.abs(np.abs(residual) - 1.0).min() > 1e-6)  # at half a period either sign is right
    np.testing.assert_allclose(problem.residual(point_m), residual, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(
        problem.jacobian(point_m), literal.jacobian(point_m), rtol=1e-9, atol=1e-12
    )
    expected = literal.covariance(point_m)
    # Relative to the standard deviations of both rows: what cancels leaves rounding.
    size = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    assert (np.abs(problem.covariance(point_m) - expected) <= 1e-9 * size).all()


@given(seed=seeds, bearing=bearings, count=st.integers(1, 6), known=st.booleans())
@settings(deadline=None)
def test_foreseen_density_is_the_gaussian_one(seed, bearing, count, known):
    rng = np.random.default_rng(seed)
    links = drawn_links(rng, count)
    errors = None if known else drawn_errors(rng, links)
    literal = LiteralProblem(links, bearing, errors)
    point_m = TARGET_M + rng.uniform(-0.5, 0.5, 2)
    mixing = rng.standard_normal((2, 2)) * rng.uniform(0.1, 2.0)
    spread_m2 = mixing @ mixing.T
    slope = literal.jacobian(point_m)
    joint = literal.covariance(point_m) + slope @ spread_m2 @ slope.T
    expected = stats.multivariate_normal(cov=joint, allow_singular=False).logpdf(
        literal.residual(point_m)
    )
    found = WlsProblem(links, bearing, errors).foreseen_log_density(point_m, spread_m2)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(seed=seeds, bearing=bearings, known=st.booleans())
@settings(deadline=None)
def test_minimum_and_accuracy_are_those_of_scipy(seed, bearing, known):
    """From near the truth both end at the same place; its covariance is the inverse information."""
    rng = np.random.default_rng(seed)
    links = drawn_links(rng, 5)
    errors = None if known else drawn_errors(rng, links)
    literal = LiteralProblem(links, bearing, errors)
    problem = WlsProblem(links, bearing, errors)
    solution = problem.solve(TARGET_M)
    again = problem.solve(solution.position_m)
    # Else the covariance that changes with the position keeps the steps from settling in time.
    assume(math.dist(again.position_m, solution.position_m) < 1e-6)
    assume(math.sqrt(np.trace(solution.covariance_m2)) < 5.0)  # else there are several minima
    assume(solution.cost < 30.0)
    spread_m = math.sqrt(np.trace(solution.covariance_m2))
    off_m = 0.1 * spread_m * rng.uniform(-1.0, 1.0, 2)
    reference = literal.solve(solution.position_m + off_m, solution.position_m)
    # The last step was under a micrometre, and steps shrink; or nothing smaller lowered the cost.
    assert math.dist(reference.x, solution.position_m) < 1e-6 + 1e-6 * spread_m
    assert solution.cost == pytest.approx(2.0 * reference.cost, rel=1e-6, abs=1e-6)
    inverse = np.linalg.inv(literal.covariance(solution.position_m))
    slope = literal.jacobian(solution.position_m)
    expected = np.linalg.inv(slope.T @ inverse @ slope)
    np.testing.assert_allclose(
        solution.covariance_m2, expected, rtol=1e-6, atol=1e-6 * np.trace(expected)
    )
    density = stats.multivariate_normal(cov=literal.covariance(solution.position_m)).logpdf(
        literal.residual(solution.position_m)
    )
    assert solution.log_likelihood == pytest.approx(density, rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    "name", ["X_M", "Y_M", "BORESIGHT_RAD", "SINE", "SPACING", "TIME_M", "NUM_ERRORS"]
)
def test_errors_of_nodes_are_in_one_order(name):
    assert getattr(gauss_newton, name) == getattr(node_errors, name)
