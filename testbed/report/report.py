"""A dictionary's report before it is drawn: facts, judgements, and the verdict in words."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from calibration.entry_checks import Link
from testbed.report.facts import DictionaryFacts, EntryFacts, facts_of
from testbed.report.noise import NoiseFacts, noise_of
from testbed.report.suspicions import (
    WEAK_ELEMENT_DB,
    Suspicion,
    has_direct_path,
    suspicions_of,
)

# Where an entry's delays count from: common time, its direct path, nothing, or nobody knows.
Origin = Literal["common time", "direct path", "nothing", "not known"]


@dataclass(frozen=True)
class Report:
    """Facts of a dictionary and what is to be said of them."""

    facts: DictionaryFacts
    noise: NoiseFacts
    suspicions: tuple[Suspicion, ...]

    @cached_property
    def suspicious_links(self) -> tuple[Link, ...]:
        """Each link with a suspicion, once."""
        return tuple(sorted({found.link for found in self.suspicions}))

    @cached_property
    def weak_elements(self) -> dict[str, dict[int, float]]:
        """Elements that are weak in all entries of a receiver, with their power in dB."""
        found = {
            name: {n: float(v) for n, v in enumerate(values) if v < WEAK_ELEMENT_DB}
            for name, values in self.facts.element_db.items()
        }
        return {name: weak for name, weak in found.items() if weak}

    @cached_property
    def without_common_time(self) -> dict[Link, Origin]:
        """Links whose captures had no common time, and what their delays count from instead."""
        return {
            link: self._origin(entry)
            for link, entry in self.facts.entries.items()
            if not entry.header.delay_is_absolute
        }

    @cached_property
    def angle_only(self) -> tuple[Link, ...]:
        """Links without absolute delay, so far as it is known."""
        return tuple(link for link, by in self.without_common_time.items() if by != "direct path")

    def _origin(self, entry: EntryFacts) -> Origin:
        if self.facts.nodes is None:
            return "not known"
        return "direct path" if has_direct_path(entry) else "nothing"

    @property
    def verdict(self) -> str:
        """How good it is, in a line."""
        facts = self.facts
        checked = sum(entry.check is not None for entry in facts.entries.values())
        counts = (
            (len(facts.damaged), "damaged"),
            (len(facts.in_state("stale")), "stale"),
            (len(facts.in_state("drifting")), "drifting"),
            (len(self.suspicious_links), "suspicious"),
        )
        found = [f"{count:,} {what}" for count, what in counts if count]
        if self.angle_only:
            found.append(f"{_links(len(self.angle_only))} without absolute delay")
        if not found:
            found.append("nothing suspicious" if facts.entries else "nothing to judge")
        if self.weak_elements:
            found.insert(-1, f"weak elements at {len(self.weak_elements)} receivers")
        unchecked = len(facts.entries) - checked
        if unchecked and facts.entries:
            found.append(
                "none checked since" if not checked else f"{unchecked:,} not checked since"
            )
        return f"{len(facts.entries):,} of {facts.num_links:,} entries; {', '.join(found)}"


def _links(count: int) -> str:
    return f"{count:,} link{'' if count == 1 else 's'}"


def report_of(
    root: Path, progress: Callable[[int, int], None] = lambda _done, _total: None
) -> Report:
    """Read a dictionary's directory and judge what is there; nothing is written.

    Raises
    ------
    DictionaryError
        If there is no dictionary.
    """
    facts = facts_of(root, progress)
    noise = noise_of(facts)
    return Report(facts, noise, suspicions_of(facts, noise))
