"""One AD936x on the ether: what it is set to, and what it receives and sends with that."""

from dataclasses import replace

import numpy as np

from drivers.ad936x import RX_FULL_SCALE_DBM, TX_FULL_SCALE_DBM, rx_gain_range_db
from drivers.geometry import ComplexArray
from drivers.tuning import Tuning
from sim_backend.ether import Ether
from sim_backend.iiod.fir import Fir
from sim_backend.impairments import Impairments
from sim_backend.oscillator import FS_PER_S, NodeClock
from sim_backend.transceiver import Transceiver

# Samples of 12 bits, right-justified.
CONVERTER_SCALE = 2048.0
# Automatic gain: the level it aims at, how far off it may be, and its largest step, slow and fast.
_TARGET_DBFS = -12.0
_HYSTERESIS_DB = 2.0
_LARGEST_STEP_DB = {"slow_attack": 6.0, "fast_attack": 80.0, "hybrid": 6.0}
_LOOK_SAMPLES = 1024
_SILENCE_DBFS = -150.0


class Chip:
    """One transceiver chip with its two synthesizers.

    Sending and receiving are two `Transceiver` of the same hardware, because each has an
    oscillator of its own. A filter's group delay moves the instants at which samples meet the
    antenna, so it is put into the clocks of the two.

    Parameters
    ----------
    first_element, num_channels
        Which elements of the node's array its receivers are connected to; a receiver beyond the
        last element is connected to nothing.
    board
        Its number among the chips of one node.

    Attributes
    ----------
    num_channels
        Receivers, and transmitters; the node's transmitting antenna is at the first one.
    """

    def __init__(
        self,
        ether: Ether,
        node_index: int,
        impairments: Impairments,
        first_element: int,
        num_channels: int,
        board: int,
    ) -> None:
        elements = slice(first_element, first_element + num_channels)
        size = len(range(ether.scene.nodes[node_index].array.num_elements)[elements])
        self.num_channels = num_channels
        self._num_connected = size
        self.receiver = Transceiver(ether, node_index, impairments, elements, board)
        self.transmitter = Transceiver(ether, node_index, impairments, elements, board)
        self._epochs = [0, 0]
        self.rx_lo_hz = 2.4e9
        self.tx_lo_hz = 2.45e9
        self.rate_hz = 30.72e6
        self.rx_gain_db = [71.0] * num_channels
        self.gain_mode = ["slow_attack"] * num_channels
        self.attenuation_db = [10.0] * num_channels
        self.loaded_firs = Fir(), Fir()
        self.fir_on = False
        self.rx_lo_down = self.tx_lo_down = False
        self.state = "fdd"

    @property
    def is_receiving(self) -> bool:
        """Whether its receivers are on."""
        return self.state.startswith(("fdd", "pinctrl")) and not self.rx_lo_down

    @property
    def is_sending(self) -> bool:
        """Whether its transmitters are on."""
        return self.state.startswith(("fdd", "pinctrl")) and not self.tx_lo_down

    @property
    def tx_full_scale_dbm(self) -> float:
        """Power of the first transmitter at magnitude 1."""
        return TX_FULL_SCALE_DBM - self.attenuation_db[0]

    def tune_receiver(self, clock: NodeClock, sampling_rate_hz: float) -> None:
        """Start the receiving oscillator anew."""
        self._tune(self.receiver, 0, self.rx_lo_hz, sampling_rate_hz)
        self.receiver.clock = _late(clock, -self._filter_delay_s(0))
        low, high = rx_gain_range_db(self.rx_lo_hz)
        self.rx_gain_db = [min(max(gain, low), high) for gain in self.rx_gain_db]

    def tune_transmitter(self, clock: NodeClock, sampling_rate_hz: float) -> None:
        """Start the transmitting oscillator anew."""
        self._tune(self.transmitter, 1, self.tx_lo_hz, sampling_rate_hz)
        self.transmitter.clock = _late(clock, self._filter_delay_s(1))

    def received(self, tick: int, count: int) -> np.ndarray:
        """What its converters give from a tick on, int16, shape ``(count, 2 num_channels)``.

        In-phase and quadrature of one channel after the other. Automatic gains move afterwards.
        """
        samples = np.zeros((count, self.num_channels), dtype=np.complex64)
        if self.is_receiving and self._num_connected:
            self._receive_into(samples, tick, count)
            self._control_gains(samples)
        parts = np.rint(samples.view(np.float32) * np.float32(CONVERTER_SCALE))
        np.clip(parts, -CONVERTER_SCALE, CONVERTER_SCALE - 1.0, out=parts)
        return parts.astype(np.int16)

    def look(self, tick: int) -> list[float]:
        """Power at the antenna of each receiver just before a tick, in dBm; gains follow."""
        samples = np.zeros((_LOOK_SAMPLES, self.num_channels), dtype=np.complex64)
        if self.is_receiving and self._num_connected:
            self._receive_into(samples, tick - _LOOK_SAMPLES, _LOOK_SAMPLES)
        levels_dbm = [
            _level_dbfs(channel) + RX_FULL_SCALE_DBM - gain_db
            for channel, gain_db in zip(samples.T, self.rx_gain_db, strict=True)
        ]
        self._control_gains(samples)
        return levels_dbm

    def _receive_into(self, samples: ComplexArray, tick: int, count: int) -> None:
        connected = self.rx_gain_db[: self._num_connected]
        for gain_db in set(connected):
            heard = self.receiver.receive(tick, count, RX_FULL_SCALE_DBM - gain_db)
            columns = [n for n, gain in enumerate(connected) if gain == gain_db]
            samples[:, columns] = heard[:, columns]

    def _control_gains(self, samples: ComplexArray) -> None:
        low, high = rx_gain_range_db(self.rx_lo_hz)
        for channel, mode in enumerate(self.gain_mode):
            if mode == "manual":
                continue
            missing_db = _TARGET_DBFS - _level_dbfs(samples[:, channel])
            if abs(missing_db) > _HYSTERESIS_DB:
                largest_db = _LARGEST_STEP_DB[mode]
                gain_db = self.rx_gain_db[channel]
                gain_db += round(min(max(missing_db, -largest_db), largest_db))
                self.rx_gain_db[channel] = min(max(gain_db, low), high)

    def _filter_delay_s(self, way: int) -> float:
        return self.loaded_firs[way].delay_s(self.rate_hz) if self.fir_on else 0.0

    def _tune(self, part: Transceiver, way: int, carrier_hz: float, rate_hz: float) -> None:
        self._epochs[way] += 1
        tuning = Tuning(carrier_hz, rate_hz, rx_gain_db=0.0, tx_gain_db=0.0)
        part.tune(tuning, self._epochs[way], clock_locked=False, pps_locked=False)


def _late(clock: NodeClock, delay_s: float) -> NodeClock:
    """A clock whose ticks come later."""
    return replace(clock, zero_fs=clock.zero_fs + round(delay_s * FS_PER_S))


def _level_dbfs(samples: ComplexArray) -> float:
    power = float(np.mean(samples.real**2 + samples.imag**2))
    return 10.0 * float(np.log10(power)) if power > 0.0 else _SILENCE_DBFS
