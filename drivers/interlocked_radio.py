"""A radio behind the transmit interlock: judged before it sends, ended when its caller is gone."""

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Self

import numpy as np

from drivers.geometry import ComplexArray
from drivers.interlock import TransmitLimits, check_transmission, describe_transmission
from drivers.radio import IqBlock, Radio, RadioHealth, RadioInfo, TransmitReport
from drivers.radio_errors import RadioError, TransmitForbiddenError, TuningError
from drivers.tuning import Tuning, check_samples

_RETRY_S = 0.1


def _local_hour() -> float:
    now = datetime.now().astimezone()
    return now.hour + now.minute / 60.0 + now.second / 3600.0


def _close_quietly(radio: Radio) -> None:
    with suppress(RadioError):
        radio.close()


class InterlockedRadio:
    """A radio whose transmissions the host's limits rule (`drivers.radio.Radio`).

    Every transmission is judged before the radio sees it. While one repeats, a watchdog ends it
    at its end, when the caller was silent for the lease, or when the radio is closed; leaving
    the ``with`` block and losing the object close the radio.

    Parameters
    ----------
    monotonic_s, local_hour
        Clocks: seconds for duty cycle and lease, time of day for the hours.
    """

    def __init__(
        self,
        radio: Radio,
        limits: TransmitLimits,
        monotonic_s: Callable[[], float] = time.monotonic,
        local_hour: Callable[[], float] = _local_hour,
    ) -> None:
        self._radio = radio
        self._limits = limits
        self._monotonic_s = monotonic_s
        self._local_hour = local_hour
        self._tuning: Tuning | None = None
        self._sent: deque[tuple[float, float]] = deque()  # when (s), and for how long (s)
        self._seen_s = monotonic_s()
        self._watchdog: threading.Thread | None = None
        self._ended = threading.Event()
        # Also when the caller forgets the object, or ends: the radio does not go on sending.
        weakref.finalize(self, _close_quietly, radio)

    @property
    def info(self) -> RadioInfo:
        """Of the radio behind."""
        return self._radio.info

    def renew(self) -> None:
        """Say that the caller is still there; every other call does so as well."""
        self._seen_s = self._monotonic_s()

    def configure(self, tuning: Tuning) -> Tuning:
        """As of the radio behind; a transmission under the old tuning ends first."""
        self.renew()
        self.stop_transmit()
        before, self._tuning = self._tuning, None  # unknown, if the radio fails half way
        try:
            self._tuning = self._radio.configure(tuning)
        except TuningError:
            self._tuning = before  # refused: by the contract the old one stays
            raise
        return self._tuning

    def time_ticks(self) -> int:
        """As of the radio behind."""
        self.renew()
        return self._radio.time_ticks()

    def transmit(
        self, samples: ComplexArray, at_tick: int | None = None, repeat_s: float = 0.0
    ) -> None:
        """Send, if the host's limits allow it; see `Radio.transmit`."""
        self.renew()
        if self._tuning is None:
            msg = "the radio was not tuned through the interlock, so its band is unknown"
            raise TransmitForbiddenError("band", msg, "configure it first")
        # Before the rules: nothing that has no power, or is no number, may be judged harmless.
        check_samples(samples, self._radio.info.capabilities)
        planned = describe_transmission(
            samples, self._tuning, self._radio.info.capabilities, repeat_s
        )
        ahead_s = 0.0
        if at_tick is not None:
            ahead_s = (at_tick - self._radio.time_ticks()) / self._tuning.sample_rate_hz
        on_air_at_s = self._monotonic_s() + max(ahead_s, 0.0)
        hour = (self._local_hour() + max(ahead_s, 0.0) / 3600.0) % 24.0
        check_transmission(planned, self._limits, self._on_air_s(), hour)
        self._sent.append((on_air_at_s, planned.duration_s))  # even if the radio then fails
        try:
            self._radio.transmit(samples, at_tick, repeat_s)
        except RadioError:
            with suppress(RadioError):
                self._radio.stop_transmit()  # it may have begun
            raise
        self._ended.set()  # a watchdog of the one before must not end this one
        if repeat_s > 0.0 and np.isfinite(self._limits.lease_s):
            self._watch(on_air_at_s + repeat_s)

    def _on_air_s(self) -> float:
        """Seconds on air within the duty window, what is scheduled included."""
        oldest_s = self._monotonic_s() - self._limits.duty_window_s
        self._sent = deque(entry for entry in self._sent if entry[0] >= oldest_s)
        return sum(duration_s for _, duration_s in self._sent)

    def stop_transmit(self) -> None:
        """End a transmission at once."""
        self._radio.stop_transmit()
        self._ended.set()  # not before: a stop that fails leaves the watchdog on

    def transmit_report(self) -> TransmitReport:
        """As of the radio behind."""
        self.renew()
        return self._radio.transmit_report()

    def arm_receive(self, num_samples: int, at_tick: int | None = None) -> None:
        """As of the radio behind."""
        self.renew()
        self._radio.arm_receive(num_samples, at_tick)

    def fetch(self) -> IqBlock:
        """As of the radio behind."""
        self.renew()
        return self._radio.fetch()

    def health(self) -> RadioHealth:
        """As of the radio behind."""
        self.renew()
        return self._radio.health()

    def close(self) -> None:
        """Stop transmitting and release the radio."""
        self._radio.close()
        self._ended.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _watch(self, end_s: float) -> None:
        self._ended.set()  # of a watchdog before this one
        self._ended = threading.Event()
        self._watchdog = threading.Thread(
            target=self._end_in_time, args=(end_s, self._ended), name="transmit-watchdog",
            daemon=True,
        )  # fmt: skip
        self._watchdog.start()

    def _end_in_time(self, end_s: float, ended: threading.Event) -> None:
        while not ended.is_set():
            left_s = min(end_s, self._seen_s + self._limits.lease_s) - self._monotonic_s()
            if left_s > 0.0:
                ended.wait(left_s)
                continue
            try:
                self._radio.stop_transmit()
            except Exception:  # noqa: BLE001  a vendor's own error must not end the watch either
                ended.wait(_RETRY_S)  # until it is told, or somebody else has ended it
            else:
                return
