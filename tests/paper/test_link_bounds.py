"""One link is as accurate as the Cramer-Rao bound allows, and its reports say how accurate.

Full size (1000 draws, five SNRs): ``python -m tests.paper.link_statistics``.
"""

import math

import numpy as np
import pytest

from tests.paper.link_statistics import bootstrap_interval, link_errors

NUM_DRAWS = 300  # RMSE to 4 %, variances to 8 % (one deviation)


@pytest.mark.timeout(180)  # some 10 s with 32 elements where nothing else runs
@pytest.mark.parametrize("snr_db", [20.0, 40.0, 60.0])
@pytest.mark.parametrize("num_elements", [4, 32])
def test_errors_are_at_the_bound(num_elements, snr_db):
    (errors,) = link_errors(num_elements, [snr_db], NUM_DRAWS, seed=1)
    # 20 dB less at most 4 dB between bins and angles is 4 dB over the threshold for 1e-6.
    assert errors.num_missed == 0
    # 99.9 % intervals: 24 of them, on the same few draws for all SNRs of an array, must hold 1.
    for over_bound in (errors.delay_over_bound, errors.angle_over_bound):
        low, high = np.sqrt(bootstrap_interval(over_bound**2, 0.999))
        assert math.sqrt(np.mean(over_bound**2)) <= 1.15
        assert low <= 1.0, "worse than the bound"
        assert high >= 1.0, "better than the bound: SNR or bound is on another scale"
    for over_reported in (errors.delay_over_reported, errors.angle_over_reported):
        low, high = bootstrap_interval(over_reported**2, 0.999)
        assert 0.8 <= np.mean(over_reported**2) <= 1.3
        assert low <= 1.0 <= high
    # No bias: the mean is within 3.3 of its own deviations (99.9 %).
    for signed in (errors.delay_over_bound, errors.angle_over_bound):
        assert abs(np.mean(signed)) < 3.3 * np.std(signed) / math.sqrt(len(signed))
