"""How accurate a trial could have been: bounds that only the simulator can know."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from drivers.geometry import FloatArray
from fusion.error_bound import REGULARIZATION_PER_M2, peb_m
from fusion.network import Network
from fusion.planning import best_configuration
from processing.report import LinkReport

RcsOf = Callable[[str, str, int], float]
"""RCS of the target that a look at a link saw, by transmitter, receiver and sensing index."""

BOUND_NAMES = ("conditional", "mean_rcs", "oracle")


@dataclass(frozen=True, slots=True)
class TrialBounds:
    """Bounds (18) at the true position, in metres.

    What nodes' surveys leave unknown counts anew in each look, so that these bounds are low where
    it matters. Noise of a learned background is left out.

    Attributes
    ----------
    conditional_m
        Of the links sensed, given the RCS that each look saw.
    mean_rcs_m
        Of the links sensed, for the mean RCS: the information averaged over the fluctuation. No
        scheme reaches it, as the error averaged over the fluctuation is larger.
    oracle_m
        Of an oracle that knew the position from the start: as many looks of as many receivers and
        symbols, each of the configuration that P2 gives for the mean RCS on top of what the
        earlier ones brought, given the RCS that these looks would have seen.
    oracle_axes_m
        Standard deviations of the oracle's error along its principal axes.
    """

    conditional_m: float
    mean_rcs_m: float
    oracle_m: float
    oracle_axes_m: tuple[float, float]


class TruthBounds:
    """Information about the true position.

    Parameters
    ----------
    network
        Nodes and waveform.
    target_m
        The truth, shape ``(2,)``.
    mean_rcs_m2
        Of the target.
    rcs_of
        What the simulator drew.
    """

    def __init__(
        self, network: Network, target_m: FloatArray, mean_rcs_m2: float, rcs_of: RcsOf
    ) -> None:
        self._network = network
        self._point_m = target_m[None]
        self._mean_rcs_m2 = mean_rcs_m2
        self._rcs_of = rcs_of
        self._unit_snr = network.snr(self._point_m, np.ones(1)) / network.num_symbols

    def of(self, reports: Sequence[LinkReport]) -> Iterator[tuple[int, TrialBounds]]:
        """Bounds after each sensing that anything was reported of, and its index."""
        conditional, mean, oracle = np.zeros(3), np.zeros(3), np.zeros(3)
        for index, sensed in groupby(reports, key=lambda report: report.sensing_index):
            looks = list(sensed)
            for look in looks:
                mean += self._link(look.tx_id, look.rx_id, self._mean_rcs_m2, look.num_averaged)
                conditional += self._drawn(look.tx_id, look.rx_id, look)
            oracle += self._best(looks, oracle)
            yield (
                index,
                TrialBounds(
                    float(peb_m(conditional)), float(peb_m(mean)), float(peb_m(oracle)),
                    _axes_m(oracle),
                ),
            )  # fmt: skip

    def _best(self, looks: Sequence[LinkReport], prior: FloatArray) -> FloatArray:
        """What the best configuration would have brought in place of the one that was sensed."""
        expected = self._links(self._mean_rcs_m2 * looks[0].num_averaged)
        best = best_configuration(self._network, expected, prior, len(looks)).config
        return np.sum([self._drawn(best.tx_id, rx_id, looks[0]) for rx_id in best.rx_ids], axis=0)

    def _drawn(self, tx_id: str, rx_id: str, look: LinkReport) -> FloatArray:
        """Of a link with the RCS that it shows in the sensing of a look."""
        rcs_m2 = self._rcs_of(tx_id, rx_id, look.sensing_index)
        return self._link(tx_id, rx_id, rcs_m2, look.num_averaged)

    def _link(self, tx_id: str, rx_id: str, rcs_m2: float, num_symbols: int) -> FloatArray:
        index = self._network.index
        return self._links(rcs_m2 * num_symbols)[index[tx_id], index[rx_id]]

    def _links(self, rcs_m2: float) -> FloatArray:
        """Information (17) of all links, shape ``(N, N, 3)``."""
        return self._network.information(self._point_m, self._unit_snr * rcs_m2)[0]


def _axes_m(information: FloatArray) -> tuple[float, float]:
    """Of the error ellipse of an information with entries ``xx, xy, yy``, as (18) bounds it."""
    xx, xy, yy = information
    matrix = np.array([[xx, xy], [xy, yy]]) + REGULARIZATION_PER_M2 * np.eye(2)
    long, short = 1.0 / np.sqrt(np.linalg.eigvalsh(matrix))
    return float(long), float(short)


def bound_statistics(
    bounds: Sequence[TrialBounds], found: Sequence[tuple[float, TrialBounds]]
) -> dict[str, float | None]:
    """Medians of bounds in metres, and the RMSE of errors in units of the conditional bound.

    The latter is the root of the mean of ``(error / bound)^2``: 1 of an efficient estimator,
    whatever was drawn. ``None`` of no trials.

    Parameters
    ----------
    bounds
        Of all trials that have some.
    found
        Error in metres and bounds of the trials that found the target.
    """
    ratios = [error_m / own.conditional_m for error_m, own in found]
    medians = {
        f"{name}_bound_median_m": (
            float(np.median([getattr(own, f"{name}_m") for own in bounds])) if bounds else None
        )
        for name in BOUND_NAMES
    }
    rms = float(np.sqrt(np.mean(np.square(ratios)))) if ratios else None
    return medians | {"rmse_over_conditional_bound": rms}
