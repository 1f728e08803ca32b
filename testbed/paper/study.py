"""The paper's study: all trials of all cases, and what comes of them in one directory."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import Any

from calibration.whole_files import write_atomically
from testbed.figures.runtimes import StageBar
from testbed.paper.cases import COLUMNS, Part, paper_cases
from testbed.paper.published import TABLE1_M
from testbed.paper.results import Cell, CurvePoint, Ending, Results, cells, curves, endings
from testbed.paper.runtimes import literal_stage_times, stage_times
from testbed.runs.cases import opened_cases, run_cases
from testbed.runs.policies import PROPOSED
from testbed.runs.trial import TrialResult
from testbed.site import Site

_NUM_TIMED = 20


@dataclass(frozen=True)
class Reproduction:
    """All numbers of a study of the paper; nothing in the lists of parts that were left out.

    Attributes
    ----------
    command
        That gives the same again.
    trials, seed
        Of each case.
    elapsed_s
        That all trials took, over all runs.
    """

    command: str
    trials: int
    seed: int
    elapsed_s: float
    points: Sequence[CurvePoint]
    cells: Sequence[Cell]
    endings: Sequence[Ending]
    runtimes: Sequence[StageBar]

    def ending(self, part: Part, scheme: str, column: str, *size: int) -> Ending | None:
        """Of one case; the last of its budgets. Of any size, if none is given."""
        found = [
            end
            for end in self.endings
            if (end.part, end.scheme, end.column) == (part, scheme, column)
            and (not size or (end.num_elements, end.num_receivers) == size)
        ]
        return found[-1] if found else None


def run_paper(
    root: Path,
    hall: Site,
    parts: Collection[Part],
    policies: Sequence[str],
    trials: int,
    seed: int,
    jobs: int,
    scheduler: str | None,
    begin: Callable[[int, int], Callable[[Sequence[TrialResult]], None]],
    say: Callable[[str], object],
) -> tuple[Results, float]:
    """Trials of all cases, and the seconds they took; those that are in the directory are kept.

    Parameters
    ----------
    begin
        Told how many trials there are and how many of them are kept; gives what is called with
        trials that are finished.
    say
        Told of what was found damaged.

    Raises
    ------
    UsageError
        If the directory is of another study, or in use.
    """
    wanted = paper_cases(parts, policies, hall)
    named = {case.name: case.case for case in wanted}
    with opened_cases(root, named, trials, seed, say) as stores:
        kept = sum(len(store.of_first(trials)) for store in stores)
        progress = begin(len(wanted) * trials, kept)
        run_cases(list(named.values()), stores, trials, seed, jobs, progress, scheduler)
        elapsed_s = sum(store.elapsed_s(trials) for store in stores)
        pairs = zip(wanted, stores, strict=True)
        return {case: store.of_first(trials) for case, store in pairs}, elapsed_s


def measured_runtimes(hall: Site, ends: Sequence[Ending], seed: int) -> Iterator[StageBar]:
    """Time until convergence of both stages for each cell of Table I, on this machine, now.

    A sensing's time, times the sensings that the cell's trials took on average.
    """
    sensings = {
        (end.column, end.num_elements, end.num_receivers): end.num_sensings
        for end in ends
        if end.part == "table1" and end.scheme == PROPOSED
    }
    for size in TABLE1_M:
        both = literal_stage_times(hall, *size, seed), stage_times(hall, *size, seed, _NUM_TIMED)
        for column, times in zip(COLUMNS, both, strict=True):
            if times is not None:
                count = sensings[column, *size]
                yield StageBar(*size, column, count * times.sensing_s, count * times.selection_s)


def reproduction_of(
    results: Results,
    runtimes: Iterable[StageBar],
    command: str,
    trials: int,
    seed: int,
    elapsed_s: float,
) -> Reproduction:
    """Everything that is told of the trials."""
    return Reproduction(
        command, trials, seed, elapsed_s, curves(results), cells(results), endings(results),
        list(runtimes),
    )  # fmt: skip


def write_tables(root: Path, found: Reproduction) -> list[Path]:
    """The numbers as tidy CSV files; one that would be empty is not written."""
    tables: dict[str, tuple[type, Sequence[Any]]] = {
        "curves.csv": (CurvePoint, found.points),
        "table1.csv": (Cell, found.cells),
        "endings.csv": (Ending, found.endings),
        "runtimes.csv": (StageBar, found.runtimes),
    }
    written = []
    for name, (kind, rows) in tables.items():
        if rows:
            write_atomically(root / name, _csv(kind, rows).encode())
            written.append(root / name)
    return written


def _csv(kind: type, rows: Sequence[Any]) -> str:
    heads = ",".join(field.name for field in fields(kind))
    lines = (",".join("" if v is None else f"{v}" for v in astuple(row)) for row in rows)
    return "\n".join((heads, *lines, ""))
