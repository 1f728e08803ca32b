"""P1, P2 and the sampling-based initialization as they stand in the paper; eqs. (12) to (19)."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import least_squares

from tests.oracles import planning
from tests.oracles.channel import SPEED_OF_LIGHT_M_PER_S

# mu_reg of (18), see `fusion.error_bound`.
REGULARIZATION_PER_M2 = 1e-6


def position(
    links: Sequence[tuple[np.ndarray, np.ndarray, float]],
    delays: Sequence[tuple[float, float]],
    sines: Sequence[tuple[float, float]],
    starts_m: Sequence[np.ndarray],
) -> tuple[np.ndarray, float]:
    """Minimum of P1 and its cost: the best that `scipy.optimize.least_squares` finds.

    Parameters
    ----------
    links
        Transmitter, receiver and the receiver's boresight.
    delays, sines
        Value and variance of each link's measurements.
    """

    def residual(at_m: np.ndarray) -> np.ndarray:
        rows = []
        for (tx_m, rx_m, boresight_rad), delay, sine in zip(links, delays, sines, strict=True):
            path_m = np.linalg.norm(at_m - tx_m) + np.linalg.norm(at_m - rx_m)
            bearing_rad = np.arctan2(at_m[1] - rx_m[1], at_m[0] - rx_m[0]) - boresight_rad
            rows.append((delay[0] - path_m / SPEED_OF_LIGHT_M_PER_S) / np.sqrt(delay[1]))
            rows.append((sine[0] - np.sin(bearing_rad)) / np.sqrt(sine[1]))
        return np.array(rows)

    found = [least_squares(residual, start_m) for start_m in starts_m]
    best = min(found, key=lambda solution: solution.cost)
    return best.x, 2.0 * float(best.cost)


def best_configuration(
    link_information: np.ndarray, prior: np.ndarray, num_receivers: int
) -> tuple[int, tuple[int, ...], float]:
    """Transmitter, receivers and bound of P2: every set, an inverse each; eq. (19)."""
    bound_m, tx, receivers = planning.best_configuration(
        link_information, prior, num_receivers, REGULARIZATION_PER_M2
    )
    return tx, receivers, bound_m


def field_of_view_choice(
    in_view: np.ndarray, information: np.ndarray, num_receivers: int
) -> tuple[int, tuple[int, ...]]:
    """Receivers that see most samples (13), then the transmitter of least mean PEB (14).

    Parameters
    ----------
    in_view
        Whether each node has each sample in view, shape ``(N, P)``.
    information
        Of all links at each sample, shape ``(P, N, N, 3)``.
    """
    num_nodes = len(in_view)
    most, receivers = -1, ()
    for chosen in combinations(range(num_nodes), num_receivers):
        covered = int(np.any(in_view[list(chosen)], axis=0).sum())
        if covered > most:
            most, receivers = covered, chosen
    mean_m = np.full(num_nodes, np.inf)
    for tx in set(range(num_nodes)) - set(receivers):
        totals = information[:, tx, receivers, :].sum(axis=1)
        mean_m[tx] = np.mean([planning.peb_m(total, REGULARIZATION_PER_M2) for total in totals])
    return int(np.argmin(mean_m)), receivers
