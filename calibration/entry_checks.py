"""Whether entries of a background dictionary still hold, as measured last; kept beside them."""

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from calibration.beside_entries import read_beside, write_beside
from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import EntryHeader

SCHEMA = 1
_FILE = "checks.json"

Link = tuple[str, str]
State = Literal["valid", "drifting", "stale"]


class EntryCheck(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a few captures without target showed of one entry.

    Attributes
    ----------
    tx_location, rx_location
        The entry's.
    content_hash
        Of the entry: one that was learned again has not been checked.
    state
        ``stale`` where most captures show an echo that the entry does not have; ``drifting`` where
        some do, or where more is left than noise; else ``valid``.
    num_captures, num_changed
        That were taken, and in which there was such an echo.
    change_snr_db
        Matched-cell SNR of the strongest of them; ``None`` without any.
    change_range_m
        Bistatic range of it, by the link's own count of delays; ``None`` where the direct path
        hides it.
    noise_db
        Median noise of what is left, over what there was as it was learned; ``None`` if unknown.
    reason
        Why captures could not be compared with the entry; ``None`` if they were.
    checked
        When, UTC.
    """

    tx_location: str
    rx_location: str
    content_hash: str
    state: State
    num_captures: Annotated[int, msgspec.Meta(ge=0)]
    num_changed: Annotated[int, msgspec.Meta(ge=0)]
    change_snr_db: float | None
    change_range_m: float | None
    noise_db: float | None
    reason: str | None
    checked: str

    @property
    def link(self) -> Link:
        """Locations of transmitter and receiver."""
        return self.tx_location, self.rx_location


class _Checks(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    checks: list[EntryCheck]


class EntryChecks:
    """The last check of each entry of a dictionary.

    Raises
    ------
    DictionaryError
        If the file with them cannot be read.
    """

    def __init__(self, dictionary: BackgroundDictionary) -> None:
        self._path: Path = dictionary.root / _FILE
        found = read_beside(self._path, _Checks, SCHEMA)
        checks = [] if found is None else found.checks
        self._of: dict[Link, EntryCheck] = {check.link: check for check in checks}

    @property
    def stale(self) -> list[EntryCheck]:
        """Checks that found their entry stale; it may have been learned again since."""
        return [check for check in self._of.values() if check.state == "stale"]

    def of(self, header: EntryHeader) -> EntryCheck | None:
        """The last check of an entry, unless it was learned again since."""
        check = self._of.get((header.tx_location, header.rx_location))
        return check if check and check.content_hash == header.content_hash else None

    def put(self, checks: Iterable[EntryCheck]) -> None:
        """Keep checks, in place of earlier ones of the same entries."""
        self._of |= {check.link: check for check in checks}
        self._write()

    def forget(self, link: Link) -> None:
        """Forget the check of an entry that was learned again."""
        if self._of.pop(link, None) is not None:
            self._write()

    def _write(self) -> None:
        write_beside(self._path, _Checks(SCHEMA, [self._of[link] for link in sorted(self._of)]))
