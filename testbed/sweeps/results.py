"""What came of a sweep: a row of statistics a case."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from testbed.runs.cases import Finished
from testbed.runs.confidence import percentile_band, rmse_band
from testbed.runs.study import study_object
from testbed.sweeps.combinations import SweptCase
from testbed.sweeps.sweep_file import SweepFile, Value

CONFIDENCE = 0.9
_BANDS = ("rmse", "median", "p95")
_OF_STUDY = (
    "unresolved_fraction", "wrong_fraction", "mean_num_sensings", "conditional_bound_median_m",
    "oracle_bound_median_m", "rmse_over_conditional_bound", "coverage_95",
)  # fmt: skip
STATISTICS = (
    "trials",
    *(f"{name}{end}_m" for name in _BANDS for end in ("", "_low", "_high")),
    *_OF_STUDY,
)

Statistic = int | float | None


@dataclass(frozen=True, slots=True)
class SweepRow:
    """One case and what came of it.

    Attributes
    ----------
    statistics
        By the names of `STATISTICS`: of the error at the end of a trial, in metres, with the ends
        of its band; fractions; ``None`` where there is none.
    """

    values: tuple[Value, ...]
    policy: str
    literal: bool
    statistics: dict[str, Statistic]


def sweep_row(swept: SweptCase, finished: Finished, trials: int, seed: int) -> SweepRow:
    """Statistics of a case whose trials are all there."""
    results = finished.of_first(trials)
    errors_m = np.array([result.error_m[-1] for result in results])
    bands = (
        rmse_band(errors_m, CONFIDENCE),
        percentile_band(errors_m, 50.0, CONFIDENCE),
        percentile_band(errors_m, 95.0, CONFIDENCE),
    )
    found: dict[str, Any] = study_object(swept.case.site, results, seed, finished.elapsed_s(trials))
    numbers = (trials, *(end for band in bands for end in band), *(found[n] for n in _OF_STUDY))
    statistics = dict(zip(STATISTICS, numbers, strict=True))
    return SweepRow(swept.values, swept.policy, swept.literal, statistics)


def row_object(sweep: SweepFile, row: SweepRow) -> dict[str, Value | Statistic]:
    """A row with a column a parameter."""
    parameters = {
        path: value
        for variation, value in zip(sweep.vary, row.values, strict=True)
        for path in variation.paths
    }
    return {**parameters, "policy": row.policy, "literal": row.literal, **row.statistics}


def without_effect(sweep: SweepFile, rows: Sequence[SweepRow]) -> list[str]:
    """Titles of variations whose values all came to the same, whatever the others were."""
    found = []
    for n, variation in enumerate(sweep.vary):
        by_others: dict[object, dict[str, Statistic]] = {}
        for row in rows:
            others = (row.values[:n], row.values[n + 1 :], row.policy, row.literal)
            if by_others.setdefault(others, row.statistics) != row.statistics:
                break
        else:
            found += [variation.title] if len(variation.values) > 1 else []
    return found


def table_text(sweep: SweepFile, rows: Sequence[SweepRow]) -> str:
    """All rows as CSV."""
    stream = io.StringIO()
    objects = [row_object(sweep, row) for row in rows]
    writer = csv.DictWriter(stream, objects[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(objects)
    return stream.getvalue()
