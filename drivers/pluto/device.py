"""One AD936x board through pyadi-iio and libiio; every call belongs on its vendor thread."""

import errno
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from math import gcd
from typing import Any

import numpy as np

from drivers.geometry import ComplexArray
from drivers.pluto.board import Board
from drivers.pluto.facts import capabilities_of, chosen_channels, info_of
from drivers.pluto.filters import FilterDelays, filter_delays
from drivers.pluto.options import MAX_KERNEL_BUFFERS, PlutoOptions
from drivers.pluto.tdd import Start, TddEngine
from drivers.pluto.vendor_errors import REFUSALS
from drivers.radio import RadioHealth
from drivers.radio_errors import RadioError, TuningError
from drivers.tuning import Tuning

# Samples are 12 bits in 16: at the low end when received, at the high end when sent.
_RX_SHIFT = 4
_RX_FULL_SCALE = 1 << 15
_TX_FULL_SCALE = 2047 << 4
# The DMA moves whole words of its bus, so buffers are multiples of this many samples.
_ALIGNMENT = 4
# Of the converters' cores, through direct_reg_access; a bit is cleared by writing it.
_STATUS_REGISTER = 0x80000088
_RX_OVERFLOW = 1 << 2
_TX_UNDERFLOW = 1 << 0
# Kernel buffers hold this much more than is read, so that a busy host causes no overflow.
_SLACK_S = 0.1
_MIN_KERNEL_BUFFERS = 4
# A buffer that took this much of the timeout to be closed belongs to a device that is frozen:
# libiio says nothing of it.
_FROZEN = 0.9


@dataclass(frozen=True, slots=True)
class Received:
    """One block.

    Attributes
    ----------
    samples
        Shape ``(num_samples, M)``, magnitude 1 is full scale.
    overflow, temperature_c
        Whether samples were lost, and how warm the transceiver is.
    start
        When it began, where the TDD engine started it.
    """

    samples: ComplexArray
    overflow: bool
    temperature_c: float | None
    start: Start | None


class Ad936xDevice:
    """What the driver does with a board (see `drivers.pluto.radio.PlutoRadio`).

    Parameters
    ----------
    uri, options, num_elements
        As of the radio.

    Raises
    ------
    RadioNotFoundError, RadioError
        If there is none, or not such a one.
    OSError
        From libiio, as from every method.
    """

    def __init__(self, uri: str, options: PlutoOptions, num_elements: int) -> None:
        self._uri = uri
        self._timeout_s = self._allowed_s = options.timeout_s
        self._board = board = Board(uri, options.timeout_s)
        self._channels = chosen_channels(options, num_elements, board.num_rx, board.num_tx)
        engine = board.tdd_device if options.tdd == "auto" else None
        self._tdd = TddEngine(engine) if engine else None
        able = capabilities_of(
            uri=uri, attributes=board.context.attrs, channels=self._channels, options=options,
            carrier_range_hz=board.carrier_range_hz, max_bandwidth_hz=board.max_bandwidth_hz,
            has_tdd=engine is not None, has_status=board.has_status,
        )  # fmt: skip
        self.info = info_of(uri, board.context.attrs, board.iio, board.adi, able)
        self.delays: FilterDelays | None = None
        self.gain_is_manual = True
        self._rate_hz: int | None = None
        self._rx_buffer: Any = None
        self._start: Start | None = None
        self._underflow = False
        self._num_overflows = self._num_underflows = 0
        self._cyclic = False
        self._tx_channel = options.tx_channel
        self._kernel_buffers = options.kernel_buffers
        board.prepare(self._channels, options.tx_channel)

    # Tuning

    def tune(self, tuning: Tuning, before: Tuning | None) -> Tuning:
        """Apply a tuning and return what the device says of it; if it refuses, restore the old."""
        self.drop_receive()
        try:
            return self._apply(tuning)
        except OSError as error:
            if error.errno not in REFUSALS:
                raise
            self._rate_hz = None  # unknown
            if before is not None:
                self._apply(before)
            msg = f"{self._uri}: the device refused a part of {tuning} ({error.strerror})"
            raise TuningError(msg) from None

    def _apply(self, tuning: Tuning) -> Tuning:
        """The tuning as it was applied.

        The rate comes first, as pyadi-iio reprograms the filters with it and passes through
        other rates; the gains last, as their table depends on the carrier.
        """
        rate_hz = round(tuning.sample_rate_hz)
        if rate_hz != self._rate_hz:
            self._rate_hz = None  # unknown, should it fail half way
            self._board.adi_board.sample_rate = rate_hz
            self._rate_hz = rate_hz
        self._board.set_bandwidth(tuning.sample_rate_hz)
        self._board.set_carrier(round(tuning.carrier_hz))
        self._board.set_gains(tuning.rx_gain_db, tuning.tx_gain_db, self._tx_channel)
        self.gain_is_manual = self._board.gain_is_manual()
        self.delays = None
        with suppress(OSError):  # not all firmware answers this one
            self.delays = filter_delays(self._board.filter_config())
        return self._board.tuning(self._tx_channel)

    # Reception

    @property
    def awaits_trigger(self) -> bool:
        """Whether blocks wait for the TDD engine, so that a transmission can begin with them."""
        return self._tdd is not None

    def open_receive(self, num_samples: int) -> None:
        """Open a fresh buffer, in which nothing is older than this call."""
        self.drop_receive()
        self._start = None
        if self._tdd is not None:
            self._tdd.arm()
        self._allow(num_samples)
        padded = -(-num_samples // _ALIGNMENT) * _ALIGNMENT
        self._board.rx.set_kernel_buffers_count(self._num_kernel_buffers(padded))
        self._rx_buffer = self._board.iio.Buffer(self._board.rx, padded, False)

    def receive(self, num_samples: int) -> Received:
        """The block for which a buffer is open.

        It is the buffer's second: only while the first is there do all devices surely run, and
        the overflow bit is also set by a core that has nowhere to put its samples. An overflow
        within the first instants of the block, until the bit is cleared, is not seen. What the
        TDD engine starts is the first.
        """
        if self._tdd is None:
            self._rx_buffer.refill()
        elif self._tdd.is_waiting:
            self._start = self._tdd.fire()
        self._status(self._board.rx)  # cleared by reading it
        self._rx_buffer.refill()
        overflow = bool(self._status(self._board.rx) & _RX_OVERFLOW)
        self._num_overflows += overflow
        samples = self._samples(num_samples)
        self.drop_receive()
        return Received(samples, overflow, self._board.temperature_c(), self._start)

    def _samples(self, num_samples: int) -> ComplexArray:
        """Samples of the buffer that was read, shape ``(num_samples, M)``."""
        raw = np.frombuffer(self._rx_buffer.read(), dtype="<i2")
        columns = 2 * len(self._channels)
        if len(raw) < num_samples * columns:
            msg = f"{self.info.serial}: a buffer of {len(raw) // columns} samples came back short"
            raise RadioError(msg, "ask for fewer samples")
        words = raw[: num_samples * columns].reshape(-1, columns)
        # Shifting up and dividing extends the sign of 12 bits, whether the device did or not.
        scaled = (words << _RX_SHIFT).astype(np.float32) / np.float32(_RX_FULL_SCALE)
        return scaled.view(np.complex64)

    def _num_kernel_buffers(self, num_samples: int) -> int:
        """Enough that the device still has one when the block has been read."""
        if self._kernel_buffers is not None:
            return self._kernel_buffers
        wanted = int(_SLACK_S * (self._rate_hz or 0) / num_samples)
        return min(max(wanted, _MIN_KERNEL_BUFFERS), MAX_KERNEL_BUFFERS)

    def drop_receive(self) -> None:
        """Close the receive buffer, if there is one."""
        if self._rx_buffer is not None:
            self._timed(lambda: setattr(self, "_rx_buffer", None))

    # Transmission

    def transmit(self, samples: ComplexArray, *, cyclic: bool) -> Start | None:
        """Send a burst once, or over and over until `end_transmit`."""
        self.end_transmit()
        self._underflow = False
        if self._tdd is not None:
            self._tdd.arm()
        if cyclic:
            padded = np.tile(samples, _ALIGNMENT // gcd(len(samples), _ALIGNMENT))
        else:
            padded = np.pad(samples, (0, -len(samples) % _ALIGNMENT))
            self._allow(len(padded))
        self._status(self._board.tx)  # cleared by reading it
        board = self._board.adi_board
        board.tx_cyclic_buffer = cyclic
        board.tx(np.round(padded * _TX_FULL_SCALE))  # silences the tone generators as well
        self._cyclic = cyclic
        if self._tdd is None:
            return None
        self._start = self._tdd.fire()  # of a block that waits as well
        return self._start

    def underflow(self) -> bool:
        """Whether the device ran out of samples since the burst began.

        A burst that is sent once lies wholly in the device's memory; that its end finds no more
        samples is no underflow.
        """
        if self._cyclic and not self._underflow:
            self._underflow = bool(self._status(self._board.tx) & _TX_UNDERFLOW)
            self._num_underflows += self._underflow
        return self._underflow

    def end_transmit(self) -> None:
        """Close the transmit buffer, if there is one, which ends what it repeats."""
        self.underflow()
        self._cyclic = False
        self._timed(self._board.adi_board.tx_destroy_buffer)

    # The rest

    def health(self) -> RadioHealth:
        """Temperature, and what was lost so far; the device knows of no reference."""
        self.underflow()
        return RadioHealth(
            temperature_c=self._board.temperature_c(),
            num_overflows=self._num_overflows,
            num_underflows=self._num_underflows,
        )

    def release(self) -> None:
        """Close all and let go of the device; whatever does not answer is left behind."""
        self._rx_buffer = None
        with suppress(OSError):
            self._board.adi_board.tx_destroy_buffer()
        if self._tdd is not None:
            with suppress(OSError):
                self._tdd.release()
        self._tdd = None
        self._board.release()

    def _status(self, device: Any) -> int:
        """Bits of a converter core's status register, which are cleared."""
        if not self._board.has_status:
            return 0
        bits = int(device.reg_read(_STATUS_REGISTER))
        if bits:
            device.reg_write(_STATUS_REGISTER, bits)
        return bits

    def _allow(self, num_samples: int) -> None:
        """Let calls take as long as samples do, on top of the timeout.

        Twice that: libiio 0.24 tells the device's daemon half of what it is told.
        """
        wanted_s = self._timeout_s + 2.0 * num_samples / (self._rate_hz or 1)
        if wanted_s > self._allowed_s or wanted_s < 0.5 * self._allowed_s:
            self._board.context.set_timeout(round(1e3 * wanted_s))
            self._allowed_s = wanted_s

    def _timed(self, close: Callable[[], None]) -> None:
        before_s = time.monotonic()
        close()
        if time.monotonic() - before_s >= _FROZEN * self._timeout_s:
            raise OSError(errno.ETIMEDOUT, "closing a buffer")
