"""What the edge server commands, and what it concludes."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drivers.geometry import FloatArray

Status = Literal["searching", "converged", "unresolved"]

MIN_NODES = 2  # one sends, one listens

# Quantiles of chi-square with two degrees of freedom, -2 ln(1 - p).
CHI2_95 = -2.0 * np.log(0.05)
CHI2_50 = -2.0 * np.log(0.5)


class TooFewNodesError(RuntimeError):
    """Fewer nodes can take part than a sensing needs; the message names those that cannot."""


@dataclass(frozen=True, slots=True)
class SensingConfig:
    """One transmitter and the receivers that listen to it, ``(i, J)`` of the paper."""

    tx_id: str
    rx_ids: tuple[str, ...]

    def same_nodes(self, other: "SensingConfig") -> bool:
        """Whether both use the same transmitter and, in any order, the same receivers."""
        return self.tx_id == other.tx_id and set(self.rx_ids) == set(other.rx_ids)


@dataclass(frozen=True)
class PositionEstimate:
    """Where the target is believed to be.

    Attributes
    ----------
    position_m
        Shape ``(2,)``.
    covariance_m2
        Shape ``(2, 2)``: of the mode that the position comes from where that holds 95 % of the
        posterior, otherwise the posterior's mean square about the position.
    probability
        Posterior probability of that mode; zero while nothing was detected, when position and
        covariance merely summarize the search area.
    status
        ``searching``; ``converged``; or, at the end of the budget, ``unresolved``.
    """

    position_m: FloatArray
    covariance_m2: FloatArray
    probability: float
    status: Status

    @property
    def radius_95_m(self) -> float:
        """Semi-major axis of the 95 % ellipse, in metres."""
        (xx, xy), (_, yy) = self.covariance_m2.tolist()
        largest_m2 = (xx + yy) / 2.0 + math.hypot((xx - yy) / 2.0, xy)
        return math.sqrt(CHI2_95 * largest_m2)

    @property
    def peb_m(self) -> float:
        """Root of the covariance's trace, in metres; (18) at the estimate."""
        return math.sqrt(self.covariance_m2[0, 0] + self.covariance_m2[1, 1])
