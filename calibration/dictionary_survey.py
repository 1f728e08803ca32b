"""What is in a background dictionary: power and noise of every entry, and what is damaged."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import DictionaryError, Entry, EntryHeader
from calibration.entry_drift import EntryDrift, EntryDrifts


@dataclass(frozen=True)
class EntrySummary:
    """One whole entry.

    Attributes
    ----------
    header
        What is said of it.
    mean_power
        ``|H|^2``, mean over tones and elements, relative to the transmitted tone.
    drift
        What captures showed of it since it was learned; ``None`` if none did.
    """

    header: EntryHeader
    mean_power: float
    drift: EntryDrift | None = None

    @property
    def mean_power_db(self) -> float | None:
        """In decibels; ``None`` for no power at all."""
        return _decibels(self.mean_power)

    @property
    def noise_db(self) -> float | None:
        """Noise of one symbol, relative to the transmitted tone; ``None`` where not known."""
        noise_var = self.header.learned_with.noise_var
        return None if noise_var is None else _decibels(noise_var)

    @property
    def power_over_noise_db(self) -> float | None:
        """How far the noise of one symbol is below the mean power."""
        power_db, noise_db = self.mean_power_db, self.noise_db
        return None if power_db is None or noise_db is None else power_db - noise_db


@dataclass(frozen=True)
class DamagedEntry:
    """One that cannot be used: its header's file name, why, and its locations if they are known."""

    file: str
    reason: str
    link: tuple[str, str] | None = None


@dataclass(frozen=True)
class Survey:
    """All entries of a dictionary, by the names of their files."""

    entries: tuple[EntrySummary, ...]
    damaged: tuple[DamagedEntry, ...]


def surveyed(dictionary: BackgroundDictionary) -> Survey:
    """Read all entries, one after the other."""
    drifts = EntryDrifts(dictionary.root)
    entries: list[EntrySummary] = []
    damaged: list[DamagedEntry] = []
    for found in read_entries(dictionary):
        if isinstance(found, DamagedEntry):
            damaged.append(found)
        else:
            entries.append(replace(summary_of(found), drift=drifts.of(found.header)))
    return Survey(tuple(entries), tuple(damaged))


def refuse_damaged(dictionary: BackgroundDictionary) -> None:
    """Read all entries; see that none is damaged.

    Raises
    ------
    DictionaryError
        If one is; all are named, with what to do.
    """
    reasons = [
        found.reason for found in read_entries(dictionary) if isinstance(found, DamagedEntry)
    ]
    if reasons:
        raise DictionaryError("; ".join(reasons))


def read_entries(dictionary: BackgroundDictionary) -> Iterator[Entry | DamagedEntry]:
    """All entries, one after the other, by the names of their files."""
    for path in dictionary.header_paths():
        link = None
        try:
            header = dictionary.header(path)
            link = header.tx_location, header.rx_location
            yield dictionary.get(*link)
        except DictionaryError as error:
            yield DamagedEntry(path.name, str(error), link)


def summary_of(entry: Entry) -> EntrySummary:
    """Summary of an entry."""
    parts = entry.channel.view(np.float32)
    power = 2.0 * float(np.mean(np.square(parts), dtype=np.float64))
    return EntrySummary(entry.header, power)


def _decibels(power: float) -> float | None:
    return 10.0 * float(np.log10(power)) if power > 0.0 else None
