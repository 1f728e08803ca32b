"""The short form of `python -m tests.paper.echo_loss`."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from tests.paper.coherence import LAB, site_with
from tests.paper.echo_loss import figure, losses


@pytest.mark.parametrize("num_elements", [1, 8])
def test_echoes_two_cells_from_the_direct_path_lose_little(num_elements, tmp_path):
    with threadpool_limits(limits=1):
        found = list(losses(site_with(LAB, "lab", num_elements), 0, 4))
    far = [loss.loss_db for loss in found if loss.excess_cells > 2.0]
    assert len(far) == 12
    assert np.median(far) < 1.5
    # One element does not tell an echo from the direct path that it comes with.
    near = [loss.loss_db for loss in found if loss.excess_cells <= 0.1]
    assert np.isinf(near).any() == (num_elements == 1)
    figure({num_elements: found}, tmp_path / "loss.png", "lab")
    assert (tmp_path / "loss.png").stat().st_size > 10_000
