"""Files of a recording: names, the manifest, SigMF metadata, and writing that survives a kill."""

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from drivers.recording_schema import (
    NAMESPACE,
    NAMESPACE_VERSION,
    IqFields,
    PilotsFields,
    RecordKind,
    parse_namespace,
)

SCHEMA = 1
MANIFEST = "recording.json"
COLLECTION = "recording"  # base name, as SigMF wants it in each record
DATA_SUFFIX = ".sigmf-data"
META_SUFFIX = ".sigmf-meta"
DATATYPE = "cf32_le"

_TEMPORARY = ".tmp"
_BYTES_PER_SAMPLE = 8
# Two ids, a number and the suffixes stay below the 255 bytes that file systems allow.
_MAX_ID_LENGTH = 60
_RECORD_FILE = re.compile(
    rf"(?P<stem>\d+-.*\.(?:iq|pilots))(?:{re.escape(META_SUFFIX)}|{re.escape(DATA_SUFFIX)})"
    rf"(?:{re.escape(_TEMPORARY)})?"
)
_STRING_OR_NO_NUMBER = re.compile(r'"(?:[^"\\]|\\.)*"|-?Infinity|NaN')


class RecordingError(Exception):
    """A recording that cannot be written or read: absent, of another version, damaged."""


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `MANIFEST` holds.

    Attributes
    ----------
    schema
        Version of the directory's layout.
    description
        The caller's own, free JSON.
    software, created
        What made the recording, and when.
    """

    schema: int
    description: dict[str, Any]
    software: str
    created: str


class _Numbered(msgspec.Struct, frozen=True):
    schema: int


class _Extension(msgspec.Struct, frozen=True):
    name: str
    version: str


class _Global(msgspec.Struct, frozen=True, rename=lambda name: f"core:{name}"):
    datatype: str
    num_channels: int
    extensions: list[_Extension]
    sha512: str | None = None


class _Metadata(msgspec.Struct, frozen=True, rename={"fields": "global"}):
    fields: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Record:
    """One record as its metadata describe it; the samples are still on disk.

    Attributes
    ----------
    path
        Its metadata file.
    fields
        All of its description.
    sha512
        Digest of its data, ``None`` where there are no data.
    """

    path: Path
    fields: IqFields | PilotsFields
    sha512: str | None

    @property
    def kind(self) -> RecordKind:
        """Whether it is a block (``iq``) or a capture (``pilots``)."""
        return kind_of(self.fields)

    @property
    def key(self) -> tuple[str, str, int, str, str]:
        """Kind, phase, index, transmitter and receiver."""
        fields = self.fields
        return self.kind, fields.phase, fields.index, fields.tx_id, fields.rx_id

    @property
    def data_path(self) -> Path:
        """Its data file; there is none where `num_bytes` is zero."""
        return self.path.with_suffix(DATA_SUFFIX)

    @property
    def num_bytes(self) -> int:
        """Length of its data."""
        rows, columns = self.fields.shape
        return rows * columns * _BYTES_PER_SAMPLE

    def is_whole(self) -> bool:
        """Whether its data are there in full length."""
        try:
            return self.num_bytes == 0 or self.data_path.stat().st_size == self.num_bytes
        except FileNotFoundError:
            return False


def kind_of(fields: IqFields | PilotsFields) -> RecordKind:
    """Kind of a record, as in its file name."""
    return "iq" if isinstance(fields, IqFields) else "pilots"


def record_stem(fields: IqFields | PilotsFields) -> str:
    """File name of a record without suffix: readable, and safe whatever the nodes are called."""
    tx, rx = (
        quote(node_id, safe="", errors="surrogatepass")[:_MAX_ID_LENGTH]
        for node_id in (fields.tx_id, fields.rx_id)
    )
    return f"{fields.sequence_number:06d}-{tx}-{rx}.{kind_of(fields)}"


def record_stems(names: Iterable[str]) -> set[str]:
    """Stems of all records, whole or not, of which a directory holds files of these names."""
    found = (_RECORD_FILE.fullmatch(name) for name in names)
    return {match["stem"] for match in found if match}


def write_durably(path: Path, content: memoryview | bytes) -> None:
    """Write a file under a temporary name, to the disk itself, and rename it.

    Raises
    ------
    OSError
        With the file's name; nothing of it is left.
    """
    temporary = path.with_name(f"{path.name}{_TEMPORARY}")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        temporary.unlink(missing_ok=True)


def sync_directory(root: Path) -> None:
    """Let renames in a directory reach the disk."""
    descriptor = os.open(root, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def is_manifest_leftover(path: Path) -> bool:
    """Whether a writer that was killed at once left this file."""
    return path.name == f"{MANIFEST}{_TEMPORARY}"


def manifest_text(manifest: Manifest) -> bytes:
    """A manifest as JSON; infinities become numbers that every reader takes for infinite.

    Raises
    ------
    ValueError
        If the description is not JSON.
    """

    def plain(token: re.Match[str]) -> str:
        if token[0] == "NaN":
            msg = "it holds NaN"
            raise ValueError(msg)
        return {"Infinity": "1e999", "-Infinity": "-1e999"}.get(token[0], token[0])

    try:
        text = json.dumps(msgspec.structs.asdict(manifest), indent=2)
        return f"{_STRING_OR_NO_NUMBER.sub(plain, text)}\n".encode("ascii")
    except (TypeError, ValueError) as error:
        msg = f"the description of a recording must be JSON: {error}"
        raise ValueError(msg) from error


def read_manifest(root: Path) -> Manifest:
    """Manifest of a recording.

    Raises
    ------
    RecordingError
        If there is none, or one that this version does not read.
    """
    path = root / MANIFEST
    try:
        tree = json.loads(path.read_bytes())
        schema = msgspec.convert(tree, type=_Numbered).schema
        if schema == SCHEMA:
            return msgspec.convert(tree, type=Manifest)
    except (FileNotFoundError, NotADirectoryError) as error:
        msg = f"{root}: no recording ({MANIFEST} is missing)"
        raise RecordingError(msg) from error
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        msg = f"{path}: not a manifest of a recording: {error}"
        raise RecordingError(msg) from error
    msg = f"{path}: schema {schema}, this version reads {SCHEMA}"
    raise RecordingError(msg)


def read_record(path: Path) -> Record:
    """Record of a metadata file.

    Raises
    ------
    RecordingError
        If the metadata are damaged, changed, or of another version; the message names the file.
    """
    try:
        tree = msgspec.convert(json.loads(path.read_bytes()), type=_Metadata)
        core = msgspec.convert(tree.fields, type=_Global)
        versions = [e.version for e in core.extensions if e.name == NAMESPACE]
        if versions != [NAMESPACE_VERSION]:
            msg = f"namespace {NAMESPACE} {versions}, this version reads {NAMESPACE_VERSION}"
            raise ValueError(msg)
        fields = parse_namespace(tree.fields, core.sha512)
        layout = core.datatype, core.num_channels, core.sha512 is not None
        if layout != (DATATYPE, max(1, fields.shape[1]), 0 not in fields.shape):
            msg = f"datatype, channels and digest do not go with a shape of {fields.shape}"
            raise ValueError(msg)
    except (OSError, ValueError, RecursionError, msgspec.ValidationError) as error:
        msg = f"{path}: damaged metadata: {error}"
        raise RecordingError(msg) from error
    return Record(path, fields, core.sha512)
