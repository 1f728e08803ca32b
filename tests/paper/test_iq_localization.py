"""The whole loop through IQ, radios that share nothing included."""

import numpy as np
import pytest

from tests.paper.iq_localization import LAB, outcomes, site_with


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("preset", "median_m"), [("ideal", 0.03), ("pluto", 0.15)])
def test_a_target_is_found_through_samples(preset, median_m):
    """Without alignment the same runs end metres away (decision 11)."""
    errors, _ = outcomes(site_with(LAB, preset, num_symbols=4, num_captures=6), range(3))
    assert np.median(errors) < median_m
