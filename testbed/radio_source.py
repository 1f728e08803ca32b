"""Captures through radios: one burst, armed, sent, fetched and demodulated."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Literal, Protocol

import numpy as np

from drivers.burst import SoundingBurst
from drivers.capture import Capture, missing_capture
from drivers.grids import check_burst
from drivers.link_budget import direct_path_gain
from drivers.node import Node
from drivers.radio import IqBlock, Radio, TransmitReport
from drivers.radio_errors import BurstRefusedError, RadioError, TuningError
from drivers.sounding import Sounding
from drivers.tuning import Capabilities, Tuning, transmit_power_dbm
from drivers.waveform import OfdmGrid
from processing.demodulate import capture_of

Phase = Literal["sensing", "background"]
BlockListener = Callable[[Phase, int, str, IqBlock, Sounding], None]

# A burst is scheduled this far ahead: time for every radio to be told.
_LEAD_S = 10e-3
# Above the strongest direct path: peaks of the burst, and echoes that add to it.
_HEADROOM_DB = 15.0
# Radios without common time repeat the burst for this long, so that every block holds one.
_REPEAT_S = 0.05
# And an untimed start happens within this time of its call.
_SETTLE_S = 5e-3
# What a synthesizer must be moved by to lock anew.
_AWAY_HZ = 1e6


class World(Protocol):
    """A simulated world's own state, which no radio knows; see `sim_backend.ether.Ether`."""

    look: int | None


class RadioSource:
    """Captures of real or simulated radios (`drivers.capture.CaptureSource`).

    A radio that fails costs its own captures only: they come back without pilots and say why.

    Parameters
    ----------
    nodes
        As surveyed.
    radios
        One of each node, by node id.
    burst
        What is sent to sense.
    origin
        See `drivers.capture.CaptureSource`.
    calibration_burst
        What is sent to learn backgrounds: the same symbols, but another number of them.
    fresh_tuning
        Whether radios are tuned away and back before each burst that a background is learned
        from, so that nothing of one tuning's own state is learned with it.
    world
        Told which sensing comes next, where the world is simulated.
    listener
        Shown every received block.
    wait_s
        Lets that many seconds pass, of the time that the radios live in.

    Raises
    ------
    RadioError
        If a radio cannot send or receive the burst, or cannot be tuned to it.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        radios: Mapping[str, Radio],
        burst: SoundingBurst,
        origin: str,
        *,
        calibration_burst: SoundingBurst | None = None,
        fresh_tuning: bool = False,
        world: World | None = None,
        listener: BlockListener | None = None,
        wait_s: Callable[[float], None] = time.sleep,
    ) -> None:
        self._nodes = {node.node_id: node for node in nodes}
        self._radios = dict(radios)
        self._burst = burst
        self._calibration_burst = calibration_burst or burst
        self._fresh_tuning = fresh_tuning
        self._samples = {b: b.samples() for b in {burst, self._calibration_burst}}
        self._origin = origin
        self._world = world
        self.listener = listener
        self._wait_s = wait_s
        for node_id, radio in self._radios.items():
            try:
                check_burst(burst, radio.info.capabilities)
                check_burst(self._calibration_burst, radio.info.capabilities)
            except BurstRefusedError as refusal:
                msg = f"node {node_id!r}: {refusal}"
                raise BurstRefusedError(msg, "change the site's waveform") from refusal
        self._tunings = {node_id: self._configure(node_id) for node_id in self._radios}

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as surveyed."""
        return tuple(self._nodes.values())

    @property
    def grid(self) -> OfdmGrid:
        """The waveform in use."""
        return self._burst.grid

    @property
    def origin(self) -> str:
        """What the captures are of."""
        return self._origin

    def sense(self, tx_id: str, rx_ids: Sequence[str], sensing_index: int) -> tuple[Capture, ...]:
        """Send one burst and return what each receiver heard."""
        if self._world is not None:
            self._world.look = sensing_index
        return self._sound(tx_id, rx_ids, self._burst, "sensing", sensing_index)

    def sense_background(
        self, tx_id: str, rx_ids: Sequence[str], capture_index: int, *, brief: bool = False
    ) -> tuple[Capture, ...]:
        """The same, of a hall without target: simulated so, or believed to be so."""
        if self._world is not None:
            self._world.look = None
        if self._fresh_tuning and not brief:
            for node_id in (tx_id, *rx_ids):
                self._retune(node_id)
        burst = self._burst if brief else self._calibration_burst
        return self._sound(tx_id, rx_ids, burst, "background", capture_index)

    def close(self) -> None:
        """Stop and release all radios."""
        for radio in self._radios.values():
            radio.close()

    def _configure(self, node_id: str) -> Tuning:
        node, radio = self._nodes[node_id], self._radios[node_id]
        able = radio.info.capabilities
        if able.num_rx_channels < node.array.num_elements:
            msg = (
                f"node {node_id!r}: its array has {node.array.num_elements} elements, its radio "
                f"{able.num_rx_channels} receive channels"
            )
            raise TuningError(msg, "change the site's array or radio")
        tuning = Tuning(
            carrier_hz=self._burst.local_oscillator_hz,
            sample_rate_hz=self._burst.sample_rate_hz,
            rx_gain_db=self._rx_gain_db(node, able),
            tx_gain_db=tx_gain_db(node, able, self._burst),
            clock_source="external" if able.external_clock else "internal",
            time_source="pps" if able.pps else "none",
        )
        return radio.configure(tuning)

    def _retune(self, node_id: str) -> None:
        """Tune a radio away and back; one that fails says so when it is used."""
        tuning = self._tunings[node_id]
        away = replace(tuning, carrier_hz=tuning.carrier_hz + _AWAY_HZ)
        with suppress(RadioError):
            self._radios[node_id].configure(away)
            self._radios[node_id].configure(tuning)

    def _rx_gain_db(self, node: Node, able: Capabilities) -> float:
        """Gain that keeps the strongest direct path, with headroom, below full scale."""
        wavelength_m = self._burst.grid.wavelength_m
        strongest_dbm = max(
            other.tx_power_dbm
            + 20.0 * np.log10(max(direct_path_gain(other, node, wavelength_m), 1e-12))
            for other in self._nodes.values()
            if other is not node
        )
        wanted_db = able.rx_full_scale_dbm - (strongest_dbm + _HEADROOM_DB)
        low, high = able.rx_gain_range_db
        return float(min(max(wanted_db, low), high))

    def _sound(
        self, tx_id: str, rx_ids: Sequence[str], burst: SoundingBurst, phase: Phase, index: int
    ) -> tuple[Capture, ...]:
        faults: dict[str, str] = {}
        start_tick = self._start_tick((tx_id, *rx_ids), faults)
        listening = [rx_id for rx_id in rx_ids if rx_id not in faults]
        # Receivers first, so that nothing is sent that nobody is ready for; but where no time is
        # common the burst repeats while they listen.
        if start_tick is not None:
            self._arm(listening, burst, start_tick, faults)
        report = self._transmit(tx_id, burst, start_tick, faults)
        if start_tick is None:
            self._wait_s(_SETTLE_S)
            self._arm(listening, burst, None, faults)
        captures = []
        for rx_id in rx_ids:
            if tx_id in faults or report is None:
                fault = f"transmitter {tx_id}: {faults[tx_id]}"
                captures.append(missing_capture(tx_id, rx_id, self.grid, fault))
            elif rx_id in faults:
                captures.append(missing_capture(tx_id, rx_id, self.grid, faults[rx_id]))
            else:
                sounding = self._sounding(tx_id, burst, start_tick, report)
                captures.append(self._fetch(rx_id, sounding, phase, index))
        if start_tick is None and tx_id not in faults:
            self._radios[tx_id].stop_transmit()
        return tuple(captures)

    def _start_tick(self, node_ids: Sequence[str], faults: dict[str, str]) -> int | None:
        """Common tick ahead of all radios' time; ``None`` where one of them has no timed bursts."""
        able = [self._radios[node_id].info.capabilities for node_id in node_ids]
        if not all(radio.timed_bursts and radio.pps for radio in able):
            return None
        now: list[int] = []
        for node_id in node_ids:
            try:
                now.append(self._radios[node_id].time_ticks())
            except RadioError as error:
                faults[node_id] = str(error)
        return max(now, default=0) + int(_LEAD_S * self._burst.sample_rate_hz)

    def _arm(
        self,
        rx_ids: Sequence[str],
        burst: SoundingBurst,
        start_tick: int | None,
        faults: dict[str, str],
    ) -> None:
        num_samples = burst.num_samples + burst.prefix_length
        if start_tick is None:  # anywhere in the block, so it must hold two of them
            num_samples = 2 * burst.num_samples + burst.prefix_length
        for rx_id in rx_ids:
            able = self._radios[rx_id].info.capabilities
            try:
                self._radios[rx_id].arm_receive(
                    min(num_samples, able.max_receive_samples), start_tick
                )
            except RadioError as error:
                faults[rx_id] = str(error)

    def _transmit(
        self, tx_id: str, burst: SoundingBurst, start_tick: int | None, faults: dict[str, str]
    ) -> TransmitReport | None:
        if tx_id in faults:
            return None
        repeat_s = 0.0 if start_tick is not None else _REPEAT_S
        try:
            self._radios[tx_id].transmit(self._samples[burst], start_tick, repeat_s)
            return self._radios[tx_id].transmit_report()
        except RadioError as error:
            faults[tx_id] = str(error)
            return None

    def _sounding(
        self, tx_id: str, burst: SoundingBurst, start_tick: int | None, report: TransmitReport
    ) -> Sounding:
        able = self._radios[tx_id].info.capabilities
        full_scale_dbm = transmit_power_dbm(able, self._tunings[tx_id].tx_gain_db, 1.0)
        return Sounding(tx_id, burst, start_tick, full_scale_dbm, report)

    def _fetch(self, rx_id: str, sounding: Sounding, phase: Phase, index: int) -> Capture:
        try:
            block = self._radios[rx_id].fetch()
        except RadioError as error:
            return missing_capture(sounding.tx_id, rx_id, self.grid, str(error))
        if self.listener is not None:
            self.listener(phase, index, rx_id, block, sounding)
        return capture_of(block, sounding, rx_id)


def tx_gain_db(node: Node, able: Capabilities, burst: SoundingBurst) -> float:
    """Transmit gain at which the pilot symbols carry the node's nominal power.

    Raises
    ------
    TuningError
        If the radio is too weak or too strong for it.
    """
    low, high = able.tx_gain_range_db
    at_highest_dbm = transmit_power_dbm(able, high, burst.mean_square)
    gain_db = high + node.tx_power_dbm - at_highest_dbm
    if not low <= gain_db <= high:
        at_lowest_dbm = transmit_power_dbm(able, low, burst.mean_square)
        msg = (
            f"node {node.node_id!r}: tx_power_dbm is {node.tx_power_dbm:g}, its radio sends this "
            f"burst with {at_lowest_dbm:.1f} to {at_highest_dbm:.1f} dBm"
        )
        raise TuningError(msg, "change tx_power_dbm in the site file")
    return gain_db
