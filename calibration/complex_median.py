"""Median over captures of real and of imaginary parts; eq. (8)."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from drivers.compiled import compiled
from drivers.geometry import ComplexArray

# Columns that are worked on at a time: a few vector registers wide, and in the nearest cache.
_WIDTH = 64


def complex_median(captures: ComplexArray) -> ComplexArray:
    """Median of real and of imaginary parts over the first axis, complex64; eq. (8).

    To the bit what `numpy.median` finds: captures are put in order by a fixed sequence of
    comparisons (Batcher's odd-even merges; Knuth, The Art of Computer Programming, 5.2.2, algorithm
    M), many entries side by side, less those that the middle does not depend on.

    Parameters
    ----------
    captures
        Finite, shape ``(N, ...)``.
    """
    count = len(captures)
    parts = np.ascontiguousarray(captures, dtype=np.complex64).reshape(count, -1).view(np.float32)
    median = _middle(parts, _comparisons(count))
    return median.view(np.complex64).reshape(captures.shape[1:])


@lru_cache(maxsize=8)
def _comparisons(count: int) -> NDArray[np.intp]:
    """Which of so many to compare, lower one first, until the middle is in place, ``(C, 2)``."""
    needed = {(count - 1) // 2, count // 2}
    kept = []
    for low, high in reversed(_sorting_network(count)):
        if low in needed or high in needed:
            needed |= {low, high}
            kept.append((low, high))
    return np.array(kept[::-1], dtype=np.intp).reshape(-1, 2)


def _sorting_network(count: int) -> list[tuple[int, int]]:
    """Comparisons that put any order right."""
    found = []
    width = 1
    while width < count:
        apart = width
        while apart >= 1:
            for start in range(apart % width, count - apart, 2 * apart):
                for low in range(start, min(start + apart, count - apart)):
                    if low // (2 * width) == (low + apart) // (2 * width):
                        found.append((low, low + apart))  # noqa: PERF401
            apart //= 2
        width *= 2
    return found


@compiled
def _middle(values: NDArray[np.float32], comparisons: NDArray[np.intp]) -> NDArray[np.float32]:
    """Median over the first axis."""
    count, size = values.shape
    median = np.empty(size, np.float32)
    block = np.zeros((count, _WIDTH), np.float32)
    for start in range(0, size, _WIDTH):
        stop = min(start + _WIDTH, size)
        for n in range(count):
            block[n, : stop - start] = values[n, start:stop]
        for c in range(len(comparisons)):
            low, high = block[comparisons[c, 0]], block[comparisons[c, 1]]
            for column in range(_WIDTH):
                first, second = low[column], high[column]
                # not min and max: those also look for NaN
                low[column] = second if second < first else first
                high[column] = first if second < first else second
        below, above = block[(count - 1) // 2], block[count // 2]
        for column in range(stop - start):
            median[start + column] = (below[column] + above[column]) * np.float32(0.5)
    return median
