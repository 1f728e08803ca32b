"""The grid's passes are Bayes' rule in logarithms, at every cell and level."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from drivers.node_errors import NUM_ERRORS, NodeErrors
from fusion.cell_update import told_again
from fusion.grid import PositionGrid
from fusion.likelihood import LinkEvidence, exponential_rcs_prior
from fusion.network import Network
from processing.report import LinkReport
from tests.oracles.cells import log_posterior, log_sum
from tests.unit.fusion.halls import (
    AREA_M,
    DETECTION_SNR,
    GRID,
    hypothesis_at,
    make_node,
    mixed_nodes,
    report_of,
)

PRIOR = exponential_rcs_prior(1.0)
seeds = st.integers(0, 2**32 - 1)


def drawn_network(rng: np.random.Generator) -> Network:
    """Four nodes of unlike arrays and patterns, known badly, some of the time aligned."""
    nodes = mixed_nodes(int(rng.integers(1000)), 4)
    # One stands on a cell's centre, where its angle and its leg's slope are undefined.
    nodes[0] = make_node("n00", (101.0, 75.0), 2.0, 8, nodes[0].receive_pattern)
    variances = np.square(np.tile([0.3, 0.3, 0.01, 0.005, 0.001, 0.2], len(nodes)))
    errors = NodeErrors(tuple(n.node_id for n in nodes), np.diag(variances * rng.integers(2)))
    assert len(errors.covariance) == NUM_ERRORS * len(nodes)
    return Network(nodes, GRID, errors, aligned=bool(rng.integers(2)))


def drawn_report(rng: np.random.Generator, network: Network) -> LinkReport:
    """Nothing to three echoes from all over, up to 60 dB, in either time base."""
    tx, rx = (network.nodes[n] for n in rng.permutation(len(network.nodes))[:2])
    snr = DETECTION_SNR + 10.0 ** rng.uniform(0.0, 6.0, int(rng.integers(4)))
    echoes = [hypothesis_at(tx, rx, rng.uniform(0.0, 200.0, 2), s, rng) for s in snr]
    return report_of(
        tx, rx, *echoes, truncated=bool(rng.integers(2)), delay_is_absolute=rng.random() < 0.7
    )


def both(network: Network, links: list[LinkEvidence]) -> tuple[PositionGrid, np.ndarray]:
    grid = PositionGrid(AREA_M, PRIOR)
    for link in links:
        grid.update(link)
    snr = [network.link_snr(link.tx, link.rx, grid.points_m) for link in links]
    return grid, log_posterior(links, snr, grid.points_m, grid.cell_m, PRIOR)


def assert_same(grid: PositionGrid, literal: np.ndarray) -> None:
    total = log_sum(literal)
    cells = np.exp(log_sum(literal, axis=0) - total)
    # Errors of far cells are many deviations squared; their rounding is relative to those.
    np.testing.assert_allclose(grid.cell_probability(), cells, rtol=1e-9, atol=1e-200)
    everything = grid.log_mass_away_from([], [], 16.0)
    assert everything == pytest.approx(float(total), rel=1e-12, abs=1e-9)


@given(seed=seeds, count=st.integers(1, 6))
@settings(deadline=None, max_examples=40)
def test_passes_are_bayes_rule_at_every_cell(seed, count):
    rng = np.random.default_rng(seed)
    network = drawn_network(rng)
    links = [LinkEvidence(network, drawn_report(rng, network), 1e-6) for _ in range(count)]
    assert_same(*both(network, links))


@given(seed=seeds, count=st.integers(0, 8), limit=st.floats(0.1, 30.0))
@settings(deadline=None)
def test_mass_away_is_the_sum_over_cells_outside(seed, count, limit):
    rng = np.random.default_rng(seed)
    network = drawn_network(rng)
    grid, literal = both(network, [LinkEvidence(network, drawn_report(rng, network), 1e-6)])
    positions_m = rng.uniform(0.0, 200.0, (count, 2))
    mixing = 10.0 ** rng.uniform(-2.0, 3.0, (count, 1, 1)) * rng.standard_normal((count, 2, 2))
    covariances_m2 = mixing @ np.swapaxes(mixing, 1, 2)
    outside = np.ones(len(grid.points_m), dtype=bool)
    for position_m, covariance_m2 in zip(positions_m, covariances_m2, strict=True):
        offset = grid.points_m - position_m
        inverse = np.linalg.inv(covariance_m2 + grid.cell_m**2 * np.eye(2))
        square = np.sum(offset @ inverse * offset, axis=1)
        assume(np.abs(square - limit).min() > 1e-9)  # a cell on the border
        outside &= square > limit
    expected = log_sum(literal[:, outside]) if outside.any() else -np.inf
    found = grid.log_mass_away_from(positions_m, covariances_m2, limit)
    assert found == pytest.approx(float(expected), rel=1e-12, abs=1e-9)


@given(seed=seeds)
@settings(deadline=None, max_examples=20)
def test_levels_are_drawn_as_bayes_rule_has_them(seed):
    """Samples of single levels number their literal share to within one a column of cells."""
    rng = np.random.default_rng(seed)
    network = drawn_network(rng)
    links = [LinkEvidence(network, drawn_report(rng, network), 1e-6) for _ in range(2)]
    grid, literal = both(network, links)
    level = np.exp(log_sum(literal, axis=1) - log_sum(literal))
    _, drawn_m2 = grid.sample(rng, 4000)
    drawn = [np.sum(drawn_m2 == value) for value in PRIOR.level_m2]
    np.testing.assert_allclose(drawn, 4000 * level, atol=1.01)


def test_a_hundred_looks_of_one_strength_and_one_of_another():
    """Shares of levels that long evidence has driven to nothing cost nothing that shows."""
    tx, rx = make_node("tx", (60.0, 20.0)), make_node("rx", (20.0, 90.0), 0.48, 8)
    network = Network([tx, rx], GRID)
    target_m = np.array([95.0, 110.0])
    strong, weak = (hypothesis_at(tx, rx, target_m, snr) for snr in (3000.0, 30.0))
    reports = [report_of(tx, rx, strong)] * 100 + [report_of(tx, rx, weak)] * 5
    links = [LinkEvidence(network, report, 1e-6) for report in reports]
    grid, literal = both(network, links)
    apart = literal.max(axis=0) - literal.min(axis=0)
    assert apart.max() > 750.0  # a share under any double
    assert_same(grid, literal)


@pytest.mark.parametrize("own_var", [1e-4, 0.3, 40.0])
@pytest.mark.parametrize("error", [0.0, 0.4, -1.1])
def test_measurements_that_are_off_alike_are_as_likely_as_all_of_them_together(own_var, error):
    """Ten with an error in common: the joint Gaussian's logarithm, term by term."""
    common_var, count = 0.5, 10
    total = 0.0
    for look in range(1, count + 1):
        square, var = told_again(error, own_var, common_var, look)
        total -= 0.5 * (square + math.log(2.0 * math.pi * var))
        covariance = own_var * np.eye(look) + common_var
        joint = stats.multivariate_normal(np.zeros(look), covariance)
        assert total == pytest.approx(float(joint.logpdf(np.full(look, error))), rel=1e-6)


def test_what_is_far_off_is_far_off_each_time():
    """Three standard deviations may be in common; another place pays for the rest again."""
    first, again = (told_again(10.0, 0.01, 0.5, look)[0] for look in (1, 2))
    assert first == pytest.approx(100.0 / 0.51)
    assert first > again > first - 9.0
