"""The analogue half of a simulated radio: clock, oscillators and front end of one node."""

from collections.abc import Sequence

import numpy as np

from drivers.geometry import ComplexArray
from drivers.link_budget import THERMAL_NOISE_DBM_PER_HZ
from drivers.node import Node
from drivers.tuning import Tuning
from sim_backend.ether import Emission, Ether, Window
from sim_backend.frontend import digitized, draw_hardware, radiated
from sim_backend.impairments import Impairments
from sim_backend.oscillator import FS_PER_S, NodeClock, PhaseNoise
from sim_backend.resampling import unit_phasors
from sim_backend.scene import random_stream

_TRANSMIT, _RECEIVE = 0, 1


class Transceiver:
    """One node's hardware as it is tuned now.

    Parameters
    ----------
    ether
        The world.
    node_index
        Which node of the scene.
    impairments
        What it does wrong.
    elements
        Which elements of the node's array it receives with, where several boards share them.
    board
        Its number among those boards, each of which has oscillators of its own.
    unit
        Which piece of hardware it is, whose errors it has; that of the node, if left out.
    """

    def __init__(
        self,
        ether: Ether,
        node_index: int,
        impairments: Impairments,
        elements: slice = slice(None),
        board: int = 0,
        unit: int | None = None,
    ) -> None:
        self.node: Node = ether.scene.nodes[node_index]
        self._ether = ether
        self._index = node_index
        self._impairments = impairments
        self._elements = elements
        # The first board draws as a radio of a single one does.
        self._board = (board,) if board else ()
        self._seed = ether.scene.seed
        drawn = node_index if unit is None else unit
        self.hardware = draw_hardware(self.node, impairments, self._seed, drawn, elements)
        age_s = self._draw("latency", 0).uniform() * impairments.power_on_s
        self.clock = NodeClock(-round(age_s * FS_PER_S), *self._free_running)
        self._epoch = 0
        self._tuning: Tuning | None = None
        self._phase_rad = [0.0, 0.0]
        self._noise: list[PhaseNoise] = []

    def tune(self, tuning: Tuning, epoch: int, *, clock_locked: bool, pps_locked: bool) -> None:
        """Set oscillators and clock; a new epoch has new phases, a new pulse a new time error."""
        self._tuning = tuning
        self._phase_rad = [self._retune_phase(epoch, way) for way in (_TRANSMIT, _RECEIVE)]
        self._noise = [
            PhaseNoise(
                self._impairments.phase_noise_mask, tuning.carrier_hz, tuning.sample_rate_hz,
                self._seed, (self._index, way, self._ether.session, *self._board),
                self._ether.num_noise_blocks,
            )
            for way in (_TRANSMIT, _RECEIVE)
        ]  # fmt: skip
        new_pulse, self._epoch = pps_locked and epoch != self._epoch, epoch
        self.clock = self._clock_from_now(clock_locked=clock_locked, new_pulse=new_pulse)

    def now_tick(self) -> int:
        """Device time now."""
        return self.clock.tick(self._ether.now_fs, self._rate_hz)

    def emit(self, samples: ComplexArray, tick: int, num_samples: int, port_dbm: float) -> None:
        """Send samples from a tick on, over and over until `num_samples` are out.

        Parameters
        ----------
        port_dbm
            Nominal power at the port of magnitude 1.
        """
        clock, tuning = self.clock, self._tuned
        start_fs = clock.true_fs(tick, self._rate_hz)
        step_s = clock.tick_length_s(tick, self._rate_hz)
        at_port = radiated(samples, port_dbm, self.hardware, self._impairments)
        phase_rad, noise = self._phase_rad[_TRANSMIT], self._noise[_TRANSMIT]

        def render(first: int, count: int) -> ComplexArray:
            begin_fs = start_fs + round(first * step_s * FS_PER_S)
            cycles = clock.carrier_cycles(tuning.carrier_hz, tick + first, self._rate_hz, count)
            noise_rad = noise.phase_rad(begin_fs, step_s, count)
            turns = cycles + (phase_rad + noise_rad) / (2.0 * np.pi)
            return _repeated(at_port, first, count) * unit_phasors(turns)

        self._ether.emit(
            Emission(
                self._index, start_fs, step_s, tuning.carrier_hz, num_samples, render,
                self._ether.next_look(),
            )
        )  # fmt: skip

    def receive(self, tick: int, num_samples: int, full_scale_dbm: float) -> ComplexArray:
        """Samples from a tick on, shape ``(num_samples, M)``, complex64."""
        tuning, clock = self._tuned, self.clock
        start_fs = clock.true_fs(tick, self._rate_hz)
        step_s = clock.tick_length_s(tick, self._rate_hz)
        window = Window(start_fs, step_s, num_samples, tuning.carrier_hz)
        heard = self._ether.heard(
            self._index, window, self.hardware.element_delay_s, self._elements
        )
        if heard.any():  # what an oscillator does to silence is not worth its price
            heard *= self.hardware.element_response.astype(np.complex64)
            cycles = clock.carrier_cycles(tuning.carrier_hz, tick, self._rate_hz, num_samples)
            noise_rad = self._noise[_RECEIVE].phase_rad(start_fs, step_s, num_samples)
            turns = cycles + (self._phase_rad[_RECEIVE] + noise_rad) / (2.0 * np.pi)
            heard *= unit_phasors(turns).conj()[:, None]
        heard += self._thermal_noise(tick, heard.shape)
        self._ether.reached(window.end_fs)
        return digitized(heard, full_scale_dbm, self.hardware, self._impairments)

    def silence(self) -> None:
        """End what is being sent."""
        self._ether.silence(self._index)

    def start_latency_ticks(self, count: int) -> int:
        """Ticks between an untimed call and its start; the `count`-th such call."""
        drawn = self._draw("latency", 2, count).uniform() * self._impairments.start_latency_s
        return int(drawn * self._rate_hz)

    @property
    def _tuned(self) -> Tuning:
        if self._tuning is None:
            msg = "the transceiver is not tuned"
            raise RuntimeError(msg)
        return self._tuning

    @property
    def _rate_hz(self) -> float:
        return self._tuned.sample_rate_hz

    @property
    def _free_running(self) -> tuple[float, float]:
        return self.hardware.clock_offset, self.hardware.clock_drift_per_s

    def _clock_from_now(self, *, clock_locked: bool, new_pulse: bool) -> NodeClock:
        """The clock on its reference from now on; its time goes on, or a pulse sets it now."""
        rates = (0.0, 0.0) if clock_locked else self._free_running
        if new_pulse:
            error = self._draw("latency", 1, self._epoch).uniform(-1.0, 1.0)
            zero_fs = round(error * self._impairments.pps_jitter_ns * 1e-9 * FS_PER_S)
            device_s = self._ether.now_fs / FS_PER_S
        else:
            device_s = self.clock.device_s(self._ether.now_fs)
            zero_fs = self.clock.zero_fs - round(float(self.clock.error_s(device_s)) * FS_PER_S)
        gained_s = float(NodeClock(0, *rates).error_s(device_s))
        return NodeClock(zero_fs + round(gained_s * FS_PER_S), *rates)

    def _draw(self, stream: "str", *key: int) -> np.random.Generator:
        key = (self._index, *key, self._ether.session, *self._board)
        return random_stream(self._seed, stream, *key)  # type: ignore[arg-type]

    def _retune_phase(self, epoch: int, way: int) -> float:
        kind = self._impairments.retune_phase
        if kind == "kept":
            return 0.0
        turn = self._draw("retune", epoch, way).uniform()
        return float(2.0 * np.pi * (np.floor(4.0 * turn) / 4.0 if kind == "quadrants" else turn))

    def _thermal_noise(self, tick: int, shape: tuple[int, ...]) -> ComplexArray:
        """Noise at the antenna port; the same for the same tick, however often it is asked for."""
        noise_dbm = THERMAL_NOISE_DBM_PER_HZ + self.hardware.noise_figure_db
        power_mw = 10.0 ** (noise_dbm / 10.0) * self._rate_hz
        rng = self._draw("receiver_noise", abs(tick), int(tick < 0))
        parts = rng.standard_normal((*shape, 2), dtype=np.float32)
        parts *= np.float32(np.sqrt(power_mw / 2.0))
        return parts.view(np.complex64)[..., 0]


def board_transceivers(
    ether: Ether,
    node_index: int,
    impairments: Impairments,
    groups: Sequence[Sequence[int]],
    unit: int | None,
) -> list[Transceiver]:
    """One for each of a node's boards, which have adjacent elements; `unit` as of `SimRadio`."""
    return [
        Transceiver(ether, node_index, impairments, slice(group[0], group[-1] + 1), board, unit)
        for board, group in enumerate(groups)
    ]


def _repeated(samples: ComplexArray, first: int, count: int) -> ComplexArray:
    """Part of samples that are sent over and over."""
    begin = first % len(samples)
    laps = -(-(begin + count) // len(samples))
    return (samples if laps == 1 else np.tile(samples, laps))[begin : begin + count]
