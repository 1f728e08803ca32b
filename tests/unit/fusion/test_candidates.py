"""Who sits out for failing links: against the rules written out by hand, and for any history."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.candidates import FAILURES_IN_A_ROW, SENSINGS_OUT, Candidates
from fusion.sensing import SensingConfig

NODES = ["a", "b", "c", "d", "e", "f"]


def after(*sensings, node_ids=NODES) -> Candidates:
    """Candidates after sensings written as transmitter, receivers, and which of them failed."""
    candidates = Candidates(node_ids)
    for tx_id, rx_ids, failed in sensings:
        candidates.update(SensingConfig(tx_id, tuple(rx_ids)), set(failed))
    return candidates


def test_the_third_failure_in_a_row_takes_both_nodes_of_a_link_out():
    assert after(*2 * [("a", "b", "b")]).absent() == set()
    assert after(*3 * [("a", "b", "b")]).absent() == {"a", "b"}


def test_a_good_capture_acquits_both_nodes():
    bad, good = ("a", "b", "b"), ("b", "a", "")
    assert after(bad, bad, good, bad, bad).absent() == set()
    assert after(bad, bad, good, bad, bad, bad).absent() == {"a", "b"}


def test_a_receiver_that_fails_beside_a_good_one_fails_alone():
    assert after(*3 * [("a", "bc", "c")]).absent() == {"c"}


def test_where_several_receivers_fail_together_the_transmitter_is_blamed():
    assert after(*3 * [("a", "bc", "bc")]).absent() == {"a"}
    # Once a sensing, however many receivers it had.
    assert after(*2 * [("a", "bcde", "bcde")]).absent() == set()


def test_a_node_comes_back_after_its_sensings_and_one_failure_is_enough_then():
    others = ("d", "e", "")
    history = [("a", "bc", "c")] * FAILURES_IN_A_ROW
    for _ in range(SENSINGS_OUT):
        assert after(*history).absent() == {"c"}
        history.append(others)
    assert after(*history).absent() == set()
    again = [*history, ("a", "bc", "c")]
    for _ in range(SENSINGS_OUT):
        assert after(*again).absent() == {"c"}
        again.append(others)
    assert after(*again).absent() == set()
    healed = [*history, ("a", "bc", ""), ("a", "bc", "c"), ("a", "bc", "c")]
    assert after(*healed).absent() == set()


def test_two_nodes_stay_whatever_they_do():
    assert after(*20 * [("a", "b", "b")], node_ids=["a", "b"]).absent() == set()


def test_those_with_the_fewest_failures_stay():
    """a and c fail together, then b and c: c is worse than a."""
    candidates = after(*3 * [("a", "c", "c")], node_ids=["c", "a", "b"])
    assert candidates.absent() == {"a"}  # as bad as c, which comes first
    candidates.update(SensingConfig("b", ("c",)), {"c"})
    assert candidates.absent() == {"c"}


def test_nodes_that_are_gone_are_absent_until_they_are_back():
    candidates = after(*3 * [("a", "bc", "c")])
    assert candidates.absent(["d"]) == {"c", "d"}
    assert candidates.absent() == {"c"}
    # Two of those that are there stay.
    assert candidates.absent(["a", "b", "d", "e"]) == {"a", "b", "d", "e"}
    assert candidates.absent(NODES) == set(NODES)


@pytest.mark.parametrize(
    ("config", "failed", "gone"),
    [("ab", "b", "a"), ("ab", "b", "b"), ("abc", "bc", "a"), ("abc", "bc", "bc")],
)
def test_what_fails_because_a_node_is_gone_speaks_against_nobody(config, failed, gone):
    candidates, (tx_id, *rx_ids) = Candidates(NODES), config
    for _ in range(5):
        candidates.update(SensingConfig(tx_id, tuple(rx_ids)), set(failed), set(gone))
        assert candidates.absent() == set()


def test_one_receiver_that_is_there_and_fails_is_a_link_that_fails():
    candidates = Candidates(NODES)
    for _ in range(3):
        candidates.update(SensingConfig("a", ("b", "c")), {"b", "c"}, {"c"})
    assert candidates.absent() == {"a", "b"}


@st.composite
def histories(draw):
    """Sites of 2 to 6 nodes, and sensings among them: configuration, who failed, who is gone."""
    nodes = NODES[: draw(st.integers(2, 6))]
    sensings = []
    for _ in range(draw(st.integers(0, 25))):
        tx_id, *rx_ids = draw(st.permutations(nodes))
        rx_ids = rx_ids[: draw(st.integers(1, len(nodes) - 1))]
        failed = draw(st.sets(st.sampled_from(rx_ids)))
        gone = draw(st.sets(st.sampled_from(nodes)))
        sensings.append((SensingConfig(tx_id, tuple(rx_ids)), failed, gone))
    return nodes, sensings


@given(history=histories())
def test_whatever_happens_two_of_those_that_are_there_stay(history):
    nodes, sensings = history
    candidates = Candidates(nodes)
    for config, failed, gone in sensings:
        candidates.update(config, failed, gone)
        for missing in (gone, set()):
            absent = candidates.absent(missing)
            assert missing <= absent <= set(nodes)
            assert len(set(nodes) - absent) >= min(2, len(set(nodes) - missing))
        if len(failed) < len(config.rx_ids):  # heard, so it works
            assert config.tx_id not in candidates.absent()


@given(history=histories())
def test_nobody_is_out_who_has_not_failed_lately(history):
    nodes, sensings = history
    candidates, last = Candidates(nodes), {}
    for index, (config, failed, gone) in enumerate(sensings):
        candidates.update(config, failed, gone)
        for node_id in (config.tx_id, *failed) if failed else ():
            last[node_id] = index
        for node_id in candidates.absent():
            assert index - last[node_id] < SENSINGS_OUT
