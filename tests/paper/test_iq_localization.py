"""The whole loop through IQ, radios that share nothing included; see `testbed study run`."""

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from testbed.build import Overrides, overridden
from testbed.runs.links import Processors
from testbed.runs.trial import run_trial
from testbed.site import load_site
from tests.paper.coherence import LAB, PLUTO, site_with
from tests.paper.survey_errors import CASES, line, trials


def errors_m(site, seeds) -> list[float]:
    with threadpool_limits(limits=1):
        processors = Processors(site)
        results = [run_trial(site, seed, "learned", processors, "iq") for seed in seeds]
    return [result.error_m[-1] for result in results]


def test_a_target_is_found_through_samples():
    """Without alignment the same runs end metres away (decision 11)."""
    assert np.median(errors_m(site_with(LAB, "ideal", None), range(3))) < 0.03


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("num_elements", "num_receivers"), [(2, 2), (1, 3)])
def test_free_running_radios_with_cells_of_16_m_find_a_target_to_decimetres(
    num_elements, num_receivers
):
    chosen = Overrides(num_elements=num_elements, num_receivers=num_receivers, impairments="pluto")
    assert np.median(errors_m(overridden(load_site(PLUTO), chosen), range(3))) < 1.0


@pytest.mark.timeout(240)
def test_survey_errors_are_declared_and_found_in_the_errors():
    found = trials(CASES[-1], range(3))
    assert max(result.error_m[-1] for result in found) < 0.5
    assert "all three" in line(CASES[-1], found)
