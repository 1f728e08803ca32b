"""Time, peak memory and error of one case; fast and literal in turns, in one process."""

import time
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from testbed.bench.case import Case, Row, Work, row_of
from testbed.bench.machine import Rates, floor_s

# A literal evaluation is run again while all of its runs take less than this together.
_LITERAL_BUDGET_S = 4.0
_MAX_LITERAL_RUNS = 9


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that a call takes, and what it returns."""
    started_s = time.perf_counter()
    result = function()
    return time.perf_counter() - started_s, result


def in_turns(
    run: Callable[[], Any], literal: Callable[[], Any] | None, repeats: int, first_literal_s: float
) -> tuple[list[float], list[float]]:
    """Samples of a function and of its literal evaluation, in seconds, interleaved.

    A machine that is busy for a while is so for both. The literal one is run less often where it
    takes long; `first_literal_s`, what it took once already, says how often.
    """
    affordable = int(_LITERAL_BUDGET_S / max(first_literal_s, 1e-9))
    count = min(repeats, _MAX_LITERAL_RUNS, affordable) if literal is not None else 0
    turns = set(np.linspace(0, repeats - 1, count).round().astype(int).tolist())
    times_s: list[float] = []
    literal_times_s: list[float] = []
    for n in range(repeats):
        times_s.append(timed(run)[0])
        if literal is not None and n in turns:
            literal_times_s.append(timed(literal)[0])
    return times_s, literal_times_s


def peak_memory_bytes(run: Callable[[], Any]) -> int:
    """Most memory that a call holds at a time beyond what was there before it.

    As `tracemalloc` sees it: Python's and NumPy's, not what compiled code takes for itself.
    """
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        tracemalloc.reset_peak()
        run()
        return max(tracemalloc.get_traced_memory()[1] - before, 0)
    finally:
        tracemalloc.stop()


def measured(case: Case, work: Work, repeats: int, rates: Rates) -> Row:
    """Everything about one case.

    Both run once before: what compiles does it then, and what plans keep is there.
    """
    result = work.run()
    first_literal_s, expected = timed(work.literal) if work.literal is not None else (0.0, None)
    if work.times_s is not None:
        times_s: Sequence[float] = work.times_s()
        _, literal_times_s = in_turns(_nothing, work.literal, 2, first_literal_s)
    else:
        work.run()
        times_s, literal_times_s = in_turns(work.run, work.literal, repeats, first_literal_s)
    literal_s = None
    if work.literal is not None:
        literal_s = float(np.median(literal_times_s or [first_literal_s])) / work.literal_share
    return row_of(
        case,
        float(np.quantile(times_s, case.quantile)),
        literal_s=literal_s,
        error=None if work.error is None else work.error(result, expected),
        peak_memory_bytes=peak_memory_bytes(work.run),
        floor_s=None if work.counts is None else floor_s(work.counts, rates),
    )


def _nothing() -> None:
    """Stands in for work that measures itself."""
