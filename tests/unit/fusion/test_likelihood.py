"""What a report says: detection, miss, false alarm, ghost, against the formulas by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.integrate import trapezoid

from fusion.likelihood import LinkEvidence, detection_probability, exponential_rcs_prior
from fusion.network import Network
from processing.report import Hypothesis
from tests.unit.fusion.halls import C_M_PER_S, GRID, make_node, report_of, true_snr

TX = make_node("tx", (0.0, 0.0))
SPAN_S = 1e-6  # 99.99 cells of 1/W
CELLS_PER_M = 99.99e6 / C_M_PER_S


def evidence(*snr: float, num_elements: int = 4, detection_snr: float = 18.0, **fields):
    rx = make_node("rx", (60.0, 0.0), 0.0, num_elements)
    sine, sine_var = (None, None) if num_elements == 1 else (0.3, 1e-4)
    hypotheses = [Hypothesis(4e-7, 1e-20, sine, sine_var, value) for value in snr]
    report = report_of(TX, rx, *hypotheses, detection_snr=detection_snr, **fields)
    return LinkEvidence(Network([TX, rx], GRID), report, SPAN_S)


def log_false(link: LinkEvidence, index: int) -> float:
    """Log density of false peaks, from the ratio to an echo of no strength: ``exp(-g)``."""
    level = link.report.hypotheses[index].snr + 1.0
    return -level + math.log(0.999) - float(link.log_ratio(index, np.array(0.0)))


def test_detection_probability_golden():
    # Swerling I: exp(-T / (1 + snr)). T = 18: 1/e at 17, exp(-0.1) at 179.
    found = detection_probability(np.array([0.0, 17.0, 179.0]), 18.0)
    np.testing.assert_allclose(found, [0.0, math.exp(-1.0), math.exp(-0.1)])


def test_log_miss_golden():
    # One look in a thousand is lost whatever the SNR: 1 - 0.999 exp(-1) = 0.632 488.
    link = evidence()
    log_miss = link.log_miss(np.array([0.0, 17.0, 1e12]))
    np.testing.assert_allclose(np.exp(log_miss), [1.0, 0.632488, 1e-3], rtol=1e-6)


def test_log_ratio_golden():
    # Level 21 (SNR 20 and the noise that the report took away), one of 4 x 99.99 cells:
    # noise pi/6 (2 x 21 - 3) exp(-21) = 1.548 4e-8 per level and cell,
    # ghosts 0.01 / 399.96 x 18 / 21^2 = 1.020 5e-6; 0.333 531 x 2 cells per metre and unit sine.
    link = evidence(20.0)
    noise = math.pi / 6 * 39 * math.exp(-21)
    assert noise == pytest.approx(1.5484e-8, rel=1e-4)
    ghosts = 0.01 / 399.96 * 18 / 441
    assert ghosts == pytest.approx(1.0205e-6, rel=1e-4)
    false = (noise + ghosts) * CELLS_PER_M * 2
    # An echo of mean SNR 30: exp(-21 / 31) / 31
    expected = math.log(0.999 * math.exp(-21 / 31) / 31 / false)
    assert link.log_ratio(0, np.array(30.0)) == pytest.approx(expected, rel=1e-9)


def test_log_ratio_of_one_element_golden():
    # On one axis: -d/dg sqrt(pi g / 3) exp(-g) = sqrt(pi/3) (sqrt(g) - 1 / (2 sqrt(g))) exp(-g)
    link = evidence(24.0, num_elements=1)
    noise = math.sqrt(math.pi / 3) * (5 - 0.1) * math.exp(-25)
    ghosts = 0.01 / 99.99 * 18 / 625
    expected = math.log(0.999 * math.exp(-25 / 101) / 101 / ((noise + ghosts) * CELLS_PER_M))
    assert link.log_ratio(0, np.array(100.0)) == pytest.approx(expected, rel=1e-9)


def test_false_density_of_an_angle_alone_is_over_all_delays():
    absolute, relative = evidence(20.0), evidence(20.0, delay_is_absolute=False)
    # 1e-6 s are 299.79 m
    assert log_false(relative, 0) - log_false(absolute, 0) == pytest.approx(math.log(299.792458))


@pytest.mark.parametrize("num_elements", [1, 4, 32])
def test_false_density_adds_up_to_the_false_peaks_of_a_map(num_elements):
    """All levels over the threshold, all delays, all sines: the formula's count and 0.01 ghosts."""
    threshold = 12.0
    level = np.concatenate((np.arange(threshold, 60.0, 0.01), np.geomspace(60.0, 1e7, 4000)))
    link = evidence(*(level - 1.0), num_elements=num_elements, detection_snr=threshold)
    density = np.exp([log_false(link, n) for n in range(len(level))])
    units = SPAN_S * C_M_PER_S * (2.0 if num_elements > 1 else 1.0)
    if num_elements == 1:
        peaks = 99.99 * math.sqrt(math.pi * threshold / 3) * math.exp(-threshold)
    else:
        cells = 99.99 * num_elements
        peaks = cells * math.pi / 6 * (2 * threshold - 1) * math.exp(-threshold)
    assert trapezoid(density, level) * units == pytest.approx(peaks + 0.01, rel=1e-3)


def test_unit_snr_is_the_network_s():
    rx = make_node("rx", (60.0, 0.0), 0.0)
    link = LinkEvidence(Network([TX, rx], GRID), report_of(TX, rx), SPAN_S)
    point_m = np.array([80.0, 30.0])
    assert link.unit_snr(point_m) == pytest.approx(true_snr(TX, rx, point_m, 1.0))


def test_a_mean_of_symbols_has_so_much_more_snr():
    rx, point_m = make_node("rx", (60.0, 0.0)), np.array([80.0, 30.0])
    report = replace(report_of(TX, rx), num_averaged=8)
    link = LinkEvidence(Network([TX, rx], GRID), report, SPAN_S)
    assert link.unit_snr(point_m) == pytest.approx(8 * true_snr(TX, rx, point_m, 1.0))


def test_measurements_carry_the_link_and_its_time_base():
    link = evidence(20.0, 40.0, delay_is_absolute=False)
    assert [m.hypothesis.snr for m in link.measurements] == [20.0, 40.0]
    assert {(m.tx.node_id, m.rx.node_id, m.use_delay) for m in link.measurements} == {
        ("tx", "rx", False)
    }
    assert [m.sine_period for m in link.measurements] == pytest.approx([2.0, 2.0])


@pytest.mark.parametrize("mean_rcs_m2", [0.01, 1.0, 30.0])
def test_rcs_prior_is_a_probability_about_the_mean(mean_rcs_m2):
    prior = exponential_rcs_prior(mean_rcs_m2)
    probability = np.exp(prior.log_probability)
    assert probability.sum() == pytest.approx(1.0, rel=1e-12)
    assert probability @ prior.level_m2 == pytest.approx(mean_rcs_m2, rel=0.02)
    # By steps of 4 dB, -32 to +8 dB
    np.testing.assert_allclose(np.diff(10 * np.log10(prior.level_m2)), 4.0)
    np.testing.assert_allclose(prior.level_m2[[0, -1]] / mean_rcs_m2, 10 ** np.array([-3.2, 0.8]))
    # Levels stand for 4 dB about them: below -10 dB of the mean (between levels) an exponential
    # has 1 - exp(-0.1) = 9.5 %.
    below = probability[prior.level_m2 < 0.1 * mean_rcs_m2].sum()
    assert below == pytest.approx(1 - math.exp(-0.1), abs=0.01)


def test_a_full_report_says_nothing_about_what_is_weaker_than_all_of_it():
    """Levels 41 and 26: a target is counted as missed only where it would have been over 26."""
    full, whole = evidence(40.0, 25.0, truncated=True), evidence(40.0, 25.0)
    snr = np.array([10.0, 100.0])
    np.testing.assert_allclose(full.log_miss(snr), np.log1p(-0.999 * np.exp(-26 / (1 + snr))))
    np.testing.assert_allclose(whole.log_miss(snr), np.log1p(-0.999 * np.exp(-18 / (1 + snr))))


def test_what_alignment_takes_is_not_held_against_a_target():
    """On the line between the nodes an echo looks like the direct path: silence says nothing."""
    rx = make_node("rx", (60.0, 0.0), math.pi)
    nodes = [TX, rx]
    points_m = np.array([[30.0, 0.01], [30.0, 20.0]])
    aligned = LinkEvidence(Network(nodes, GRID, aligned=True), report_of(TX, rx), SPAN_S)
    np.testing.assert_allclose(aligned.hearing(points_m)[0], [0.0, 1.0], atol=0.02)
    log_miss = aligned.log_miss(np.array([1e6, 1e6]), *aligned.hearing(points_m))
    np.testing.assert_allclose(np.exp(log_miss), [1.0, 1e-3], rtol=0.05)
    plain = LinkEvidence(Network(nodes, GRID), report_of(TX, rx), SPAN_S)
    np.testing.assert_array_equal(plain.hearing(points_m)[0], 1.0)
    np.testing.assert_allclose(plain.hearing(points_m)[1], 0.0)


def test_the_less_alignment_leaves_the_more_often_an_echo_is_missed():
    """Half of them where 0.045 is left in the worse phase, none where all is."""
    rx = make_node("rx", (60.0, 0.0), math.pi)
    aside_m = np.geomspace(0.1, 30.0, 40)
    points_m = np.stack((np.full(40, 30.0), aside_m), axis=-1)
    network = Network([TX, rx], GRID, aligned=True)
    _, least = network.link_shares(TX, rx, points_m)
    kept, deaf = LinkEvidence(network, report_of(TX, rx), SPAN_S).hearing(points_m)
    assert least[0] < 1e-3
    assert least[-1] > 0.9
    np.testing.assert_allclose(
        deaf, np.minimum(0.002 * (1.0 - least**2) / (0.002 + least**2), 0.99), rtol=1e-9
    )
    assert (kept[least < 0.05] == 0.0).all()
    assert (kept[least >= 0.05] > 0.05).all()


def test_what_is_kept_is_the_same_for_one_link_and_for_all():
    rx = make_node("rx", (60.0, 0.0), math.pi)
    points_m = np.array([[30.0, 0.3], [10.0, 2.0], [50.0, 7.0]])
    plain, aligned = Network([TX, rx], GRID), Network([TX, rx], GRID, aligned=True)
    rcs_m2 = np.ones(3)
    share = aligned.snr(points_m, rcs_m2)[:, 0, 1] / plain.snr(points_m, rcs_m2)[:, 0, 1]
    link = LinkEvidence(aligned, report_of(TX, rx), SPAN_S)
    np.testing.assert_allclose(link.hearing(points_m)[0], share, rtol=1e-12)
