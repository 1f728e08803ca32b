"""What is measured, what it is held against, and what came of it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from testbed.bench.workload import Workload


@dataclass(frozen=True, slots=True)
class Limits:
    """What a piece of work is asked for; ``None`` where nothing is.

    Attributes
    ----------
    time_s
        It takes at most so long.
    ratio
        Its literal evaluation takes at least so many times as long.
    error
        It is at most so far from the literal evaluation, see `Case.error_is`.
    """

    time_s: float | None = None
    ratio: float | None = None
    error: float | None = None


@dataclass(frozen=True, slots=True)
class Counts:
    """What any evaluation has to move and to compute at least.

    Attributes
    ----------
    memory_bytes, cache_bytes
        Read or written once, beyond the caches and in them.
    product_flop, fft_flop
        Real operations in matrix products and in transforms.
    normals
        Gaussian numbers to be drawn.
    constant_s
        Time of something else that is measured by itself.
    """

    memory_bytes: float = 0.0
    cache_bytes: float = 0.0
    product_flop: float = 0.0
    fft_flop: float = 0.0
    normals: float = 0.0
    constant_s: float = 0.0


@dataclass(frozen=True)
class Work:
    """One case made ready to run on a workload.

    Attributes
    ----------
    run
        Does the work once; its result is what `error` compares.
    literal
        Its literal evaluation, ``None`` where there is none or no checkout to take it from.
    error
        Of a result against the literal one; of a result alone where the literal is ``None``.
    counts
        For the floor, ``None`` where none is stated.
    times_s
        Measures the work itself, as many samples as it likes; `run` is then for result and memory.
    literal_share
        What one call of `literal` is divided by to stand for one piece of work.
    """

    run: Callable[[], Any]
    literal: Callable[[], Any] | None = None
    error: Callable[[Any, Any], float | None] | None = None
    counts: Counts | None = None
    times_s: Callable[[], Sequence[float]] | None = None
    literal_share: float = 1.0


@dataclass(frozen=True)
class Case:
    """One row of the suite.

    Attributes
    ----------
    name
        Short, unique, and what `--only` looks for.
    work
        What is done, for people.
    limits
        What it is asked for.
    error_is
        What its error means, in words; empty where there is none.
    floor_is
        What its floor counts, in words.
    prepare
        Makes it ready; not measured.
    quantile
        Of the samples that the row reports, 0.5 for the median.
    """

    name: str
    work: str
    limits: Limits
    prepare: Callable[["Workload"], Work]
    error_is: str = ""
    floor_is: str = ""
    quantile: float = 0.5


@dataclass(frozen=True, slots=True)
class Row:
    """What was measured of a case; ``None`` what is not known.

    Attributes
    ----------
    time_s, literal_s
        Of one piece of work, and of its literal evaluation.
    ratio
        Literal over time.
    peak_memory_bytes
        Beyond what lay there before, as far as Python's allocators and NumPy's tell.
    floor_s
        See `testbed.bench.machine`.
    met
        Whether all limits are known to be met.
    """

    name: str
    work: str
    time_s: float
    limit_s: float | None
    literal_s: float | None
    ratio: float | None
    ratio_limit: float | None
    error: float | None
    error_limit: float | None
    error_is: str
    peak_memory_bytes: int | None
    floor_s: float | None
    floor_is: str
    met: bool


def row_of(
    case: Case,
    time_s: float,
    *,
    literal_s: float | None = None,
    error: float | None = None,
    peak_memory_bytes: int | None = None,
    floor_s: float | None = None,
) -> Row:
    """The row of a case that was measured; a limit on something unknown is not met."""
    limits = case.limits
    ratio = None if literal_s is None else literal_s / time_s
    kept = [time_s <= limits.time_s] if limits.time_s is not None else []
    if limits.ratio is not None:
        kept.append(ratio is not None and ratio >= limits.ratio)
    if limits.error is not None:
        kept.append(error is not None and error <= limits.error)
    return Row(
        name=case.name,
        work=case.work,
        time_s=time_s,
        limit_s=limits.time_s,
        literal_s=literal_s,
        ratio=ratio,
        ratio_limit=limits.ratio,
        error=error,
        error_limit=limits.error,
        error_is=case.error_is,
        peak_memory_bytes=peak_memory_bytes,
        floor_s=floor_s,
        floor_is=case.floor_is,
        met=all(kept),
    )
