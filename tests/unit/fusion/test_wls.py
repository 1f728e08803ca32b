"""P1: where it ends, how sure it is, and that its errors are as large as it says."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import optimize, stats

from drivers.node import SurveyUncertainty
from fusion.measurement import Measurement
from fusion.wls import WlsProblem, WlsSolution
from processing.report import Hypothesis
from tests.unit.fusion.halls import (
    C_M_PER_S,
    Hall,
    hypothesis_at,
    make_node,
    range_std_m,
    sine_std,
    true_angle_rad,
    true_range_m,
)

TARGET_M = np.array([95.0, 110.0])
TX = make_node("tx", (60.0, 20.0))
# Bearings to the target of -0.22, 0.93 and -0.34 rad from their boresights
RECEIVERS = (
    make_node("r0", (20.0, 90.0), 0.48, 8),
    make_node("r1", (150.0, 40.0), 1.32, 8),
    make_node("r2", (120.0, 180.0), -1.57, 8),
)
SINE_PERIOD = 2.0  # half a wavelength


def measurements(receivers=RECEIVERS, snr=1e3, rng=None, target_m=TARGET_M, **fields):
    return [
        Measurement(TX, rx, hypothesis_at(TX, rx, target_m, snr, rng), SINE_PERIOD, **fields)
        for rx in receivers
    ]


def literal_information(links: list[Measurement], point_m: np.ndarray) -> np.ndarray:
    """Sum of (17) over links at a point, gradients (15) and (16) written out."""
    total = np.zeros((2, 2))
    for link in links:
        q, s_i, s_j = point_m, link.tx.pose.position, link.rx.pose.position
        delay = (q - s_i) / math.dist(q, s_i) + (q - s_j) / math.dist(q, s_j)
        delay = delay / C_M_PER_S
        x, y = q - s_j
        angle = np.array([-y, x]) / (x**2 + y**2)
        hypothesis = link.hypothesis
        if link.use_delay:
            total += np.outer(delay, delay) / hypothesis.delay_var_s2
        if hypothesis.sine_var is not None:
            cos2 = math.cos(true_angle_rad(link.rx, q)) ** 2
            total += np.outer(angle, angle) / (hypothesis.sine_var / cos2)
    return total


STARTS_M = [(95.0, 110.0), (60.0, 150.0), (130.0, 150.0), (130.0, 80.0), (70.0, 80.0), (5.0, 195.0)]


@pytest.mark.parametrize("bearing", ["sine", "angle"])
@pytest.mark.parametrize("start_m", STARTS_M)
def test_exact_measurements_give_the_truth_back(start_m, bearing):
    solution = WlsProblem(measurements(), bearing).solve(np.array(start_m))
    np.testing.assert_allclose(solution.position_m, TARGET_M, atol=1e-6)
    assert solution.cost < 1e-9


@pytest.mark.parametrize("bearing", ["sine", "angle"])
def test_noisy_minimum_is_the_one_that_scipy_finds(bearing):
    rng = np.random.default_rng(1)
    for _ in range(20):
        links = measurements(snr=100.0, rng=rng)
        problem = WlsProblem(links, bearing)
        solution = problem.solve(TARGET_M + rng.uniform(-5.0, 5.0, 2))
        std = np.sqrt(np.diag(problem.covariance(TARGET_M)))
        reference = optimize.least_squares(
            lambda p, problem=problem, std=std: problem.residual(p) / std,
            TARGET_M, xtol=1e-14, ftol=1e-14, gtol=1e-14,
        )  # fmt: skip
        # The last step was under 1e-6 m, and steps shrink.
        np.testing.assert_allclose(solution.position_m, reference.x, atol=1e-6)
        assert solution.cost == pytest.approx(2.0 * reference.cost, rel=1e-9)


@pytest.mark.parametrize("bearing", ["sine", "angle"])
def test_covariance_is_the_inverse_information(bearing):
    links = measurements()
    solution = WlsProblem(links, bearing).solve(TARGET_M)
    expected = np.linalg.inv(literal_information(links, TARGET_M))
    np.testing.assert_allclose(solution.covariance_m2, expected, rtol=1e-6)


def test_log_likelihood_is_the_gaussian_density_of_ranges_and_sines():
    links = measurements(snr=100.0, rng=np.random.default_rng(2))
    solution = WlsProblem(links).solve(TARGET_M)
    expected = 0.0
    for link in links:
        range_m = link.hypothesis.delay_s * C_M_PER_S
        expected += stats.norm.logpdf(
            range_m, true_range_m(TX, link.rx, solution.position_m), range_std_m(100.0)
        )
        sine = math.sin(true_angle_rad(link.rx, solution.position_m))
        expected += stats.norm.logpdf(link.hypothesis.sine, sine, sine_std(100.0, 8))
    assert solution.log_likelihood == pytest.approx(expected, rel=1e-9)


def test_errors_are_as_large_as_the_covariance_says():
    rng = np.random.default_rng(3)
    nees, costs = [], []
    for _ in range(1000):
        solution = WlsProblem(measurements(snr=200.0, rng=rng)).solve(TARGET_M)
        offset = solution.position_m - TARGET_M
        nees.append(offset @ np.linalg.solve(solution.covariance_m2, offset))
        costs.append(solution.cost)
    assert stats.kstest(nees, stats.chi2(2).cdf).pvalue > 1e-3
    # Six measurements less two parameters
    assert stats.kstest(costs, stats.chi2(4).cdf).pvalue > 1e-3


@pytest.mark.parametrize("bearing", ["sine", "angle"])
@given(x=st.floats(-50.0, 250.0), y=st.floats(-50.0, 250.0))
def test_jacobian_is_the_slope_of_the_predictions(bearing, x, y):
    point_m = np.array([x, y])
    assume(min(math.dist(point_m, n.pose.position_m) for n in (TX, *RECEIVERS)) > 1.0)
    problem = WlsProblem(measurements(), bearing)
    step_m = 1e-4
    numeric = np.stack(
        [
            (problem.residual(point_m - step) - problem.residual(point_m + step)) / (2 * step_m)
            for step in step_m * np.eye(2)
        ],
        axis=1,
    )
    assume(np.abs(numeric).max() < 10.0)  # a step across the cut of the angle or the sine's period
    # Rounding: 500 m at 1e-16 over 1e-4 m. Third derivatives: 1e-8 / (1 m)^2.
    np.testing.assert_allclose(problem.jacobian(point_m), numeric, atol=1e-7)


def test_repeated_looks_do_not_average_the_survey_away():
    survey = SurveyUncertainty(position_std_m=0.1, boresight_std_rad=0.005)
    tx = make_node("tx", (60.0, 20.0), survey=survey)
    rx = make_node("r0", (20.0, 90.0), 0.48, 8, survey=survey)
    single = Measurement(tx, rx, hypothesis_at(tx, rx, TARGET_M, 1e3), SINE_PERIOD)
    perfect = Measurement(tx, rx, hypothesis_at(tx, rx, TARGET_M, 1e9), SINE_PERIOD)
    one, hundred, floor = (
        WlsProblem(links).solve(TARGET_M).covariance_m2
        for links in ([single], [single] * 100, [perfect])
    )
    noise = np.linalg.inv(literal_information([single], TARGET_M))
    # Noise falls by the hundred looks, the survey stays.
    np.testing.assert_allclose(hundred, floor + noise / 100, rtol=0.01, atol=1e-4)
    np.testing.assert_allclose(one, floor + noise, rtol=0.01, atol=1e-4)
    # By hand: 5 mrad at 77.6 m is 0.39 m across the ray. The ellipse is slanted to it, and the
    # 0.1 m of the nodes' places adds.
    assert 0.39 < math.sqrt(np.linalg.eigvalsh(floor)[-1]) < 0.50


@pytest.mark.parametrize("by_path", [True, False])
def test_a_path_s_error_is_the_same_either_way(by_path):
    """Looks either way at a link of 0.1 m shared error: as one link's, if by the direct path."""
    tx, rx = make_node("tx", (60.0, 20.0)), make_node("r0", (20.0, 90.0), 0.48, 1)
    shared_var_s2 = (0.1 / C_M_PER_S) ** 2
    there, back = (
        Measurement(
            one, other, hypothesis_at(one, other, TARGET_M, 1e9), SINE_PERIOD,
            on_direct_path=by_path, link_delay_var_s2=shared_var_s2,
        )
        for one, other in ((tx, rx), (rx, tx))
    )  # fmt: skip
    joint = WlsProblem([there, back]).covariance(TARGET_M)[:2, :2]
    np.testing.assert_allclose(np.diag(joint), 0.01, rtol=1e-3)
    assert joint[0, 1] == pytest.approx(0.01 if by_path else 0.0, rel=1e-3)


def test_survey_errors_are_covered():
    survey = SurveyUncertainty(position_std_m=0.2, boresight_std_rad=0.01)
    nodes = [make_node("tx", (60.0, 20.0), survey=survey)]
    nodes += [make_node(n.node_id, n.pose.position_m, n.pose.boresight_rad, 8, survey=survey)
              for n in RECEIVERS]  # fmt: skip
    surveyed = {node.node_id: node for node in nodes}
    nees = []
    for seed in range(250):
        # 25 dB and more; r1 also sends, so that one node's error enters in both roles
        hall = Hall(nodes, TARGET_M, seed, rcs_m2=100.0, fading=False)
        links = [("tx", "r0"), ("tx", "r0"), ("tx", "r1"), ("r1", "r2"), ("r1", "r2")]
        reports = [hall.look(tx_id, rx_id, n) for n, (tx_id, rx_id) in enumerate(links)]
        problem = WlsProblem(
            [
                Measurement(surveyed[r.tx_id], surveyed[r.rx_id], r.hypotheses[0], SINE_PERIOD)
                for r in reports
            ]
        )
        solution = problem.solve(TARGET_M)
        offset = solution.position_m - TARGET_M
        nees.append(offset @ np.linalg.solve(solution.covariance_m2, offset))
    assert stats.kstest(nees, stats.chi2(2).cdf).pvalue > 1e-3


def test_sine_and_angle_agree_near_boresight():
    # One receiver looks at the target, 0.05 rad off; 50 dB.
    rx = make_node("r0", (20.0, 90.0), math.atan2(20.0, 75.0) - 0.05, 8)
    link = Measurement(
        TX, rx, hypothesis_at(TX, rx, TARGET_M, 1e5, np.random.default_rng(4)), SINE_PERIOD
    )
    sine, angle = (WlsProblem([link], bearing).solve(TARGET_M) for bearing in ("sine", "angle"))
    std_m = np.sqrt(np.diag(sine.covariance_m2))
    assert (np.abs(sine.position_m - angle.position_m) < 0.01 * std_m).all()
    np.testing.assert_allclose(sine.covariance_m2, angle.covariance_m2, rtol=0.01)


def endfire_link(measured_sine: float) -> tuple[Measurement, np.ndarray]:
    """A target at sine -0.999 from the receiver, 70 m away."""
    rx = make_node("rx", (100.0, 100.0), 0.0, 8)
    angle_rad = math.asin(-0.999)
    target_m = np.array([100.0 + 70.0 * math.cos(angle_rad), 100.0 + 70.0 * math.sin(angle_rad)])
    hypothesis = Hypothesis(
        true_range_m(TX, rx, target_m) / C_M_PER_S, 1e-20, measured_sine, 4e-6, 1e3
    )
    return Measurement(TX, rx, hypothesis, SINE_PERIOD), target_m


def test_a_sine_that_noise_carries_over_endfire_is_near():
    # -0.999 less 0.002 is -1.001, which an array of half wavelengths reports as +0.999.
    link, target_m = endfire_link(0.999)
    problem = WlsProblem([link])
    np.testing.assert_allclose(problem.residual(target_m), [0.0, -0.002], atol=1e-9)
    solution = problem.solve(target_m)
    # The bound of the sine cannot be met: the solution is endfire, or close by.
    assert math.sin(true_angle_rad(link.rx, solution.position_m)) < -0.999
    assert math.dist(solution.position_m, target_m) < 70.0 * 0.045 * 1.5  # from 0.045 rad to 0
    assert solution.cost < 1.01


def test_a_sine_on_the_same_side_is_as_it_is():
    link, target_m = endfire_link(-0.995)
    np.testing.assert_allclose(WlsProblem([link]).residual(target_m), [0.0, 0.004], atol=1e-9)


def test_angles_alone_triangulate():
    links = measurements(use_delay=False)
    problem = WlsProblem(links)
    assert problem.residual(TARGET_M).shape == (3,)
    solution = problem.solve(np.array([80.0, 120.0]))
    np.testing.assert_allclose(solution.position_m, TARGET_M, atol=1e-6)
    expected = np.linalg.inv(literal_information(links, TARGET_M))
    np.testing.assert_allclose(solution.covariance_m2, expected, rtol=1e-6)


def test_delays_alone_multilaterate():
    receivers = [make_node(n.node_id, n.pose.position_m, num_elements=1) for n in RECEIVERS]
    links = measurements(receivers)
    problem = WlsProblem(links)
    assert problem.residual(TARGET_M).shape == (3,)
    solution = problem.solve(np.array([80.0, 120.0]))
    np.testing.assert_allclose(solution.position_m, TARGET_M, atol=1e-6)
    expected = np.linalg.inv(literal_information(links, TARGET_M))
    np.testing.assert_allclose(solution.covariance_m2, expected, rtol=1e-6)


def test_one_delay_fixes_one_direction_only():
    rx = make_node("r0", (60.0, 100.0), num_elements=1)  # across from the transmitter
    link = Measurement(TX, rx, hypothesis_at(TX, rx, TARGET_M, 1e3), SINE_PERIOD)
    solution = WlsProblem([link]).solve(np.array([130.0, 60.0]))
    # The minor axis is x: the step goes along it, and nothing is known along y.
    assert true_range_m(TX, rx, solution.position_m) == pytest.approx(
        true_range_m(TX, rx, TARGET_M), abs=1e-5
    )
    assert solution.position_m[1] == pytest.approx(60.0, abs=1e-6)
    assert solution.covariance_m2[1, 1] > 1e9
    assert solution.cost < 1e-6


def test_nothing_measured_is_refused():
    with pytest.raises(ValueError, match="no measurement"):
        WlsProblem([])
    rx = make_node("r0", (20.0, 90.0), num_elements=1)
    link = Measurement(TX, rx, hypothesis_at(TX, rx, TARGET_M, 1e3), SINE_PERIOD, use_delay=False)
    assert not link.locates
    with pytest.raises(ValueError, match="absolute delay and an angle"):
        WlsProblem([link])


@pytest.mark.parametrize("node", [TX, RECEIVERS[0]])
def test_a_start_at_a_node_is_not_fatal(node):
    solution = WlsProblem(measurements()).solve(node.pose.position)
    assert np.isfinite(solution.position_m).all()


@pytest.mark.parametrize("sine", [1.0, -1.0, 0.9999999, 1.02])
def test_an_angle_at_endfire_and_beyond_keeps_a_finite_weight(sine):
    """Noise carries the sine of a dense array over one; the angle's variance is no singularity."""
    rx = make_node("rx", (100.0, 100.0), 0.0, 8)
    target_m = np.array([100.0, 100.0 + math.copysign(60.0, sine)])
    range_m = true_range_m(TX, rx, target_m)
    hypothesis = Hypothesis(range_m / C_M_PER_S, 1e-20, sine, 1e-4, 1e3)
    problem = WlsProblem([Measurement(TX, rx, hypothesis, 1.0 / 0.45)], "angle")
    # An error of 0.01 in the sine turns endfire by sqrt(2 x 0.01) = 0.14 rad.
    bearing_std_rad = math.sqrt(problem.covariance(target_m)[1, 1])
    assert 0.01 < bearing_std_rad < 0.2
    solution = problem.solve(target_m)
    assert np.isfinite(solution.log_likelihood)
    assert math.dist(solution.position_m, target_m) < 5.0


def test_a_covariance_without_a_determinant_has_distances_nevertheless():
    """Along a line that is known 10^9 times better across: rounding leaves a determinant of 0."""
    covariance_m2 = np.array([[1.0, 1.0], [1.0, 1.0]]) * 1e4
    solution = WlsSolution(np.array([10.0, 20.0]), covariance_m2, 0.0, 0.0)
    along, across = solution.position_m + np.array([[3.0, 3.0], [3.0, -3.0]])
    assert solution.distance2(along) == 0.0
    assert 1e6 < solution.distance2(across) < math.inf
