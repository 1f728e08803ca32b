"""The tick at which a burst starts, from device times as they were read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from testbed.services.common_time import ClockReading, start_tick

RATE_HZ = 1e6
LEAD_S = 0.01
NOW_S = 1000.0


def tick_of(readings: dict[str, ClockReading], now_s: float = NOW_S) -> tuple[int, dict[str, str]]:
    faults: dict[str, str] = {}
    return start_tick(readings, now_s, RATE_HZ, LEAD_S, faults), faults


def following(true_tick: int, asked_s: float, answered_s: float) -> ClockReading:
    """A radio that reads its time, right now `true_tick`, in the middle between two instants."""
    read_s = (asked_s + answered_s) / 2.0
    tick = true_tick - round((NOW_S - read_s) * RATE_HZ)
    return ClockReading(tick, asked_s, answered_s, follows_host=True)


def virtual(tick: int) -> ClockReading:
    return ClockReading(tick, NOW_S - 5.0, NOW_S - 4.0, follows_host=False)


def test_virtual_time_stands_still_so_only_the_lead_is_added():
    assert tick_of({"a": virtual(100), "b": virtual(700), "c": virtual(400)}) == (10_700, {})


def test_nobody_who_could_be_asked_gives_the_lead():
    assert tick_of({}) == (10_000, {})


def test_time_that_follows_the_host_goes_on_until_now():
    reading = ClockReading(5_000, NOW_S - 0.5, NOW_S - 0.5, follows_host=True)
    assert tick_of({"a": reading}) == (5_000 + 500_000 + 10_000, {})


def test_the_slowest_answer_is_added_twice():
    quick = following(9_000_000, NOW_S - 0.002, NOW_S - 0.001)
    slow = following(9_000_000, NOW_S - 0.102, NOW_S - 0.002)
    tick, faults = tick_of({"a": quick, "b": slow})
    assert faults == {}
    # Up to half of the slow answer's time the radio may be ahead of what was read.
    assert tick == pytest.approx(9_000_000 + 50_000 + (LEAD_S + 2 * 0.1) * RATE_HZ, abs=2)


@given(
    st.lists(
        st.tuples(st.floats(0.0, 0.2), st.floats(0.0, 0.2), st.floats(0.0, 1.0)),
        min_size=1, max_size=8,
    )
)  # fmt: skip
def test_whenever_the_time_was_read_in_between_the_start_lies_ahead_by_the_lead(answers):
    """Truth is the same tick everywhere; read at a random instant of each question."""
    now_tick = 123_456_789
    readings = {}
    for number, (before_s, took_s, share) in enumerate(answers):
        answered_s = NOW_S - before_s
        asked_s = answered_s - took_s
        read_s = asked_s + share * took_s
        tick = round(now_tick - (NOW_S - read_s) * RATE_HZ)
        readings[f"n{number}"] = ClockReading(tick, asked_s, answered_s, follows_host=True)
    tick, faults = tick_of(readings)
    slowest_s = max(r.answered_s - r.asked_s for r in readings.values())
    assert faults == {}
    assert tick >= now_tick + (LEAD_S + 2.0 * slowest_s) * RATE_HZ - 2
    assert tick <= now_tick + (LEAD_S + 3.0 * slowest_s) * RATE_HZ + 2


@pytest.mark.parametrize("off_s", [1.0, -1.0])
@pytest.mark.parametrize("follows_host", [True, False])
def test_a_radio_that_was_set_at_another_pulse_is_left_out_and_named(off_s, follows_host):
    now_tick, readings = 50_000_000, {}
    for name in "abcd":
        here = now_tick + (round(off_s * RATE_HZ) if name == "c" else 0)
        reading = following(here, NOW_S - 0.02, NOW_S - 0.01)
        readings[name] = reading if follows_host else virtual(here)
    tick, faults = tick_of(readings)
    assert list(faults) == ["c"]
    assert faults["c"].startswith(f"its device time is {off_s:+.3f} s off")
    assert "restart its agent" in faults["c"]
    slowest_s = 0.01 if follows_host else 0.0
    most = now_tick + 0.005 * RATE_HZ + (LEAD_S + 2.0 * slowest_s) * RATE_HZ + 2
    assert tick <= most


def test_of_two_nodes_that_disagree_nobody_knows_who_is_right():
    _, faults = tick_of({"a": virtual(0), "b": virtual(1_000_000)})
    assert set(faults) == {"a", "b"}
    assert "-1.000 s" in faults["a"]
    assert "+1.000 s" in faults["b"]


def test_a_slow_answer_is_no_other_second():
    """Its radio was read at some instant of 1.4 s; that may be half of it away from the others."""
    slow = ClockReading(9_000_000, NOW_S - 1.4, NOW_S, follows_host=True)
    quick = following(9_000_000 + 10_000, NOW_S - 0.01, NOW_S)
    assert tick_of({"a": slow, "b": quick, "c": quick})[1] == {}


def test_ticks_of_a_clock_set_to_the_time_of_day_stay_integers():
    now_tick = 1_800_000_000 * 61_440_000
    reading = ClockReading(now_tick, NOW_S, NOW_S, follows_host=False)
    faults: dict[str, str] = {}
    tick = start_tick({"a": reading, "b": reading}, NOW_S, 61.44e6, LEAD_S, faults)
    assert faults == {}
    assert tick - now_tick == 614_400
