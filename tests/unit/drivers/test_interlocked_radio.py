"""What the interlock lets through to the radio behind it, and how it ends what it let through."""

import threading
from dataclasses import replace

import numpy as np
import pytest

from drivers.interlock import TransmitBand, TransmitLimits
from drivers.interlocked_radio import InterlockedRadio
from drivers.radio import RadioHealth, RadioInfo, TransmitReport
from drivers.radio_errors import BurstRefusedError, TransmitForbiddenError, TuningError
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
