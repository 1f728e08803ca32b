"""The background dictionary on disk, keyed by the ordered pair of locations."""

from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError
from typing import Annotated

import msgspec
import numpy as np

from calibration.dictionary_directory import MANIFEST_NAME, claim_directory
from calibration.dictionary_entry import (
    NOTHING_KNOWN,
    SCHEMA,
    DictionaryError,
    Entry,
    EntryHeader,
    LearnedWith,
    array_bytes,
    check_schema,
    content_hash_of,
    file_stem,
    hashed,
    host_name,
    read_array,
    read_header,
    software,
    utc_now,
)
from calibration.link_geometry import LinkGeometry
from calibration.whole_files import write_atomically
from drivers.geometry import ComplexArray

_HEADER_SUFFIX, _ARRAY_SUFFIX = ".entry.json", ".npy"


class Provenance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a dictionary's entries depend on; entries of another provenance are refused.

    Attributes
    ----------
    waveform_hash
        Of the pilots, see ``OfdmGrid.waveform_hash``.
    origin
        Where captures came from: ``simulated seed 7``, or ``radios``.
    num_captures
        ``N_BG`` behind each entry.
    """

    waveform_hash: str
    origin: str
    num_captures: int


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a dictionary says of itself: what all its entries depend on, what made it and when."""

    schema: Annotated[int, msgspec.Meta(ge=1)]
    provenance: Provenance
    software: str
    created: str


_EXPLANATIONS = {
    "waveform_hash": "another waveform",
    "origin": "another origin",
    "num_captures": "another number of captures an entry",
}


class BackgroundDictionary:
    """Learned backgrounds in a directory: one array and one header a link.

    An entry's array is written first, under a name of its content, and its header last, each to a
    temporary name and renamed: an entry whose header is there is whole, and a killed writer leaves
    every other one as it was.
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
        manifest = root / MANIFEST_NAME
        if manifest.exists():
            self._check(manifest)
            return
        claim_directory(root)
        content = Manifest(SCHEMA, provenance, software(), utc_now())
        write_atomically(manifest, msgspec.json.format(msgspec.json.encode(content)))

    @classmethod
    def existing(cls, root: Path) -> "BackgroundDictionary":
        """The dictionary in a directory, of whatever provenance; see `manifest_of`."""
        return cls(root, manifest_of(root).provenance)

    def _check(self, manifest: Path) -> None:
        found = _read_manifest(manifest)
        differences = [
            f"{reason} ({field}: {getattr(found.provenance, field)}, "
            f"needed {getattr(self.provenance, field)})"
            for field, reason in _EXPLANATIONS.items()
            if getattr(found.provenance, field) != getattr(self.provenance, field)
        ]
        if differences:
            why = f"learned with {' and '.join(differences)}"
            msg = f"{self.root}: {why}; calibrate again into another directory"
            raise DictionaryError(msg)

    def __contains__(self, link: tuple[str, str]) -> bool:
        """Whether the entry of ``(tx_location, rx_location)`` is there."""
        return self._header_path(*link).exists()

    def __len__(self) -> int:
        """Return the number of whole entries."""
        return sum(1 for _ in self.header_paths())

    def header_paths(self) -> Iterator[Path]:
        """Files of the entries' headers, by name."""
        return iter(sorted(self.root.glob(f"*{_HEADER_SUFFIX}")))

    def header(self, path: Path) -> EntryHeader:
        """Header in one of `header_paths`.

        Raises
        ------
        DictionaryError
            If it cannot be read, or is not of the link that the file is named after.
        """
        try:
            found = read_header(path)
        except (msgspec.DecodeError, OSError, ValueError) as error:
            msg = f"{path}: cannot be read: {error}; delete it and its array and calibrate again"
            raise DictionaryError(msg) from error
        if self._header_path(found.tx_location, found.rx_location) != path:
            msg = (
                f"{path}: holds the entry {found.tx_location} -> {found.rx_location}, whose name "
                "is another; delete both files and calibrate again"
            )
            raise DictionaryError(msg)
        return found

    def put(
        self,
        tx_location: str,
        rx_location: str,
        background: ComplexArray,
        config_epoch: int = 0,
        *,
        delay_is_absolute: bool = True,
        delay_var_s2: float = 0.0,
        geometry: LinkGeometry | None = None,
        learned_with: LearnedWith = NOTHING_KNOWN,
    ) -> str:
        """Store an entry, shape ``(K, M)``; its content hash.

        In place of one that is there, it is that or this one at any moment.
        """
        channel = np.ascontiguousarray(background, dtype=np.complex64)
        header = hashed(
            EntryHeader(
                schema=SCHEMA, tx_location=tx_location, rx_location=rx_location,
                content_hash=content_hash_of(channel),
                shape=(channel.shape[0], channel.shape[1]),
                waveform_hash=self.provenance.waveform_hash,
                num_captures=self.provenance.num_captures, config_epoch=config_epoch,
                delay_is_absolute=delay_is_absolute, delay_var_s2=delay_var_s2,
                geometry=geometry, learned_with=learned_with, software=software(), host=host_name(),
                created=utc_now(), provenance_hash="",
            )
        )  # fmt: skip
        array_path = self._array_path(header)
        write_atomically(array_path, array_bytes(channel))
        write_atomically(self._header_path(tx_location, rx_location), msgspec.json.encode(header))
        for path in self.root.glob(f"{file_stem(tx_location, rx_location)}.*{_ARRAY_SUFFIX}"):
            if path != array_path:
                path.unlink(missing_ok=True)
        return header.content_hash

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
            header, channel = self._read(path)
        except (msgspec.DecodeError, OSError, ValueError, SyntaxError, TokenError) as error:
            msg = (
                f"{path}: entry {tx_location} -> {rx_location} cannot be read: {error}; delete "
                "both files and calibrate this link again"
            )
            raise DictionaryError(msg) from error
        problem = self._problem(header, (tx_location, rx_location), channel)
        if problem:
            msg = f"{path}: {problem}; delete both files and calibrate this link again"
            raise DictionaryError(msg)
        return Entry(channel, header)

    def _read(self, path: Path) -> tuple[EntryHeader, ComplexArray]:
        header = read_header(path)
        try:
            return header, read_array(self._array_path(header))
        except FileNotFoundError:
            now = read_header(path)
            if now == header:
                raise
            return now, read_array(self._array_path(now))  # it was replaced in between

    def header_of(self, tx_location: str, rx_location: str) -> EntryHeader:
        """Header of an entry which is there; raises as `header`."""
        return self.header(self._header_path(tx_location, rx_location))

    def _problem(
        self, header: EntryHeader, link: tuple[str, str], channel: ComplexArray
    ) -> str | None:
        """Why array, header, link and dictionary do not belong together, or ``None``."""
        held, needed = (header.tx_location, header.rx_location), f"{link[0]} -> {link[1]}"
        if held != link:
            return f"holds the entry {held[0]} -> {held[1]}, needed {needed}"
        for field in ("waveform_hash", "num_captures"):
            of_entry, of_all = getattr(header, field), getattr(self.provenance, field)
            if of_entry != of_all:
                reason = _EXPLANATIONS[field]
                return f"entry {needed} is of {reason} ({field}: {of_entry}, needed {of_all})"
        if content_hash_of(channel) != header.content_hash:
            return f"entry {needed} does not match its hash {header.content_hash}"
        return None

    def _array_path(self, header: EntryHeader) -> Path:
        stem = file_stem(header.tx_location, header.rx_location)
        return self.root / f"{stem}.{header.content_hash[:8]}{_ARRAY_SUFFIX}"

    def _header_path(self, tx_location: str, rx_location: str) -> Path:
        return self.root / f"{file_stem(tx_location, rx_location)}{_HEADER_SUFFIX}"


def manifest_of(root: Path) -> Manifest:
    """Manifest of the dictionary in a directory; nothing is written.

    Raises
    ------
    DictionaryError
        If there is none.
    """
    manifest = root / MANIFEST_NAME
    if not root.is_dir():
        msg = f"{root}: no such directory; testbed calibrate makes one"
        raise DictionaryError(msg)
    if not manifest.exists():
        msg = f"{root}: no dictionary ({MANIFEST_NAME} is missing); testbed calibrate makes one"
        raise DictionaryError(msg)
    return _read_manifest(manifest)


def _read_manifest(manifest: Path) -> Manifest:
    try:
        found = msgspec.json.decode(manifest.read_bytes(), type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        msg = f"{manifest}: not a dictionary manifest: {error}"
        raise DictionaryError(msg) from error
    check_schema(found.schema, manifest)
    return found
