"""Bands of a study's statistics: exact where they can be, and as wide as they say."""

import numpy as np
import pytest
from scipy import stats

from testbed.runs.confidence import percentile_band, rmse_band
from testbed.runs.study import clopper_pearson


@pytest.mark.parametrize(("trials", "percent"), [(5, 50), (31, 50), (200, 50), (200, 95), (59, 95)])
def test_percentile_band_is_that_of_the_exact_quantile_test(trials, percent):
    errors_m = np.random.default_rng(trials).exponential(size=trials)
    value, low, high = percentile_band(errors_m, percent)
    p = percent / 100
    tests = [
        stats.quantile_test(errors_m, p=p, alternative=side).confidence_interval(0.95)
        for side in ("greater", "less")
    ]
    assert (low, high) == (tests[0].low, tests[1].high)
    assert value == np.percentile(errors_m, percent)
    assert low <= value <= high


def test_percentile_band_of_few_trials_is_open():
    assert percentile_band(np.full(58, 2.0), 95)[2] == np.inf
    assert percentile_band(np.full(59, 2.0), 95)[2] == 2.0
    assert percentile_band(np.array([2.0]), 50) == (2.0, 0.0, np.inf)


def held(band, truth, trials, repeats=400):
    """How many of so many bands hold the truth, of exponential errors."""
    rng = np.random.default_rng(5)
    bands = [band(rng.exponential(size=trials)) for _ in range(repeats)]
    return sum(low <= truth <= high for _, low, high in bands)


def test_percentile_band_holds_the_truth_at_least_as_often_as_it_says():
    count = held(lambda errors_m: percentile_band(errors_m, 50), np.log(2.0), 50)
    assert clopper_pearson(count, 400, 0.999)[1] >= 0.9
    assert count < 390  # 0.92 exactly: not so wide that it says nothing


def test_rmse_band_holds_the_truth_nearly_as_often_as_it_says():
    count = held(rmse_band, np.sqrt(2.0), 200)
    assert 0.84 < count / 400 < 0.93  # squares of exponentials: 0.87 by 4,000 repeats


def test_rmse_band_follows_from_errors_and_seed_alone():
    errors_m = np.random.default_rng(1).exponential(size=100)
    value, low, high = rmse_band(errors_m)
    assert rmse_band(errors_m) == (value, low, high) != rmse_band(errors_m, seed=1)
    assert value == pytest.approx(np.sqrt(np.mean(errors_m**2)))
    assert low < value < high
    narrow = rmse_band(errors_m, confidence=0.5)
    assert low < narrow[1] < narrow[2] < high


def test_rmse_band_of_equal_errors_is_a_point():
    assert rmse_band(np.full(7, 3.0)) == (3.0, 3.0, 3.0)
    assert rmse_band([2.0]) == (2.0, 2.0, 2.0)
