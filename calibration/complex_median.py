"""Median over captures of real and of imaginary parts; eq. (8)."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from drivers.compiled import compiled
from drivers.geometry import ComplexArray

# Columns that are put in order at a time: a few vector registers wide.
_WIDTH = 128
# Columns that are fetched at a time: a page of each capture, which memory hands out faster than
# pieces of it; and how much further apart captures lie, so that they do not share cache lines.
_FETCHED = 2048
_APART = 16

_Comparisons = list[tuple[int, int]]
# First rows of fours, shape ``(F,)``; comparisons ``(C, 2)``; rows of both halves in order.
_Plan = tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]


def complex_median(captures: ComplexArray) -> ComplexArray:
    """Median of real and of imaginary parts over the first axis, complex64; eq. (8).

    Equal to what `numpy.median` finds. Both halves of the captures are put in order by a fixed
    sequence of comparisons (Batcher's odd-even merges; Knuth, The Art of Computer Programming,
    5.3.4), many entries side by side, four captures at a time as they come from memory; the middle
    of all follows from two ordered halves.

    Parameters
    ----------
    captures
        Finite, shape ``(N, ...)``.
    """
    count = len(captures)
    parts = np.ascontiguousarray(captures, dtype=np.complex64).reshape(count, -1).view(np.float32)
    median = _middle(parts, *_plan(count))
    return median.view(np.complex64).reshape(captures.shape[1:])


@lru_cache(maxsize=8)
def _plan(count: int) -> _Plan:
    """Fours and comparisons, lower row first, and rows of either half in their order then."""
    half = (count + 1) // 2
    halves = [list(range(half)), list(range(half, count))]
    fours = [n for rows in halves for n in rows[: len(rows) - len(rows) % 4 : 4]]
    (first, low), (second, high) = (_ordered(rows) for rows in halves)
    comparisons = np.array(first + second, dtype=np.intp).reshape(-1, 2)
    return np.array(fours, np.intp), comparisons, np.array(low, np.intp), np.array(high, np.intp)


def _ordered(rows: list[int]) -> tuple[_Comparisons, list[int]]:
    """Comparisons that put rows in order whose fours are, and the order that they are in then."""
    if len(rows) < 2 or len(rows) == 4:
        return [], rows
    split = 4 * round(len(rows) / 8) if len(rows) > 4 else 1
    first, low = _ordered(rows[:split])
    second, high = _ordered(rows[split:])
    merging, order = _merged(low, high)
    return first + second + merging, order


def _merged(first: list[int], second: list[int]) -> tuple[_Comparisons, list[int]]:
    """Comparisons that merge two ordered lists of rows, and the order of both then."""
    if not first or not second:
        return [], first + second
    if len(first) == len(second) == 1:
        return [(first[0], second[0])], first + second
    odd, v = _merged(first[::2], second[::2])
    even, w = _merged(first[1::2], second[1::2])
    pairs = list(zip(w, v[1:], strict=False))
    rest = v[1 + len(pairs) :] + w[len(pairs) :]
    return odd + even + pairs, [v[0], *(row for pair in pairs for row in pair), *rest]


@compiled
def _middle(
    values: NDArray[np.float32],
    fours: NDArray[np.intp],
    comparisons: NDArray[np.intp],
    low: NDArray[np.intp],
    high: NDArray[np.intp],
) -> NDArray[np.float32]:
    """Median over the first axis, shape ``(P,)``."""
    count, size = values.shape
    median = np.empty(size, np.float32)
    fetched = np.zeros((count, _FETCHED + _APART), np.float32)
    below, above = np.empty(_WIDTH, np.float32), np.empty(_WIDTH, np.float32)
    alone = np.ones(count, np.bool_)
    for n in fours:
        alone[n : n + 4] = False
    for page in range(0, size, _FETCHED):
        end = min(page + _FETCHED, size)
        for n in fours:
            _fetch_in_order(values[n : n + 4, page:end], fetched[n : n + 4])
        for n in range(count):
            if alone[n]:
                fetched[n, : end - page] = values[n, page:end]
        for start in range(0, end - page, _WIDTH):
            _put_in_order(fetched, start, comparisons)
            _take_smallest(fetched, start, low, high, (count + 1) // 2, below)
            _take_smallest(fetched, start, low, high, count // 2 + 1, above)
            for column in range(min(_WIDTH, end - page - start)):
                median[page + start + column] = (below[column] + above[column]) * np.float32(0.5)
    return median


@compiled
def _fetch_in_order(values: NDArray[np.float32], rows: NDArray[np.float32]) -> None:
    """Four captures, put in order on the way."""
    first, second, third, fourth = values[0], values[1], values[2], values[3]
    for column in range(values.shape[1]):
        a, b, c, d = first[column], second[column], third[column], fourth[column]
        a, b = (b if b < a else a), (a if b < a else b)
        c, d = (d if d < c else c), (c if d < c else d)
        a, c = (c if c < a else a), (a if c < a else c)
        b, d = (d if d < b else b), (b if d < b else d)
        b, c = (c if c < b else b), (b if c < b else c)
        rows[0, column], rows[1, column], rows[2, column], rows[3, column] = a, b, c, d


@compiled
def _put_in_order(rows: NDArray[np.float32], start: int, comparisons: NDArray[np.intp]) -> None:
    """Compare and exchange rows, some columns side by side."""
    for c in range(len(comparisons)):
        low = rows[comparisons[c, 0], start : start + _WIDTH]
        high = rows[comparisons[c, 1], start : start + _WIDTH]
        for column in range(_WIDTH):
            first, second = low[column], high[column]
            # not min and max: those also look for NaN
            low[column] = second if second < first else first
            high[column] = first if second < first else second


@compiled
def _take_smallest(
    rows: NDArray[np.float32],
    start: int,
    low: NDArray[np.intp],
    high: NDArray[np.intp],
    rank: int,
    smallest: NDArray[np.float32],
) -> None:
    """The value of a rank, from one, of two ordered halves: some columns.

    ``i`` of one and ``rank - i`` of the other hold `rank` values, and the largest of these is no
    less than the one that is sought; of all ``i`` the least is.
    """
    smallest[:] = np.inf
    for i in range(max(0, rank - len(high)), min(rank, len(low)) + 1):
        # Without any of one half both are the other's
        first = low[i - 1] if i > 0 else high[rank - 1]
        second = high[rank - i - 1] if i < rank else first
        one = rows[first, start : start + _WIDTH]
        other = rows[second, start : start + _WIDTH]
        for column in range(_WIDTH):
            largest = one[column] if one[column] > other[column] else other[column]
            least = smallest[column]
            smallest[column] = largest if largest < least else least
