"""What a policy is given, and what it may not do."""

import numpy as np
import pytest

from fusion.policy import PolicyError
from fusion.sensing import SensingConfig
from tests.unit.fusion.halls import random_hall, random_nodes
from tests.unit.fusion.worlds import Given, HallWorld

HALL = random_hall(0, random_nodes(0, 6), rcs_m2=10.0)
PAIR = SensingConfig("n00", ("n01", "n02"))


def test_sensings_are_numbered_and_kept():
    world = HallWorld(HALL, max_sensings=5)
    world.run(Given((PAIR, 1), (PAIR, 3), (PAIR, 1)))
    assert [(index, symbols) for _, index, symbols in world.sensed] == [(0, 1), (1, 3), (2, 1)]
    assert (world.num_sensings, world.num_symbols) == (3, 5)
    assert [(r.rx_id, r.sensing_index) for r in world.reports] == [
        (rx_id, index) for index in range(3) for rx_id in ("n01", "n02")
    ]


@pytest.mark.parametrize("symbols", [(1, 1, 1, 1), (4,), (2, 2), (0,)])
def test_the_budget_holds(symbols):
    world = HallWorld(HALL, max_sensings=3)
    with pytest.raises(PolicyError, match=r"of 3 \(max_sensings\)"):
        world.run(Given(*((PAIR, number) for number in symbols)))
    assert world.num_symbols <= 3


def test_who_asks_for_the_truth_is_noted():
    world = HallWorld(HALL)
    world.run(Given((PAIR, 1)))
    assert not world.knows_truth
    told = world.truth_m()
    assert world.knows_truth
    np.testing.assert_array_equal(told, HALL.target_m)
    told += 1.0  # a copy: nobody moves the target
    assert not np.any(world.truth_m() == told)
