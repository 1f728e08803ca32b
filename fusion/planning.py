"""Which nodes to use next: problem P2 and the initialization; eqs. (13), (14), (18), (19)."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np

from drivers.geometry import FloatArray
from fusion.error_bound import REGULARIZATION_PER_M2, peb_m
from fusion.network import Network
from fusion.sensing import SensingConfig

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


def plan_of(network: Network, tx: int, receivers: np.ndarray, peb_m: float) -> Plan:
    """Plan of nodes given by their indices."""
    names = tuple(network.nodes[int(n)].node_id for n in receivers)
    return Plan(SensingConfig(network.nodes[tx].node_id, names), peb_m)


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
