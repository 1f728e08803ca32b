"""What a dictionary's directory tells of a calibration: the facts that its report shows."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from calibration.dictionary import BackgroundDictionary, Manifest, manifest_of
from calibration.dictionary_entry import DictionaryError, Entry, EntryHeader
from calibration.dictionary_survey import DamagedEntry, EntrySummary, read_entries, summary_of
from calibration.entry_checks import EntryCheck, EntryChecks, Link, State
from calibration.node_files import NodeCalibrationFile, read_node_file
from drivers.geometry import FloatArray
from testbed.report.paths import CalibratedNodes, PathFound, errors_of


@dataclass(frozen=True)
class EntryFacts:
    """One whole entry.

    Attributes
    ----------
    summary
        Its header, power and noise.
    element_power
        Mean of ``|H|^2`` over tones, shape ``(M,)``.
    thermal_var
        What thermal noise alone makes of `noise_var` by the calibrated link budget, without
        averaging over symbols; ``None`` where nodes are not calibrated.
    path
        The direct path in it; ``None`` where geometry is not known or one wave stands out nowhere.
    check
        The last one, if it was of this entry.
    """

    summary: EntrySummary
    element_power: FloatArray
    thermal_var: float | None = None
    path: PathFound | None = None
    check: EntryCheck | None = None

    @property
    def header(self) -> EntryHeader:
        """What is said of it."""
        return self.summary.header

    @property
    def link(self) -> Link:
        """Locations of transmitter and receiver."""
        return self.header.tx_location, self.header.rx_location

    @property
    def state(self) -> State | None:
        """As checked last; ``None`` without a check."""
        return None if self.check is None else self.check.state


@dataclass(frozen=True)
class DictionaryFacts:
    """All that lies in a dictionary's directory.

    Attributes
    ----------
    name
        Of the directory.
    entries
        Whole ones.
    damaged
        The others that there are.
    nodes
        As calibrated; ``None`` where radios were not sounded, as at pilot fidelity.
    notes
        What could not be read beside the entries, and why.
    """

    name: str
    manifest: Manifest
    entries: Mapping[Link, EntryFacts]
    damaged: Sequence[DamagedEntry] = ()
    nodes: NodeCalibrationFile | None = None
    notes: Sequence[str] = ()

    @cached_property
    def locations(self) -> tuple[str, ...]:
        """All that entries name, and nodes of which there is no entry at all, in natural order."""
        named = {end for link in self.entries for end in link}
        named |= {end for found in self.damaged if found.link for end in found.link}
        return tuple(sorted(named | self._silent_nodes(), key=natural_order))

    def _silent_nodes(self) -> set[str]:
        """Calibrated nodes that no entry was learned with, by the best name that they have."""
        if self.nodes is None or self.damaged:
            return set()
        ends = [entry.header.learned_with for entry in self.entries.values()]
        heard = {name for end in ends for name in (end.tx_id, end.rx_id)}
        if None in heard:  # whoever that was
            return set()
        return {f"node {node.node_id}" for node in self.nodes.nodes if node.node_id not in heard}

    @property
    def num_links(self) -> int:
        """How many ordered pairs the locations make."""
        return len(self.locations) * (len(self.locations) - 1)

    @cached_property
    def damaged_links(self) -> frozenset[Link]:
        """Links of damaged entries whose headers can be read."""
        return frozenset(found.link for found in self.damaged if found.link)

    @cached_property
    def missing(self) -> tuple[Link, ...]:
        """Links without any entry, so far as the locations are known."""
        pairs = ((tx, rx) for tx in self.locations for rx in self.locations if tx != rx)
        there = self.entries.keys() | self.damaged_links
        return tuple(link for link in pairs if link not in there)

    def in_state(self, state: State) -> list[EntryFacts]:
        """Entries that were found so."""
        return [entry for entry in self.entries.values() if entry.state == state]

    @cached_property
    def of_receiver(self) -> Mapping[str, tuple[EntryFacts, ...]]:
        """Entries by the location of their receiver."""
        found: dict[str, list[EntryFacts]] = defaultdict(list)
        for entry in self.entries.values():
            found[entry.link[1]].append(entry)
        return {name: tuple(found[name]) for name in sorted(found, key=natural_order)}

    @cached_property
    def element_db(self) -> Mapping[str, FloatArray]:
        """Power of each element over the median one, as a receiver's entries have it, in dB.

        The median over entries, by the receiver's location, shape ``(M,)``; of arrays only.
        Entries of another size than most are left out.
        """
        found = {}
        for name, entries in self.of_receiver.items():
            sizes = [len(entry.element_power) for entry in entries]
            size = max(sizes, key=sizes.count)
            if size > 1:
                rows = [
                    relative_db(e.element_power) for e in entries if len(e.element_power) == size
                ]
                found[name] = np.median(rows, axis=0)
        return found


def relative_db(power: FloatArray) -> FloatArray:
    """Powers over their median, in dB; none at all counts as -100 dB."""
    middle = float(np.median(power))
    if middle <= 0.0:
        return np.zeros(len(power))
    return np.asarray(10.0 * np.log10(np.maximum(power / middle, 1e-10)))


def facts_of(
    root: Path, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> DictionaryFacts:
    """Read all that lies in a dictionary's directory; nothing is written.

    Files beside the entries that cannot be read are noted, and the rest goes without them.

    Parameters
    ----------
    progress
        Called with the entries that are read and the entries in all.

    Raises
    ------
    DictionaryError
        If there is no dictionary.
    """
    manifest, dictionary = manifest_of(root), BackgroundDictionary.existing(root)
    notes: list[str] = []
    nodes, checks = _nodes(root, notes), _checks(dictionary, notes)
    whole, damaged = [], []
    calibrated = None if nodes is None else CalibratedNodes(nodes, _headers(dictionary))
    total = len(dictionary)
    for done, found in enumerate(read_entries(dictionary)):
        progress(done, total)
        if isinstance(found, DamagedEntry):
            damaged.append(found)
        else:
            whole.append(_facts(found, calibrated, checks))
    progress(total, total)
    entries = {entry.link: entry for entry in whole}
    name = root.resolve().name
    return DictionaryFacts(name, manifest, entries, tuple(damaged), nodes, tuple(notes))


def _facts(
    entry: Entry, calibrated: CalibratedNodes | None, checks: EntryChecks | None
) -> EntryFacts:
    header = entry.header
    power = np.asarray(np.mean(np.abs(entry.channel) ** 2, axis=0, dtype=np.float64))
    found = None if checks is None else checks.of(header)
    summary = summary_of(entry)
    if calibrated is None or not (np.isfinite(power).all() and power.any()):
        return EntryFacts(summary, power, check=found)
    return EntryFacts(
        summary, power, calibrated.thermal_var(header), calibrated.direct_path(entry), found
    )


def _headers(dictionary: BackgroundDictionary) -> Iterable[EntryHeader]:
    for path in dictionary.header_paths():
        try:
            yield dictionary.header(path)
        except DictionaryError:
            continue  # it is named among the damaged ones


def _nodes(root: Path, notes: list[str]) -> NodeCalibrationFile | None:
    try:
        found = read_node_file(root)
        if found is not None:
            errors_of(found)
    except (DictionaryError, ValueError) as error:
        notes.append(str(error))
        return None
    return found


def _checks(dictionary: BackgroundDictionary, notes: list[str]) -> EntryChecks | None:
    try:
        return EntryChecks(dictionary)
    except DictionaryError as error:
        notes.append(str(error))
        return None


def natural_order(name: str) -> list[tuple[int, str]]:
    """Order of names in which n2 comes before n10."""
    parts = re.findall(r"\d+|\D+", name)
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]
