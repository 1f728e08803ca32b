"""One entry of the background dictionary, and what its header says of it."""

import hashlib
import io
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import msgspec
import numpy as np

from calibration.link_geometry import LinkGeometry
from drivers.geometry import ComplexArray

SCHEMA = 5
# Later versions, which `np.save` does not need here, may announce headers of four gigabytes.
_ARRAY_MAGIC = np.lib.format.magic(1, 0)


class DictionaryError(Exception):
    """A dictionary that cannot be used: absent, of another campaign, damaged."""


class RadioIdentity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which radio it was."""

    kind: str
    serial: str


def hardware_name(node_id: str, radio: RadioIdentity | None) -> str:
    """Which hardware a node is: its radio, or itself where that is not known."""
    return f"node {node_id}" if radio is None else f"{radio.kind} {radio.serial}"


class LearnedWith(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an entry was learned with; ``None`` what nobody could tell.

    Attributes
    ----------
    tx_id, rx_id
        The nodes that stood at the entry's locations.
    tx_radio, rx_radio
        Their radios; ``None`` where pilots are simulated without any.
    carrier_hz, subcarrier_spacing_hz
        Tuning and grid: tone ``k`` lies at ``carrier_hz + (k - (K - 1) / 2) spacing``.
    noise_var
        Variance of a channel entry of one symbol, relative to the transmitted tone; see
        ``BackgroundLearner.noise_var``. A capture that averages symbols has less.
    own_noise_var
        Variance of the noise in the entry itself.
    """

    tx_id: str | None
    rx_id: str | None
    tx_radio: RadioIdentity | None
    rx_radio: RadioIdentity | None
    carrier_hz: float | None
    subcarrier_spacing_hz: float | None
    noise_var: Annotated[float, msgspec.Meta(ge=0.0)] | None
    own_noise_var: Annotated[float, msgspec.Meta(ge=0.0)] | None

    @property
    def receiver(self) -> str | None:
        """Whose elements heard it; see `hardware_name`."""
        return None if self.rx_id is None else hardware_name(self.rx_id, self.rx_radio)


NOTHING_KNOWN = LearnedWith(
    tx_id=None, rx_id=None, tx_radio=None, rx_radio=None, carrier_hz=None,
    subcarrier_spacing_hz=None, noise_var=None, own_noise_var=None,
)  # fmt: skip


class EntryHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What is said of an entry; every field is there.

    Attributes
    ----------
    content_hash
        Of the array.
    shape
        Tones and elements, ``(K, M)``.
    waveform_hash, num_captures
        As of the dictionary's `Provenance`.
    config_epoch
        Of the captures that it was learned from.
    delay_is_absolute
        Whether its delays count from transmission; where not, the link gives angles only.
    delay_var_s2
        Variance of that count, in s^2.
    geometry
        Of both ends as surveyed; ``None`` where nobody could tell.
    software, host, created
        What learned it, where, and when (UTC).
    provenance_hash
        Of all other fields but `host` and `created`.
    """

    schema: int
    tx_location: str
    rx_location: str
    content_hash: str
    shape: tuple[int, int]
    waveform_hash: str
    num_captures: int
    config_epoch: int
    delay_is_absolute: bool
    delay_var_s2: Annotated[float, msgspec.Meta(ge=0.0)]
    geometry: LinkGeometry | None
    learned_with: LearnedWith
    software: str
    host: str
    created: str
    provenance_hash: str


@dataclass(frozen=True)
class Entry:
    """One learned background.

    Attributes
    ----------
    channel
        Shape ``(K, M)``, complex64.
    header
        What is said of it.
    """

    channel: ComplexArray
    header: EntryHeader


class _Schema(msgspec.Struct, frozen=True):
    schema: int


def hashed(header: EntryHeader) -> EntryHeader:
    """The header with the hash that belongs to it."""
    covered = msgspec.structs.replace(header, host="", created="", provenance_hash="")
    digest = hashlib.sha256(msgspec.json.encode(covered)).hexdigest()[:32]
    return msgspec.structs.replace(header, provenance_hash=digest)


def read_header(path: Path) -> EntryHeader:
    """The header in a file, as it was written.

    Raises
    ------
    DictionaryError
        If it is of another schema, or was changed.
    OSError, ValueError, msgspec.DecodeError
        If it cannot be read.
    """
    content = path.read_bytes()
    check_schema(msgspec.json.decode(content, type=_Schema).schema, path)
    header = msgspec.json.decode(content, type=EntryHeader)
    if hashed(header) != header:
        msg = (
            f"{path}: header of {header.tx_location} -> {header.rx_location} does not match its "
            f"hash {header.provenance_hash}; delete both files and calibrate this link again"
        )
        raise DictionaryError(msg)
    return header


def check_schema(schema: int, path: Path) -> None:
    """Refuse a file of another version."""
    if schema != SCHEMA:
        msg = (
            f"{path}: schema {schema}, this version reads {SCHEMA}; calibrate again into another "
            "directory"
        )
        raise DictionaryError(msg)


def array_bytes(channel: ComplexArray) -> bytes:
    """An array as `numpy.save` writes it, which does not say why it cannot write to a file."""
    stream = io.BytesIO()
    np.save(stream, channel)
    return stream.getvalue()


def read_array(path: Path) -> ComplexArray:
    """The array in a file; a length that the file does not hold is refused, not allocated."""
    with path.open("rb") as stream:
        if stream.read(8) != _ARRAY_MAGIC:
            msg = f"{path.name} is no array as it was written"
            raise ValueError(msg)
    return np.array(np.lib.format.open_memmap(path, mode="r"))


def file_stem(tx_location: str, rx_location: str) -> str:
    """File name of a pair: readable, and unique whatever the locations are called."""
    key = hashlib.sha256(repr((tx_location, rx_location)).encode()).hexdigest()[:8]
    readable = "".join(
        c if c.isascii() and (c.isalnum() or c in "-_") else "_"
        for c in f"{tx_location}--{rx_location}"
    )
    return f"{readable[:80]}.{key}"


def content_hash_of(channel: ComplexArray) -> str:
    """Digest of an array: its numbers, shape and type."""
    digest = hashlib.sha256(np.ascontiguousarray(channel).tobytes())
    digest.update(repr((channel.shape, str(channel.dtype))).encode())
    return digest.hexdigest()[:32]


def software() -> str:
    """Name and version of this software."""
    return f"isac-testbed {version('isac-testbed')}"


def host_name() -> str:
    """What this host is called."""
    return socket.gethostname()


def utc_now() -> str:
    """The time now, ISO 8601, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")
