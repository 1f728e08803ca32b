"""Cases of a sweep: every combination of its values, each a site checked as from a file."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from urllib.parse import quote

import msgspec

from testbed.runs.cases import Case
from testbed.runs.paper_literal import paper_literal
from testbed.site import Site, SiteError
from testbed.sweeps.parameters import with_values
from testbed.sweeps.sweep_file import SweepError, SweepFile, Value, shown


@dataclass(frozen=True, slots=True)
class SweptCase:
    """One combination.

    Attributes
    ----------
    name
        Of its directory.
    values
        One of each variation, in the file's order.
    literal
        Whether the site's loop is that of the paper.
    """

    name: str
    values: tuple[Value, ...]
    policy: str
    literal: bool
    case: Case


def swept_cases(sweep: SweepFile, site: Site, path: Path) -> list[SweptCase]:
    """All cases of a sweep of this site, the last variation changing first.

    Raises
    ------
    SweepError
        With each problem once: the first combination that has it, and the place in the site.
    """
    found: list[SweptCase] = []
    problems: dict[str, str] = {}
    for values in product(*(variation.values for variation in sweep.vary)):
        by_path = {
            path: value
            for variation, value in zip(sweep.vary, values, strict=True)
            for path in variation.paths
        }
        try:
            changed = with_values(site, by_path, sweep.fidelity)
        except SiteError as error:
            told = ", ".join(f"{path} = {shown(value)}" for path, value in by_path.items())
            for problem in error.problems:
                problems.setdefault(problem, f"{told}: {problem}")
        else:
            found += _of_site(sweep, changed, values)
    if not problems:
        problems = dict(_same(found))
    if problems:
        raise SweepError(path, list(problems.values()))
    return found


def short_titles(sweep: SweepFile) -> list[str]:
    """What each variation is called where there is little room: its label, or its last key."""
    pairs = zip(sweep.vary, _keys(sweep), strict=True)
    return [variation.label or key for variation, key in pairs]


def _of_site(sweep: SweepFile, site: Site, values: tuple[Value, ...]) -> Iterator[SweptCase]:
    parts = [
        f"{quote(key)}={quote(shown(value), safe='')}"
        for key, value in zip(_keys(sweep), values, strict=True)
    ]
    for policy, literal in product(sweep.policies, sweep.literal):
        yield SweptCase(
            ",".join((*parts, quote(policy, safe=""), *(["literal"] if literal else []))),
            values, policy, literal,
            Case(
                paper_literal(site) if literal else site, sweep.background, sweep.fidelity, policy
            ),
        )  # fmt: skip


def _keys(sweep: SweepFile) -> list[str]:
    """The last key of each variation's first path; the path where several end alike."""
    paths = [variation.paths[0] for variation in sweep.vary]
    ends = [path.rpartition(".")[2] for path in paths]
    counts = Counter(ends)
    return [end if counts[end] == 1 else path for end, path in zip(ends, paths, strict=True)]


def _same(cases: list[SweptCase]) -> Iterator[tuple[str, str]]:
    """Cases that are no different from an earlier one."""
    first: dict[bytes, str] = {}
    for swept in cases:
        twin = first.setdefault(msgspec.msgpack.encode(swept.case), swept.name)
        if twin != swept.name:
            yield swept.name, f"{swept.name}: the same as {twin}: what differs has no effect"
