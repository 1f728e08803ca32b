"""The paper's study: everything that is told of its trials, and the tables of that."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from typing import Any

from testbed.paper.cases import COLUMNS, Part
from testbed.paper.published import TABLE1_M
from testbed.paper.results import Cell, CurvePoint, Ending, Results, cells, curves, endings
from testbed.paper.runtimes import StageTimes, literal_stage_times, stage_times
from testbed.runs.policies import PROPOSED
from testbed.runs.software import software_identity
from testbed.site import Site

_NUM_TIMED = 20
TABLES: Mapping[str, type] = {
    "curves.csv": CurvePoint, "table1.csv": Cell, "endings.csv": Ending, "runtimes.csv": StageTimes,
}  # fmt: skip


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
    software
        That computed them.
    """

    command: str
    trials: int
    seed: int
    elapsed_s: float
    points: Sequence[CurvePoint]
    cells: Sequence[Cell]
    endings: Sequence[Ending]
    runtimes: Sequence[StageTimes]
    software: Mapping[str, str]

    def ending(self, part: Part, scheme: str, column: str, *size: int) -> Ending | None:
        """Of one case; the last of its budgets. Of any size, if none is given."""
        found = [
            end
            for end in self.endings
            if (end.part, end.scheme, end.column) == (part, scheme, column)
            and (not size or (end.num_elements, end.num_receivers) == size)
        ]
        return found[-1] if found else None


def measured_runtimes(hall: Site, ends: Sequence[Ending], seed: int) -> Iterator[StageTimes]:
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
                yield times.of(sensings[column, *size])


def reproduction_of(
    results: Results, command: str, trials: int, seed: int, elapsed_s: float
) -> Reproduction:
    """Everything that is told of the trials; runtimes are not."""
    return Reproduction(
        command, trials, seed, elapsed_s, curves(results), cells(results), endings(results),
        [], software_identity(),
    )  # fmt: skip


def tables_of(found: Reproduction) -> dict[str, str]:
    """The numbers as tidy CSV by name of file; none that would be empty."""
    rows: tuple[Sequence[Any], ...] = (found.points, found.cells, found.endings, found.runtimes)
    pairs = zip(TABLES.items(), rows, strict=True)
    return {name: _csv(kind, own) for (name, kind), own in pairs if own}


def _csv(kind: type, rows: Sequence[Any]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(field.name for field in fields(kind))
    writer.writerows(map(astuple, rows))
    return stream.getvalue()
