"""One node's radio as a station: checked, tuned, armed, sent, fetched and demodulated."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from drivers.burst import SoundingBurst
from drivers.capture import Capture
from drivers.geometry import ComplexArray
from drivers.grids import check_burst
from drivers.node import Node
from drivers.radio import IqBlock, Radio, RadioHealth, RadioInfo
from drivers.radio_errors import BurstRefusedError, RadioError, TuningError
from drivers.recording_schema import Phase
from drivers.sounding import Sounding
from drivers.tuning import Tuning, transmit_power_dbm
from processing.demodulate import capture_of
from testbed.gains import rx_gain_db, tx_gain_db
from testbed.stations import BurstKind, Cue, Sent

BlockListener = Callable[[Phase, int, str, IqBlock, Sounding], None]

# Radios without common time repeat the burst for this long, so that every block holds one.
REPEAT_S = 0.05
# And an untimed start happens within this time of its call.
_SETTLE_S = 5e-3
# What a synthesizer must be moved by to lock anew.
_AWAY_HZ = 1e6


class World(Protocol):
    """A simulated world's own state, which no radio knows; see `sim_backend.ether.Ether`."""

    look: int | None


class RadioStation:
    """One node's radio (`testbed.stations.Station`), tuned when it is made.

    Parameters
    ----------
    node_id
        Whose radio it is.
    nodes
        All nodes, as surveyed.
    radio
        Open.
    burst
        What is sent to sense.
    calibration_burst
        What is sent to learn backgrounds: the same symbols, but another number of them.
    world
        Told which sensing comes next, where the world is simulated.
    listener
        Shown every received block.
    wait_s
        Lets that many seconds pass, of the time that the radio lives in.
    repeat_s
        Without common time, a burst is repeated for so long at most.

    Raises
    ------
    RadioError
        If the radio cannot send or receive the bursts, or cannot be tuned to them.
    """

    def __init__(
        self,
        node_id: str,
        nodes: Sequence[Node],
        radio: Radio,
        burst: SoundingBurst,
        *,
        calibration_burst: SoundingBurst | None = None,
        world: World | None = None,
        listener: BlockListener | None = None,
        wait_s: Callable[[float], None] = time.sleep,
        repeat_s: float = REPEAT_S,
    ) -> None:
        self.node_id = node_id
        self._radio = radio
        self._bursts: dict[BurstKind, SoundingBurst] = {
            "sensing": burst, "calibration": calibration_burst or burst
        }  # fmt: skip
        self._world = world
        self._listener = listener
        self._wait_s = wait_s
        self._repeat_s = repeat_s
        for each in self._bursts.values():
            try:
                check_burst(each, self.info.capabilities)
            except BurstRefusedError as refusal:
                msg = f"node {node_id!r}: {refusal}"
                raise BurstRefusedError(msg, "change the site's waveform") from refusal
        self._tuning = radio.configure(self._wanted_tuning(nodes))

    @property
    def info(self) -> RadioInfo:
        """Of the radio."""
        return self._radio.info

    def common_tick(self) -> int | None:
        """Device time now, if the radio has timed bursts and a pulse per second."""
        able = self.info.capabilities
        return self._radio.time_ticks() if able.timed_bursts and able.pps else None

    def arm(self, cue: Cue, start_tick: int | None) -> None:
        """Prepare a block that holds the burst."""
        burst = self._bursts[cue.burst]
        num_samples = burst.num_samples + burst.prefix_length
        if start_tick is None:  # anywhere in the block, so it must hold two of them
            num_samples = 2 * burst.num_samples + burst.prefix_length
        longest = self.info.capabilities.max_receive_samples
        self._radio.arm_receive(min(num_samples, longest), start_tick)

    def transmit(self, cue: Cue, start_tick: int | None) -> Sent:
        """Send the burst, or repeat it and wait until it is on air."""
        if self._world is not None:
            self._world.look = cue.look
        samples = _samples_of(self._bursts[cue.burst])
        repeat_s = 0.0 if start_tick is not None else self._repeat_s
        self._radio.transmit(samples, start_tick, repeat_s)
        report = self._radio.transmit_report()
        if start_tick is None:
            self._wait_s(_SETTLE_S)
        return Sent(
            transmit_power_dbm(self.info.capabilities, self._tuning.tx_gain_db, 1.0), report
        )

    def fetch(self, cue: Cue, start_tick: int | None, sent: Sent) -> Capture:
        """Fetch the block, show it to the listener, and demodulate it."""
        burst = self._bursts[cue.burst]
        sounding = Sounding(cue.tx_id, burst, start_tick, sent.tx_full_scale_dbm, sent.report)
        block = self._radio.fetch()
        if self._listener is not None:
            self._listener(cue.phase, cue.index, self.node_id, block, sounding)
        return capture_of(block, sounding, self.node_id)

    def stop(self) -> None:
        """End a transmission; one that cannot be ended is over after its last repetition."""
        with suppress(RadioError):
            self._radio.stop_transmit()

    def retune(self) -> None:
        """Tune the radio away and back.

        Not where that would change phases within the array: what calibration of the nodes told of
        them would hold no more.
        """
        able = self.info.capabilities
        if len(able.coherent_groups) > 1 and not able.phase_stable_retune:
            return
        away = replace(self._tuning, carrier_hz=self._tuning.carrier_hz + _AWAY_HZ)
        self._radio.configure(away)
        self._radio.configure(self._tuning)

    def health(self) -> RadioHealth:
        """Of the radio."""
        return self._radio.health()

    def close(self) -> None:
        """Stop and release the radio."""
        self._radio.close()

    def _wanted_tuning(self, nodes: Sequence[Node]) -> Tuning:
        node = next(node for node in nodes if node.node_id == self.node_id)
        able, burst = self.info.capabilities, self._bursts["sensing"]
        if able.num_rx_channels < node.array.num_elements:
            msg = (
                f"node {self.node_id!r}: its array has {node.array.num_elements} elements, its "
                f"radio {able.num_rx_channels} receive channels"
            )
            raise TuningError(msg, "change the site's array or radio")
        return Tuning(
            carrier_hz=burst.local_oscillator_hz,
            sample_rate_hz=burst.sample_rate_hz,
            rx_gain_db=rx_gain_db(node, nodes, able, burst),
            tx_gain_db=tx_gain_db(node, able, burst),
            clock_source="external" if able.external_clock else "internal",
            time_source="pps" if able.pps else "none",
        )


@lru_cache(maxsize=4)
def _samples_of(burst: SoundingBurst) -> ComplexArray:
    """Samples of a burst, which all nodes send alike."""
    return burst.samples()
