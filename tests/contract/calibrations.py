"""What every calibration must be able to show: a random error, a known truth, an estimate."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np


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
        Standard deviation of a real or imaginary part of `corrected`.
    """

    normalized_error: np.ndarray
    corrected: np.ndarray
    wanted: np.ndarray
    corrected_std: float


class Calibration(Protocol):
    """A calibration under test."""

    def draw(self, seed: int) -> Outcome:
        """Draw an error, apply it to a known truth, estimate it, and correct with it."""
        ...

    def without_noise(self, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
        """Estimate and truth where measurements are free of noise, and the rounding to expect."""
        ...
