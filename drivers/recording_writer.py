"""The writing side of recordings, see ``drivers.recording``."""

import hashlib
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from drivers.burst import SoundingBurst
from drivers.capture import Capture
from drivers.geometry import ComplexArray
from drivers.node import Node
from drivers.radio import IqBlock
from drivers.recording_files import (
    COLLECTION,
    DATA_SUFFIX,
    MANIFEST,
    META_SUFFIX,
    SCHEMA,
    Manifest,
    RecordingError,
    is_manifest_leftover,
    manifest_text,
    record_stem,
    sync_directory,
    write_durably,
)
from drivers.recording_parts import NodeFields
from drivers.recording_schema import (
    IqFields,
    Phase,
    PilotsFields,
    iq_fields,
    pilots_fields,
)
from drivers.recording_sigmf import SigmfText
from drivers.sounding import Sounding
from drivers.waveform import OfdmGrid


class RecordingWriter:
    """A recording that grows in a directory of its own.

    A record's data are written first and its metadata last, each to a temporary name, to the
    disk, and renamed: a record whose metadata are there is whole, whenever the writer is killed.

    Parameters
    ----------
    root
        Directory; made if it does not exist.
    description
        What the caller wants to keep with the recording (site, seed): JSON, and infinities.

    Raises
    ------
    RecordingError
        If the directory holds a recording or anything else, or SigMF is not installed.
    ValueError
        If the description is not JSON.
    OSError
        If the directory cannot be made or written.
    """

    def __init__(self, root: Path, description: dict[str, object]) -> None:
        self.root = root
        self._text = SigmfText()
        self._software = f"isac-testbed {version('isac-testbed')}"
        self._nodes: dict[str, Node] = {}
        self._names: list[str] = []
        self._next_number = 0
        self._closed = False
        text = manifest_text(Manifest(SCHEMA, description, self._software, _now()))
        if (root / MANIFEST).exists():
            msg = f"{root}: already holds a recording; name another directory"
            raise RecordingError(msg)
        if root.exists() and not all(is_manifest_leftover(path) for path in root.iterdir()):
            msg = f"{root}: not empty; name another directory"
            raise RecordingError(msg)
        root.mkdir(parents=True, exist_ok=True)
        write_durably(root / MANIFEST, text)

    @property
    def num_records(self) -> int:
        """Records written so far."""
        return len(self._names)

    def add_block(
        self,
        phase: Phase,
        index: int,
        tx: Node,
        rx: Node,
        burst: SoundingBurst | Sounding,
        block: IqBlock,
    ) -> None:
        """Record a block that one node received of another's burst.

        Parameters
        ----------
        phase, index
            Which sensing (its ``sensing_index``) or background capture (its ``capture_index``).
        burst
            What was sent, with what is known of its transmission if the block is to be demodulated
            again.

        Raises
        ------
        ValueError
            If something of it cannot be recorded as it is.
        OSError
            If it cannot be written; earlier records stay.
        """
        _check_array(block.samples, "samples of a block", allows_none=False)
        if isinstance(burst, Sounding) and burst.tx_id != tx.node_id:
            msg = f"the burst was sent by {burst.tx_id!r}, the transmitter given is {tx.node_id!r}"
            raise ValueError(msg)
        head = self._head(phase, index, tx, rx)
        self._add(iq_fields(head, burst, block), block.samples)

    def add_capture(
        self, phase: Phase, index: int, tx: Node, rx: Node, grid: OfdmGrid, capture: Capture
    ) -> None:
        """Record a capture, with or without pilots; parameters and errors as of `add_block`."""
        _check_array(capture.rx_pilots, "pilots of a capture", allows_none=True)
        _check_capture(tx, rx, grid, capture)
        head = self._head(phase, index, tx, rx)
        self._add(pilots_fields(head, grid, capture), capture.rx_pilots)

    def close(self) -> None:
        """List all records in a SigMF collection, for other tools; harmless a second time."""
        if self._closed:
            return
        path = self.root / f"{COLLECTION}.sigmf-collection"
        write_durably(path, self._text.collection(self.root, self._names))
        sync_directory(self.root)
        self._closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        # The error that ended the recording is the one to tell, not that of a list.
        with suppress(*(() if kind is None else (OSError,))):
            self.close()

    def _head(self, phase: str, index: int, tx: Node, rx: Node) -> dict[str, Any]:
        for node in (tx, rx):
            known = self._nodes.setdefault(node.node_id, node)
            if known != node:
                msg = f"node {node.node_id!r} is {node}, earlier records have it as {known}"
                raise ValueError(msg)
        return {
            "sequence_number": self._next_number,
            "phase": phase,
            "index": index,
            "tx_id": tx.node_id,
            "rx_id": rx.node_id,
            "tx_node": NodeFields.of(tx),
            "rx_node": NodeFields.of(rx),
            "software": self._software,
            "created": _now(),
            "content_hash": "",  # of what is written
        }

    def _add(self, fields: IqFields | PilotsFields, array: ComplexArray) -> None:
        if self._closed:
            msg = f"{self.root}: this recording was closed; make another"
            raise RecordingError(msg)
        data = np.ascontiguousarray(array, dtype="<c8").view(np.uint8).data
        sha512 = hashlib.sha512(data).hexdigest() if data.nbytes else None
        metadata = self._text.record(fields, sha512)
        self._next_number += 1
        stem = record_stem(fields)
        data_path, meta_path = (self.root / f"{stem}{end}" for end in (DATA_SUFFIX, META_SUFFIX))
        try:
            if sha512 is not None:
                write_durably(data_path, data)
            write_durably(meta_path, metadata)
        finally:
            if not meta_path.exists():
                data_path.unlink(missing_ok=True)
        self._names.append(meta_path.name)
        sync_directory(self.root)


def _check_array(array: ComplexArray, name: str, *, allows_none: bool) -> None:
    """Refuse what would not come back as it went in."""
    problem = None
    if array.dtype != np.complex64:
        problem = f"must be complex64, got {array.dtype}"
    elif array.ndim != 2:
        problem = f"must have two dimensions, got shape {array.shape}"
    elif array.size == 0 and not allows_none:
        problem = f"must not be empty, got shape {array.shape}"
    if problem:
        msg = f"the {name} {problem}"
        raise ValueError(msg)


def _check_capture(tx: Node, rx: Node, grid: OfdmGrid, capture: Capture) -> None:
    """Refuse a capture of another link or waveform than it is to be recorded with."""
    num_tones = len(capture.rx_pilots) if capture.rx_pilots.size else grid.num_subcarriers
    pairs = (
        ("link", f"{capture.tx_id} -> {capture.rx_id}", f"{tx.node_id} -> {rx.node_id}"),
        ("waveform_hash", capture.waveform_hash, grid.waveform_hash),
        ("number of subcarriers", num_tones, grid.num_subcarriers),
    )
    problems = [f"{name} {own}, not {given}" for name, own, given in pairs if own != given]
    if problems:
        msg = f"the capture has the {', the '.join(problems)} as of the nodes and grid given"
        raise ValueError(msg)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
