"""Targets on the line between two nodes, where alignment takes their echoes: no ghosts for them."""

from pathlib import Path

import pytest

from testbed.build import simulated
from testbed.site import load_site
from tests.paper.echo_errors import echo_errors

SITE = Path(__file__).parents[2] / "examples" / "usrp_array.yaml"
# Halls in which the target stands 0.1 to 0.2 m of bistatic range off a direct path.
SEEDS = (1003, 1032, 1065)
NUM_LOOKS = 4


@pytest.fixture(scope="module")
def found():
    site = simulated(load_site(SITE))
    return [error for seed in SEEDS for error in echo_errors(site, seed, NUM_LOOKS)]


def test_echoes_beside_the_direct_path_are_reported_there_or_not_at_all(found):
    beside = [error for error in found if error.excess_m < 0.25]
    assert len(beside) == 2 * NUM_LOOKS * len(SEEDS)
    assert sum(error.is_reported for error in beside) > 3
    assert not any(error.is_elsewhere for error in beside)


def test_no_others_are_lost_for_it(found):
    apart = [error for error in found if error.excess_m > 2.0]
    assert len(apart) > 2 * NUM_LOOKS * len(SEEDS)
    assert sum(error.is_reported for error in apart) >= 0.9 * len(apart)
    assert not any(error.is_elsewhere for error in apart)
