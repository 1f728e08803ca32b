"""Numbers of the paper's study made by hand: trials, and a reproduction as the paper has it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from testbed.paper.cases import COLUMNS, worth_schemes
from testbed.paper.published import TABLE1_M
from testbed.paper.results import Cell, CurvePoint, Ending
from testbed.paper.runtimes import StageTimes
from testbed.paper.study import Reproduction
from testbed.runs.trial import TrialResult
from testbed.runs.trial_bounds import TrialBounds


def bounds_of(axes_m: tuple[float, float] = (0.4, 0.3)) -> TrialBounds:
    """Of 0.2 m, 0.1 m and what the oracle's axes are."""
    oracle_m = (axes_m[0] ** 2 + axes_m[1] ** 2) ** 0.5
    return TrialBounds(0.2, 0.1, oracle_m, axes_m)


def trial(
    *error_m: float, converged: bool = True, nees: float | None = 1.0,
    bounds: Sequence[TrialBounds | None] = (), num_symbols: int | None = None,
) -> TrialResult:  # fmt: skip
    """With those errors after its sensings; the same bounds after each, if left out."""
    count = len(error_m)
    return TrialResult(
        0, error_m, converged, nees, 0.1, count,
        num_symbols=count if num_symbols is None else num_symbols,
        bounds=tuple(bounds) or (bounds_of(),) * count,
    )  # fmt: skip


# RMSE by scheme over the budget, in metres: through the numbers that the paper's text has.
LINES_M = {
    "proposed": (20.0, 8.0, 3.0, 1.2, 0.6, 0.45, 0.45, 0.45, 0.45, 0.45),
    "no_suppression": (100.0,) * 10,
    "clutter_free": (20.0, 7.5, 2.8, 1.1, 0.55, 0.45, 0.45, 0.45, 0.45, 0.45),
    "without_sfi": (67.0, 40.0, 25.0, 15.0, 10.0, 8.0, 6.0, 5.0, 4.0, 3.6),
    "rsa": (20.0, 25.0, 28.0, 22.0, 16.0, 12.0, 9.0, 7.0, 6.0, 5.0),
    "fis": (20.0, 15.0, 12.0, 10.0, 8.0, 7.0, 6.0, 5.0, 4.6, 4.2),
    "sfi_peb": (10.0, 8.0, 6.0, 5.0, 4.5, 4.0, 3.5, 3.0, 2.7, 2.4),
    "obs": (0.6, 0.5, 0.4, 0.35, 0.3, 0.25, 0.24, 0.23, 0.22, 0.21),
}
# The text has none for two receivers, and says that all are below 3.5 %.
LOSS_PCT = {
    (4, 1): 3.28, (4, 2): 3.4, (4, 3): 3.499, (16, 1): 2.35, (16, 2): 2.5, (16, 3): 2.64,
}  # fmt: skip
# Seconds of sensing and selection.
TIMES_S = {
    (4, 1): (0.2, 0.01), (4, 2): (0.2, 0.2), (4, 3): (0.2, 9.0),
    (16, 1): (0.4, 0.01), (16, 2): (0.4, 0.2), (16, 3): (0.4, 6.0),
}  # fmt: skip


def ending(part, scheme, column, num_elements, num_receivers, **fields: Any) -> Ending:
    """Of 50 trials of which a tenth is not found."""
    known: dict[str, Any] = {
        "num_symbols": 10, "rmse_m": 0.45, "median_m": 0.1, "p95_m": 0.9, "oracle_median_m": 0.05,
        "oracle_p95_m": 0.2, "unresolved": 0.1, "wrong": 0.02, "num_sensings": 4.6,
        "throughput_loss_pct": 3.3, "rmse_over_bound": 1.05, "coverage_50": 0.5,
        "coverage_95": 0.94, "trials": 50,
    }  # fmt: skip
    return Ending(part, scheme, column, num_elements, num_receivers, **{**known, **fields})


def points_of(scheme: str, values_m: Sequence[float]) -> Iterator[CurvePoint]:
    """RMSE and median of both columns, and bounds of the proposed scheme."""
    statistics = {"rmse": 1.0, "rmse_best_99": 1.0, "median": 0.3, "p95": 2.0}
    if scheme == "proposed":
        statistics |= {"conditional_bound": 0.1, "oracle_bound": 0.05}
    for column in COLUMNS:
        for statistic, share in statistics.items():
            for n, value_m in enumerate(values_m, start=1):
                m = share * value_m
                yield CurvePoint(scheme, column, n, statistic, m, 0.8 * m, 1.3 * m, 50)


def reproduction(**parts: Any) -> Reproduction:
    """All numbers as the paper states them, in both columns; parts of it may be given."""
    both = [(column, size) for column in COLUMNS for size in TABLE1_M]
    known: dict[str, Any] = {
        "points": [p for scheme, line in LINES_M.items() for p in points_of(scheme, line)],
        "cells": [
            Cell(column, *size, percent, m, m, 0.9 * m, 1.1 * m, 0.5 * m, 50)
            for column, size in both
            for percent, m in TABLE1_M[size].items()
        ],
        "endings": [
            *(ending("fig2", scheme, c, 32, 1) for c in COLUMNS for scheme in LINES_M),
            *(ending("table1", "proposed", column, *size, throughput_loss_pct=LOSS_PCT[size])
              for column, size in both),
            *(ending("worth", scheme, "ours", 4, 1) for scheme in worth_schemes()),
        ],
        "runtimes": [StageTimes(*size, column, *TIMES_S[size]) for column, size in both],
    }  # fmt: skip
    software = {"version": "isac-testbed 1.0", "code": "0123456789abcdef"}
    whole = Reproduction("testbed study paper", 50, 1, 90.0, **known, software=software)
    return replace(whole, **parts)


def with_line(found: Reproduction, scheme: str, values_m: Sequence[float]) -> Reproduction:
    """With another curve of a scheme, in both columns."""
    others = [point for point in found.points if point.scheme != scheme]
    return replace(found, points=[*others, *points_of(scheme, values_m)])
