"""Numbers of the paper's study from trials that were made by hand."""

import math
from dataclasses import replace

import numpy as np
import pytest

from testbed.paper.cases import paper_cases
from testbed.paper.published import TABLE1_M
from testbed.paper.results import by_scheme, cells, curves, endings, oracle_errors_m
from testbed.runs.confidence import percentile_band, rmse_band
from testbed.runs.study import study_object
from testbed.runs.trial_bounds import TrialBounds
from tests.unit.testbed.paper.numbers import bounds_of, trial

CASES = {case.name: case for case in paper_cases(["fig2", "table1", "worth"])}
PROPOSED = CASES["fig2-proposed-ours-M32-N1-J10"]
SINGLE = CASES["fig2-fis-literal-M32-N1-J7"]
CELL = CASES["table1-proposed-literal-M4-N2-J10"]


def values_m(points, statistic):
    return [point.value_m for point in points if point.statistic == statistic]


def test_a_trial_that_stopped_holds_its_last_error():
    points = curves({PROPOSED: [trial(8.0, 6.0), trial(4.0, 2.0, 1.0), trial(1.0)]})
    assert values_m(points, "median") == [4.0, 2.0] + 8 * [1.0]
    assert values_m(points, "rmse") == pytest.approx(
        [np.sqrt((64 + 16 + 1) / 3), np.sqrt((36 + 4 + 1) / 3)] + 8 * [np.sqrt((36 + 1 + 1) / 3)]
    )
    assert values_m(points, "p95") == pytest.approx([7.6, 5.6] + 8 * [5.5])
    rmse = [point for point in points if point.statistic == "rmse"]
    assert [point.num_symbols for point in rmse] == list(range(1, 11))
    assert {(point.scheme, point.column, point.trials) for point in points} == {
        ("proposed", "ours", 3)
    }


def test_values_have_the_bands_of_studies():
    errors_m = np.random.default_rng(0).exponential(size=80)
    points = curves({PROPOSED: [trial(error_m) for error_m in errors_m.tolist()]})
    first = {p.statistic: (p.value_m, p.low_m, p.high_m) for p in points if p.num_symbols == 1}
    assert first["rmse"] == rmse_band(errors_m)
    assert first["rmse_best_99"] == rmse_band(np.sort(errors_m)[: math.ceil(0.99 * len(errors_m))])
    assert first["median"] == percentile_band(errors_m, 50)
    assert first["p95"] == percentile_band(errors_m, 95)
    assert first["p95"][1] < first["p95"][0] < first["p95"][2]


def test_a_single_shot_is_a_point_at_its_budget():
    points = curves({SINGLE: [trial(3.0, num_symbols=7), trial(4.0, num_symbols=7)]})
    assert {point.num_symbols for point in points} == {7}
    assert values_m(points, "rmse") == [pytest.approx(np.sqrt(12.5))]
    assert values_m(points, "conditional_bound") == [0.2]


def test_bounds_are_medians_and_held_as_errors_are():
    late = TrialBounds(0.02, 0.01, 0.05, (0.04, 0.03))
    trials = [trial(1.0, 1.0, bounds=(bounds_of(), late)), trial(1.0), trial(1.0)]
    points = curves({PROPOSED: trials})
    assert values_m(points, "conditional_bound") == 10 * [0.2]
    points = curves({PROPOSED: 2 * trials[:1] + trials[1:]})
    assert values_m(points, "conditional_bound") == pytest.approx([0.2] + 9 * [0.11])
    assert values_m(points, "mean_rcs_bound") == pytest.approx([0.1] + 9 * [0.055])
    assert values_m(points, "oracle_bound") == pytest.approx([0.5] + 9 * [0.275])


def test_there_are_bounds_only_where_every_trial_has_them():
    """A trial that had heard nothing yet has no bound: the median of the others is another one."""
    points = curves(
        {PROPOSED: [trial(1.0), trial(9.0, 1.0, 1.0, bounds=(None, bounds_of(), bounds_of()))]}
    )
    found = [point.num_symbols for point in points if point.statistic == "conditional_bound"]
    assert found == list(range(2, 11))
    theory = curves({SINGLE: [trial(1.0, bounds=(None,))]})
    assert {point.statistic for point in theory} == {"rmse", "rmse_best_99", "median", "p95"}


def test_curves_are_of_figure_2_and_cells_of_table_1():
    results = {CELL: [trial(1.0)], PROPOSED: [trial(2.0)]}
    assert {point.value_m for point in curves(results) if point.statistic == "rmse"} == {2.0}
    assert {cell.value_m for cell in cells(results)} == {1.0}


def test_points_are_found_by_scheme_in_the_order_of_symbols():
    single = {
        CASES[f"fig2-obs-ours-M32-N1-J{n}"]: [trial(float(n), num_symbols=n)]
        for n in (10, 2, 1, 9)
    }  # fmt: skip
    found = by_scheme(curves(single | {PROPOSED: [trial(5.0)]}), "median")
    assert found.keys() == {("ours", "obs"), ("ours", "proposed")}
    assert [p.num_symbols for p in found["ours", "obs"]] == [1, 2, 9, 10]
    assert [p.value_m for p in found["ours", "obs"]] == [1.0, 2.0, 9.0, 10.0]


def test_cells_have_percentiles_of_last_errors_beside_the_paper_s():
    errors_m = np.linspace(0.0, 1.0, 101)
    found = cells({CELL: [trial(50.0, error_m) for error_m in errors_m.tolist()]})
    assert {cell.percent: cell.published_m for cell in found} == TABLE1_M[4, 2]
    assert [cell.value_m for cell in found] == pytest.approx([0.25, 0.5, 0.75, 0.9, 0.95])
    assert all(cell.low_m < cell.value_m < cell.high_m for cell in found)
    assert {(c.column, c.num_elements, c.num_receivers, c.trials) for c in found} == {
        ("literal", 4, 2, 101)
    }


def test_a_cell_s_oracle_is_a_percentile_of_the_oracle_s_errors():
    """Round ellipses: errors are Rayleigh, and percentiles known."""
    found = cells({CELL: [trial(1.0, bounds=(bounds_of((0.3, 0.3)),)) for _ in range(200)]})
    for cell in found:
        rayleigh_m = 0.3 * np.sqrt(-2.0 * np.log(1.0 - cell.percent / 100.0))
        assert cell.oracle_m == pytest.approx(rayleigh_m, rel=0.03)


def test_an_oracle_s_errors_have_the_second_moment_of_its_bound():
    trials = [trial(1.0, bounds=(None, bounds_of(axes_m))) for axes_m in ((3.0, 0.1), (0.5, 0.4))]
    silent = trial(1.0, bounds=(None,))
    errors_m = oracle_errors_m(100 * [*trials, silent])
    assert errors_m.shape == (100 * 2 * 200,)
    mean_m2 = (3.0**2 + 0.1**2 + 0.5**2 + 0.4**2) / 2
    # A squared normal has a variance of 2; half of the draws are of the long ellipse.
    std_m2 = np.std(errors_m**2) / np.sqrt(len(errors_m))
    assert np.mean(errors_m**2) == pytest.approx(mean_m2, abs=4 * std_m2)
    np.testing.assert_array_equal(errors_m, oracle_errors_m(100 * [*trials, silent]))
    assert not np.array_equal(errors_m, oracle_errors_m(100 * [*trials, silent], seed=1))


def test_without_a_look_there_is_no_oracle():
    assert oracle_errors_m([trial(1.0, bounds=(None,))]).size == 0


def test_endings_are_what_a_study_says():
    trials = [
        trial(8.0, 0.3, nees=0.5),
        trial(9.0, nees=20.0),
        trial(4.0, 2.0, 2.0, converged=False),
    ]
    (end,) = endings({CELL: trials})
    said = study_object(CELL.case.site, trials, 0, 1.0)
    assert (end.part, end.scheme, end.column) == ("table1", "proposed", "literal")
    assert (end.num_elements, end.num_receivers, end.num_symbols, end.trials) == (4, 2, 10, 3)
    assert end.rmse_m == said["rmse_m"][-1] == pytest.approx(np.sqrt((0.09 + 81 + 4) / 3))
    assert end.median_m == said["percentiles_m"]["50"] == 2.0
    assert end.p95_m == said["percentiles_m"]["95"] == pytest.approx(8.3)
    assert end.unresolved == said["unresolved_fraction"] == pytest.approx(1 / 3)
    assert end.wrong == said["wrong_fraction"] == pytest.approx(1 / 3)
    assert end.num_sensings == said["mean_num_sensings"] == 2.0
    assert end.throughput_loss_pct == said["throughput_loss_pct"] == pytest.approx(100 * 2 / 140)
    ratio = np.sqrt((1.5**2 + 45.0**2) / 2)
    assert end.rmse_over_bound == said["rmse_over_conditional_bound"] == pytest.approx(ratio)
    assert (end.coverage_50, end.coverage_95) == (0.5, 0.5)
    errors_m = oracle_errors_m(trials)
    assert end.oracle_median_m == np.median(errors_m)
    assert end.oracle_p95_m == np.percentile(errors_m, 95)


def test_an_ending_of_theory_leaves_open_what_it_does_not_have():
    bound = replace(trial(1.0, bounds=(None,)), converged=False, nees=None)
    (end,) = endings({CASES["fig2-obs_peb-ours-M32-N1-J3"]: [bound]})
    assert end.oracle_median_m is end.oracle_p95_m is end.rmse_over_bound is None
    assert end.coverage_50 is end.coverage_95 is None
    assert (end.num_symbols, end.rmse_m) == (3, 1.0)
