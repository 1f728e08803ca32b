"""Modes: points that stand for a Gaussian, and weights that are evidence."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.belief import Belief
from fusion.likelihood import LinkEvidence, exponential_rcs_prior
from fusion.modes import ModeFinder, gaussian_points
from fusion.network import Network
from fusion.wls import WlsProblem
from tests.unit.fusion.halls import AREA_M, GRID, hypothesis_at, make_node, report_of

# Each point stands for a neighbourhood with a tenth of the covariance; the rest is their spread.
KERNEL_SHARE = 0.1
TARGET_M = np.array([95.0, 110.0])
TX = make_node("tx", (60.0, 20.0))
RX = make_node("r0", (20.0, 90.0), 0.48, 8)
OTHER = make_node("r1", (150.0, 40.0), 1.9, 8)
NETWORK = Network([TX, RX, OTHER], GRID)
PRIOR = exponential_rcs_prior(1.0)
FINDER = ModeFinder(AREA_M, PRIOR, "sine")


def evidence(rx, *hypotheses) -> LinkEvidence:
    return LinkEvidence(NETWORK, report_of(TX, rx, *hypotheses), 1e-6)


@given(
    std=st.tuples(st.floats(1e-4, 100.0), st.floats(1e-4, 100.0)),
    turn_rad=st.floats(-math.pi, math.pi),
    x=st.floats(-200.0, 200.0),
    y=st.floats(-200.0, 200.0),
)
def test_points_keep_mean_and_covariance(std, turn_rad, x, y):
    turn = np.array(
        [[math.cos(turn_rad), -math.sin(turn_rad)], [math.sin(turn_rad), math.cos(turn_rad)]]
    )
    covariance = turn @ np.diag(np.square(std)) @ turn.T
    points_m = gaussian_points(np.array([x, y]), covariance)
    size = 1e-12 * (max(std) + 200.0)  # rounding
    np.testing.assert_allclose(points_m.mean(axis=0), [x, y], atol=size)
    spread = np.cov(points_m.T, bias=True) + KERNEL_SHARE * covariance
    np.testing.assert_allclose(spread, covariance, rtol=1e-9, atol=size * (max(std) + 1.0))


def test_points_of_no_spread_are_one_point():
    points_m = gaussian_points(np.array([3.0, 4.0]), np.zeros((2, 2)))
    np.testing.assert_array_equal(points_m, np.tile([3.0, 4.0], (len(points_m), 1)))


def test_points_reach_as_far_as_a_gaussian_does():
    points_m = gaussian_points(np.zeros(2), np.eye(2))
    radius = np.sort(np.hypot(*points_m.T))
    # Rayleigh: median 1.18, a quarter under 0.76
    assert np.median(radius) == pytest.approx(1.18, abs=0.15)
    assert radius[len(radius) // 4 - 1] == pytest.approx(0.76, abs=0.25)


def extended(links, choice_of_first: int = 0):
    solution = FINDER.start([links[0].measurements[choice_of_first]], TARGET_M)
    assert solution is not None
    mode = FINDER.extend(solution, {0: choice_of_first}, links, list(range(1, len(links))))
    assert mode is not None
    return mode


def test_a_mode_of_steady_snr_is_the_solution_of_p1():
    # Twice the distance is 12 dB: over a mode of metres SNR hardly changes, so that weights are
    # flat and the mode is what P1 says.
    links = [evidence(RX, hypothesis_at(TX, RX, TARGET_M, 3000.0))]
    mode = extended(links)
    solution = WlsProblem([links[0].measurements[0]]).solve(TARGET_M)
    std_m = np.sqrt(np.diag(solution.covariance_m2))
    assert (np.abs(mode.position_m - solution.position_m) < 0.05 * std_m).all()
    np.testing.assert_allclose(mode.covariance_m2, solution.covariance_m2, rtol=0.05, atol=1e-3)
    assert mode.weights.sum() == pytest.approx(1.0)
    np.testing.assert_allclose(mode.weights, 1 / len(mode.weights), rtol=0.1)


def test_weight_is_the_evidence_of_the_explanation():
    """Prior times likelihood summed over a fine lattice around the target, by brute force."""
    links = [
        evidence(RX, hypothesis_at(TX, RX, TARGET_M, 300.0)),
        evidence(OTHER),
    ]
    mode = extended(links)
    assert mode.choice == (0, None)
    solution = WlsProblem([links[0].measurements[0]]).solve(TARGET_M)
    axes = np.linalg.cholesky(solution.covariance_m2)
    step = 0.1
    unit = np.arange(-6.0, 6.0, step) + step / 2
    points_m = TARGET_M + np.stack(np.meshgrid(unit, unit), axis=-1).reshape(-1, 2) @ axes.T
    hypothesis = links[0].report.hypotheses[0]
    problem = WlsProblem([links[0].measurements[0]])
    residual = np.array([problem.residual(p) for p in points_m])
    assert hypothesis.sine_var is not None
    var = np.array([hypothesis.delay_var_s2 * 299_792_458.0**2, hypothesis.sine_var])
    log_density = -0.5 * (residual**2 / var + np.log(2 * np.pi * var)).sum(axis=1)
    log_joint = PRIOR.log_probability[:, None] + log_density
    log_joint = log_joint + links[0].log_ratio(
        0, PRIOR.level_m2[:, None] * links[0].unit_snr(points_m)
    )
    log_joint += links[1].log_miss(PRIOR.level_m2[:, None] * links[1].unit_snr(points_m))
    cell_m2 = step**2 * np.prod(np.diag(axes))
    area_m2 = 200.0 * 200.0
    expected = np.logaddexp.reduce(log_joint, axis=None) + math.log(cell_m2 / area_m2)
    # Laplace with 32 points: curvature of the ellipse and of the SNR are left out.
    assert mode.log_weight == pytest.approx(expected, abs=0.2)
    weight = np.exp(log_joint - log_joint.max())
    level = weight.sum(axis=1) @ PRIOR.level_m2 / weight.sum()
    assert mode.rcs_m2 == pytest.approx(level, rel=0.1)


def test_a_fitting_hypothesis_is_taken_and_others_are_not():
    off_m = TARGET_M + np.array([30.0, 0.0])
    links = [
        evidence(RX, hypothesis_at(TX, RX, TARGET_M, 300.0)),
        evidence(OTHER, hypothesis_at(TX, OTHER, off_m, 400.0),
                 hypothesis_at(TX, OTHER, TARGET_M, 300.0)),
    ]  # fmt: skip
    assert extended(links).choice == (0, 1)
    assert extended([links[0], evidence(OTHER, hypothesis_at(TX, OTHER, off_m, 400.0))]).choice == (
        0,
        None,
    )


def test_a_start_that_leaves_the_area_or_stays_undetermined_is_dropped():
    outside_m = np.array([230.0, 110.0])
    wide = make_node("r2", (180.0, 110.0), 0.0, 8)
    network = Network([TX, wide], GRID)
    hypothesis = hypothesis_at(TX, wide, outside_m, 3000.0)
    link = LinkEvidence(network, report_of(TX, wide, hypothesis), 1e-6)
    assert FINDER.start(link.measurements, outside_m) is None
    single = make_node("r3", (20.0, 90.0), 0.0, 1)
    network = Network([TX, single], GRID)
    hypothesis = hypothesis_at(TX, single, TARGET_M, 300.0)
    link = LinkEvidence(network, report_of(TX, single, hypothesis), 1e-6)
    assert FINDER.start(link.measurements, TARGET_M) is None


def test_weight_on_one_point_is_not_certainty():
    """A wide mode of which half faces an ideal half plane's back: it keeps a spread."""
    # The mode about sine 0.99 reaches over endfire, and behind it nothing is heard.
    rx = make_node("r4", (100.0, 100.0), 0.0, 2)
    target_m = np.array([100.0 + 60.0 * math.sqrt(1 - 0.99**2), 100.0 + 60.0 * 0.99])
    network = Network([TX, rx], GRID)
    belief = Belief(network, AREA_M, 1.0)
    for index in range(4):
        hypothesis = hypothesis_at(TX, rx, target_m, 40.0)
        belief.update([report_of(TX, rx, hypothesis, sensing_index=index)])
        assert belief.best is not None
        mode = belief.best[0]
        values = np.linalg.eigvalsh(mode.covariance_m2)
        assert values[0] > 0.0
        np.linalg.inv(mode.covariance_m2)
        offset = target_m - mode.position_m
        assert offset @ np.linalg.solve(mode.covariance_m2, offset) < 25.0


def test_nothing_of_a_mode_counts_outside_the_area():
    """A target 0.5 m from the border, known to some metres: the mode is the part inside."""
    target_m = np.array([199.5, 100.0])
    rx = make_node("r5", (120.0, 100.0), 0.6, 2)
    belief = Belief(Network([TX, rx], GRID), AREA_M, 1.0)
    belief.update([report_of(TX, rx, hypothesis_at(TX, rx, target_m, 200.0))])
    assert belief.best is not None
    mode = belief.best[0]
    outside = mode.points_m[:, 0] > 200.0
    assert 0.2 < outside.mean() < 0.8
    np.testing.assert_array_equal(mode.weights[outside], 0.0)
    assert mode.position_m[0] < 200.0


@pytest.mark.parametrize("deviations", [0.5, 1.5, 2.2])
def test_a_mode_cut_off_by_the_border_keeps_a_share_of_its_spread(deviations):
    """Weight left on few points or one is not certainty: each stands for a neighbourhood."""
    measurement = evidence(RX, hypothesis_at(TX, RX, TARGET_M, 100.0)).measurements[0]
    solution = WlsProblem([measurement]).solve(TARGET_M)
    border_m = TARGET_M[0] - deviations * math.sqrt(solution.covariance_m2[0, 0])
    finder = ModeFinder((0.0, 0.0, border_m, 200.0), PRIOR, "sine")
    start = finder.start([measurement], TARGET_M)
    assert start is not None
    links = [evidence(RX, hypothesis_at(TX, RX, TARGET_M, 100.0))]
    mode = finder.extend(start, {0: 0}, links, [])
    if deviations > 2.0:  # beyond the outermost point that stands for the Gaussian
        assert mode is None or np.sum(mode.weights > 0.0) <= 2
    if mode is not None:
        assert np.sum(mode.weights > 0.0) < 16
        least = np.linalg.eigvalsh(mode.covariance_m2 - 0.99 * KERNEL_SHARE * start.covariance_m2)
        assert (least > 0.0).all()


def test_a_mode_known_in_one_direction_only_has_an_inverse():
    """Echoes of 90 dB and more: as a scene without suppression had it, singular in rounding."""
    links = [evidence(RX, hypothesis_at(TX, RX, TARGET_M, 3000.0))]
    solution = FINDER.start([links[0].measurements[0]], TARGET_M)
    assert solution is not None
    along = np.array([3.24e-5, 3.34e-5])
    flat = replace(solution, covariance_m2=np.outer(along, along))
    mode = FINDER.extend(flat, {0: 0}, links, [])
    assert mode is not None
    information = np.linalg.inv(mode.covariance_m2)
    np.testing.assert_allclose(information @ mode.covariance_m2, np.eye(2), atol=1e-3)
    np.testing.assert_allclose(mode.covariance_m2, flat.covariance_m2, rtol=0.05)
