"""A run that others made is gone through again, to the same belief."""

import numpy as np
import pytest

from testbed.runs.backgrounds import perfect_background
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization
from testbed.runs.recorded_links import localization_again
from testbed.runs.setup import simulate
from tests.unit.testbed.sites import as_site, lab

SITE = as_site(lab())
PROCESSORS = Processors(SITE)


@pytest.fixture(scope="module")
def run():
    scene = simulate(SITE, 2)
    links = LocalLinks(SITE, scene.source, perfect_background(scene.source), PROCESSORS)
    made = Localization(SITE, links, scene.planning_rng())
    return made, list(made.run()), links.reporter


def test_it_ends_with_the_same_belief(run):
    made, records, reporter = run
    again = localization_again(SITE, records, reporter, 2)
    np.testing.assert_array_equal(
        again.controller.belief.grid.cell_probability(),
        made.controller.belief.grid.cell_probability(),
    )
    np.testing.assert_array_equal(
        again.controller.estimate.position_m, made.controller.estimate.position_m
    )


def test_records_of_another_run_are_refused(run):
    _, records, reporter = run
    assert records[0].config != records[-1].config
    with pytest.raises(ValueError, match="here it would be"):
        localization_again(SITE, records[::-1], reporter, 2)
