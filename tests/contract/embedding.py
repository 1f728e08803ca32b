"""Many draws of embedded errors: how large they come out, over their bounds."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy import stats

from calibration.node_calibration import NodeCalibration
from tests.contract.calibrations import Errors, whitened


class Embedding(Protocol):
    """A truth with errors in it."""

    def calibrated(self) -> NodeCalibration: ...

    def errors(self, found: NodeCalibration) -> Errors: ...

    def bound(self) -> Errors: ...


@dataclass(frozen=True)
class Accuracy:
    """How large one kind of error is over draws.

    Attributes
    ----------
    rmse
        Of an element or node, in the error's own unit.
    squared_ratio
        Of each draw's mean square error over its bound, shape ``(T,)``.
    whitened_rms
        Errors over the roots of their bound, in every direction that it has.
    freedom
        Number of such directions, over all draws.
    """

    rmse: float
    squared_ratio: np.ndarray
    whitened_rms: float
    freedom: int

    @property
    def ratio(self) -> float:
        """Of the root mean square error over the bound."""
        return math.sqrt(np.mean(self.squared_ratio))

    def widened(self, quantile: float) -> float:
        """Factor from a root mean square over these draws to an end of its interval."""
        return math.sqrt(self.freedom / stats.chi2.ppf(1.0 - quantile, self.freedom))


def accuracies(embed: Callable[[int], Embedding], seeds: Iterable[int]) -> dict[str, Accuracy]:
    """Accuracy of each kind of error that has a bound."""
    square: dict[str, list[float]] = {}
    ratio: dict[str, list[float]] = {}
    white: dict[str, list[np.ndarray]] = {}
    for seed in seeds:
        embedding = embed(seed)
        errors, bound = embedding.errors(embedding.calibrated()), embedding.bound()
        for kind in (kind for kind in errors if bound[kind].any()):
            mean_square = float(np.mean(errors[kind] ** 2))
            square.setdefault(kind, []).append(mean_square)
            ratio.setdefault(kind, []).append(mean_square / float(np.mean(np.diag(bound[kind]))))
            white.setdefault(kind, []).append(whitened(errors, bound, (kind,)))
    return {
        kind: Accuracy(
            rmse=math.sqrt(np.mean(square[kind])),
            squared_ratio=np.array(ratio[kind]),
            whitened_rms=math.sqrt(np.mean(np.concatenate(parts) ** 2)),
            freedom=sum(part.size for part in parts),
        )
        for kind, parts in white.items()
    }
