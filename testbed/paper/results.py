"""Numbers of the paper's study: curves, cells and fractions, each with its 90 % band."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from drivers.geometry import FloatArray
from testbed.paper.cases import SINGLE_SHOT, Column, PaperCase, Part
from testbed.paper.published import TABLE1_M
from testbed.runs.confidence import percentile_band, rmse_band
from testbed.runs.study import held_errors_m, study_object
from testbed.runs.trial import TrialResult
from testbed.runs.trial_bounds import BOUND_NAMES, TrialBounds

Results = Mapping[PaperCase, Sequence[TrialResult]]
Band = tuple[float, float, float]
"""Value, and the ends of its 90 % band."""

# Of the oracle's error, drawn for each trial.
_ORACLE_DRAWS = 200


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One statistic of one scheme after so many symbols.

    Attributes
    ----------
    statistic
        ``rmse``, ``rmse_best_99`` (without the worst hundredth of the trials), ``median``, ``p95``;
        ``conditional_bound``, ``mean_rcs_bound`` and
        ``oracle_bound``: medians of these.
    value_m, low_m, high_m
        And its 90 % band.
    """

    scheme: str
    column: Column
    num_symbols: int
    statistic: str
    value_m: float
    low_m: float
    high_m: float
    trials: int


@dataclass(frozen=True, slots=True)
class Cell:
    """One percentile of one cell of Table I.

    Attributes
    ----------
    published_m
        The paper's.
    value_m, low_m, high_m
        And its 90 % band.
    oracle_m
        The same percentile of an efficient oracle's error, which knew the position from the
        start, with as many looks and the same draws.
    """

    column: Column
    num_elements: int
    num_receivers: int
    percent: int
    published_m: float
    value_m: float
    low_m: float
    high_m: float
    oracle_m: float
    trials: int


@dataclass(frozen=True, slots=True)
class Ending:
    """How the trials of a case ended.

    Attributes
    ----------
    unresolved, wrong
        Fractions of trials: not found; found, but off by more than 5 m.
    num_sensings, throughput_loss_pct
        On average.
    rmse_over_bound
        Over the conditional bound, of trials that found the target; ``None`` of none.
    coverage_50, coverage_95
        Of these, the fractions whose stated ellipses hold the truth; ``None`` of none.
    """

    part: Part
    scheme: str
    column: Column
    num_elements: int
    num_receivers: int
    num_symbols: int
    rmse_m: float
    median_m: float
    p95_m: float
    oracle_median_m: float | None
    oracle_p95_m: float | None
    unresolved: float
    wrong: float
    num_sensings: float
    throughput_loss_pct: float
    rmse_over_bound: float | None
    coverage_50: float | None
    coverage_95: float | None
    trials: int


def curves(results: Results) -> list[CurvePoint]:
    """Of figure 2: of an iterative scheme after each sensing, of a single shot by its budget."""
    points = []
    for case, trials in results.items():
        if case.part != "fig2":
            continue
        errors_m = held_errors_m(trials, case.budget)
        alone = case.scheme in SINGLE_SHOT
        for column, symbols in (
            [(-1, case.budget)] if alone else enumerate(range(1, case.budget + 1))
        ):
            for statistic, band in _statistics(errors_m[:, column], trials, column):
                points.append(
                    CurvePoint(case.scheme, case.column, symbols, statistic, *band, len(trials))
                )
    return points


def _statistics(
    errors_m: FloatArray, trials: Sequence[TrialResult], sensing: int
) -> Iterator[tuple[str, Band]]:
    yield "rmse", rmse_band(errors_m)
    yield "rmse_best_99", rmse_band(np.sort(errors_m)[: math.ceil(0.99 * len(errors_m))])
    yield "median", percentile_band(errors_m, 50)
    yield "p95", percentile_band(errors_m, 95)
    bounds = [bound for trial in trials if (bound := _held(trial.bounds, sensing)) is not None]
    for name in BOUND_NAMES if len(bounds) == len(trials) else ():
        yield f"{name}_bound", percentile_band(_of(bounds, name), 50)


def _held(bounds: Sequence[TrialBounds | None], sensing: int) -> TrialBounds | None:
    """After a sensing; a trial that stopped holds its last."""
    return bounds[min(sensing, len(bounds) - 1)]


def _of(bounds: Sequence[TrialBounds], name: str) -> FloatArray:
    return np.array([getattr(bound, f"{name}_m") for bound in bounds])


def cells(results: Results) -> list[Cell]:
    """Table I."""
    found = []
    for case, trials in results.items():
        if case.part != "table1":
            continue
        size = case.num_elements, case.num_receivers
        errors_m = np.array([trial.error_m[-1] for trial in trials])
        oracle_m = oracle_errors_m(trials)
        for percent, published_m in TABLE1_M[size].items():
            band = percentile_band(errors_m, percent)
            oracle = float(np.percentile(oracle_m, percent))
            found.append(Cell(case.column, *size, percent, published_m, *band, oracle, len(trials)))
    return found


def oracle_errors_m(trials: Sequence[TrialResult], seed: int = 0) -> FloatArray:
    """Errors of efficient oracles, many draws for each trial; of those in which some look was.

    Normal, with the covariance that the oracle's looks allow.
    """
    axes_m = np.array([end.oracle_axes_m for t in trials if (end := t.bounds[-1]) is not None])
    if not len(axes_m):
        return np.zeros(0)
    draws = np.random.default_rng(seed).standard_normal((_ORACLE_DRAWS, *axes_m.shape))
    return np.asarray(np.hypot(*np.moveaxis(draws * axes_m, -1, 0)).ravel())


def endings(results: Results) -> list[Ending]:
    """Of all cases."""
    return [_ending(case, trials) for case, trials in results.items()]


def _ending(case: PaperCase, trials: Sequence[TrialResult]) -> Ending:
    said: dict[str, Any] = study_object(case.case.site, trials, seed=0, elapsed_s=1.0)
    oracle_m = oracle_errors_m(trials)
    return Ending(
        case.part, case.scheme, case.column, case.num_elements, case.num_receivers, case.budget,
        rmse_m=said["rmse_m"][-1],
        median_m=said["percentiles_m"]["50"],
        p95_m=said["percentiles_m"]["95"],
        oracle_median_m=float(np.median(oracle_m)) if len(oracle_m) else None,
        oracle_p95_m=float(np.percentile(oracle_m, 95)) if len(oracle_m) else None,
        unresolved=said["unresolved_fraction"],
        wrong=said["wrong_fraction"],
        num_sensings=said["mean_num_sensings"],
        throughput_loss_pct=said["throughput_loss_pct"],
        rmse_over_bound=said["rmse_over_conditional_bound"],
        coverage_50=said["coverage_50"],
        coverage_95=said["coverage_95"],
        trials=len(trials),
    )  # fmt: skip


def by_scheme(
    points: Sequence[CurvePoint], statistic: str
) -> dict[tuple[str, str], list[CurvePoint]]:
    """Points of one statistic by column and scheme, in the order of symbols."""
    found: dict[tuple[str, str], list[CurvePoint]] = defaultdict(list)
    for point in points:
        if point.statistic == statistic:
            found[point.column, point.scheme].append(point)
    return {key: sorted(line, key=lambda p: p.num_symbols) for key, line in found.items()}
