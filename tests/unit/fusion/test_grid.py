"""The posterior on cells: literal Bayes, whatever the order, and samples that follow it."""

import math
from itertools import permutations

import numpy as np
import pytest
from scipy import stats

from drivers.node import SurveyUncertainty
from fusion.grid import PositionGrid
from fusion.likelihood import LinkEvidence, exponential_rcs_prior
from fusion.network import Network
from tests.unit.fusion.halls import (
    AREA_M,
    C_M_PER_S,
    GRID,
    OMNIDIRECTIONAL,
    hypothesis_at,
    make_node,
    report_of,
    true_angle_rad,
    true_range_m,
)

TARGET_M = np.array([95.0, 110.0])
TX = make_node("tx", (60.0, 20.0))
RECEIVERS = (
    make_node("r0", (20.0, 90.0), 0.48, receive_pattern=OMNIDIRECTIONAL),
    make_node("r1", (150.0, 40.0), 1.32, receive_pattern=OMNIDIRECTIONAL),
    make_node("r2", (120.0, 180.0), -1.57, num_elements=1, receive_pattern=OMNIDIRECTIONAL),
)
PRIOR = exponential_rcs_prior(1.0)
SPAN_S = 1.5e-6


def evidence(rx, *hypotheses, **fields) -> LinkEvidence:
    return LinkEvidence(
        Network([TX, *RECEIVERS], GRID), report_of(TX, rx, *hypotheses, **fields), SPAN_S
    )


def three_reports() -> list[LinkEvidence]:
    """A detection with a ghost, a miss, and a delay."""
    first, second, third = RECEIVERS
    ghost_m = np.array([40.0, 30.0])
    return [
        evidence(first, *(hypothesis_at(TX, first, p, 50.0) for p in (ghost_m, TARGET_M))),
        evidence(second),
        evidence(third, hypothesis_at(TX, third, TARGET_M, 100.0)),
    ]


def filled(links, area_m=AREA_M) -> PositionGrid:
    grid = PositionGrid(area_m, PRIOR)
    for link in links:
        grid.update(link)
    return grid


@pytest.mark.parametrize(
    "area_m", [(0.0, 0.0, 200.0, 200.0), (-5.0, 2.0, 35.0, 6.0), (0.0, 0.0, 0.5, 300.0)]
)
def test_cells_tile_the_area(area_m):
    grid = PositionGrid(area_m, PRIOR)
    x_min, y_min, x_max, y_max = area_m
    assert len(grid.points_m) == math.prod(grid.shape)
    assert 8_000 < len(grid.points_m) < 12_500
    cells_m = grid.points_m.reshape(*grid.shape, 2)
    half_m = (x_max - x_min) / grid.shape[0] / 2, (y_max - y_min) / grid.shape[1] / 2
    np.testing.assert_allclose(cells_m[0, 0], [x_min + half_m[0], y_min + half_m[1]])
    np.testing.assert_allclose(cells_m[-1, -1], [x_max - half_m[0], y_max - half_m[1]])
    assert 2 * max(half_m) == pytest.approx(grid.cell_m, rel=0.2)
    np.testing.assert_allclose(grid.cell_probability(), 1 / len(grid.points_m))


def test_order_of_reports_does_not_matter():
    links = three_reports()
    first = filled(links)
    for order in permutations(links):
        other = filled(order)
        np.testing.assert_allclose(
            other.cell_probability(), first.cell_probability(), rtol=1e-9, atol=1e-300
        )


def literal_posterior(grid: PositionGrid, links, survey: SurveyUncertainty) -> np.ndarray:
    """Bayes' rule cell by cell, level by level; a measurement's variance plus the cell's."""
    cell_var_m2 = grid.cell_m**2 / 12
    posterior = np.zeros(len(grid.points_m))
    for index, point_m in enumerate(grid.points_m):
        log_level = PRIOR.log_probability.copy()
        for link in links:
            snr = PRIOR.level_m2 * float(link.unit_snr(point_m))
            likelihood = np.exp(link.log_miss(snr))
            q, s_i, s_j = point_m, link.tx.pose.position, link.rx.pose.position
            slope = (q - s_i) / math.dist(q, s_i) + (q - s_j) / math.dist(q, s_j)
            across_m = math.dist(q, s_j)
            for h, hypothesis in enumerate(link.report.hypotheses):
                density = stats.norm.pdf(
                    hypothesis.delay_s * C_M_PER_S,
                    true_range_m(link.tx, link.rx, point_m),
                    math.sqrt(
                        hypothesis.delay_var_s2 * C_M_PER_S**2
                        + 2 * survey.position_std_m**2
                        + cell_var_m2 * slope @ slope
                    ),
                )
                if hypothesis.sine is not None:
                    angle = true_angle_rad(link.rx, point_m)
                    cos2 = max(math.cos(angle) ** 2, (grid.cell_m / across_m) ** 2)
                    bearing_var = (
                        (cell_var_m2 + survey.position_std_m**2) / across_m**2
                        + survey.boresight_std_rad**2
                    )  # fmt: skip
                    density *= stats.norm.pdf(
                        (hypothesis.sine - math.sin(angle) + 1.0) % 2.0 - 1.0,
                        0.0,
                        math.sqrt(hypothesis.sine_var + cos2 * bearing_var),
                    )
                likelihood = likelihood + density * np.exp(link.log_ratio(h, snr))
            log_level += np.log(likelihood)
        posterior[index] = np.exp(log_level).sum()
    return posterior / posterior.sum()


@pytest.mark.parametrize("survey", [SurveyUncertainty(), SurveyUncertainty(1.0, 0.05)])
def test_posterior_is_bayes_rule(survey):
    nodes = [
        make_node(n.node_id, n.pose.position_m, n.pose.boresight_rad, n.array.num_elements,
                  OMNIDIRECTIONAL, survey=survey)
        for n in (TX, *RECEIVERS)
    ]  # fmt: skip
    network = Network(nodes, GRID)
    links = [LinkEvidence(network, link.report, SPAN_S) for link in three_reports()]
    grid = filled(links)
    # Around the target and around the ghost, some hundred cells each: the rest holds little.
    probability = grid.cell_probability()
    chosen = np.zeros(len(probability), dtype=bool)
    for centre_m in (TARGET_M, np.array([40.0, 30.0])):
        chosen |= np.hypot(*(grid.points_m - centre_m).T) < 12.0
    assert probability[chosen].sum() > 0.8
    grid.points_m = grid.points_m[chosen]
    expected = literal_posterior(grid, links, survey)
    np.testing.assert_allclose(
        probability[chosen] / probability[chosen].sum(), expected, rtol=1e-6, atol=1e-12
    )


def test_a_miss_lowers_where_the_target_would_have_been_seen():
    looking = make_node("rx", (100.0, 100.0), 0.0)  # half a plane, along +x
    network = Network([TX, looking], GRID)
    grid = filled([LinkEvidence(network, report_of(TX, looking), SPAN_S)])
    probability = grid.cell_probability()
    behind = grid.points_m[:, 0] < 100.0
    uniform = 1 / len(probability)
    assert (probability[behind] > uniform).all()
    np.testing.assert_allclose(probability[behind], probability[behind][0])
    near = np.hypot(*(grid.points_m - [115.0, 100.0]).T) < 10.0
    assert (probability[near] < 0.2 * uniform).all()
    far = np.hypot(*(grid.points_m - [195.0, 195.0]).T) < 5.0
    assert probability[far].mean() > 2 * probability[near].mean()


def test_silence_beside_a_path_tells_less_each_time():
    """What made a link deaf once does so again; in plain view each silent look is a witness."""
    looking = make_node("rx", (100.0, 100.0), math.pi)
    network = Network([TX, looking], GRID, aligned=True)
    link = LinkEvidence(network, report_of(TX, looking), SPAN_S)
    grid = PositionGrid(AREA_M, exponential_rcs_prior(1e4))  # strong, whatever its level
    on_path = TX.pose.position + 0.5 * (looking.pose.position - TX.pose.position)
    _, deaf = link.hearing(grid.points_m)
    behind = int(np.argmin(np.hypot(*(grid.points_m - [150.0, 100.0]).T)))
    near = np.hypot(*(grid.points_m - on_path).T) < 30.0
    beside, clear = (
        int(np.argmin(np.where(near, np.abs(deaf - wanted), np.inf))) for wanted in (0.1, 0.0)
    )
    ratios = []
    for _ in range(8):
        grid.update(link)
        probability = grid.cell_probability()
        ratios.append(probability[[beside, clear]] / probability[behind])
    steps = np.array(ratios[1:]) / ratios[:-1]
    assert ratios[0][0] == pytest.approx(deaf[beside], rel=0.1)
    assert (steps[:, 0] > 0.25).all()
    assert (np.diff(steps[:, 0]) > 0.0).all()
    assert ratios[0][1] == pytest.approx(1e-3 + deaf[clear], rel=0.3)
    assert (steps[:2, 1] < 0.01).all()  # until even a link that is hardly ever deaf must be


def test_peaks_are_the_heaviest_cells_and_apart():
    grid = filled(three_reports()[:1])  # the target's mirror image and the ghost's as well
    peaks = grid.peaks()
    best = grid.points_m[np.argmax(grid.cell_probability())]
    np.testing.assert_array_equal(peaks[0], best)
    for n, peak in enumerate(peaks):
        for other in peaks[:n]:
            assert math.dist(peak, other) >= 4 * grid.cell_m


def test_mass_away_is_everything_or_what_lies_further():
    grid = filled(three_reports())
    everything = grid.log_mass_away_from([], [], 16.0)
    none = grid.log_mass_away_from([TARGET_M], [1e6 * np.eye(2)], 16.0)
    assert none == -math.inf
    away = grid.log_mass_away_from([TARGET_M], [np.diag([4.0, 1.0])], 16.0)
    offset = grid.points_m - TARGET_M
    distance2 = (offset**2 / (np.array([4.0, 1.0]) + grid.cell_m**2)).sum(axis=1)
    expected = grid.cell_probability()[distance2 > 16.0].sum()
    assert math.exp(away - everything) == pytest.approx(expected, rel=1e-9)


def test_everything_is_the_evidence_of_the_reports():
    """Uniform over cells and prior over levels: an empty report's mean probability of a miss."""
    link = evidence(RECEIVERS[1])
    grid = filled([link])
    level, probability = PRIOR.level_m2[:, None], np.exp(PRIOR.log_probability)
    miss = probability @ np.exp(link.log_miss(level * link.unit_snr(grid.points_m)))
    found = math.exp(grid.log_mass_away_from([], [], 16.0))
    assert found == pytest.approx(miss.mean(), rel=1e-9)


def test_samples_follow_the_posterior():
    """Systematic resampling: every cell and level gets its share to within one sample."""
    links = three_reports()[:2]
    grid = filled(links)
    count = 2000
    points_m, rcs_m2 = grid.sample(np.random.default_rng(1), count)
    num_x, num_y = grid.shape
    column = np.floor((points_m[:, 0] - AREA_M[0]) / (AREA_M[2] / num_x)).astype(int)
    row = np.floor((points_m[:, 1] - AREA_M[1]) / (AREA_M[3] / num_y)).astype(int)
    cell = column * num_y + row
    drawn = np.bincount(cell, minlength=len(grid.points_m))
    expected = count * grid.cell_probability()
    # A cell's levels are drawn one by one, each to within one sample.
    assert (np.abs(drawn - expected) <= len(PRIOR.level_m2)).all()
    blocks = [np.argsort(expected)[-5:], np.argsort(expected)[-50:]]
    for block in blocks:
        assert drawn[block].sum() == pytest.approx(expected[block].sum(), rel=0.1, abs=5)
    # Levels: the posterior of the level by Bayes over all cells
    assert set(rcs_m2) <= set(PRIOR.level_m2)
    snr = PRIOR.level_m2[:, None] * links[1].unit_snr(grid.points_m)
    only_miss = filled(links[1:])
    _, levels = only_miss.sample(np.random.default_rng(2), count)
    joint = np.exp(PRIOR.log_probability[:, None] + links[1].log_miss(snr))
    share = joint.sum(axis=1) / joint.sum()
    observed = np.array([np.sum(levels == level) for level in PRIOR.level_m2])
    # Levels vary slowest, so that each level's samples are one run of quantiles.
    np.testing.assert_allclose(observed, count * share, atol=1.01)


def test_samples_fill_their_cells():
    grid = PositionGrid(AREA_M, PRIOR)
    points_m, _ = grid.sample(np.random.default_rng(3), 3000)
    within = (points_m / grid.cell_m) % 1.0
    assert stats.kstest(within.ravel(), "uniform").pvalue > 1e-3
    assert points_m.min() >= 0.0
    assert points_m.max() <= 200.0
