"""A radio that plays a recording's blocks again."""

from bisect import bisect_left
from dataclasses import replace
from pathlib import Path

from drivers.geometry import ComplexArray
from drivers.radio import IqBlock, Radio, RadioHealth, RadioInfo, RadioSpec, TransmitReport
from drivers.radio_errors import (
    BurstRefusedError,
    EndOfRecordingError,
    RadioClosedError,
    RadioError,
    RadioNotFoundError,
    TuningError,
)
from drivers.recorded_capabilities import recorded_info, recorded_tunings
from drivers.recording import Recording, RecordingError
from drivers.recording_schema import IqFields
from drivers.tuning import Tuning, changes_epoch, check_samples

# Gains closer than this are the same step of an amplifier.
_SAME_GAIN_DB = 0.01


class ReplayRadio:
    """One node's radio in a recording (`drivers.radio.Radio`): what it received, in that order.

    Blocks are given as they were recorded, whatever is transmitted meanwhile; nothing is sent. A
    node that only transmitted while the recording was made can be tuned and sent with, at any
    gain, and has no blocks.

    Parameters
    ----------
    recording
        Where the blocks come from.
    node_id
        Whose radio it is.

    Attributes
    ----------
    num_transmissions
        How often `transmit` was called with what this radio could send.

    Raises
    ------
    RadioNotFoundError
        If no block of the recording has this node at either end, or they cannot be replayed.
    """

    def __init__(self, recording: Recording, node_id: str) -> None:
        self._recording = recording
        self._node_id = node_id
        every = [(r, r.fields) for r in recording.records if isinstance(r.fields, IqFields)]
        received = [(record, fields) for record, fields in every if fields.rx_id == node_id]
        self._blocks = [record for record, _ in received]
        self._fields = [fields for _, fields in received]
        known = self._fields or [fields for _, fields in every if fields.tx_id == node_id]
        self._info = recorded_info(recording, node_id, known)
        self._tunings = recorded_tunings(known)
        self._tuning: Tuning | None = None
        self._chosen: list[int] = []  # blocks of the tuning, ascending
        self._armed: tuple[int, int | None] | None = None  # samples, tick
        self._next = 0
        self._now_tick = (known[0].first_sample_tick or 0) if self._fields else 0
        self._health = RadioHealth()
        self._closed = False
        self.num_transmissions = 0

    @property
    def info(self) -> RadioInfo:
        """Identity, and capabilities as far as they were used."""
        return self._info

    def configure(self, tuning: Tuning) -> Tuning:
        """Choose the blocks that were recorded with a tuning.

        Raises
        ------
        TuningError
            If there are none.
        """
        self._check_open()
        applied = self._recorded(tuning)
        if applied != self._tuning:
            self._tuning, self._armed = applied, None
            of_blocks = [fields.tuning.tuning() for fields in self._fields]
            self._chosen = [n for n, t in enumerate(of_blocks) if not changes_epoch(t, applied)]
        return applied

    def time_ticks(self) -> int:
        """End of the latest block that was fetched; the first one's start before that."""
        self._check_tuned()
        return self._now_tick

    def transmit(
        self,
        samples: ComplexArray,
        at_tick: int | None = None,  # noqa: ARG002
        repeat_s: float = 0.0,  # noqa: ARG002
    ) -> None:
        """Check a burst and count it; nothing is sent, so when and how often does not matter."""
        self._check_tuned()
        check_samples(samples, self._info.capabilities)
        self.num_transmissions += 1

    def stop_transmit(self) -> None:
        """Nothing to end."""

    def transmit_report(self) -> TransmitReport:
        """Nothing known, as nothing was sent."""
        self._check_open()
        return TransmitReport()

    def arm_receive(self, num_samples: int, at_tick: int | None = None) -> None:
        """Choose the next block, or the one that begins at a tick."""
        self._check_tuned()
        longest = self._info.capabilities.max_receive_samples
        if not 1 <= num_samples <= longest:
            msg = f"the shortest recorded block has {longest} samples, got {num_samples}"
            raise BurstRefusedError(msg, f"receive 1 to {longest} samples")
        self._armed = num_samples, at_tick

    def fetch(self) -> IqBlock:
        """Return the armed block, its first samples if fewer were asked for.

        Raises
        ------
        EndOfRecordingError
            If there is no further block of this tuning, or none at the tick.
        RadioError
            If nothing is armed, or the block's file is damaged.
        """
        self._check_tuned()
        if self._armed is None:
            msg = "fetch() without a block that arm_receive() prepared"
            raise RadioError(msg, "call arm_receive() first")
        (num_samples, tick), self._armed = self._armed, None
        index = self._index_of_next() if tick is None else self._index_at(tick)
        try:
            block = self._recording.load_block(self._blocks[index])
        except RecordingError as error:
            raise RadioError(str(error), "restore the file or replay another recording") from error
        self._next = index + 1
        self._health = RadioHealth(
            clock_locked=block.clock_locked,
            pps_locked=block.pps_locked,
            temperature_c=block.temperature_c,
            num_overflows=self._health.num_overflows + block.overflow,
            num_lates=self._health.num_lates + block.late,
        )
        ticks = round(num_samples * block.tick_rate_hz / block.tuning.sample_rate_hz)
        first = self._now_tick if block.first_sample_tick is None else block.first_sample_tick
        self._now_tick = max(self._now_tick, first + ticks)
        return replace(block, samples=block.samples[:num_samples])

    def health(self) -> RadioHealth:
        """As of the last block, and what blocks since the opening were flagged with."""
        self._check_tuned()
        return self._health

    def close(self) -> None:
        """Nothing more can be done with it."""
        self._closed = True

    def _check_open(self) -> None:
        if self._closed:
            msg = "this radio was closed"
            raise RadioClosedError(msg)

    def _check_tuned(self) -> None:
        self._check_open()
        if self._tuning is None:
            msg = "the radio has no tuning yet"
            raise RadioError(msg, "call configure() first")

    def _recorded(self, asked: Tuning) -> Tuning:
        """The tuning of the recording that is the one asked for."""
        for known in self._tunings:
            gains_off_db = known.rx_gain_db - asked.rx_gain_db, known.tx_gain_db - asked.tx_gain_db
            near = max(map(abs, gains_off_db)) < _SAME_GAIN_DB
            at_gains = replace(known, rx_gain_db=asked.rx_gain_db, tx_gain_db=asked.tx_gain_db)
            if not changes_epoch(at_gains, asked) and (near or not self._fields):
                return known if self._fields else asked
        msg = f"node {self._node_id!r} was not recorded with {asked}"
        raise TuningError(msg, f"tune it as recorded: {'; '.join(map(str, self._tunings))}")

    def _index_of_next(self) -> int:
        place = bisect_left(self._chosen, self._next)
        if place == len(self._chosen):
            msg = f"node {self._node_id!r} has no more of its {len(self._chosen)} blocks"
            raise EndOfRecordingError(msg)
        return self._chosen[place]

    def _index_at(self, tick: int) -> int:
        """Index of the block at a tick, rather one that is still to come."""
        ticks = {n: self._fields[n].first_sample_tick for n in self._chosen}
        found = [n for n, there in ticks.items() if there == tick]
        if not found:
            known = sorted({there for there in ticks.values() if there is not None})
            nearest = sorted(sorted(known, key=lambda there: abs(there - tick))[:5])
            named = f"of its {len(known)} ticks the nearest are {', '.join(map(str, nearest))}"
            msg = f"no block of node {self._node_id!r} begins at tick {tick}"
            raise EndOfRecordingError(msg, named if known else "its blocks carry no ticks")
        return next((n for n in found if n >= self._next), found[0])


def open_replay_radio(spec: RadioSpec) -> Radio:
    """Open the replay of a node; the address is the recording's directory.

    Raises
    ------
    RadioNotFoundError
        If there is no recording, it cannot be read, or it holds no blocks of the node.
    """
    if spec.options:
        msg = f"node {spec.node_id!r}: a replayed radio has no options, got {sorted(spec.options)}"
        raise RadioError(msg, "remove them from the site file")
    if not spec.address:
        msg = f"node {spec.node_id!r}: a replayed radio needs a recording"
        raise RadioNotFoundError(msg, "give its directory as the radio's address")
    try:
        return ReplayRadio(Recording(Path(spec.address)), spec.node_id)
    except RecordingError as error:
        msg = f"node {spec.node_id!r}: {error}"
        raise RadioNotFoundError(msg, "check the address in the site file") from error
