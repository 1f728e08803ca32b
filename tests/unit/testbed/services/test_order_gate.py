"""Leases and orders at an agent: one coordinator, each order once, none late."""

from hypothesis import given
from hypothesis import strategies as st

from testbed.bus.order_messages import LeaseAsked, StopBurst
from testbed.services.order_gate import OrderGate

TTL_S = 2.0
# Of the agent's host: hours from anybody else's.
NOW_S = 4.0e4


def asked(lease: str = "one", ttl_s: float = TTL_S) -> LeaseAsked:
    return LeaseAsked(
        request_id=1, lease=lease, coordinator=f"coordinator {lease}", ttl_s=ttl_s, site_hash="s"
    )


def order(serial: int, until_s: float = NOW_S + 1.0, lease: str = "one") -> StopBurst:
    return StopBurst(
        request_id=1, lease=lease, serial=serial, until_s=until_s, session=1, node_id="a"
    )


def held(lease: str = "one") -> OrderGate:
    gate = OrderGate()
    assert gate.grants(asked(lease), NOW_S)
    return gate


def kind(gate: OrderGate, given_order: StopBurst, now_s: float = NOW_S) -> str | None:
    problem = gate.problem_of(given_order, now_s)
    return None if problem is None else problem[0]


def test_nobody_orders_without_a_lease():
    gate = OrderGate()
    assert gate.holder(NOW_S) is None
    assert gate.problem_of(order(0), NOW_S) == (
        "without lease", "an order needs the lease; nobody holds it"
    )  # fmt: skip


def test_its_holder_orders_and_another_one_does_not():
    gate = held()
    assert gate.holder(NOW_S) == "coordinator one"
    assert not gate.grants(asked("two"), NOW_S)
    assert kind(gate, order(0)) is None
    assert gate.problem_of(order(1, lease="two"), NOW_S) == (
        "without lease", "an order needs the lease; it belongs to coordinator one"
    )  # fmt: skip


def test_a_lease_lasts_while_it_is_asked_for():
    gate = held()
    for step in range(1, 10):
        now_s = NOW_S + step * 0.9 * TTL_S
        assert gate.grants(asked(), now_s)
        assert not gate.grants(asked("two"), now_s)
    assert not gate.ended(now_s)


def test_a_silent_holder_loses_it_and_may_take_it_up_again():
    gate = held()
    assert kind(gate, order(0, NOW_S + 9.0), NOW_S + TTL_S) is None
    late_s = NOW_S + TTL_S + 1e-6
    assert kind(gate, order(1, late_s + 1.0), late_s) == "without lease"
    assert gate.grants(asked(), late_s)
    assert kind(gate, order(2, late_s + 1.0), late_s) is None


def test_what_was_done_before_a_lease_ran_out_is_not_done_again():
    gate = held()
    assert kind(gate, order(5)) is None
    later_s = NOW_S + TTL_S + 0.1
    assert gate.holder(later_s) is None
    assert gate.grants(asked(), later_s)
    assert kind(gate, order(5, later_s + 1.0), later_s) == "replayed"


def test_another_one_gets_a_lease_that_ran_out_and_counts_anew():
    gate = held()
    assert kind(gate, order(7)) is None
    later_s = NOW_S + TTL_S + 0.1
    assert gate.grants(asked("two"), later_s)
    assert gate.holder(later_s) == "coordinator two"
    assert kind(gate, order(0, later_s + 1.0, "two"), later_s) is None
    assert kind(gate, order(8, later_s + 1.0), later_s) == "without lease"


def test_a_lease_is_returned_by_its_holder_alone():
    gate = held()
    gate.returned("two", NOW_S)
    assert gate.holder(NOW_S) == "coordinator one"
    gate.returned("one", NOW_S)
    assert gate.holder(NOW_S) is None
    assert gate.grants(asked("two"), NOW_S)


def test_replayed_and_older_orders_are_refused():
    gate = held()
    assert [kind(gate, order(n)) for n in (3, 3, 2, 0, 4, 3)] == [
        None, "replayed", "replayed", "replayed", None, "replayed"
    ]  # fmt: skip


def test_an_order_is_late_when_its_time_on_this_host_s_clock_is_over():
    gate = held()
    assert kind(gate, order(0, until_s=NOW_S)) is None
    assert gate.problem_of(order(1, until_s=NOW_S - 0.5), NOW_S) == (
        "late", "the order came 0.50 s after its time was over"
    )  # fmt: skip
    assert kind(gate, order(2, until_s=float("nan"))) == "late"
    assert kind(gate, order(2)) == "replayed"  # a late one counts as seen


def test_what_queued_up_while_the_host_was_stopped_is_late():
    """After a stop the lease is taken up by a message as old as the orders behind it."""
    gate = held()
    resumed_s = NOW_S + 30.0
    assert gate.grants(asked(), resumed_s)
    assert kind(gate, order(0, until_s=NOW_S + 2.0), resumed_s) == "late"


def test_an_end_is_told_once():
    gate = OrderGate()
    assert not gate.ended(NOW_S)
    assert gate.grants(asked(), NOW_S)
    assert not gate.ended(NOW_S + TTL_S)
    over_s = NOW_S + TTL_S + 0.1
    assert [gate.ended(over_s), gate.ended(over_s)] == [True, False]
    assert gate.grants(asked("two"), over_s)
    gate.returned("two", over_s)
    gate.returned("two", over_s)
    assert [gate.ended(over_s), gate.ended(over_s)] == [True, False]


def test_an_end_is_told_even_if_another_one_was_quicker():
    gate = held()
    over_s = NOW_S + TTL_S + 0.1
    assert gate.grants(asked("two"), over_s)
    assert [gate.ended(over_s), gate.ended(over_s)] == [True, False]
    assert gate.holder(over_s) == "coordinator two"


@given(st.lists(st.tuples(st.integers(0, 20), st.floats(0.0, 4.0)), max_size=40))
def test_whatever_comes_each_serial_is_done_once_and_in_order(coming):
    gate = OrderGate()
    done, now_s = [], NOW_S
    for serial, pause_s in coming:
        now_s += pause_s
        gate.grants(asked(), now_s)
        if kind(gate, order(serial, now_s + 1.0), now_s) is None:
            done.append(serial)
    assert done == sorted(set(done))
