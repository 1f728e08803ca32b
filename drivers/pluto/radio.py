"""An AD936x board as a radio: the contract of `drivers.radio` over libiio."""

import math
import time
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TypeVar

from drivers.geometry import ComplexArray
from drivers.pluto.device import Ad936xDevice, Received
from drivers.pluto.options import PlutoOptions
from drivers.pluto.tdd import Start
from drivers.pluto.vendor_errors import error_in_use
from drivers.pluto.vendor_thread import VendorThread
from drivers.radio import IqBlock, RadioHealth, RadioInfo, TransmitReport
from drivers.radio_errors import (
    BurstRefusedError,
    RadioClosedError,
    RadioError,
    RadioLostError,
    RadioTimeoutError,
    TuningError,
)
from drivers.tuning import (
    Tuning,
    changes_epoch,
    check_block_size,
    check_samples,
    epoch_of_opening,
)

T = TypeVar("T")

# libiio waits 5 s for a device to describe itself, and looks its name up before.
_OPEN_WAIT_S = 8.0
# A new rate calibrates the chip in many steps; each has the timeout of its own.
_TUNE_WAIT_S = 10.0
# Waited beyond libiio's own timeout, which comes first where libiio keeps it.
_MARGIN = 1.5
# A burst that is sent once has left the device's buffers by then.
_DRAIN_S = 0.1


class PlutoRadio:
    """One AD936x board (`drivers.radio.Radio`).

    The device has no clock that can be read: ticks are the host's monotonic time. A block begins
    at some time after `arm_receive` and carries no tick; only the TDD engine starts sending and
    receiving together, and then their ticks count from that start, at the antenna: the delay of
    the programmable filters is taken out, to the nearest sample.

    Parameters
    ----------
    uri
        Address for libiio.
    options
        From the site file.
    num_elements
        Receive channels that are needed.

    Raises
    ------
    RadioNotFoundError
        If nothing answers, it is no AD936x, or the vendor's libraries are missing.
    RadioError
        If the options ask for what it has not.
    """

    def __init__(self, uri: str, options: PlutoOptions, num_elements: int) -> None:
        self._uri = uri
        self._wait_s = _MARGIN * options.timeout_s
        self._gone: RadioError | None = None
        self._asked: Tuning | None = None
        self._tuning: Tuning | None = None
        self._epoch = epoch_of_opening()
        self._armed: tuple[int, Future[Received] | None] | None = None  # samples, begun
        self._longest_s = 0.0  # that a block or burst of this tuning may keep the device busy
        self._report = TransmitReport()
        self._thread = thread = VendorThread(uri, partial(error_in_use, uri))
        try:
            self._device = device = thread.ask(
                partial(Ad936xDevice, uri, options, num_elements), _OPEN_WAIT_S
            )
        except RadioError:
            thread.end(lambda: None)
            raise
        # Also when the caller forgets the radio, or ends: the device does not go on sending.
        self._let_go = weakref.finalize(self, _let_go, thread, device, self._wait_s)

    @property
    def info(self) -> RadioInfo:
        """Identity and capabilities."""
        return self._device.info

    def configure(self, tuning: Tuning) -> Tuning:
        """Apply a tuning, which ends all transmission; what the device says of it afterwards."""
        self._check_alive()
        self.info.capabilities.check(tuning)
        asked = self._asked
        if asked is not None and self._tuning is not None and not changes_epoch(asked, tuning):
            return self._tuning
        before, self._tuning = self._tuning, None  # unknown, if the device fails half way
        self._armed, self._longest_s = None, 0.0
        self._epoch += 1
        try:
            self._tuning = self._ask(partial(self._tune, tuning, before), _TUNE_WAIT_S)
        except TuningError:
            self._tuning = before
            raise
        self._asked = tuning
        return self._tuning

    def time_ticks(self) -> int:
        """The host's monotonic time."""
        return int(time.monotonic() * self._tuned().sample_rate_hz)

    def transmit(
        self, samples: ComplexArray, at_tick: int | None = None, repeat_s: float = 0.0
    ) -> None:
        """Send a burst; a repeated one ends by itself, late by a block that is being fetched."""
        rate_hz = self._tuned().sample_rate_hz
        check_samples(samples, self.info.capabilities)
        _refuse_tick(at_tick)
        if not 0.0 <= repeat_s < math.inf:
            msg = f"repeat_s must be a finite time, got {repeat_s}"
            raise BurstRefusedError(msg, "say how long the burst is to be repeated")
        self._expect(len(samples))
        start = self._ask(partial(self._send, samples, repeat_s, rate_hz))
        delays = self._device.delays
        if start is None or delays is None:
            self._report = TransmitReport()
        else:
            tick = round(start.at_s * rate_hz) + round(delays.tx_samples)
            self._report = TransmitReport(first_sample_tick=tick, time_std_s=start.std_s)

    def stop_transmit(self) -> None:
        """End a transmission, as soon as a block that is being fetched has come."""
        if not isinstance(self._gone, RadioClosedError):
            self._ask(self._end_transmit)

    def transmit_report(self) -> TransmitReport:
        """What became of the last transmission; of a repeated one, so far."""
        self._tuned()
        underflow = self._ask(self._device.transmission.ran_dry)
        self._report = replace(self._report, underflow=underflow, config_epoch=self._epoch)
        return self._report

    def arm_receive(self, num_samples: int, at_tick: int | None = None) -> None:
        """Begin to receive one block, or with the TDD engine prepare it."""
        rate_hz = self._tuned().sample_rate_hz
        check_block_size(num_samples, self.info.capabilities)
        _refuse_tick(at_tick)
        self._expect(num_samples)
        self._armed = None
        self._ask(partial(self._device.reception.open, num_samples, rate_hz))
        begun = None
        if not self._device.awaits_trigger:
            begun = self._thread.tell(partial(self._device.receive, num_samples))
        self._armed = num_samples, begun

    def fetch(self) -> IqBlock:
        """Wait for the armed block and return it, flagged if the device lost samples of it."""
        tuning = self._tuned()
        if self._armed is None:
            msg = "fetch() without a block that arm_receive() prepared"
            raise RadioError(msg, "call arm_receive() first")
        (num_samples, begun), self._armed = self._armed, None
        received = self._ask(begun or partial(self._device.receive, num_samples))
        able, start, delays = self.info.capabilities, received.start, self._device.delays
        block = IqBlock(
            samples=received.samples,
            first_sample_tick=None,
            tick_rate_hz=tuning.sample_rate_hz,
            tuning=tuning,
            full_scale_dbm=able.rx_full_scale_dbm - tuning.rx_gain_db,
            config_epoch=self._epoch,
            overflow=received.overflow,
            discontinuity=received.overflow,
            gain_is_manual=self._device.gain_is_manual,
            coherent_groups=able.coherent_groups,
            temperature_c=received.temperature_c,
        )
        if start is None or delays is None:
            return block
        tick = round(start.at_s * tuning.sample_rate_hz) - round(delays.rx_samples)
        return replace(block, first_sample_tick=tick, time_std_s=start.std_s)

    def health(self) -> RadioHealth:
        """Temperature and counters."""
        return self._ask(self._device.health)

    def close(self) -> None:
        """Stop transmitting and release the device, or leave it if it does not answer."""
        if not isinstance(self._gone, RadioClosedError):
            self._gone = RadioClosedError(f"{self._uri}: this radio was closed")
            self._let_go()

    def _tune(self, tuning: Tuning, before: Tuning | None) -> Tuning:
        """On the vendor thread: end what goes on, and tune."""
        self._thread.forget_due()
        return self._device.tune(tuning, before)

    def _send(self, samples: ComplexArray, repeat_s: float, rate_hz: float) -> Start | None:
        """On the vendor thread: send, and have it end in time."""
        self._thread.forget_due()
        burst_s = len(samples) / rate_hz
        start = self._device.transmit(samples, rate_hz, cyclic=repeat_s > burst_s)
        self._thread.run_in(max(repeat_s, burst_s + _DRAIN_S), self._device.transmission.end)
        return start

    def _end_transmit(self) -> None:
        """On the vendor thread."""
        self._thread.forget_due()
        self._device.transmission.end()

    def _expect(self, num_samples: int) -> None:
        """Remember that the device may be busy for so many samples."""
        self._longest_s = max(self._longest_s, num_samples / self._tuned().sample_rate_hz)

    def _check_alive(self) -> None:
        if self._gone is not None:
            raise self._gone

    def _tuned(self) -> Tuning:
        self._check_alive()
        if self._tuning is None:
            msg = "the radio has no tuning yet"
            raise RadioError(msg, "call configure() first")
        return self._tuning

    def _ask(self, action: Callable[[], T] | Future[T], wait_s: float | None = None) -> T:
        """What an action returns on the vendor thread; a device that fails it is given up."""
        self._check_alive()
        answer = action if isinstance(action, Future) else self._thread.tell(action)
        try:
            return self._thread.wait(answer, wait_s or self._wait_s + 3.0 * self._longest_s)
        except (RadioLostError, RadioTimeoutError):
            # What libiio says to it from now on may be the answer to an earlier question.
            if self._let_go.detach():
                self._gone = RadioLostError(f"{self._uri}: given up, as it did not answer before")
                self._thread.end(self._device.release)
            raise


def _refuse_tick(at_tick: int | None) -> None:
    if at_tick is not None:
        msg = f"this radio cannot start at a given tick, got at_tick={at_tick}"
        raise BurstRefusedError(msg, "pass at_tick=None")


def _let_go(thread: VendorThread, device: Ad936xDevice, wait_s: float) -> None:
    with suppress(RadioError):
        thread.wait(thread.end(device.release), wait_s)
