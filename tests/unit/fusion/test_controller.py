"""Algorithm 1 as a state machine, fed with reports from the true geometry."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from drivers.node import SurveyUncertainty
from fusion.sensing import CHI2_95, SensingConfig
from fusion.settings import PAPER_LITERAL
from tests.unit.fusion.halls import (
    AREA_M,
    OMNIDIRECTIONAL,
    Hall,
    make_node,
    mixed_nodes,
    random_hall,
    random_nodes,
    report_of,
    run,
)


def empty_reports(hall: Hall, config: SensingConfig, index: int):
    nodes = {node.node_id: node for node in hall.nodes}
    return [
        report_of(nodes[config.tx_id], nodes[rx_id], sensing_index=index) for rx_id in config.rx_ids
    ]


@pytest.mark.parametrize("num_receivers", [1, 3])
@pytest.mark.parametrize("initialization", ["expected_error", "field_of_view", "random"])
def test_it_converges_and_stops_by_radius(num_receivers, initialization):
    for seed in range(3):
        hall = random_hall(seed, random_nodes(seed, 20), rcs_m2=10.0)
        controller = hall.controller(
            seed, num_receivers=num_receivers, tolerance_m=0.3, max_sensings=15,
            initialization=initialization,
        )  # fmt: skip
        configs, estimates = run(hall, controller)
        last = estimates[-1]
        assert last.status == "converged"
        assert last.radius_95_m <= 0.3
        assert last.probability >= 0.999
        assert hall.error_m(last) < 1.0
        assert controller.num_sensings == len(configs) < 15
        assert controller.estimate is last
        # Until then it was searching, and each sensing is one that can be made.
        assert {estimate.status for estimate in estimates[:-1]} <= {"searching"}
        for config in configs:
            assert len(set(config.rx_ids)) == num_receivers
            assert config.tx_id not in config.rx_ids


def test_convergence_is_what_it_says_over_many_halls():
    """Forty halls with fading targets: no wrong one, and ellipses that hold what they say."""
    nees, errors_m, converged = [], [], 0
    for seed in range(40):
        hall = random_hall(100 + seed, random_nodes(100 + seed, 20))
        _, estimates = run(hall, hall.controller(seed, tolerance_m=0.25, max_sensings=12))
        if estimates[-1].status == "converged":
            converged += 1
            nees.append(hall.nees(estimates[-1]))
            errors_m.append(hall.error_m(estimates[-1]))
    assert converged >= 34
    assert max(errors_m) < 1.0
    assert stats.kstest(nees, stats.chi2(2).cdf).pvalue > 1e-3
    inside = int(np.sum(np.array(nees) <= CHI2_95))
    interval = stats.binomtest(inside, converged).proportion_ci(0.99, method="exact")
    assert interval.low < 0.95 < interval.high


def test_more_is_sensed_only_where_it_pays():
    """Within tolerance a small asked improvement goes on, a large one stops."""
    lengths = []
    for min_improvement in (0.1, 0.9):
        total = 0
        for seed in range(4):
            hall = random_hall(seed, random_nodes(seed, 20), rcs_m2=10.0)
            controller = hall.controller(
                seed, tolerance_m=1.0, min_improvement=min_improvement, max_sensings=8
            )
            total += len(run(hall, controller)[0])
        lengths.append(total)
    assert lengths[0] > lengths[1]


def test_budget_spent_without_convergence_is_unresolved():
    hall = random_hall(1, random_nodes(1, 20))
    configs, estimates = run(hall, hall.controller(1, tolerance_m=1e-6, max_sensings=4))
    assert len(configs) == 4
    assert [estimate.status for estimate in estimates] == ["searching"] * 3 + ["unresolved"]


@pytest.mark.parametrize("settings", [{}, PAPER_LITERAL], ids=["default", "paper"])
def test_a_budget_of_one_senses_once(settings):
    hall = random_hall(2, random_nodes(2, 20), rcs_m2=10.0)
    controller = hall.controller(2, max_sensings=1, **settings)
    configs, estimates = run(hall, controller)
    assert len(configs) == controller.num_sensings == 1
    assert estimates[0].status in ("converged", "unresolved")


@pytest.mark.parametrize("num_receivers", [1, 2])
@pytest.mark.parametrize("seed", range(6))
def test_the_paper_s_loop_runs_to_an_end(seed, num_receivers):
    hall = random_hall(seed, random_nodes(seed, 20))
    controller = hall.controller(
        seed, num_receivers=num_receivers, max_sensings=10, **PAPER_LITERAL
    )
    configs, estimates = run(hall, controller)
    assert 1 <= len(configs) <= 10
    assert estimates[-1].status in ("converged", "unresolved")
    # No configuration comes twice in a row: that is where it stops.
    assert not any(a.same_nodes(b) for a, b in itertools.pairwise(configs))
    if len(configs) < 10:
        assert estimates[-1].status == "converged"


def test_the_paper_s_loop_locates_a_strong_steady_target():
    errors_m = []
    for seed in range(6):
        hall = random_hall(seed, random_nodes(seed, 20, 8), rcs_m2=30.0, fading=False)
        _, estimates = run(hall, hall.controller(seed, num_receivers=2, **PAPER_LITERAL))
        assert estimates[-1].status == "converged"
        errors_m.append(hall.error_m(estimates[-1]))
    assert np.median(errors_m) < 0.5


def test_the_latest_sensing_alone_counts_with_latest():
    """With ``latest`` the covariance is one sensing's; with ``accumulate`` it never grows back."""
    hall = random_hall(4, random_nodes(4, 20), rcs_m2=100.0, fading=False)
    controller = hall.controller(
        4, fusion="latest", selection="point", tolerance_m=1e-9, max_sensings=4
    )
    run(hall, controller)
    assert len(controller.belief.explained(controller.belief.modes[0])) == 1
    controller = hall.controller(4, fusion="accumulate", tolerance_m=1e-9, max_sensings=4)
    run(hall, controller)
    assert len(controller.belief.explained(controller.belief.modes[0])) == 4


def test_latest_keeps_the_estimate_where_a_sensing_detects_nothing():
    hall = random_hall(4, random_nodes(4, 20), rcs_m2=100.0, fading=False)
    controller = hall.controller(4, fusion="latest", tolerance_m=1e-9)
    config = controller.next_config()
    assert config is not None
    first = controller.update(hall.sense(config, 0))
    assert first.probability > 0.0
    config = controller.next_config()
    assert config is not None
    second = controller.update(empty_reports(hall, config, 1))
    np.testing.assert_array_equal(second.position_m, first.position_m)


@pytest.mark.parametrize(
    "settings",
    [{}, {"num_receivers": 3}, PAPER_LITERAL, {"initialization": "random"}],
    ids=["default", "three", "paper", "random"],
)
def test_nothing_ever_detected_ends_unresolved_over_the_whole_area(settings):
    hall = random_hall(3, random_nodes(3, 12))
    controller = hall.controller(3, max_sensings=6, **settings)
    num_configs = 0
    while (config := controller.next_config()) is not None:
        estimate = controller.update(empty_reports(hall, config, num_configs))
        num_configs += 1
    assert num_configs == 6
    assert estimate.status == "unresolved"
    assert estimate.probability == 0.0
    x_min, y_min, x_max, y_max = AREA_M
    assert x_min < estimate.position_m[0] < x_max
    assert y_min < estimate.position_m[1] < y_max
    assert estimate.peb_m > 50.0  # uniform over 200 m x 200 m: 82 m


def test_misses_send_the_search_elsewhere():
    hall = random_hall(3, random_nodes(3, 20))
    controller = hall.controller(3, max_sensings=8)
    receivers: list[tuple[str, ...]] = []
    while (config := controller.next_config()) is not None:
        controller.update(empty_reports(hall, config, len(receivers)))
        receivers.append(config.rx_ids)
    assert len(set(receivers)) >= 4


def test_missing_captures_are_no_reports():
    """A sensing whose captures are all unusable counts, and changes nothing else."""
    hall = random_hall(5, random_nodes(5, 20))
    controller = hall.controller(5, max_sensings=3)
    before = controller.estimate
    after = controller.update([])
    np.testing.assert_allclose(after.position_m, before.position_m)
    assert controller.num_sensings == 1
    assert controller.next_config() is not None


def test_update_after_the_end_is_refused():
    hall = random_hall(2, random_nodes(2, 12))
    controller = hall.controller(2, max_sensings=1)
    config = controller.next_config()
    assert config is not None
    reports = hall.sense(config, 0)
    controller.update(reports)
    assert controller.next_config() is None
    with pytest.raises(RuntimeError, match="after the end"):
        controller.update(reports)


def test_asking_again_changes_nothing():
    controller = random_hall(2, random_nodes(2, 12)).controller(2)
    assert controller.next_config() is controller.next_config()


@pytest.mark.parametrize("settings", [{}, PAPER_LITERAL], ids=["default", "paper"])
def test_same_seed_same_result(settings):
    results = []
    for _ in range(2):
        hall = random_hall(6, random_nodes(6, 20))
        configs, estimates = run(hall, hall.controller(6, **settings))
        results.append((configs, [e.position_m.tolist() for e in estimates], estimates[-1].status))
    assert results[0] == results[1]


def test_another_seed_draws_another_random_start():
    hall = random_hall(6, random_nodes(6, 20))
    starts = {hall.controller(seed, initialization="random").next_config() for seed in range(10)}
    assert len(starts) > 5


@pytest.mark.parametrize("settings", [{}, PAPER_LITERAL], ids=["default", "paper"])
def test_two_nodes_are_enough(settings):
    # Both look at the target, from 50 and 60 m.
    nodes = [
        make_node("a", (50.0, 100.0), 0.2, 8),
        make_node("b", (100.0, 40.0), math.pi / 2 + 0.2, 8),
    ]
    hall = Hall(nodes, np.array([100.0, 100.0]), 1, rcs_m2=10.0)
    configs, estimates = run(hall, hall.controller(1, tolerance_m=0.5, **settings))
    assert {(c.tx_id, *c.rx_ids) for c in configs} <= {("a", "b"), ("b", "a")}
    last = estimates[-1]
    assert last.status == "converged"
    assert hall.error_m(last) < 1.0
    assert hall.nees(last) < 20.0


def test_two_nodes_of_one_link_do_not_swap_front_and_back():
    """3GPP elements hear 22 dB less behind: enough to tell, looks at one link add up.

    The receiver's mirror image of the target lies 0.2 m behind it, where P1 fits as well.
    """
    nodes = mixed_nodes(0, 2)
    for seed in range(5):
        hall = Hall(
            [
                make_node("a", (119.3, 162.7), 1.97, 5, nodes[0].receive_pattern),
                make_node("b", (159.7, 60.9), 2.42, 4, nodes[0].receive_pattern),
            ],
            np.array([152.9, 88.5]), seed,
        )  # fmt: skip
        _, estimates = run(hall, hall.controller(seed, tolerance_m=0.25))
        assert hall.error_m(estimates[-1]) < 5.0


def test_unlike_nodes_work_together():
    converged = 0
    for seed in range(6):
        hall = random_hall(seed, mixed_nodes(seed, 20), rcs_m2=10.0)
        _, estimates = run(hall, hall.controller(seed, num_receivers=2))
        if estimates[-1].status == "converged":
            converged += 1
            assert hall.error_m(estimates[-1]) < 1.0
            assert hall.nees(estimates[-1]) < 25.0
    assert converged >= 4


def test_omnidirectional_arrays_end_at_the_truth_not_its_mirror_image():
    for seed in range(4):
        nodes = random_nodes(seed, 20, receive_pattern=OMNIDIRECTIONAL)
        hall = random_hall(seed, nodes, rcs_m2=10.0)
        _, estimates = run(hall, hall.controller(seed))
        assert estimates[-1].status == "converged"
        assert hall.error_m(estimates[-1]) < 1.0


def test_a_bad_survey_is_owned_up_to():
    """5 cm and half a degree: the radius stays above what the survey allows, and covers it."""
    survey = SurveyUncertainty(position_std_m=0.05, boresight_std_rad=math.radians(0.5))
    nees = []
    for seed in range(12):
        hall = random_hall(seed, random_nodes(seed, 12, 8, survey=survey), rcs_m2=100.0)
        _, estimates = run(hall, hall.controller(seed, num_receivers=2, max_sensings=6))
        if estimates[-1].probability > 0.99:
            assert estimates[-1].radius_95_m > 0.05
            nees.append(hall.nees(estimates[-1]))
    assert len(nees) >= 8
    # Sum of chi-squares, 99.9 %
    assert sum(nees) < stats.chi2.ppf(0.999, 2 * len(nees))


def test_a_small_radius_is_no_convergence_while_the_mirror_image_is_as_likely():
    """Two nodes of which only one has an array, without front or back: each mode is small."""
    nodes = [
        make_node("a", (50.0, 100.0), 0.0, 1, receive_pattern=OMNIDIRECTIONAL),
        make_node("b", (100.0, 40.0), math.pi / 2 + 0.6, 16, receive_pattern=OMNIDIRECTIONAL),
    ]
    hall = Hall(nodes, np.array([100.0, 100.0]), 2, rcs_m2=100.0, fading=False)
    controller = hall.controller(2, tolerance_m=1.0, max_sensings=5)
    _, estimates = run(hall, controller)
    assert len(estimates) == 5
    alone, _ = controller.belief.best
    assert replace(estimates[-1], covariance_m2=alone.covariance_m2).radius_95_m < 1.0
    assert estimates[-1].radius_95_m > 1.0  # what is stated knows of the other one
    assert estimates[-1].status == "unresolved"
    assert 0.3 < estimates[-1].probability < 0.99
    assert len(controller.belief.modes) == 2
    assert any(math.dist(m.position_m, hall.target_m) < 1.0 for m in controller.belief.modes)
