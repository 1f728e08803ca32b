"""The detector holds its set false-alarm rate on whole maps, beams and bins correlated as they are.

Full size: ``python -m tests.paper.link_statistics``.
"""

import pytest

from tests.paper.link_statistics import bootstrap_interval, false_alarms


@pytest.mark.timeout(180)  # some 5 s with 32 elements where nothing else runs
@pytest.mark.parametrize("num_elements", [4, 32])
def test_false_alarm_rate_is_the_set_one(num_elements):
    # 200 maps of 181 angles and 194 delays: 35 expected in each, but a false alarm seldom comes
    # alone (counts are many times over-dispersed), so captures are resampled, not cells.
    alarms = false_alarms(num_elements, 200, probability=1e-3, seed=1)
    low, high = bootstrap_interval(alarms.count / alarms.expected)
    assert low >= 0.8
    assert high <= 1.25
    assert 0.8 <= alarms.ratio <= 1.25
