"""Statistics of errors over the trials of a study, each with the band that so few trials leave."""

import numpy as np
from scipy import stats

from drivers.geometry import FloatArray

_NUM_RESAMPLES = 2000
_MOST_AT_ONCE = 1_000_000  # drawn errors: 16 MB


def rmse_band(
    errors_m: FloatArray, confidence: float = 0.9, seed: int = 0
) -> tuple[float, float, float]:
    """Root mean squared error and its bootstrap interval (percentiles; Efron 1979), in metres.

    Rare large errors that no trial had are in no resample: with few trials the true RMSE may be
    above the interval more often than `confidence` says.

    Parameters
    ----------
    errors_m
        One of each trial, shape ``(T,)``.
    confidence
        Of the two-sided interval.
    seed
        What is resampled follows from it: the same errors have the same interval.
    """
    squares_m2 = np.asarray(errors_m, float) ** 2
    trials = len(squares_m2)
    rng = np.random.default_rng(seed)
    at_once = max(1, _MOST_AT_ONCE // trials)
    means_m2 = [
        squares_m2[rng.integers(trials, size=(min(at_once, _NUM_RESAMPLES - start), trials))].mean(
            axis=1
        )
        for start in range(0, _NUM_RESAMPLES, at_once)
    ]
    tail = (1.0 - confidence) / 2.0
    low, high = np.sqrt(np.quantile(np.concatenate(means_m2), (tail, 1.0 - tail)))
    return float(np.sqrt(squares_m2.mean())), float(low), float(high)


def percentile_band(
    errors_m: FloatArray, percent: float, confidence: float = 0.9
) -> tuple[float, float, float]:
    """Percentile of errors and its exact interval, whatever their distribution, in metres.

    The ends are order statistics: how many of T errors are below the true percentile is binomial.
    Where T is too small for an end, it is 0 or infinity; 95 % needs 59 trials for a 90 % band.

    Parameters
    ----------
    errors_m
        One of each trial, shape ``(T,)``, not negative.
    percent
        0 to 100; 50 is the median.
    confidence
        Of the two-sided interval, at least.
    """
    ordered_m = np.sort(np.asarray(errors_m, float))
    tail = (1.0 - confidence) / 2.0
    below = stats.binom(len(ordered_m), percent / 100.0)
    ends_m = np.concatenate(([0.0], ordered_m, [np.inf]))
    low_m, high_m = ends_m[int(below.ppf(tail))], ends_m[int(below.ppf(1.0 - tail)) + 1]
    return float(np.percentile(ordered_m, percent)), float(low_m), float(high_m)
