"""Which nodes to use while the target may be anywhere; eqs. (13) and (14)."""

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np

from drivers.compiled import compiled
from drivers.geometry import FloatArray
from fusion.error_bound import REGULARIZATION_PER_M2, peb_m
from fusion.likelihood import detection_probability
from fusion.network import Network
from fusion.planning import Plan, plan_of

# Above this many receiver sets coverage (13) is searched greedily.
MAX_SETS = 200_000


def expected_error_plan(
    network: Network,
    points_m: FloatArray,
    rcs_m2: FloatArray,
    detection_snr: float,
    span_m: float,
    num_receivers: int,
) -> Plan:
    """Configuration with the least expected error over samples of where the target may be.

    Joins (13) and (14): a sample that at least one receiver sees is worth the PEB of the
    information expected then, one that all miss costs the area's span. Visibility is the
    probability of detection, fields of view, distance and fading included. Receivers are added
    one at a time for every transmitter (greedy).

    Parameters
    ----------
    points_m, rcs_m2
        Samples of the belief, shapes ``(P, 2)`` and ``(P,)``.
    detection_snr
        Threshold of the detector, matched-cell SNR.
    span_m
        Error of not seeing the target at all.
    """
    costs, sets = [], []
    for tx, snr, information in network.predictions(points_m, rcs_m2):
        seen = detection_probability(snr, detection_snr)
        cost, chosen = _receivers_one_by_one(
            seen, information, tx, span_m, num_receivers, REGULARIZATION_PER_M2
        )
        costs.append(cost)
        sets.append(chosen)
    cost, chosen = np.concatenate(costs), np.concatenate(sets)
    best = int(np.argmin(cost))
    return plan_of(network, best, chosen[best], float(cost[best]))


@compiled
def _receivers_one_by_one(
    seen: FloatArray,
    information: FloatArray,
    transmitters: np.ndarray,
    span_m: float,
    num_receivers: int,
    regularization_per_m2: float,
) -> tuple[FloatArray, np.ndarray]:
    """Receivers of each transmitter, each the best one to add, and the error expected of them.

    Parameters
    ----------
    seen
        Probability that a link detects a sample, shape ``(P, I, N)``.
    information
        Of each link that does, shape ``(P, I, N, 3)``.
    transmitters
        Index of each among the N nodes, shape ``(I,)``.

    Returns
    -------
    tuple
        Expected error, shape ``(I,)``, in metres; indices of receivers, ``(I, num_receivers)``.
    """
    num_points, num_transmitters, num_nodes = seen.shape
    cost_m = np.full(num_transmitters, np.inf)
    chosen = np.zeros((num_transmitters, num_receivers), dtype=np.intp)
    for row in range(num_transmitters):
        taken = np.zeros(num_nodes, dtype=np.bool_)
        taken[transmitters[row]] = True
        total, missed = np.zeros((num_points, 3)), np.ones(num_points)
        for step in range(num_receivers):
            error_m = np.zeros(num_nodes)
            for p in range(num_points):
                _add_errors(
                    error_m, seen[p, row], information[p, row], total[p], missed[p], span_m,
                    regularization_per_m2,
                )  # fmt: skip
            best = -1
            for n in range(num_nodes):
                if not taken[n] and (best < 0 or error_m[n] < error_m[best]):
                    best = n
            cost_m[row], chosen[row, step] = error_m[best] / num_points, best
            taken[best] = True
            for p in range(num_points):
                missed[p] *= 1.0 - seen[p, row, best]
                for entry in range(3):
                    total[p, entry] += information[p, row, best, entry] * seen[p, row, best]
    return cost_m, chosen


@compiled
def _add_errors(
    error_m: FloatArray,
    seen: FloatArray,
    information: FloatArray,
    total: FloatArray,
    missed: float,
    span_m: float,
    regularization_per_m2: float,
) -> None:
    """Add the error expected of one sample to that of each receiver which may join the others."""
    for n in range(len(seen)):
        all_missed = missed * (1.0 - seen[n])
        share = 1.0 / max(1.0 - all_missed, 1e-9)
        # The bound (18) as `error_bound.peb_m` has it, given that at least one detects.
        xx = (total[0] + information[n, 0] * seen[n]) * share + regularization_per_m2
        xy = (total[1] + information[n, 1] * seen[n]) * share
        yy = (total[2] + information[n, 2] * seen[n]) * share + regularization_per_m2
        least = regularization_per_m2 * (xx + yy - regularization_per_m2)
        bound_m = np.sqrt((xx + yy) / max(xx * yy - xy * xy, least))
        error_m[n] += (1.0 - all_missed) * min(bound_m, span_m) + all_missed * span_m


def field_of_view_plan(
    network: Network, points_m: FloatArray, mean_rcs_m2: float, num_receivers: int
) -> Plan:
    """The paper's sampling-based initialization (SFI): coverage (13), then mean PEB (14).

    The first in lexicographic order of equally good receiver sets, then of transmitters.

    Parameters
    ----------
    points_m
        Sample points drawn uniformly over the search area, shape ``(P, 2)``.
    """
    receivers = _widest_receivers(network.in_view(points_m).T, num_receivers)
    rcs_m2 = np.full(len(points_m), mean_rcs_m2)
    score = np.concatenate([
        peb_m(information.sum(axis=2)).mean(axis=0)
        for _, _, information in network.predictions(points_m, rcs_m2, receivers)
    ])  # fmt: skip
    score[receivers] = np.inf
    best = int(np.argmin(score))
    return plan_of(network, best, receivers, float(score[best]))


def _widest_receivers(in_view: np.ndarray, num_receivers: int) -> np.ndarray:
    """Receivers that have most points in view together, from views of shape ``(N, P)``; (13)."""
    num_nodes = len(in_view)
    if comb(num_nodes, num_receivers) > MAX_SETS:
        return _greedy_cover(in_view, num_receivers)
    packed = np.packbits(in_view, axis=1)
    words = np.zeros((num_nodes, -(-packed.shape[1] // 8) * 8), dtype=np.uint8)
    words[:, : packed.shape[1]] = packed
    sets = _receiver_sets(num_nodes, num_receivers)
    covered = np.zeros(len(sets), dtype=np.int64)
    for word in words.view(np.uint64).T:
        together = word[sets[:, 0]]
        for member in range(1, num_receivers):
            together |= word[sets[:, member]]
        covered += _num_ones(together)
    return np.asarray(sets[int(np.argmax(covered))])


def _num_ones(words: np.ndarray) -> np.ndarray:
    """Bits set in each 64-bit word."""
    if hasattr(np, "bitwise_count"):
        return np.bitwise_count(words)
    return _num_ones_by_halves(words)


def _num_ones_by_halves(words: np.ndarray) -> np.ndarray:
    """Bits set in each 64-bit word, neighbours added up six times: for NumPy 1."""
    counts = words
    for shift in (1, 2, 4, 8, 16, 32):
        lower_halves = np.uint64((2**64 - 1) // (2**shift + 1))
        counts = (counts & lower_halves) + ((counts >> np.uint64(shift)) & lower_halves)
    return counts.astype(np.uint8)


@lru_cache(maxsize=8)
def _receiver_sets(num_nodes: int, num_receivers: int) -> np.ndarray:
    sets = combinations(range(num_nodes), num_receivers)
    return np.array(list(sets), dtype=np.intp)


def _greedy_cover(in_view: np.ndarray, num_receivers: int) -> np.ndarray:
    """Greedy maximum coverage: at least 1 - 1/e of the best (Nemhauser et al. 1978)."""
    covered = np.zeros(in_view.shape[1], dtype=bool)
    chosen: list[int] = []
    for _ in range(num_receivers):
        gain = (in_view & ~covered).sum(axis=1)
        gain[chosen] = -1
        chosen.append(int(np.argmax(gain)))
        covered |= in_view[chosen[-1]]
    return np.array(chosen, dtype=np.intp)
