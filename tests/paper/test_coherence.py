"""The short form of `python -m tests.paper.coherence`."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.paper.coherence import LAB, PLUTO, figures, site_with


@pytest.mark.parametrize(
    ("path", "impairments", "num_links", "limit_db"),
    [(LAB, "lab", 12, 1.0), (PLUTO, "pluto", 4, 4.0)],
)
def test_residuals_are_down_at_the_receivers_noise_and_not_without_alignment(
    path, impairments, num_links, limit_db
):
    with threadpool_limits(limits=1):
        links = list(figures(site_with(path, impairments, None), 0, num_links))
    floor_db = np.median([link.floor_db for link in links])
    assert 0.0 < floor_db < limit_db
    # The control: another session's background, subtracted as it is.
    assert np.median([link.unaligned_db for link in links]) < 3.0
    # A few links of four captures, cells far from independent: what is grossly wrong shows.
    cells, alarms = (sum(getattr(link, name)[0] for link in links) for name in ("cells", "alarms"))
    assert alarms < 3.0 * 1e-2 * cells
