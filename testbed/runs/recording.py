"""Recording a run, and running a recording again through the same pipeline."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from calibration.dictionary_entry import RadioIdentity
from drivers.capture import Capture, CaptureSource
from drivers.node import Node
from drivers.radio import IqBlock
from drivers.radio_errors import EndOfRecordingError
from drivers.recording import Phase, Recording, RecordingError, RecordingWriter
from drivers.sounding import Sounding
from drivers.waveform import OfdmGrid
from processing.demodulate import capture_of
from testbed.radio_source import RadioSource
from testbed.runs.setup import Setup
from testbed.site import Site

# Where a recording keeps the background entries that its run used.
DICTIONARY = "dictionary"


def describe_run(site: Site, setup: Setup, background: str) -> dict[str, object]:
    """What a recording keeps of its run besides the records."""
    return {
        "site": msgspec.to_builtins(site),
        "seed": setup.seed,
        "background": background,
        "origin": setup.source.origin,
        "radios": msgspec.to_builtins(dict(setup.radios)),
        "target_m": None if setup.target_m is None else setup.target_m.tolist(),
    }


class RecordingSource:
    """A capture source whose captures, and blocks if there are any, are all recorded.

    Parameters
    ----------
    source
        Where captures come from.
    writer
        Where they go.
    with_background
        Whether background captures are kept as well; what is learned of them is, in any case.
    recorded
        Called after each record with how many there are.
    """

    def __init__(
        self,
        source: CaptureSource,
        writer: RecordingWriter,
        *,
        with_background: bool,
        recorded: Callable[[int], None] = lambda _count: None,
    ) -> None:
        self._source = source
        self._writer = writer
        self._with_background = with_background
        self._recorded = recorded
        self._nodes: dict[str, Node] = {node.node_id: node for node in source.nodes}
        if isinstance(source, RadioSource):
            source.listener = self._add_block

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as surveyed."""
        return self._source.nodes

    @property
    def grid(self) -> OfdmGrid:
        """The waveform in use."""
        return self._source.grid

    @property
    def origin(self) -> str:
        """Of the source."""
        return self._source.origin

    def sense(self, tx_id: str, rx_ids: Sequence[str], sensing_index: int) -> tuple[Capture, ...]:
        """Sense, and record."""
        captures = self._source.sense(tx_id, rx_ids, sensing_index)
        return self._add_captures("sensing", sensing_index, captures)

    def sense_background(
        self, tx_id: str, rx_ids: Sequence[str], capture_index: int, *, brief: bool = False
    ) -> tuple[Capture, ...]:
        """Take background captures, and record them."""
        captures = self._source.sense_background(tx_id, rx_ids, capture_index, brief=brief)
        return self._add_captures("background", capture_index, captures)

    def _add_captures(
        self, phase: Phase, index: int, captures: tuple[Capture, ...]
    ) -> tuple[Capture, ...]:
        if phase == "sensing" or self._with_background:
            for capture in captures:
                tx, rx = self._nodes[capture.tx_id], self._nodes[capture.rx_id]
                self._writer.add_capture(phase, index, tx, rx, self.grid, capture)
            self._recorded(self._writer.num_records)
        return captures

    def _add_block(
        self, phase: Phase, index: int, rx_id: str, block: IqBlock, sounding: Sounding
    ) -> None:
        if phase == "sensing" or self._with_background:
            tx, rx = self._nodes[sounding.tx_id], self._nodes[rx_id]
            self._writer.add_block(phase, index, tx, rx, sounding, block)


class RecordedSource:
    """Captures of a recording (`drivers.capture.CaptureSource`).

    Where a block was recorded its capture is made again from it, by the same code as live, and
    compared with the recorded one.

    Attributes
    ----------
    num_remade
        Captures made again from IQ.
    differing
        Those of them that are not bit-identical to the recorded ones, in words.
    """

    def __init__(self, recording: Recording, site_nodes: Sequence[Node]) -> None:
        self._recording = recording
        self._nodes = tuple(site_nodes)
        self._grid = recording.grid
        self._origin = str(recording.description.get("origin", recording.root))
        self.num_remade = 0
        self.differing: list[str] = []

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as surveyed when it was recorded."""
        return self._nodes

    @property
    def grid(self) -> OfdmGrid:
        """The recorded waveform."""
        return self._grid

    @property
    def origin(self) -> str:
        """Of the source that was recorded."""
        return self._origin

    def sense(self, tx_id: str, rx_ids: Sequence[str], sensing_index: int) -> tuple[Capture, ...]:
        """Return the recorded captures.

        Raises
        ------
        EndOfRecordingError
            If this sensing was not recorded with these nodes.
        """
        return tuple(self._capture("sensing", sensing_index, tx_id, rx_id) for rx_id in rx_ids)

    def sense_background(
        self,
        tx_id: str,
        rx_ids: Sequence[str],
        capture_index: int,
        *,
        brief: bool = False,  # noqa: ARG002  as it was recorded
    ) -> tuple[Capture, ...]:
        """Return the recorded background captures; errors as of `sense`."""
        return tuple(self._capture("background", capture_index, tx_id, rx_id) for rx_id in rx_ids)

    def _capture(self, phase: Phase, index: int, tx_id: str, rx_id: str) -> Capture:
        link = phase, index, tx_id, rx_id
        pilots, iq = (self._recording.find(kind, *link) for kind in ("pilots", "iq"))
        kept = None if pilots is None else self._recording.load_capture(pilots)
        if iq is None and kept is None:
            msg = f"{self._recording.root}: no capture of {phase} {index} on {tx_id} -> {rx_id}"
            raise EndOfRecordingError(msg)
        if iq is None:
            return kept  # type: ignore[return-value]  # one of both is there
        block, sounding = self._recording.load_block(iq), self._recording.load_sounding(iq)
        remade = capture_of(block, sounding, rx_id)
        self.num_remade += 1
        if kept is not None and not _same(kept, remade):
            self.differing.append(f"{phase} {index} on {tx_id} -> {rx_id}")
        return remade


def _same(one: Capture, other: Capture) -> bool:
    fields = (field for field in Capture.__slots__ if field != "rx_pilots")
    return np.array_equal(one.rx_pilots, other.rx_pilots) and all(
        getattr(one, field) == getattr(other, field) for field in fields
    )


def recorded_site(recording: Recording) -> Site:
    """The site of a recorded run.

    Raises
    ------
    RecordingError
        If the recording was not made by a run of this version's sites.
    """
    described: Any = recording.description.get("site")
    try:
        return msgspec.convert(described, Site)
    except msgspec.ValidationError as error:
        msg = f"{recording.root}: holds no site that this version can read: {error}"
        raise RecordingError(msg) from error


def recorded_target_m(recording: Recording) -> np.ndarray | None:
    """The truth of a recorded simulation, shape ``(2,)``, or ``None``."""
    target: Any = recording.description.get("target_m")
    return None if target is None else np.array(target)


def recorded_radios(recording: Recording) -> dict[str, RadioIdentity]:
    """Which radios the nodes of a recorded run had, by node id, where it is known.

    Raises
    ------
    RecordingError
        If what stands there are none.
    """
    described: Any = recording.description.get("radios", {})
    try:
        return msgspec.convert(described, dict[str, RadioIdentity])
    except msgspec.ValidationError as error:
        msg = f"{recording.root}: holds no radios that this version can read: {error}"
        raise RecordingError(msg) from error


def dictionary_of(root: Path) -> Path:
    """Where a recording keeps its background entries."""
    return root / DICTIONARY
