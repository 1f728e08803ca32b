"""The schemes of section VI: what they sense, and what they conclude."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from fusion.baselines import (
    BestSubset,
    BestSubsetBound,
    FixedSubset,
    FixedSubsetBound,
    Proposed,
    RandomSubsets,
    WithoutSfi,
)
from fusion.policy import Bound
from fusion.sensing import PositionEstimate
from fusion.settings import PAPER_LITERAL
from tests.unit.fusion.halls import (
    C_M_PER_S,
    OMNIDIRECTIONAL,
    Hall,
    random_hall,
    random_nodes,
    range_std_m,
    run,
    sine_std,
    true_angle_rad,
    true_snr,
)
from tests.unit.fusion.worlds import HallWorld

VARIANTS = [{}, PAPER_LITERAL]


def hall(seed=0, count=12, **fields) -> Hall:
    nodes = random_nodes(seed, count, receive_pattern=OMNIDIRECTIONAL)
    return random_hall(seed, nodes, **{"rcs_m2": 10.0} | fields)


def position_m(outcome) -> np.ndarray:
    assert isinstance(outcome, PositionEstimate)
    return outcome.position_m


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("policy", "options"), [
    (Proposed(), {}),
    (WithoutSfi(), {"initialization": "random"}),
])  # fmt: skip
def test_the_loop_is_that_of_the_controller(policy, options, variant):
    for seed in range(3):
        one = hall(seed)
        configs, estimates = run(one, one.controller(seed, num_receivers=2, **variant | options))
        world = HallWorld(one, seed, num_receivers=2, **variant)
        outcomes = world.run(policy)
        assert world.configs == configs
        assert {symbols for _, _, symbols in world.sensed} == {1}
        for outcome, estimate in zip(outcomes, estimates, strict=True):
            np.testing.assert_array_equal(position_m(outcome), estimate.position_m)
            assert outcome.status == estimate.status


def test_nodes_whose_captures_never_come_sit_out():
    """As in `testbed localize`; a receiver without a report has failed."""
    one = hall()
    first = HallWorld(one).new_controller().next_config()
    assert first is not None

    class Deaf(HallWorld):
        def _look(self, config, index, num_symbols):
            heard = super()._look(config, index, num_symbols)
            return [report for report in heard if report.rx_id != first.rx_ids[0]]

    world = Deaf(one)
    world.run(Proposed())
    failing = [first.rx_ids[0] in config.rx_ids for config in world.configs]
    assert [True] * 3 in [failing[n : n + 3] for n in range(len(failing))]
    assert [True] * 4 not in [failing[n : n + 4] for n in range(len(failing))]


def test_random_subsets_begin_like_the_proposed_scheme_and_spend_the_budget():
    one = hall(count=6)
    proposed = HallWorld(one, 5, num_receivers=2)
    proposed.run(Proposed())
    world = HallWorld(one, 5, num_receivers=2, max_sensings=40)
    assert len(world.run(RandomSubsets())) == 40
    assert world.configs[0] == proposed.configs[0]
    for config in world.configs:
        assert len({config.tx_id, *config.rx_ids}) == 3
    assert {config.tx_id for config in world.configs[1:]} == {n.node_id for n in one.nodes}
    assert len({frozenset(config.rx_ids) for config in world.configs[1:]}) > 10


def test_random_subsets_to_the_letter_are_averaged_without_weights():
    """Each sensing alone gives an estimate; those that detected nothing do not count."""
    one = hall(3, rcs_m2=2.0)
    world = HallWorld(one, max_sensings=8, **PAPER_LITERAL)
    outcomes = world.run(RandomSubsets())
    alone = []
    for report, outcome in zip(world.reports, outcomes, strict=True):
        belief = world.new_belief()
        belief.update([report])
        if belief.modes:
            alone.append(belief.summary())
        if alone:
            mean_m = np.mean([estimate.position_m for estimate in alone], axis=0)
            np.testing.assert_allclose(position_m(outcome), mean_m)
    assert 2 <= len(alone) < 8
    spread_m2 = sum(estimate.covariance_m2 for estimate in alone) / len(alone) ** 2
    np.testing.assert_allclose(outcomes[-1].covariance_m2, spread_m2)


def test_random_subsets_by_default_are_fused():
    world = HallWorld(hall(3), max_sensings=6)
    outcomes = world.run(RandomSubsets())
    belief = world.new_belief()
    for report, outcome in zip(world.reports, outcomes, strict=True):
        belief.update([report])
        np.testing.assert_array_equal(position_m(outcome), belief.summary().position_m)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_fixed_subset_spends_all_symbols_where_the_proposed_scheme_begins(variant):
    one = hall(1)
    proposed = HallWorld(one, 4, num_receivers=2, **variant)
    proposed.run(Proposed())
    world = HallWorld(one, 4, num_receivers=2, max_sensings=7, **variant)
    (outcome,) = world.run(FixedSubset())
    assert world.sensed == [(proposed.configs[0], 0, 7)]
    assert not world.knows_truth
    assert outcome.status == "searching"  # who runs it says whether it was found


def information_per_m2(one: Hall, tx, rx, num_symbols: int) -> np.ndarray:
    """Eq. (17) at the truth for the mean RCS, by hand."""
    snr = num_symbols * true_snr(tx, rx, one.target_m, one.rcs_m2)
    legs = [one.target_m - np.array(node.pose.position_m) for node in (tx, rx)]
    delay = sum(leg / np.hypot(*leg) for leg in legs) / C_M_PER_S
    across = np.array((-legs[1][1], legs[1][0])) / (legs[1] @ legs[1])
    sine = across * np.cos(true_angle_rad(rx, one.target_m))
    delay_std_s = range_std_m(snr) / C_M_PER_S
    return (
        np.outer(delay, delay) / delay_std_s**2
        + np.outer(sine, sine) / sine_std(snr, rx.array.num_elements) ** 2
    )


def bound_m(one: Hall, config, num_symbols: int) -> float:
    nodes = {node.node_id: node for node in one.nodes}
    total = sum(
        information_per_m2(one, nodes[config.tx_id], nodes[rx_id], num_symbols)
        for rx_id in config.rx_ids
    )
    return float(np.sqrt(np.trace(np.linalg.inv(total + 1e-6 * np.eye(2)))))


@pytest.mark.parametrize("num_receivers", [1, 2])
def test_the_best_subset_has_the_smallest_bound_at_the_truth(num_receivers):
    one = hall(2, 7)
    world = HallWorld(one, num_receivers=num_receivers, max_sensings=5)
    world.run(BestSubset())
    ((config, index, symbols),) = world.sensed
    assert (index, symbols, world.knows_truth) == (0, 5, True)
    names = [node.node_id for node in one.nodes]
    every = [
        bound_m(one, replace(config, tx_id=tx_id, rx_ids=rx_ids), 5)
        for tx_id in names
        for rx_ids in combinations([name for name in names if name != tx_id], num_receivers)
    ]
    assert bound_m(one, config, 5) == pytest.approx(min(every))


def test_bounds_are_of_what_the_single_shots_sense():
    one = hall(2, 7)
    for policy, bound in ((BestSubset(), BestSubsetBound()), (FixedSubset(), FixedSubsetBound())):
        shot, theory = (HallWorld(one, 3, num_receivers=2, max_sensings=5) for _ in range(2))
        shot.run(policy)
        (outcome,) = theory.run(bound)
        assert theory.sensed == []
        assert theory.knows_truth
        assert isinstance(outcome, Bound)
        assert outcome.error_m == pytest.approx(bound_m(one, shot.configs[0], 5))
