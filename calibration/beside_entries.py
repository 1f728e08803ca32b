"""Files beside the entries of a dictionary that say how these are doing."""

from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from calibration.dictionary_entry import DictionaryError
from calibration.whole_files import write_atomically


class _Kept(Protocol):
    @property
    def schema(self) -> int: ...


Kept = TypeVar("Kept", bound=_Kept)


def read_beside(path: Path, kind: type[Kept], schema: int) -> Kept | None:
    """What a file holds; ``None`` if there is none.

    Raises
    ------
    DictionaryError
        If it cannot be read, or is of another version.
    """
    if not path.exists():
        return None
    try:
        found = msgspec.json.decode(path.read_bytes(), type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, OSError) as error:
        msg = f"{path}: cannot be read: {error}; delete it, it is made anew"
        raise DictionaryError(msg) from error
    if found.schema != schema:
        msg = f"{path}: schema {found.schema}, this version reads {schema}; delete it"
        raise DictionaryError(msg)
    return found


def write_beside(path: Path, kept: object) -> None:
    """Write such a file, whole or not at all."""
    write_atomically(path, msgspec.json.format(msgspec.json.encode(kept)))
