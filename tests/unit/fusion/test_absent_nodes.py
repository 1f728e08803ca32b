"""The controller with nodes that leave and come back."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.candidates import FAILURES_IN_A_ROW, SENSINGS_OUT, Candidates
from fusion.controller import Controller
from fusion.sensing import SensingConfig, TooFewNodesError
from tests.unit.fusion.halls import Hall, make_node, random_hall, random_nodes, run

KINDS = list(
    itertools.product(
        ["expected_error", "field_of_view", "random"], [1, 2, 3], ["accumulate", "latest"]
    )
)
NUM_NODES = 8
IDS = [f"n{n:02d}" for n in range(NUM_NODES)]

# One in which some sensings miss, so that searches go on, and one in which none does.
WEAK = random_hall(9, random_nodes(9, NUM_NODES), rcs_m2=0.3)
STRONG = random_hall(3, random_nodes(3, NUM_NODES), rcs_m2=10.0)


def begun(kind, seed: int = 0, hall: Hall = WEAK, **fields) -> Controller:
    initialization, num_receivers, fusion = kind
    if fusion == "latest":
        fields = {"stopping": "repeat", "selection": "point"} | fields
    return hall.controller(
        seed, initialization=initialization, num_receivers=num_receivers, fusion=fusion, **fields
    )


def nodes_of(config: SensingConfig) -> set[str]:
    return {config.tx_id, *config.rx_ids}


absentees = st.sets(st.sampled_from(IDS), max_size=NUM_NODES - 2)


@given(
    kind=st.sampled_from(KINDS), seed=st.integers(0, 3),
    steps=st.lists(st.tuples(absentees, absentees, st.booleans()), min_size=1, max_size=4),
)  # fmt: skip
@settings(max_examples=60)
def test_no_plan_uses_an_absent_node(kind, seed, steps):
    """Whether it went before the plan, after it, or while the sensing was under way."""
    controller = begun(kind, seed)
    for index, (before, meanwhile, heard) in enumerate(steps):
        controller.set_absent(before)
        if (config := controller.next_config()) is None:
            return
        present = NUM_NODES - len(before)
        assert not nodes_of(config) & before
        assert len(nodes_of(config)) == 1 + min(kind[1], present - 1)
        controller.set_absent(meanwhile)
        controller.update(WEAK.sense(config, index) if heard else [])
        if (config := controller.next_config()) is not None:
            assert not nodes_of(config) & meanwhile


@given(kind=st.sampled_from(KINDS), seed=st.integers(0, 3), between=st.lists(absentees, max_size=3))
@settings(max_examples=30)
def test_a_plan_follows_from_who_is_absent_now_not_from_who_was_in_between(kind, seed, between):
    """So the run that is replayed from its reports takes the same course."""
    plain, moved = begun(kind, seed), begun(kind, seed)
    for index in range(3):
        for absent in between:
            moved.set_absent(absent)
            moved.next_config()
        for controller in (plain, moved):
            controller.set_absent({"n01"} if index else set())
        config = plain.next_config()
        assert config == moved.next_config()
        if config is None:
            return
        for absent in between:
            moved.set_absent(absent)
        moved.set_absent(plain.absent)
        reports = WEAK.sense(config, index)
        first, second = plain.update(reports), moved.update(reports)
        np.testing.assert_array_equal(first.position_m, second.position_m)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind[0] != "random"])
def test_a_run_without_a_node_is_the_run_of_the_others(kind):
    """Random starts are drawn among all nodes, and so are others."""
    others = Hall(WEAK.nodes[:-1], WEAK.target_m, WEAK.seed, WEAK.rcs_m2)
    controller = begun(kind)
    controller.set_absent({IDS[-1]})
    configs, estimates = run(WEAK, controller)
    expected, references = run(others, begun(kind, hall=others))
    assert configs == expected
    for own, reference in zip(estimates, references, strict=True):
        np.testing.assert_array_equal(own.position_m, reference.position_m)
        assert own.status == reference.status


@pytest.mark.parametrize("kind", KINDS)
def test_saying_that_nobody_is_absent_changes_nothing(kind):
    controller, configs = begun(kind), []
    while (config := controller.next_config()) is not None:
        controller.set_absent(())
        controller.update(WEAK.sense(config, len(configs)))
        configs.append(config)
    expected, estimates = run(WEAK, begun(kind))
    assert configs == expected
    np.testing.assert_array_equal(controller.estimate.position_m, estimates[-1].position_m)


# Regression: what was planned before nodes could be absent, transmitter and receivers.
PLANNED = {
    ("expected_error", 1, "accumulate"): "64 72 30 16 61",
    ("expected_error", 1, "latest"): "64 72 64 70 64",
    ("expected_error", 2, "accumulate"): "640 721 612 716 146",
    ("expected_error", 2, "latest"): "640 721 612",
    ("expected_error", 3, "accumulate"): "6402 6173 7126 1246 1246",
    ("expected_error", 3, "latest"): "6402 6173 6012",
    ("field_of_view", 1, "accumulate"): "64 70 72 16 61",
    ("field_of_view", 1, "latest"): "64 70 64 70 64",
    ("field_of_view", 2, "accumulate"): "704 162 716 716 612",
    ("field_of_view", 2, "latest"): "704 162 612",
    ("field_of_view", 3, "accumulate"): "7014 6473 6124 7126 1246",
    ("field_of_view", 3, "latest"): "7014 6473 6012",
    ("random", 1, "accumulate"): "24 64 61 76 76",
    ("random", 1, "latest"): "24 64 61",
    ("random", 2, "accumulate"): "243 642 601 726 146",
    ("random", 2, "latest"): "243 642 612",
    ("random", 3, "accumulate"): "2436 6401 7126 1246 6124",
    ("random", 3, "latest"): "2436 6401 6012",
}


@pytest.mark.parametrize("kind", KINDS)
def test_without_absent_nodes_plans_are_what_they_were(kind):
    configs, _ = run(WEAK, begun(kind, tolerance_m=1e-9, max_sensings=5))
    found = " ".join("".join(n[2] for n in (c.tx_id, *c.rx_ids)) for c in configs)
    assert found == PLANNED[kind]


def test_what_was_heard_before_stays():
    controller = STRONG.controller(0, tolerance_m=1e-9)
    for index in range(3):
        config = controller.next_config()
        controller.update(STRONG.sense(config, index))
    before = controller.estimate
    controller.set_absent(nodes_of(config))
    config = controller.next_config()
    after = controller.update(STRONG.sense(config, 3))
    assert after.probability > 0.999
    assert after.peb_m < before.peb_m


def test_a_node_that_comes_back_is_planned_with_at_once():
    controller = WEAK.controller(0)
    best = controller.next_config()
    controller.set_absent({best.tx_id})
    assert best.tx_id not in nodes_of(controller.next_config())
    controller.set_absent(())
    assert controller.next_config() == best


@pytest.mark.parametrize("kind", KINDS)
def test_with_few_nodes_it_plans_with_the_receivers_that_there_are(kind):
    controller = begun(kind, max_sensings=4)
    controller.set_absent(IDS[2:])
    for index in range(4):
        if (config := controller.next_config()) is None:
            assert controller.estimate.status == "converged"
            return
        assert nodes_of(config) == set(IDS[:2])
        controller.update(WEAK.sense(config, index))
    assert controller.next_config() is None


@pytest.mark.parametrize("kind", KINDS)
def test_one_node_is_too_few_until_another_comes_back(kind):
    controller, absent = begun(kind, tolerance_m=1e-9), IDS[1:]
    config = controller.next_config()
    controller.set_absent(absent)
    with pytest.raises(TooFewNodesError, match=r"present: \['n00'\], absent: \['n01', .*'n07'\]"):
        controller.next_config()
    # A sensing that was under way counts.
    controller.update(WEAK.sense(config, 0))
    assert controller.num_sensings == 1
    with pytest.raises(TooFewNodesError, match="n01"):
        controller.next_config()
    controller.set_absent(absent[1:])
    assert nodes_of(controller.next_config()) == {"n00", "n01"}


def test_a_target_that_is_found_stays_found_without_nodes():
    """Another sensing would be worth it, but can be promised by nobody."""
    fields = {"tolerance_m": 50.0, "min_probability": 0.5}
    statuses = []
    for absent in ((), IDS):
        controller = STRONG.controller(0, **fields)
        reports = STRONG.sense(controller.next_config(), 0)
        controller.set_absent(absent)
        statuses.append(controller.update(reports).status)
        assert controller.estimate.radius_95_m < 50.0
    assert statuses == ["searching", "converged"]
    assert controller.next_config() is None


def test_an_unknown_node_cannot_be_absent():
    with pytest.raises(ValueError, match=r"no nodes \['m1'\] to be absent; there are \['n00'"):
        WEAK.controller(0).set_absent({"n01", "m1"})


@pytest.mark.parametrize("kind", KINDS)
def test_a_sensing_in_which_nothing_was_heard_counts_and_changes_nothing_else(kind):
    controller = begun(kind, max_sensings=6, tolerance_m=1e-6)
    for index in range(6):
        config, before = controller.next_config(), controller.estimate
        if config is None:
            return
        silent = index in (0, 2, 3)
        after = controller.update([] if silent else WEAK.sense(config, index))
        assert controller.num_sensings == index + 1
        if silent:
            np.testing.assert_array_equal(after.position_m, before.position_m)
            np.testing.assert_array_equal(after.covariance_m2, before.covariance_m2)
            assert after.probability == before.probability
            assert after.status == "searching"


def sensed_with(controller: Controller, hall: Hall, broken, num_sensings: int) -> list:
    """Configurations, with all links of the nodes that are broken at a sensing failing."""
    candidates = Candidates([node.node_id for node in hall.nodes])
    configs = []
    while len(configs) < num_sensings and (config := controller.next_config()) is not None:
        reports = [
            report for report in hall.sense(config, len(configs))
            if not broken(len(configs)) & {report.tx_id, report.rx_id}
        ]  # fmt: skip
        candidates.update(config, set(config.rx_ids) - {report.rx_id for report in reports})
        controller.set_absent(candidates.absent())
        controller.update(reports)
        configs.append(config)
    return configs


@pytest.mark.parametrize("num_receivers", [1, 2, 3])
@pytest.mark.parametrize("seed", range(3))
def test_a_node_whose_links_always_fail_is_avoided_and_the_run_converges(seed, num_receivers):
    hall = random_hall(seed, random_nodes(seed, 16), rcs_m2=10.0)
    fields = {"num_receivers": num_receivers, "tolerance_m": 0.3, "max_sensings": 25}
    wanted = [config.tx_id for config in run(hall, hall.controller(seed, **fields))[0]]
    broken = max(wanted, key=wanted.count)
    controller = hall.controller(seed, **fields)
    configs = sensed_with(controller, hall, lambda _: {broken}, 25)
    assert controller.estimate.status == "converged"
    assert hall.error_m(controller.estimate) < 1.0
    used = [index for index, config in enumerate(configs) if broken in nodes_of(config)]
    assert used
    for index in used[FAILURES_IN_A_ROW - 1 :]:
        assert not {*range(index + 1, index + 1 + SENSINGS_OUT)} & set(used)


def test_a_node_that_heals_is_used_again():
    """Four nodes, of which one stands so well that it is always wanted."""
    nodes = [
        make_node("near", (95.0, 80.0), 1.2, 8), make_node("a", (10.0, 10.0), 0.8, 8),
        make_node("b", (190.0, 15.0), 2.2, 8), make_node("c", (15.0, 190.0), -0.8, 8),
    ]  # fmt: skip
    hall = Hall(nodes, np.array([100.0, 100.0]), 1, rcs_m2=30.0)
    controller = hall.controller(1, tolerance_m=1e-4, max_sensings=40)
    configs = sensed_with(controller, hall, lambda index: {"near"} if index < 12 else set(), 40)
    used = ["near" in nodes_of(config) for config in configs]
    assert sum(used[:12]) <= FAILURES_IN_A_ROW + 2
    assert sum(used[12 + SENSINGS_OUT :]) > 15


@pytest.mark.parametrize("fusion", ["accumulate", "latest"])
def test_two_nodes_of_which_one_fails_end_unresolved(fusion):
    nodes = [make_node("a", (50.0, 100.0), 0.2, 8), make_node("b", (100.0, 40.0), 1.8, 8)]
    hall = Hall(nodes, np.array([100.0, 100.0]), 1, rcs_m2=10.0)
    controller = begun(("expected_error", 1, fusion), hall=hall, max_sensings=12)
    assert len(sensed_with(controller, hall, lambda _: {"b"}, 20)) == 12
    assert controller.estimate.status == "unresolved"
    assert controller.estimate.probability == 0.0
