"""A few kills of `tests.chaos.killed_study`; a hundred by command."""

import pytest

from tests.chaos.killed_study import killed_studies


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_study_that_is_killed_on_and_on_ends_as_one_that_was_not(tmp_path):
    toll = killed_studies(4, 1, tmp_path)
    assert not toll.problems, str(toll)
    assert toll.num_killed == 4
    assert toll.num_studies > 0
    assert toll.num_resumed > 0
