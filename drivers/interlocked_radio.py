"""A radio behind the transmit interlock: judged before it sends, ended when its caller is gone."""

import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Self

from drivers.geometry import ComplexArray
from drivers.interlock import TransmitLimits, check_transmission, describe_transmission
from drivers.radio import IqBlock, Radio, RadioHealth, RadioInfo, TransmitReport
from drivers.radio_errors import RadioError, TransmitForbiddenError
from drivers.tuning import Tuning, check_samples


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
        self._tuning = self._radio.configure(tuning)
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
        now_s = self._monotonic_s()
        while self._sent and self._sent[0][0] < now_s - self._limits.duty_window_s:
            self._sent.popleft()
        on_air_s = sum(duration_s for _, duration_s in self._sent)
        check_transmission(planned, self._limits, on_air_s, self._local_hour())
        self._radio.transmit(samples, at_tick, repeat_s)
        self._sent.append((now_s, planned.duration_s))
        if repeat_s > 0.0:
            self._watch(now_s + repeat_s)

    def stop_transmit(self) -> None:
        """End a transmission at once."""
        self._ended.set()
        self._radio.stop_transmit()

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
        self._ended.set()
        self._radio.close()

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
            if left_s <= 0.0:
                self._radio.stop_transmit()
                return
            ended.wait(left_s)
