"""What the interlock lets through to the radio behind it, and how it ends what it let through."""

import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import replace
from operator import methodcaller
from pathlib import Path

import numpy as np
import pytest

from drivers.interlock import TransmitBand, TransmitLimits
from drivers.interlocked_radio import InterlockedRadio
from drivers.radio_errors import (
    BurstRefusedError,
    RadioTimeoutError,
    TransmitForbiddenError,
    TuningError,
)
from drivers.tuning import Tuning
from tests.unit.drivers.test_radio import Clock, Told, WatchedClock, let_fail

TUNING = Tuning(5.8e9, 1e6, 0.0, 50.0)
LIMITS = TransmitLimits(
    bands=(TransmitBand(5.7e9, 5.9e9, 10.0),), max_transmission_s=10.0, duty_cycle=0.5,
    duty_window_s=10.0, lease_s=5.0,
)  # fmt: skip
SHORT = replace(LIMITS, lease_s=0.02)
SAMPLES = np.full(1000, 0.5, dtype=np.complex64)  # a millisecond


def interlocked(limits=LIMITS, clock=None) -> tuple[Told, InterlockedRadio]:
    radio = Told()
    guarded = InterlockedRadio(radio, limits, clock or Clock(), lambda: 12.0)
    guarded.configure(TUNING)
    radio.stopped.clear()
    return radio, guarded


@pytest.mark.parametrize(
    "samples",
    [np.full(10, np.nan), np.full(10, 2.0), np.zeros(0), np.zeros((2, 5)), np.full(10, np.inf)],
)
def test_what_is_no_burst_reaches_neither_the_rules_nor_the_radio(samples):
    radio, guarded = interlocked()
    with pytest.raises(BurstRefusedError):
        guarded.transmit(samples.astype(np.complex64))
    assert radio.sent == []


def test_untuned_nothing_is_sent():
    guarded = InterlockedRadio(Told(), LIMITS, Clock(), lambda: 12.0)
    with pytest.raises(TransmitForbiddenError, match="was not tuned"):
        guarded.transmit(SAMPLES)


def test_a_tuning_that_fails_leaves_the_old_one_for_the_rules():
    radio, guarded = interlocked()
    with pytest.raises(TuningError):
        guarded.configure(replace(TUNING, carrier_hz=1e15))
    guarded.transmit(SAMPLES)
    assert radio.sent == [0.0]


def test_the_duty_window_slides():
    clock = Clock()
    radio, guarded = interlocked(clock=clock)
    guarded.transmit(SAMPLES, None, 4.0)
    clock.now_s += 1.0
    with pytest.raises(TransmitForbiddenError, match="duty cycle"):
        guarded.transmit(SAMPLES, None, 2.0)
    clock.now_s += 9.5  # the first one is out of the window
    guarded.transmit(SAMPLES, None, 2.0)
    assert radio.sent == [4.0, 2.0]
    guarded.close()


def test_a_refused_transmission_does_not_count_as_sent():
    _, guarded = interlocked()
    for _ in range(5):
        with pytest.raises(TransmitForbiddenError):
            guarded.transmit(SAMPLES, None, 6.0)
    guarded.transmit(SAMPLES, None, 4.9)
    guarded.close()


@pytest.mark.parametrize(("lease_s", "repeat_s"), [(60.0, 0.05), (0.05, 4.0)])
def test_the_watchdog_ends_a_repetition_at_its_end_and_at_the_lease(lease_s, repeat_s):
    radio, guarded = interlocked(replace(LIMITS, lease_s=lease_s), time.monotonic)
    guarded.transmit(SAMPLES, None, repeat_s)
    assert radio.stopped.wait(10.0)


@pytest.mark.parametrize(
    "ending",
    [methodcaller("configure", TUNING), methodcaller("stop_transmit"), methodcaller("close"),
     methodcaller("__exit__")],
)  # fmt: skip
def test_a_transmission_ends_when_told(ending):
    radio, guarded = interlocked()
    guarded.transmit(SAMPLES, None, 4.0)
    ending(guarded)
    assert radio.stopped.is_set() or radio.closed


@pytest.mark.parametrize(
    ("rule", "limits", "tuning", "repeat_s"),
    [
        ("permit", replace(LIMITS, bands=()), TUNING, 0.0),
        ("band", LIMITS, replace(TUNING, carrier_hz=5.95e9), 0.0),
        # Full scale is 10 dBm at 60 dB of gain, so half of it at 50 dB is -6.02 dBm.
        ("power", replace(LIMITS, attenuation_db=-16.1), TUNING, 0.0),
        ("duration", LIMITS, TUNING, 10.1),
        ("duration", LIMITS, TUNING, float("nan")),
        ("duration", LIMITS, TUNING, float("inf")),
        ("duty cycle", LIMITS, TUNING, 5.1),
        ("hours", replace(LIMITS, hours=(22.0, 6.0)), TUNING, 0.0),
        ("receive damage", replace(LIMITS, cabled=True, attenuation_db=14.9), TUNING, 0.0),
    ],
)
def test_what_a_rule_refuses_never_reaches_the_radio(rule, limits, tuning, repeat_s):
    radio, guarded = interlocked(limits)
    guarded.configure(tuning)
    with pytest.raises(TransmitForbiddenError) as refused:
        guarded.transmit(SAMPLES, None, repeat_s)
    assert refused.value.rule == rule
    assert radio.sent == []


def test_just_inside_every_rule_it_is_sent():
    on_air = replace(LIMITS, attenuation_db=-16.0, hours=(12.0, 13.0))
    cable = replace(LIMITS, cabled=True, bands=(), hours=(1.0, 2.0), attenuation_db=15.0)
    for limits in (on_air, cable):
        radio, guarded = interlocked(limits)
        guarded.transmit(SAMPLES, None, 5.0)
        guarded.close()
        assert radio.sent == [5.0]


def test_the_rules_judge_what_the_radio_applied_not_what_was_asked():
    limits = replace(LIMITS, bands=(TransmitBand(5.7e9, 5.9e9, 0.0),))
    radio, guarded = interlocked(limits)
    radio.configure = lambda tuning: replace(tuning, tx_gain_db=tuning.tx_gain_db + 10.0)
    guarded.configure(TUNING)  # -6 dBm were asked for, 4 dBm it is
    with pytest.raises(TransmitForbiddenError, match="the rule 'power'"):
        guarded.transmit(SAMPLES)
    assert radio.sent == []


@pytest.mark.parametrize(
    "sign",
    [methodcaller("renew"), methodcaller("time_ticks"), methodcaller("transmit_report"),
     methodcaller("health"), methodcaller("arm_receive", 100), methodcaller("fetch"),
     methodcaller("transmit", SAMPLES, None, 4.0)],  # refused: the duty cycle is used up
)  # fmt: skip
def test_every_call_is_a_sign_of_life_and_silence_ends_the_lease(sign):
    clock = WatchedClock()
    radio, guarded = interlocked(SHORT, clock)
    guarded.transmit(SAMPLES, None, 4.0)
    for _ in range(3):
        clock.now_s += 0.015
        with suppress(NotImplementedError, TransmitForbiddenError):
            sign(guarded)
        clock.wait_for_the_watchdog()
        assert not radio.stopped.is_set()
    clock.now_s += 0.021
    assert radio.stopped.wait(10.0)


@pytest.mark.parametrize("repeat_s", [0.0, 4.0])
def test_an_object_that_is_forgotten_closes_its_radio(repeat_s):
    """Where it repeats the watchdog still holds it, for as long as the lease."""
    radio, guarded = interlocked(SHORT, time.monotonic)
    closed = threading.Event()
    radio.close = closed.set
    guarded.transmit(SAMPLES, None, repeat_s)
    del guarded
    assert closed.wait(10.0)
    assert radio.stopped.is_set() == (repeat_s > 0.0)


def test_an_infinite_lease_has_no_watchdog():
    radio, guarded = interlocked(replace(LIMITS, lease_s=float("inf")), time.monotonic)
    guarded.transmit(SAMPLES, None, 0.01)
    assert not radio.stopped.wait(0.2)


def test_a_process_that_ends_closes_its_radio():
    program = (
        "from tests.unit.drivers.test_interlocked_radio import *\n"
        "Told.close = lambda self: print('closed')\n"
        "radio, guarded = interlocked()\n"
        "guarded.transmit(SAMPLES, None, 4.0)\n"
        "raise SystemExit('the caller is gone')\n"
    )
    root = Path(__file__).parents[3]
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=root, capture_output=True, check=False)
    assert done.stdout == b"closed\n", done.stderr


UNANSWERED = RadioTimeoutError("no answer")


def test_a_watchdog_tries_again_where_the_radio_does_not_answer():
    radio, guarded = interlocked(SHORT, time.monotonic)
    let_fail(radio, "stop_transmit", UNANSWERED, UNANSWERED)
    guarded.transmit(SAMPLES, None, 4.0)
    assert radio.stopped.wait(10.0)


def test_a_tuning_that_fails_half_way_leaves_none_for_the_rules():
    radio, guarded = interlocked()
    let_fail(radio, "configure", UNANSWERED)  # the carrier may have moved, or not
    with pytest.raises(RadioTimeoutError):
        guarded.configure(replace(TUNING, carrier_hz=1e9))
    with pytest.raises(TransmitForbiddenError, match="was not tuned"):
        guarded.transmit(SAMPLES)
    assert radio.sent == []


def test_a_transmission_whose_start_goes_unanswered_is_ended_and_counted():
    radio, guarded = interlocked()
    let_fail(radio, "transmit", UNANSWERED)  # it may be on air, or not
    with pytest.raises(RadioTimeoutError):
        guarded.transmit(SAMPLES, None, 4.0)
    assert radio.stopped.is_set()
    with pytest.raises(TransmitForbiddenError, match="duty cycle"):
        guarded.transmit(SAMPLES, None, 4.0)


def test_a_watchdog_does_not_cut_off_the_transmission_after_its_own():
    clock = WatchedClock()
    radio, guarded = interlocked(SHORT, clock)
    guarded.transmit(SAMPLES, None, 0.05)
    clock.wait_for_the_watchdog()
    guarded.transmit(SAMPLES)  # once, in place of the repetition
    clock.now_s += 1.0
    assert not radio.stopped.wait(0.5)


def test_what_is_scheduled_ahead_is_judged_by_when_it_is_on_air():
    clock = Clock()
    _, guarded = interlocked(replace(LIMITS, hours=(12.0, 13.0)), clock)
    guarded.transmit(SAMPLES, 10_500_000, 4.9)  # at 1 MS/s: in 10.5 s, for 4.9 s
    clock.now_s += 10.5
    with pytest.raises(TransmitForbiddenError, match="duty cycle"):
        guarded.transmit(SAMPLES, None, 4.9)
    with pytest.raises(TransmitForbiddenError, match="it is 13:00"):
        guarded.transmit(SAMPLES, 3_600_000_000)  # an hour ahead
    guarded.close()


def test_a_repetition_scheduled_ahead_is_watched_to_its_own_end():
    clock = WatchedClock()
    radio, guarded = interlocked(replace(LIMITS, lease_s=60.0), clock)
    guarded.transmit(SAMPLES, 50_000, 0.05)  # from 50 ms to 100 ms
    clock.now_s += 0.09
    clock.wait_for_the_watchdog()
    assert not radio.stopped.is_set()
    clock.now_s += 0.011
    assert radio.stopped.wait(10.0)


@pytest.mark.parametrize("call", ["stop_transmit", "close"])
def test_an_order_to_stop_that_fails_leaves_the_watchdog_on(call):
    radio, guarded = interlocked(SHORT, time.monotonic)
    guarded.transmit(SAMPLES, None, 4.0)
    let_fail(radio, call, UNANSWERED)
    with pytest.raises(RadioTimeoutError):
        getattr(guarded, call)()
    assert radio.stopped.wait(1.0)


@pytest.mark.parametrize(
    ("failure", "stop_failures"), [(ValueError("a driver's bug"), []), (UNANSWERED, [UNANSWERED])]
)
def test_a_transmission_that_fails_leaves_no_repetition_unwatched(failure, stop_failures):
    radio, guarded = interlocked(SHORT, time.monotonic)
    guarded.transmit(SAMPLES, None, 2.0)
    let_fail(radio, "transmit", failure)
    let_fail(radio, "stop_transmit", *stop_failures)
    with pytest.raises(type(failure)):
        guarded.transmit(SAMPLES)
    assert radio.stopped.wait(1.0)


def test_a_watchdog_survives_a_vendors_own_error():
    radio, guarded = interlocked(SHORT, time.monotonic)
    let_fail(radio, "stop_transmit", OSError("no such device"))
    guarded.transmit(SAMPLES, None, 4.0)
    assert radio.stopped.wait(1.0)
