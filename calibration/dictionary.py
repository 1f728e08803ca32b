"""The background dictionary on disk, keyed by the ordered pair of locations."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from tokenize import TokenError
from typing import Annotated

import msgspec
import numpy as np

from calibration.whole_files import temporary_path, write_atomically
from drivers.geometry import ComplexArray

SCHEMA = 2
_MANIFEST = "dictionary.json"
LOCK_NAME = "campaign.lock"
# Later versions, which `np.save` does not need here, may announce headers of four gigabytes.
_ARRAY_MAGIC = np.lib.format.magic(1, 0)


class DictionaryError(Exception):
    """A dictionary that cannot be used: absent, of another campaign, damaged."""


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a dictionary's entries depend on; entries of another provenance are refused.

    Attributes
    ----------
    waveform_hash
        Of the pilots, see ``OfdmGrid.waveform_hash``.
    geometry_hash
        Of every node's location, pose and array.
    origin
        Where captures came from: ``simulated seed 7``, or the radios' identity.
    num_captures
        ``N_BG`` behind each entry.
    """

    waveform_hash: str
    geometry_hash: str
    origin: str
    num_captures: int


@dataclass(frozen=True)
class Entry:
    """One learned background.

    Attributes
    ----------
    channel
        Shape ``(K, M)``, complex64.
    content_hash
        Of `channel`.
    config_epoch
        Of the captures that it was learned from.
    delay_is_absolute
        Whether its delays count from transmission; where not, the link gives angles only.
    delay_var_s2
        Variance of that count, in s^2.
    """

    channel: ComplexArray
    content_hash: str
    config_epoch: int
    delay_is_absolute: bool
    delay_var_s2: float


class _Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: Annotated[int, msgspec.Meta(ge=1)]
    provenance: Provenance
    software: str
    created: str


class _EntryHeader(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    tx_location: str
    rx_location: str
    content_hash: str
    shape: tuple[int, int]
    config_epoch: int
    delay_is_absolute: bool
    delay_var_s2: Annotated[float, msgspec.Meta(ge=0.0)]
    created: str


_EXPLANATIONS = {
    "waveform_hash": "another waveform",
    "geometry_hash": "other node poses or arrays",
    "origin": "another origin",
    "num_captures": "another number of captures an entry",
}


class BackgroundDictionary:
    """Learned backgrounds in a directory: one array and one header a link.

    An entry's array is written first and its header last, each to a temporary name and renamed:
    an entry whose header is there is whole, and a killed writer leaves every other one as it was.
    One entry is read without the rest.

    Parameters
    ----------
    root
        Directory; made with a manifest if it does not exist or is empty.
    provenance
        What the caller needs the entries to depend on.

    Raises
    ------
    DictionaryError
        If the directory holds something else, or a dictionary of another provenance.
    OSError
        If it cannot be made or written.
    """

    def __init__(self, root: Path, provenance: Provenance) -> None:
        self.root = root
        self.provenance = provenance
        manifest = root / _MANIFEST
        if manifest.exists():
            self._check(manifest)
            return
        claim_directory(root)
        content = _Manifest(SCHEMA, provenance, _software(), _now())
        write_atomically(manifest, msgspec.json.format(msgspec.json.encode(content)))

    def _check(self, manifest: Path) -> None:
        try:
            found = msgspec.json.decode(manifest.read_bytes(), type=_Manifest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            msg = f"{manifest}: not a dictionary manifest: {error}"
            raise DictionaryError(msg) from error
        if found.schema != SCHEMA:
            msg = f"{manifest}: schema {found.schema}, this version reads {SCHEMA}"
            raise DictionaryError(msg)
        differences = [
            f"{reason} ({field}: {getattr(found.provenance, field)}, "
            f"needed {getattr(self.provenance, field)})"
            for field, reason in _EXPLANATIONS.items()
            if getattr(found.provenance, field) != getattr(self.provenance, field)
        ]
        if differences:
            msg = (
                f"{self.root}: learned with {' and '.join(differences)}; "
                "calibrate again into another directory"
            )
            raise DictionaryError(msg)

    def __contains__(self, link: tuple[str, str]) -> bool:
        """Whether the entry of ``(tx_location, rx_location)`` is there."""
        return self._header_path(*link).exists()

    def __len__(self) -> int:
        """Return the number of whole entries."""
        return sum(1 for _ in self.root.glob("*.entry.json"))

    def put(
        self,
        tx_location: str,
        rx_location: str,
        background: ComplexArray,
        config_epoch: int = 0,
        *,
        delay_is_absolute: bool = True,
        delay_var_s2: float = 0.0,
    ) -> str:
        """Store an entry, shape ``(K, M)``; its content hash."""
        channel = np.ascontiguousarray(background, dtype=np.complex64)
        content_hash = _hash(channel)
        array_path = self._array_path(tx_location, rx_location)
        temporary = temporary_path(array_path)
        try:
            with temporary.open("wb") as stream:
                np.save(stream, channel)
            # Learned again: no header over an array that it does not describe, not for a moment.
            self._header_path(tx_location, rx_location).unlink(missing_ok=True)
            temporary.replace(array_path)
        finally:
            temporary.unlink(missing_ok=True)
        header = _EntryHeader(
            SCHEMA, tx_location, rx_location, content_hash,
            (channel.shape[0], channel.shape[1]), config_epoch, delay_is_absolute, delay_var_s2,
            _now(),
        )  # fmt: skip
        write_atomically(self._header_path(tx_location, rx_location), msgspec.json.encode(header))
        return content_hash

    def get(self, tx_location: str, rx_location: str) -> Entry:
        """Entry of an ordered pair of locations.

        Raises
        ------
        KeyError
            If it was never learned.
        DictionaryError
            If array and header do not belong together: damaged or tampered with.
        """
        path = self._header_path(tx_location, rx_location)
        if not path.exists():
            msg = f"no entry for {tx_location} -> {rx_location} in {self.root}"
            raise KeyError(msg)
        try:
            header = msgspec.json.decode(path.read_bytes(), type=_EntryHeader)
            channel = _read_array(self._array_path(tx_location, rx_location))
        except (msgspec.DecodeError, OSError, ValueError, SyntaxError, TokenError) as error:
            msg = f"{path}: entry {tx_location} -> {rx_location} cannot be read: {error}"
            raise DictionaryError(msg) from error
        if header.schema != SCHEMA:
            msg = f"{path}: schema {header.schema}, this version reads {SCHEMA}"
            raise DictionaryError(msg)
        if (header.tx_location, header.rx_location) != (tx_location, rx_location):
            msg = (
                f"{path}: holds the entry {header.tx_location} -> {header.rx_location}, needed "
                f"{tx_location} -> {rx_location}; delete both files and calibrate this link again"
            )
            raise DictionaryError(msg)
        if _hash(channel) != header.content_hash:
            msg = (
                f"{path}: entry {tx_location} -> {rx_location} does not match its hash "
                f"{header.content_hash}; delete both files and calibrate this link again"
            )
            raise DictionaryError(msg)
        return Entry(
            channel, header.content_hash, header.config_epoch, header.delay_is_absolute,
            header.delay_var_s2,
        )  # fmt: skip

    def _stem(self, tx_location: str, rx_location: str) -> str:
        """File name of a pair: readable, and unique whatever the locations are called."""
        key = hashlib.sha256(repr((tx_location, rx_location)).encode()).hexdigest()[:8]
        readable = "".join(
            c if c.isascii() and (c.isalnum() or c in "-_") else "_"
            for c in f"{tx_location}--{rx_location}"
        )
        return f"{readable[:80]}.{key}"

    def _array_path(self, tx_location: str, rx_location: str) -> Path:
        return self.root / f"{self._stem(tx_location, rx_location)}.npy"

    def _header_path(self, tx_location: str, rx_location: str) -> Path:
        return self.root / f"{self._stem(tx_location, rx_location)}.entry.json"


def _read_array(path: Path) -> ComplexArray:
    """The array in a file; a length that the file does not hold is refused, not allocated."""
    with path.open("rb") as stream:
        if stream.read(8) != _ARRAY_MAGIC:
            msg = f"{path.name} is no array as it was written"
            raise ValueError(msg)
    return np.array(np.lib.format.open_memmap(path, mode="r"))


def _hash(channel: ComplexArray) -> str:
    digest = hashlib.sha256(np.ascontiguousarray(channel).tobytes())
    digest.update(repr((channel.shape, str(channel.dtype))).encode())
    return digest.hexdigest()[:32]


def claim_directory(root: Path) -> None:
    """Make the directory of a dictionary, or see that it is one or may become one.

    Raises
    ------
    DictionaryError
        If it holds something else; nothing is touched then.
    OSError
        If it cannot be made.
    """
    is_new = root.exists() and not (root / _MANIFEST).exists()
    if is_new and any(not _is_left_over(path) for path in root.iterdir()):
        msg = f"{root}: not empty and no dictionary ({_MANIFEST} is missing); name another"
        raise DictionaryError(msg)
    root.mkdir(parents=True, exist_ok=True)


def _is_left_over(path: Path) -> bool:
    """Whether a writer that was killed while it made the dictionary left this file."""
    is_manifest = path.name.startswith(f"{_MANIFEST}.") and path.suffix == ".tmp"
    return is_manifest or path.name == LOCK_NAME


def _software() -> str:
    return f"isac-testbed {version('isac-testbed')}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
