"""Half a minute of `tests.chaos.storm`; ten minutes and more by command."""

import pytest

from tests.chaos.storm import storm, table


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_jobs_bring_the_same_whatever_befalls_their_processes(tmp_path):
    weather = storm(0.5, 1, tmp_path)
    assert not weather.problems, table(weather)
    assert sum(number for number, *_ in weather.took_s.values()) > 0
    assert sum(sum(count.values()) for count in weather.strikes.values()) > 5
