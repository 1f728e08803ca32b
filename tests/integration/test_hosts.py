"""A testbed over several hosts; see `tests.network.hosts` for the long form."""

import pytest

from tests.network.hosts import check
from tests.network.switch import why_not

REASON = why_not()


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
@pytest.mark.timeout(300)
def test_a_run_outlasts_a_bad_network_and_pulled_cables():
    assert check(patience_s=8.0, cut_s=1.5) == []
