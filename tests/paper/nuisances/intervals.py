"""Intervals that must hold the stated size of a nuisance, and the log of both."""

import logging
from collections.abc import Sequence

import numpy as np
from scipy import stats

from drivers.geometry import FloatArray

CONFIDENCE = 0.999
_LOG = logging.getLogger(__name__)


def agrees(what: str, stated: float, interval: tuple[float, float]) -> None:
    """Fail where an interval does not hold what is stated."""
    low, high = interval
    _LOG.info("%s: stated %.6g, measured %.6g to %.6g", what, stated, low, high)
    assert low <= stated <= high, f"{what}: stated {stated:g}, measured {low:g} to {high:g}"


def around(values: FloatArray | float, tolerance: float) -> tuple[float, float]:
    """Smallest and largest of values that are known to a tolerance."""
    return float(np.min(values)) - tolerance, float(np.max(values)) + tolerance


def mean_interval(values: Sequence[float] | FloatArray) -> tuple[float, float]:
    """Interval of the mean, by Student's t."""
    error = stats.sem(values) * stats.t.ppf((1.0 + CONFIDENCE) / 2.0, len(values) - 1)
    return float(np.mean(values) - error), float(np.mean(values) + error)


def power_interval(power: float, freedom: float) -> tuple[float, float]:
    """Interval of a mean square that is known with some degrees of freedom (chi-square)."""
    low, high = stats.chi2.ppf(((1.0 + CONFIDENCE) / 2.0, (1.0 - CONFIDENCE) / 2.0), freedom)
    return power * freedom / float(low), power * freedom / float(high)


def is_normal(what: str, values: FloatArray, std: float) -> None:
    """Fail where values are not normal around zero with a standard deviation.

    Its interval by chi-square, the shape by Kolmogorov and Smirnov's test.
    """
    low, high = power_interval(float(np.mean(np.square(values))), len(values))
    agrees(f"{what}, standard deviation of {len(values)}", std, (np.sqrt(low), np.sqrt(high)))
    _has_shape(what, values, stats.norm(0.0, std).cdf)


def is_uniform(what: str, values: FloatArray, low: float, high: float, slack: float = 0.0) -> None:
    """Fail where values are not uniform between two limits, measured to a slack.

    For each limit, the interval that the extreme value leaves it: of n values at most the share
    ``1 - (1 - confidence)^(1 / n)`` of the range lies beyond.
    """
    smallest, largest = float(np.min(values)), float(np.max(values))
    beyond = (largest - smallest) * ((1.0 - CONFIDENCE) ** (-1.0 / len(values)) - 1.0)
    agrees(f"{what}, lowest of {len(values)}", low, (smallest - beyond - slack, smallest + slack))
    agrees(f"{what}, highest of {len(values)}", high, (largest - slack, largest + beyond + slack))
    _has_shape(what, values, stats.uniform(low, high - low).cdf)


def _has_shape(what: str, values: FloatArray, distribution: object) -> None:
    chance = stats.kstest(values, distribution).pvalue
    assert chance > 1.0 - CONFIDENCE, f"{what}: another distribution, p = {chance:g}"
