"""What the interlock lets through to the radio behind it, and how it ends what it let through."""

import subprocess
import sys
import threading
from dataclasses import replace

import numpy as np
import pytest

from drivers.interlock import TransmitBand, TransmitLimits
from drivers.interlocked_radio import InterlockedRadio
from drivers.radio import RadioHealth, RadioInfo, TransmitReport
from drivers.radio_errors import (
    BurstRefusedError,
    RadioTimeoutError,
    TransmitForbiddenError,
    TuningError,
)
from drivers.tuning import Tuning
from tests.unit.drivers.test_grids import ANY

TUNING = Tuning(5.8e9, 1e6, 0.0, 50.0)
LIMITS = TransmitLimits(
    bands=(TransmitBand(5.7e9, 5.9e9, 10.0),), max_transmission_s=10.0, duty_cycle=0.5,
    duty_window_s=10.0, lease_s=5.0,
)  # fmt: skip
SAMPLES = np.full(1000, 0.5, dtype=np.complex64)  # a millisecond


class Told:
    """A radio that remembers what it was told."""

    info = RadioInfo("told", "1", "test", ANY)

    def __init__(self) -> None:
        self.sent: list[float] = []
        self.stopped = threading.Event()
        self.closed = 0

    def configure(self, tuning):
        ANY.check(tuning)
        return tuning

    def time_ticks(self):
        return 0

    def transmit(self, samples, at_tick=None, repeat_s=0.0):
        self.stopped.clear()
        self.sent.append(repeat_s)

    def stop_transmit(self):
        self.stopped.set()

    def transmit_report(self):
        return TransmitReport()

    def arm_receive(self, num_samples, at_tick=None):
        pass

    def fetch(self):
        raise NotImplementedError

    def health(self):
        return RadioHealth()

    def close(self):
        self.closed += 1


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


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


def test_the_watchdog_ends_a_repetition_at_its_end_and_at_the_lease():
    for limits, repeat_s in (
        (replace(LIMITS, lease_s=60.0), 0.05),
        (replace(LIMITS, lease_s=0.05), 4.0),
    ):
        radio = Told()
        guarded = InterlockedRadio(radio, limits, local_hour=lambda: 12.0)
        guarded.configure(TUNING)
        radio.stopped.clear()
        guarded.transmit(SAMPLES, None, repeat_s)
        assert radio.stopped.wait(10.0)
        guarded.close()


def test_a_sign_of_life_renews_the_lease():
    clock = Clock()
    radio, guarded = interlocked(replace(LIMITS, lease_s=3.0), clock)
    guarded.transmit(SAMPLES, None, 4.9)
    clock.now_s += 2.9
    guarded.renew()
    clock.now_s += 2.9 - 1.0
    assert not radio.stopped.is_set()
    guarded.stop_transmit()
    assert radio.stopped.is_set()


@pytest.mark.parametrize("way", ["configure", "stop", "close", "with"])
def test_a_transmission_ends_when_told(way):
    radio, guarded = interlocked()
    guarded.transmit(SAMPLES, None, 4.0)
    if way == "configure":
        guarded.configure(TUNING)
    elif way == "stop":
        guarded.stop_transmit()
    elif way == "close":
        guarded.close()
    else:
        with guarded:
            pass
    assert radio.stopped.is_set() or radio.closed


def test_an_object_that_is_forgotten_closes_its_radio():
    radio, guarded = interlocked()
    guarded.transmit(SAMPLES)
    del guarded
    assert radio.closed == 1


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
    radio = Told()
    guarded = InterlockedRadio(radio, limits, Clock(), lambda: 12.0)
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
        with guarded:
            guarded.transmit(SAMPLES, None, 5.0)
        assert radio.sent == [5.0]


def test_the_rules_judge_what_the_radio_applied_not_what_was_asked():
    class Louder(Told):
        def configure(self, tuning):
            return replace(tuning, tx_gain_db=tuning.tx_gain_db + 10.0)

    radio = Louder()
    limits = replace(LIMITS, bands=(TransmitBand(5.7e9, 5.9e9, 0.0),))
    guarded = InterlockedRadio(radio, limits, Clock(), lambda: 12.0)
    guarded.configure(TUNING)  # -6 dBm were asked for, 4 dBm it is
    with pytest.raises(TransmitForbiddenError, match="the rule 'power'"):
        guarded.transmit(SAMPLES)
    assert radio.sent == []


class WatchedClock(Clock):
    """A clock that knows how often the watchdog looked at it."""

    def __init__(self) -> None:
        super().__init__()
        self._looks = 0
        self._looked = threading.Condition()

    def __call__(self) -> float:
        if threading.current_thread().name == "transmit-watchdog":
            with self._looked:
                self._looks += 1
                self._looked.notify_all()
        return super().__call__()

    def wait_for_the_watchdog(self) -> None:
        """Until it has looked anew, and once more after it acted on that."""
        with self._looked:
            enough = self._looks + 2
            assert self._looked.wait_for(lambda: self._looks >= enough, 10.0)


@pytest.mark.parametrize(
    "sign", ["renew", "time_ticks", "transmit_report", "health", "arm_receive", "fetch", "refused"]
)
def test_every_call_is_a_sign_of_life_and_silence_ends_the_lease(sign):
    clock = WatchedClock()
    radio, guarded = interlocked(replace(LIMITS, lease_s=0.05), clock)
    guarded.transmit(SAMPLES, None, 4.0)
    for _ in range(3):
        clock.now_s += 0.04
        if sign == "arm_receive":
            guarded.arm_receive(100)
        elif sign == "fetch":
            with pytest.raises(NotImplementedError):
                guarded.fetch()
        elif sign == "refused":
            with pytest.raises(TransmitForbiddenError):
                guarded.transmit(SAMPLES, None, 4.0)
        else:
            getattr(guarded, sign)()
        clock.wait_for_the_watchdog()
        assert not radio.stopped.is_set()
    clock.now_s += 0.051
    assert radio.stopped.wait(10.0)


def test_a_forgotten_repetition_ends_with_its_lease_and_closes_the_radio():
    class Closing(Told):
        def __init__(self) -> None:
            super().__init__()
            self.gone = threading.Event()

        def close(self):
            self.gone.set()

    radio = Closing()
    guarded = InterlockedRadio(radio, replace(LIMITS, lease_s=0.05), local_hour=lambda: 12.0)
    guarded.configure(TUNING)
    radio.stopped.clear()
    guarded.transmit(SAMPLES, None, 4.0)
    del guarded  # the watchdog still holds it, for as long as the lease
    assert radio.stopped.wait(10.0)
    assert radio.gone.wait(10.0)


def test_a_process_that_ends_closes_its_radio():
    program = (
        "from tests.unit.drivers.test_interlocked_radio import *\n"
        "Told.close = lambda self: print('closed')\n"
        "radio, guarded = interlocked()\n"
        "guarded.transmit(SAMPLES, None, 4.0)\n"
        "raise SystemExit('the caller is gone')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.stdout == "closed\n", done.stderr


NO_ANSWER = RadioTimeoutError("the device does not answer")


def test_a_watchdog_tries_again_where_the_radio_does_not_answer():
    class Stubborn(Told):
        failures = 0

        def stop_transmit(self):
            if self.failures:
                self.failures -= 1
                raise NO_ANSWER
            super().stop_transmit()

    radio = Stubborn()
    guarded = InterlockedRadio(radio, replace(LIMITS, lease_s=0.02), local_hour=lambda: 12.0)
    guarded.configure(TUNING)
    radio.stopped.clear()
    radio.failures = 2
    guarded.transmit(SAMPLES, None, 4.0)
    assert radio.stopped.wait(2.0)


def test_a_tuning_that_fails_half_way_leaves_none_for_the_rules():
    class Unsure(Told):
        def configure(self, tuning):
            if tuning != TUNING:
                raise NO_ANSWER  # the carrier may have moved, or not
            return tuning

    guarded = InterlockedRadio(Unsure(), LIMITS, Clock(), lambda: 12.0)
    guarded.configure(TUNING)
    with pytest.raises(RadioTimeoutError):
        guarded.configure(replace(TUNING, carrier_hz=1e9))
    with pytest.raises(TransmitForbiddenError):
        guarded.transmit(SAMPLES)


def test_a_transmission_that_fails_after_it_began_is_ended():
    class Unsure(Told):
        def transmit(self, samples, at_tick=None, repeat_s=0.0):
            super().transmit(samples, at_tick, repeat_s)
            raise NO_ANSWER

    radio = Unsure()
    guarded = InterlockedRadio(radio, LIMITS, Clock(), lambda: 12.0)
    guarded.configure(TUNING)
    with pytest.raises(RadioTimeoutError):
        guarded.transmit(SAMPLES, None, 4.0)
    assert radio.stopped.is_set()


def test_a_watchdog_does_not_cut_off_the_transmission_after_its_own():
    clock = WatchedClock()
    radio, guarded = interlocked(replace(LIMITS, lease_s=0.05), clock)
    guarded.transmit(SAMPLES, None, 0.05)
    clock.wait_for_the_watchdog()
    guarded.transmit(SAMPLES)  # once, in place of the repetition
    clock.now_s += 1.0
    assert not radio.stopped.wait(0.5)


def test_what_is_scheduled_ahead_counts_when_it_is_on_air():
    clock = Clock()
    _, guarded = interlocked(clock=clock)
    guarded.transmit(SAMPLES, 10_500_000, 4.9)  # at 1 MS/s: in 10.5 s, for 4.9 s
    clock.now_s += 10.5
    with pytest.raises(TransmitForbiddenError, match="duty cycle"):
        guarded.transmit(SAMPLES, None, 4.9)
    guarded.close()
