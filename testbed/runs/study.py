"""Monte Carlo studies: many seeded scenes of one site."""

from collections.abc import Callable, Sequence

import numpy as np
from scipy import special

from fusion.sensing import CHI2_50, CHI2_95
from testbed.runs.backgrounds import BackgroundKind
from testbed.runs.cases import Case, run_cases
from testbed.runs.localize import throughput_loss_pct
from testbed.runs.paper_literal import is_paper_literal
from testbed.runs.policies import PROPOSED
from testbed.runs.setup import Fidelity
from testbed.runs.study_finished import FinishedTrials
from testbed.runs.trial import TrialResult
from testbed.runs.trial_bounds import bound_statistics
from testbed.site import Site

WRONG_M = 5.0
_PERCENTILES = (25, 50, 75, 90, 95, 99)


def run_study(
    site: Site,
    trials: int,
    seed: int,
    background: BackgroundKind,
    jobs: int,
    progress: Callable[[Sequence[TrialResult]], None] = lambda _chunk: None,
    fidelity: Fidelity = "pilot",
    policy: str = PROPOSED,
    *,
    finished: FinishedTrials[TrialResult] | None = None,
    scheduler: str | None = None,
) -> tuple[list[TrialResult], float]:
    """All trials in order, and the seconds they took; the same whatever computes them.

    Parameters
    ----------
    jobs
        Processes on this machine.
    progress
        Called with the trials just finished, whichever are.
    policy
        Name of what senses, see `testbed.runs.policies`.
    finished
        Trials that need not be computed; those that are, are added to it.
    scheduler
        Address of a Dask cluster that computes in place of this machine.
    """
    finished = FinishedTrials[TrialResult]() if finished is None else finished
    case = Case(site, background, fidelity, policy)
    run_cases([case], [finished], trials, seed, jobs, progress, scheduler)
    return finished.of_first(trials), finished.elapsed_s(trials)


def study_object(
    site: Site, results: Sequence[TrialResult], seed: int, elapsed_s: float
) -> dict[str, object]:
    """The object that ``study run --json`` prints; metres, fractions with 95 % intervals."""
    errors = held_errors_m(results, site.sensing.max_sensings)
    final = errors[:, -1]
    converged = np.array([r.converged for r in results])
    nees = np.array([r.nees for r in results if r.converged and r.nees is not None])
    counts = np.array([len(r.error_m) for r in results])
    symbols = np.array([r.num_symbols for r in results])
    wrong = int(np.sum(converged & (final > WRONG_M)))
    unresolved = int(np.sum(~converged))
    trials = len(results)
    return {
        "site": site.name,
        "policy": results[0].policy,
        "knows_truth": any(r.knows_truth for r in results),
        "paper_literal": is_paper_literal(site),
        "rmse_m": np.sqrt(np.mean(errors**2, axis=0)).tolist(),
        "median_m": np.median(errors, axis=0).tolist(),
        "p99_m": np.percentile(errors, 99, axis=0).tolist(),
        "percentiles_m": {str(p): float(np.percentile(final, p)) for p in _PERCENTILES},
        "wrong_fraction": wrong / trials,
        "wrong_interval": clopper_pearson(wrong, trials),
        "unresolved_fraction": unresolved / trials,
        "unresolved_interval": clopper_pearson(unresolved, trials),
        "mean_num_sensings": float(counts.mean()),
        "throughput_loss_pct": throughput_loss_pct(site, float(symbols.mean())),
        "coverage_50": _fraction(nees <= CHI2_50),
        "coverage_95": _fraction(nees <= CHI2_95),
        "nees_median": float(np.median(nees)) if len(nees) else None,
        "peb_median_m": float(np.median([r.peb_m for r in results])),
        **bound_statistics(
            [end for r in results if (end := r.bounds[-1]) is not None],
            [
                (r.error_m[-1], end)
                for r in results
                if r.converged and (end := r.bounds[-1]) is not None
            ],
        ),
        "links_per_second": sum(r.num_links for r in results) / elapsed_s,
        "elapsed_s": elapsed_s,
        "trials": trials,
        "seed": seed,
    }


TRIAL_COLUMNS = (
    "seed", "num_sensings", "converged", "error_m", "peb_m", "nees", "policy", "num_symbols",
    "conditional_bound_m", "mean_rcs_bound_m", "oracle_bound_m",
)  # fmt: skip


def trial_row(result: TrialResult) -> tuple[object, ...]:
    """One trial as a row of `TRIAL_COLUMNS`; error and bounds at its end, in metres.

    ``None``, which is written as nothing, where a trial has none.
    """
    end = result.bounds[-1]
    bounds = () if end is None else (end.conditional_m, end.mean_rcs_m, end.oracle_m)
    return (
        result.seed, len(result.error_m), result.converged, result.error_m[-1], result.peb_m,
        result.nees, result.policy, result.num_symbols,
        *(bounds or (None,) * 3),
    )  # fmt: skip


def held_errors_m(results: Sequence[TrialResult], max_sensings: int) -> np.ndarray:
    """Error after each sensing, shape ``(T, J_max)``; a trial that stopped holds its last."""
    return np.array(
        [list(r.error_m) + [r.error_m[-1]] * (max_sensings - len(r.error_m)) for r in results]
    )


def _fraction(inside: np.ndarray) -> float | None:
    return float(np.mean(inside)) if len(inside) else None


def clopper_pearson(successes: int, trials: int, confidence: float = 0.95) -> list[float]:
    """Exact two-sided interval of a binomial fraction (Clopper and Pearson 1934)."""
    tail = (1.0 - confidence) / 2.0
    failures = trials - successes
    low = special.betaincinv(successes, failures + 1, tail) if successes else 0.0
    high = special.betaincinv(successes + 1, failures, 1.0 - tail) if failures else 1.0
    return [float(low), float(high)]
