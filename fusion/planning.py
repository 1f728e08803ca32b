"""Which nodes to use next: problem P2 and the initialization; eqs. (13), (14), (18), (19)."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np

from drivers.geometry import FloatArray, arrival_angle_rad
from fusion.likelihood import detection_probability
from fusion.network import Network
from fusion.sensing import SensingConfig

# mu_reg of (18): one part in 1e6 of a square metre's worth of information.
REGULARIZATION_PER_M2 = 1e-6
# Above this many receiver sets per transmitter the exhaustive search gives way to a greedy one.
MAX_SETS = 200_000


@dataclass(frozen=True)
class Plan:
    """A chosen configuration.

    Attributes
    ----------
    config
        Transmitter and receivers.
    peb_m
        Predicted position error bound (18) after it, in metres; for an initialization, its mean
        over the sampled points.
    """

    config: SensingConfig
    peb_m: float


def peb_m(information: FloatArray) -> FloatArray:
    """Position error bound of information entries ``xx, xy, yy``, shape ``(...)``; eq. (18).

    ``sqrt(tr(A^-1))`` in closed form, with ``mu_reg`` on the diagonal.
    """
    xx = information[..., 0] + REGULARIZATION_PER_M2
    yy = information[..., 2] + REGULARIZATION_PER_M2
    xy = information[..., 1]
    # det(A) >= mu tr(A) - mu^2 for any information; rounding may fall below where one direction
    # holds nearly all of it.
    least = REGULARIZATION_PER_M2 * (xx + yy - REGULARIZATION_PER_M2)
    return np.asarray(np.sqrt((xx + yy) / np.maximum(xx * yy - xy * xy, least)))


@lru_cache(maxsize=8)
def _receiver_sets(num_nodes: int, num_receivers: int) -> np.ndarray:
    sets = combinations(range(num_nodes), num_receivers)
    return np.array(list(sets), dtype=np.intp)


def best_configuration(
    network: Network, link_information: FloatArray, prior: FloatArray, num_receivers: int
) -> Plan:
    """Solve P2: the configuration with the smallest predicted PEB; eq. (19).

    Exact while the receiver sets of one transmitter number at most `MAX_SETS`, greedy beyond.
    Transmitters are tried in the order of a lower bound on their PEB, ``tr(A^-1) >= 4 / tr(A)``,
    and the search stops when no other can win.

    Parameters
    ----------
    link_information
        Predicted information of all links, shape ``(N, N, 3)``; eq. (17).
    prior
        Information at hand already, entries ``xx, xy, yy``; zeros for the paper's (19).
    """
    trace = link_information[..., 0] + link_information[..., 2]
    top = np.sort(trace, axis=1)[:, -num_receivers:].sum(axis=1)
    bound = 2.0 / np.sqrt(top + prior[0] + prior[2] + 2.0 * REGULARIZATION_PER_M2)
    best_peb, best_tx, best_rx = np.inf, -1, np.empty(0, dtype=np.intp)
    for tx in np.argsort(bound, kind="stable"):
        if bound[tx] >= best_peb:
            break
        candidate, receivers = _best_receivers(link_information[tx], int(tx), prior, num_receivers)
        if candidate < best_peb:
            best_peb, best_tx, best_rx = candidate, int(tx), receivers
    names = [network.nodes[int(n)].node_id for n in best_rx]
    return Plan(SensingConfig(network.nodes[best_tx].node_id, tuple(names)), float(best_peb))


def _best_receivers(
    information: FloatArray, tx: int, prior: FloatArray, num_receivers: int
) -> tuple[float, np.ndarray]:
    """Best receiver set of one transmitter, from its links' information ``(N, 3)``."""
    num_nodes = len(information)
    if comb(num_nodes, num_receivers) > MAX_SETS:
        return _greedy_receivers(information, tx, prior, num_receivers)
    sets = _receiver_sets(num_nodes, num_receivers)
    allowed = sets[np.all(sets != tx, axis=1)]
    total = prior + sum(information[allowed[:, n]] for n in range(num_receivers))
    score = peb_m(np.asarray(total))
    best = int(np.argmin(score))
    return float(score[best]), allowed[best]


def _greedy_receivers(
    information: FloatArray, tx: int, prior: FloatArray, num_receivers: int
) -> tuple[float, np.ndarray]:
    chosen: list[int] = []
    total = prior.copy()
    score = np.inf
    for _ in range(num_receivers):
        candidate = peb_m(total + information)
        candidate[[tx, *chosen]] = np.inf
        best = int(np.argmin(candidate))
        chosen.append(best)
        total = total + information[best]
        score = float(candidate[best])
    return score, np.array(chosen, dtype=np.intp)


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
    snr = network.snr(points_m, rcs_m2)
    seen = detection_probability(snr, detection_snr)
    information = network.information(points_m, snr)
    information *= seen[..., None]
    num_nodes = len(network.nodes)
    total = np.zeros((len(points_m), num_nodes, 3))
    missed = np.ones((len(points_m), num_nodes))
    chosen = np.empty((num_nodes, 0), dtype=np.intp)
    rows = np.arange(num_nodes)
    cost = np.full(num_nodes, np.inf)
    for _ in range(num_receivers):
        all_missed = missed[:, :, None] * (1.0 - seen)
        given_seen = (total[:, :, None] + information) / np.maximum(1.0 - all_missed, 1e-9)[
            ..., None
        ]
        error = np.minimum(peb_m(given_seen), span_m)
        step = np.mean((1.0 - all_missed) * error + all_missed * span_m, axis=0)
        step[rows, rows] = np.inf
        step[rows[:, None], chosen] = np.inf
        best = np.argmin(step, axis=1)
        cost = step[rows, best]
        total = total + information[:, rows, best]
        missed = missed * (1.0 - seen[:, rows, best])
        chosen = np.concatenate((chosen, best[:, None]), axis=1)
    tx = int(np.argmin(cost))
    names = tuple(network.nodes[int(n)].node_id for n in chosen[tx])
    return Plan(SensingConfig(network.nodes[tx].node_id, names), float(cost[tx]))


def field_of_view_plan(
    network: Network, points_m: FloatArray, mean_rcs_m2: float, num_receivers: int
) -> Plan:
    """The paper's sampling-based initialization (SFI): coverage (13), then mean PEB (14).

    Parameters
    ----------
    points_m
        Sample points drawn uniformly over the search area, shape ``(P, 2)``.
    """
    in_view = np.stack(
        [n.receive_pattern.in_view(arrival_angle_rad(n.pose, points_m)) for n in network.nodes]
    )
    num_nodes = len(network.nodes)
    if comb(num_nodes, num_receivers) <= MAX_SETS:
        sets = _receiver_sets(num_nodes, num_receivers)
        covered = np.zeros(len(sets))
        for start in range(0, len(sets), 4096):
            covered[start : start + 4096] = in_view[sets[start : start + 4096]].any(1).sum(1)
        receivers = sets[int(np.argmax(covered))]
    else:
        receivers = _greedy_cover(in_view, num_receivers)
    snr = network.snr(points_m, np.full(len(points_m), mean_rcs_m2))
    total = network.information(points_m, snr)[:, :, receivers].sum(axis=2)
    score = peb_m(total).mean(axis=0)
    score[receivers] = np.inf
    tx = int(np.argmin(score))
    names = tuple(network.nodes[int(n)].node_id for n in receivers)
    return Plan(SensingConfig(network.nodes[tx].node_id, names), float(score[tx]))


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
