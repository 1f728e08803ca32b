"""Recordings: IQ blocks and captures as pairs of SigMF files in one directory, safe from kills.

Every data file is plain ``complex64``: ``np.memmap(path, dtype="<c8").reshape(-1, M)`` reads it.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from drivers.burst import SoundingBurst
from drivers.capture import Capture
from drivers.geometry import ComplexArray
from drivers.node import Node
from drivers.radio import IqBlock
from drivers.recording_files import (
    META_SUFFIX,
    Record,
    RecordingError,
    read_manifest,
    read_record,
    record_stems,
)
from drivers.recording_parts import NodeFields
from drivers.recording_schema import IqFields, Phase, PilotsFields, RecordKind
from drivers.recording_writer import RecordingWriter
from drivers.sounding import Sounding
from drivers.waveform import OfdmGrid

__all__ = ["Phase", "Record", "RecordKind", "Recording", "RecordingError", "RecordingWriter"]


class Recording:
    """A recording to read, finished or cut off by a kill.

    Parameters
    ----------
    root
        Its directory.

    Attributes
    ----------
    description
        What its maker kept with it.
    records
        All whole records in the order of recording; without samples, see `load_block`.
    num_incomplete
        Records of which only parts are there: their writer was killed, or files are missing.

    Raises
    ------
    RecordingError
        If there is none, of another schema, or with damaged metadata.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.description: dict[str, Any] = read_manifest(root).description
        stems = record_stems(path.name for path in root.iterdir())
        paths = [root / f"{stem}{META_SUFFIX}" for stem in stems]
        found = [read_record(path) for path in paths if path.exists()]
        whole = [record for record in found if record.is_whole()]
        self.records = tuple(sorted(whole, key=lambda r: (r.fields.sequence_number, r.path.name)))
        self.num_incomplete = len(stems) - len(self.records)
        self._by_key = {record.key: record for record in self.records}
        self._nodes = _nodes_of(self.records)

    @property
    def node_ids(self) -> tuple[str, ...]:
        """Nodes that appear in any record, in order of appearance."""
        return tuple(self._nodes)

    def node(self, node_id: str) -> Node:
        """A node as it was surveyed when it was recorded.

        Raises
        ------
        KeyError
            If no record is of it.
        """
        if node_id not in self._nodes:
            msg = f"{self.root} holds no node {node_id!r}; there are {', '.join(self._nodes)}"
            raise KeyError(msg)
        return self._nodes[node_id].node()

    @property
    def bursts(self) -> tuple[SoundingBurst, ...]:
        """All bursts of the blocks, in order of appearance.

        Raises
        ------
        RecordingError
            If this version makes other pilots than those that were sent.
        """
        found = [r.fields.waveform for r in self.records if isinstance(r.fields, IqFields)]
        try:
            return tuple(waveform.burst() for waveform in dict.fromkeys(found))
        except ValueError as error:
            msg = f"{self.root}: {error}"
            raise RecordingError(msg) from error

    @property
    def grid(self) -> OfdmGrid:
        """The grid of all records.

        Raises
        ------
        RecordingError
            If there is none, more than one, or this version makes other pilots for it.
        """
        waveforms = {record.fields.waveform for record in self.records}
        try:
            grids = {waveform.grid() for waveform in waveforms}
        except ValueError as error:
            msg = f"{self.root}: {error}"
            raise RecordingError(msg) from error
        if len(grids) != 1:
            msg = f"{self.root}: records of {len(grids)} grids, not of one"
            raise RecordingError(msg)
        return grids.pop()

    def find(
        self, kind: RecordKind, phase: Phase, index: int, tx_id: str, rx_id: str
    ) -> Record | None:
        """The record of a key, the last one where it was recorded again; ``None`` without one."""
        return self._by_key.get((kind, phase, index, tx_id, rx_id))

    def load_block(self, record: Record) -> IqBlock:
        """The block of a record, exactly as it was recorded.

        Raises
        ------
        TypeError
            If the record is a capture.
        RecordingError
            If its data do not match their digest or cannot be read.
        """
        if not isinstance(record.fields, IqFields):
            msg = f"{record.path}: a capture, not a block; use load_capture"
            raise TypeError(msg)
        return record.fields.block(_load(record))

    def load_sounding(self, record: Record) -> Sounding:
        """What is known of the transmission that a block was received of.

        Raises
        ------
        TypeError
            If the record is a capture.
        RecordingError
            If only its burst was recorded, or this version makes other pilots.
        """
        fields = record.fields
        if not isinstance(fields, IqFields):
            msg = f"{record.path}: a capture, not a block; nothing is known of its transmission"
            raise TypeError(msg)
        if fields.transmission is None:
            msg = f"{record.path}: recorded without its transmission, only with its burst"
            raise RecordingError(msg)
        try:
            return fields.transmission.sounding(fields.tx_id, fields.waveform.burst())
        except ValueError as error:
            msg = f"{record.path}: {error}"
            raise RecordingError(msg) from error

    def load_capture(self, record: Record) -> Capture:
        """The capture of a record; errors as of `load_block`."""
        if not isinstance(record.fields, PilotsFields):
            msg = f"{record.path}: a block, not a capture; use load_block"
            raise TypeError(msg)
        return record.fields.capture(_load(record))


def _nodes_of(records: Sequence[Record]) -> dict[str, NodeFields]:
    """Nodes by id, in order of appearance."""
    nodes: dict[str, NodeFields] = {}
    for record in records:
        for node in (record.fields.tx_node, record.fields.rx_node):
            if nodes.setdefault(node.node_id, node) != node:
                msg = (
                    f"{record.path}: node {node.node_id!r} differs from that of earlier records; "
                    "keep every recording in a directory of its own"
                )
                raise RecordingError(msg)
    return nodes


def _load(record: Record) -> ComplexArray:
    """Data of a record, shape as recorded, complex64, a copy of its own."""
    if record.sha512 is None:
        return np.zeros(record.fields.shape, dtype=np.complex64)
    path = record.data_path
    try:
        samples = np.fromfile(path, dtype="<c8")
        is_whole = record.is_whole()
    except OSError as error:
        msg = f"{path}: cannot be read: {error}"
        raise RecordingError(msg) from error
    digest = hashlib.sha512(samples.view(np.uint8).data).hexdigest()
    if not is_whole or digest != record.sha512:
        msg = f"{path}: damaged: it does not match the sha512 in its metadata; record it again"
        raise RecordingError(msg)
    return samples.reshape(record.fields.shape).astype(np.complex64, copy=False)
