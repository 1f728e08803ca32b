"""Which nodes to use next, given where the target is: problem P2; eqs. (18) and (19)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from drivers.geometry import FloatArray
from fusion.error_bound import REGULARIZATION_PER_M2, peb_m
from fusion.network import Network
from fusion.receiver_search import ROUNDING, search_configurations
from fusion.sensing import SensingConfig

# Effort of one search, about a quarter of a second; data of real sites take a hundredth of it.
MAX_EFFORT = 100_000_000
# What a second search, after one that was too much, asks for: 1 % of the PEB, 2 % of its square.
_GAP = 1.01**2 - 1.0
# Links whose PEB is computed at once, for the cache's sake.
_LINKS_TOGETHER = 20_000


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
    bound_m
        What no configuration's `peb_m` is below: equal to it if this one is the best, to
        rounding. Not known of an initialization.
    """

    config: SensingConfig
    peb_m: float
    bound_m: float | None = None

    @property
    def gap(self) -> float | None:
        """Share by which `peb_m` may exceed the smallest at most."""
        return None if self.bound_m is None else self.peb_m / self.bound_m - 1.0


def plan_of(
    network: Network, tx: int, receivers: np.ndarray, error_m: float, bound_m: float | None = None
) -> Plan:
    """Plan of nodes given by their indices."""
    names = tuple(network.nodes[int(n)].node_id for n in receivers)
    return Plan(SensingConfig(network.nodes[tx].node_id, names), error_m, bound_m)


def best_configuration(
    network: Network,
    link_information: FloatArray,
    prior: FloatArray,
    num_receivers: int,
    max_effort: int = MAX_EFFORT,
) -> Plan:
    """Solve P2: the configuration with the smallest predicted PEB; eq. (19).

    Exact to rounding, by branch and bound. Where that takes too much, as it may if very many
    links are of equal worth, the best configuration found with a bound of the others.

    Parameters
    ----------
    link_information
        Predicted information of all links, shape ``(N, N, 3)``; eq. (17).
    prior
        Information at hand already, entries ``xx, xy, yy``; zeros for the paper's (19).
    max_effort
        Links and sets whose evaluation is too much.
    """
    num_nodes = len(network.nodes)
    if not 1 <= num_receivers < num_nodes:
        msg = f"{num_receivers} receivers of {num_nodes} nodes: at least 1, and one must send"
        raise ValueError(msg)
    if num_receivers == 1:
        error_m, tx, rx = min(_best_links(link_information, prior))
        return plan_of(network, tx, np.array([rx]), error_m, error_m)
    links = np.ascontiguousarray(link_information, dtype=np.float64)
    nodes, var_m2, bound_m2 = _search(links, prior, num_receivers, max_effort)
    tx, receivers = int(nodes[0]), _named(nodes, links)
    error_m = float(peb_m(prior + links[tx, receivers].sum(axis=0)))
    exact = bound_m2 * (1.0 + 4.0 * ROUNDING) >= var_m2
    bound_m = error_m if exact else min(float(np.sqrt(bound_m2)), error_m)
    return plan_of(network, tx, receivers, error_m, bound_m)


def _best_links(links: FloatArray, prior: FloatArray) -> Iterator[tuple[float, int, int]]:
    """PEB, transmitter and receiver of the best links of some transmitters each."""
    num_nodes = len(links)
    together = max(1, _LINKS_TOGETHER // num_nodes)
    for start in range(0, num_nodes, together):
        error_m = peb_m(prior + links[start : start + together])
        np.fill_diagonal(error_m[:, start:], np.inf)
        row, rx = divmod(int(np.argmin(error_m)), num_nodes)
        yield float(error_m[row, rx]), start + row, rx


def _search(
    links: FloatArray, prior: FloatArray, num_receivers: int, max_effort: int
) -> tuple[np.ndarray, float, float]:
    """Transmitter and receivers, their ``tr(A^-1)``, and a bound of that of all others."""
    best = np.array([np.inf]), np.arange(1 + num_receivers)
    bound_m2 = 0.0
    for slack in (ROUNDING, _GAP):
        found = search_configurations(links, prior, best, slack, max_effort, REGULARIZATION_PER_M2)
        bound_m2 = max(bound_m2, found)
        if best[0][0] <= bound_m2 * (1.0 + _GAP):
            break
    return best[1], float(best[0][0]), bound_m2


def _named(nodes: np.ndarray, links: FloatArray) -> np.ndarray:
    """Receivers in order; of those that bring nothing, which are all alike, the first ones."""
    tx, receivers = nodes[0], nodes[1:]
    empty = ~links[tx].any(axis=-1)
    informative = receivers[~empty[receivers]]
    empty[tx] = False
    fill = np.flatnonzero(empty)[: len(receivers) - len(informative)]
    return np.sort(np.concatenate((informative, fill)))
