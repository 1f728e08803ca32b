"""The analogue half of one board: two receivers, a transmitter, and what they are set to."""

import threading
from typing import Literal

import numpy as np

from drivers.ad936x import (
    RX_FULL_SCALE_DBM,
    SAMPLE_RATE_RANGE_HZ,
    TX_ATTENUATION_RANGE_DB,
    TX_FULL_SCALE_DBM,
)
from drivers.tuning import Range, Tuning
from sim_backend.ether import Ether
from sim_backend.impairments import Impairments
from sim_backend.mpm.timekeeper import Timekeeper
from sim_backend.transceiver import Transceiver

Way = Literal["rx", "tx"]
NUM_CHANNELS = 2
# Gains as clients of this device count them, from the weakest setting on.
RX_GAIN_RANGE_DB: Range = (0.0, 76.0)
TX_GAIN_RANGE_DB: Range = (0.0, -TX_ATTENUATION_RANGE_DB[0])
_CARRIER_RANGE_HZ: dict[Way, Range] = {"rx": (70e6, 6e9), "tx": (47e6, 6e9)}
# As it is after power-on.
_CARRIER_HZ, _RATE_HZ = 2.4e9, 30.72e6
# The synthesizer is left alone if it is nearer than this.
_SAME_CARRIER_HZ = 1.0
_FULL_SCALE = 32768.0


class FrontEnd:
    """One AD936x with two receivers and two transmitters, each way with an oscillator of its own.

    The node's transmitting antenna is at the first transmitter; the second feeds a dummy load. A
    receiver beyond the last element is connected to nothing.

    Attributes
    ----------
    timekeeper
        The device's time.
    rx_lock, tx_lock
        Held while samples are computed, and while settings change.
    """

    def __init__(
        self, ether: Ether, node_index: int, impairments: Impairments, elements: slice, board: int
    ) -> None:
        connected = range(ether.scene.nodes[node_index].array.num_elements)[elements]
        if len(connected) > NUM_CHANNELS:
            msg = f"a board has {NUM_CHANNELS} receivers, got {len(connected)} elements"
            raise ValueError(msg + "; give each of several boards its part of them")

        def part(elements: slice) -> Transceiver:
            return Transceiver(ether, node_index, impairments, elements, board)

        # The same receivers, together and one by one: who listens with one pays for one.
        self._receivers = {(0, 1)[: len(connected)]: part(elements)}
        for channel, element in enumerate(connected):
            self._receivers[channel,] = part(slice(element, element + 1))
        self._transmitter, pulse = part(elements), part(elements)
        hardware = pulse.hardware
        self._has_sent = False
        self._carrier_hz: dict[Way, float] = {"rx": _CARRIER_HZ, "tx": _CARRIER_HZ}
        self._epochs: dict[Way, int] = {"rx": 0, "tx": 0}
        self._gain_db: dict[Way, list[float]] = {"rx": [0.0, 0.0], "tx": [0.0, 0.0]}
        self.rx_lock, self.tx_lock = threading.RLock(), threading.RLock()
        self._newest: tuple[tuple[object, ...], np.ndarray] | None = None

        def pulse_error_fs(number: int) -> int:
            tuning = Tuning(_CARRIER_HZ, _RATE_HZ, 0.0, 0.0)
            pulse.tune(tuning, number, clock_locked=True, pps_locked=True)
            return pulse.clock.zero_fs

        self.timekeeper = Timekeeper(
            lambda: ether.now_fs,
            pulse.clock,
            (hardware.clock_offset, hardware.clock_drift_per_s),
            pulse_error_fs,
            _RATE_HZ,
            is_connected=impairments.shared_reference,
        )
        self._tune("rx")
        self._tune("tx")

    def set_carrier(self, way: Way, carrier_hz: float) -> float:
        """Tune the oscillator of both channels one way; what it is then."""
        applied_hz = _within(carrier_hz, _CARRIER_RANGE_HZ[way])
        with self._lock(way):
            if abs(applied_hz - self._carrier_hz[way]) >= _SAME_CARRIER_HZ:
                self._carrier_hz[way] = applied_hz
                self._tune(way)
            return self._carrier_hz[way]

    def set_rate(self, rate_hz: float) -> float:
        """Set the sample clock, which starts both oscillators anew; what it is then."""
        applied_hz = _within(rate_hz, SAMPLE_RATE_RANGE_HZ)
        with self.rx_lock, self.tx_lock:
            if applied_hz != self.timekeeper.rate_hz:
                self.timekeeper.set_rate(applied_hz)
                self._tune("rx")
                self._tune("tx")
        return applied_hz

    def set_gain(self, way: Way, channel: int, gain_db: float) -> float:
        """Set the gain of a channel, in the chip's steps; what it is then."""
        limits, step = (RX_GAIN_RANGE_DB, 1.0) if way == "rx" else (TX_GAIN_RANGE_DB, 0.25)
        applied_db = round(_within(gain_db, limits) / step) * step
        with self._lock(way):
            self._gain_db[way][channel] = applied_db
        return applied_db

    def received(self, tick: int, count: int, channels: tuple[int, ...]) -> np.ndarray:
        """Samples of some channels from a tick on, int16, shape ``(len(channels), count, 2)``.

        In-phase and quadrature come last. Channels of a block are computed at once, and the
        newest block is kept for who asks for the other.
        """
        with self.rx_lock:
            wanted = (tick, count, channels, self._epochs["rx"], *self._gain_db["rx"])
            if self._newest is None or self._newest[0] != wanted:
                self._newest = wanted, self._receive(tick, count, channels)
            return self._newest[1]

    def send(self, channel: int, samples: np.ndarray, tick: int) -> None:
        """Put samples on air from a tick on; int16, shape ``(N, 2)``.

        What is nothing but zeros is not sent, with the carrier's leakage in it.
        """
        if channel != 0 or not samples.any():
            return
        signal = (samples.astype(np.float32) / np.float32(_FULL_SCALE)).view(np.complex64)[:, 0]
        with self.tx_lock:
            part = self._transmitter
            part.clock = self.timekeeper.clock
            port_dbm = TX_FULL_SCALE_DBM - (TX_GAIN_RANGE_DB[1] - self._gain_db["tx"][0])
            part.emit(signal, tick, len(signal), port_dbm)
            self._has_sent = True

    def silence(self) -> None:
        """End what is on air."""
        with self.tx_lock:
            if self._has_sent:  # else what is on air is that of another board of the node
                self._transmitter.silence()

    def _receive(self, tick: int, count: int, channels: tuple[int, ...]) -> np.ndarray:
        signal = np.zeros((len(channels), count, 2), dtype=np.float32)
        connected = tuple(channel for channel in channels if (channel,) in self._receivers)
        for gain_db in {self._gain_db["rx"][channel] for channel in connected}:
            part = self._receivers[connected]
            part.clock = self.timekeeper.clock
            heard = part.receive(tick, count, RX_FULL_SCALE_DBM - gain_db)
            for column, channel in enumerate(connected):
                if self._gain_db["rx"][channel] == gain_db:
                    np.multiply(
                        heard.view(np.float32).reshape(count, -1, 2)[:, column],
                        np.float32(_FULL_SCALE),
                        out=signal[channels.index(channel)],
                    )
        np.rint(signal, out=signal)
        return np.clip(signal, -_FULL_SCALE, _FULL_SCALE - 1.0, out=signal).astype("<i2")

    def _tune(self, way: Way) -> None:
        """Start an oscillator anew, with a new phase."""
        self._epochs[way] += 1
        tuning = Tuning(self._carrier_hz[way], self.timekeeper.rate_hz, 0.0, 0.0)
        for part in self._receivers.values() if way == "rx" else (self._transmitter,):
            part.tune(tuning, self._epochs[way], clock_locked=False, pps_locked=False)

    def _lock(self, way: Way) -> threading.RLock:
        return self.rx_lock if way == "rx" else self.tx_lock


def _within(value: float, limits: Range) -> float:
    """The nearest value within limits; not a number is none.

    Raises
    ------
    ValueError
    """
    if not isinstance(value, int | float) or np.isnan(value):
        msg = f"a number is needed, got {value!r}"
        raise ValueError(msg)
    return float(min(max(value, limits[0]), limits[1]))
