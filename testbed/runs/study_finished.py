"""Trials of a study that are finished, and those that are missing."""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Generic, TypeVar

Result = TypeVar("Result")


class FinishedTrials(Generic[Result]):
    """Trials of a study that are finished: here, in memory only.

    Attributes
    ----------
    results
        By the trial's number.
    took_s
        Seconds that the study took for each chunk, by the number of its first trial.
    """

    def __init__(self) -> None:
        self.results: dict[int, Result] = {}
        self.took_s: dict[int, float] = {}

    def put(self, first: int, chunk: Sequence[Result], took_s: float) -> None:
        """Add trials that follow each other, from number `first` on."""
        self.results.update(enumerate(chunk, start=first))
        self.took_s[first] = took_s

    def of_first(self, trials: int) -> list[Result]:
        """Results of the first `trials` trials in order, without those that are missing."""
        return [self.results[number] for number in range(trials) if number in self.results]

    def missing(self, trials: int, size: int) -> list[range]:
        """Numbers of those that are missing, in chunks of at most `size`."""
        chunks = (range(start, min(start + size, trials)) for start in range(0, trials, size))
        left = ([number for number in chunk if number not in self.results] for chunk in chunks)
        return [part for numbers in left for part in _without_gaps(numbers)]

    def elapsed_s(self, trials: int) -> float:
        """Seconds that the study took for the first `trials` trials, over all its runs."""
        return sum(took_s for first, took_s in self.took_s.items() if first < trials)


def _without_gaps(numbers: Sequence[int]) -> Iterator[range]:
    for _, group in groupby(enumerate(numbers), lambda item: item[1] - item[0]):
        part = [number for _, number in group]
        yield range(part[0], part[-1] + 1)
