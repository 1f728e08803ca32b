"""What every calibration must be able to show: a random error, a known truth, an estimate."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

# Estimate minus truth of each kind of error, or the covariance that it ought to have.
Errors = dict[str, np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """One draw of a calibration.

    Attributes
    ----------
    normalized_error
        Estimate minus truth over the standard deviation that it ought to have, real, any shape.
    corrected, wanted
        A further measurement after the correction, and what it would be without the error.
    corrected_std
        Standard deviation of a real or imaginary part of `corrected`; broadcasts with it.
    """

    normalized_error: np.ndarray
    corrected: np.ndarray
    wanted: np.ndarray
    corrected_std: float | np.ndarray


class Calibration(Protocol):
    """A calibration under test."""

    def draw(self, seed: int) -> Outcome:
        """Draw an error, apply it to a known truth, estimate it, and correct with it."""
        ...

    def without_noise(self, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Estimate and truth where measurements are free of noise, and the rounding to expect."""
        ...


def whitened(errors: Errors, bound: Errors, kinds: Iterable[str] | None = None) -> np.ndarray:
    """Errors over the roots of their bound, in the directions that it has; of all kinds or some."""
    parts = []
    for kind in errors if kinds is None else kinds:
        values, vectors = np.linalg.eigh(bound[kind])
        there = values > 1e-9 * max(values.max(), 1e-300)
        parts.append((vectors.T @ errors[kind])[there] / np.sqrt(values[there]))
    return np.concatenate(parts)
