"""What captures showed of entries since these were learned; kept beside them.

Each localization says what its captures left of an entry; none of them is evidence alone, since a
target may be its cause.
"""

import fcntl
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec

from calibration.beside_entries import read_beside, write_beside
from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import EntryHeader, utc_now
from calibration.entry_checks import Link

SCHEMA = 1
_FILE, _LOCK = "drift.json", "drift.lock"
# Captures that a mean remembers.
_MEMORY = 64
# Fewer captures say nothing.
_LEAST_CAPTURES = 8
# The mean of so many errs by less than 0.1 dB.
MOST_NOISE_DB = 2.0
# Sidelobes of strong targets leave up to 5 dB in single captures.
_MOST_OUTSIDE_DB = 6.0
# An echo that lasts is not in all captures: targets stand before it. Where it is in more than one
# of four its votes grow. As many are counted as are forgotten in 24 captures, once it has gone.
_VOTES_FOR, _VOTES_AGAINST, _REPEATED, _MOST_VOTES = 3, 1, 9, 24


class Echo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An echo that the position of the target does not explain.

    Attributes
    ----------
    range_m
        Bistatic range, by the link's own count of delays.
    sine
        Of the arrival angle from boresight; ``None`` for one element.
    votes
        Three of each capture with it, less one of each without.
    """

    range_m: float
    sine: float | None
    votes: Annotated[int, msgspec.Meta(ge=0)] = _VOTES_FOR


@dataclass(frozen=True)
class Seen:
    """What one capture showed of an entry.

    Attributes
    ----------
    link, content_hash
        The entry's.
    noise_db
        Noise of what is left, over what there was as it was learned; ``None`` if nobody knows.
    outside_db
        See `processing.report.LinkReport`.
    echoes
        That the target does not explain, strongest first; ``None`` where nobody knows.
    resolution
        Bistatic range and sine that tell echoes apart.
    """

    link: Link
    content_hash: str
    noise_db: float | None
    outside_db: float | None
    echoes: Sequence[Echo] | None
    resolution: tuple[float, float]


class EntryDrift(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What captures showed of one entry since it was learned.

    Attributes
    ----------
    content_hash
        Of the entry: one that is learned again starts anew.
    num_captures
        That were seen.
    noise_db, outside_db
        As of `Seen`, mean over the last 64 captures or so.
    echo
        One that lasts, if there is any: whichever comes first, voted for by captures that have it
        and against by others until it has no votes left (after Boyer and Moore, 1981). Echoes that
        move with the target have none soon.
    last
        When the last one was seen, UTC.
    """

    tx_location: str
    rx_location: str
    content_hash: str
    num_captures: Annotated[int, msgspec.Meta(ge=0)]
    noise_db: float | None
    outside_db: float | None
    echo: Echo | None
    last: str

    @property
    def link(self) -> Link:
        """Locations of transmitter and receiver."""
        return self.tx_location, self.rx_location

    @property
    def reason(self) -> str | None:
        """Why the entry is called drifting; ``None`` if it is not."""
        if self.num_captures < _LEAST_CAPTURES:
            return None
        if self.echo is not None and self.echo.votes >= _REPEATED:
            return f"an echo at {self.echo.range_m:.1f} m that no target explains"
        if self.noise_db is not None and self.noise_db > MOST_NOISE_DB:
            return f"noise {self.noise_db:.1f} dB over what it was learned with"
        if self.outside_db is not None and self.outside_db > _MOST_OUTSIDE_DB:
            return f"{self.outside_db:.1f} dB over noise where no echo can be"
        return None

    def with_capture(self, seen: Seen) -> "EntryDrift":
        """The same with one more capture."""
        count = self.num_captures + 1
        return msgspec.structs.replace(
            self,
            num_captures=count,
            noise_db=_mean(self.noise_db, seen.noise_db, count),
            outside_db=_mean(self.outside_db, seen.outside_db, count),
            echo=self.echo if seen.echoes is None else _voted(self.echo, seen),
            last=utc_now(),
        )


def _mean(before: float | None, value: float | None, count: int) -> float | None:
    """Mean of all values, of the latest once there are many."""
    if before is None or value is None:
        return value if before is None else before
    return before + (value - before) / min(count, _MEMORY)


def _voted(echo: Echo | None, seen: Seen) -> Echo | None:
    """The echo that may last, after one more capture."""
    echoes = seen.echoes or ()
    if echo is None:
        return next(iter(echoes), None)
    found = any(_is_same(echo, other, seen.resolution) for other in echoes)
    votes = echo.votes + (_VOTES_FOR if found else -_VOTES_AGAINST)
    return msgspec.structs.replace(echo, votes=min(votes, _MOST_VOTES)) if votes > 0 else None


def _is_same(one: Echo, other: Echo, resolution: tuple[float, float]) -> bool:
    apart = abs((one.sine or 0.0) - (other.sine or 0.0))
    return abs(one.range_m - other.range_m) < resolution[0] and apart < resolution[1]


class _Drifts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    schema: int
    drifts: list[EntryDrift]


class EntryDrifts:
    """What captures showed of a dictionary's entries.

    Raises
    ------
    DictionaryError
        If the file with it cannot be read.
    """

    def __init__(self, root: Path) -> None:
        found = _read(root)
        self._of = {drift.link: drift for drift in found}

    def of(self, header: EntryHeader) -> EntryDrift | None:
        """Of an entry; ``None`` if no capture was seen since it was learned."""
        drift = self._of.get((header.tx_location, header.rx_location))
        return drift if drift and drift.content_hash == header.content_hash else None


def keep_seen(dictionary: BackgroundDictionary, captures: Iterable[Seen]) -> list[EntryDrift]:
    """Add captures to what is kept; the entries that they are of, as they are now.

    Who writes at the same time waits: nothing that another run saw is lost.

    Raises
    ------
    DictionaryError
        If what is kept cannot be read.
    OSError
        If it cannot be written.
    """
    with _locked(dictionary.root):
        kept = {drift.link: drift for drift in _read(dictionary.root)}
        changed: dict[Link, EntryDrift] = {}
        for seen in captures:
            before = kept.get(seen.link)
            if before is None or before.content_hash != seen.content_hash:
                before = EntryDrift(*seen.link, seen.content_hash, 0, None, None, None, "")
            kept[seen.link] = changed[seen.link] = before.with_capture(seen)
        if changed:
            drifts = _Drifts(SCHEMA, [kept[link] for link in sorted(kept)])
            write_beside(dictionary.root / _FILE, drifts)
    return list(changed.values())


def _read(root: Path) -> list[EntryDrift]:
    found = read_beside(root / _FILE, _Drifts, SCHEMA)
    return [] if found is None else found.drifts


@contextmanager
def _locked(root: Path) -> Iterator[None]:
    """Others out of the file for a moment; the kernel lets them in if this process ends."""
    descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
