"""Powers of transmitters and gains of receivers, from the levels of the direct paths between them.

A level is off what Friis' equation gives of nominal powers for two reasons: the radios' powers and
gains are off, and scatterers too near to be told from the path add to it or take from it. Only the
second pulls at its delay, so how far it does is known as well as the two can be told apart: among
many nodes that hear each other very well, between two not at all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from drivers.geometry import FloatArray

Link = tuple[str, str]

# Powers and gains off nominal, before they are measured: uncalibrated radios are 1 to 2 dB off
# (docs/nuisances.md).
_RADIO_STD_DB = 2.0
# A path and its way back pass the same scatterers; patterns at both ends differ.
_RECIPROCITY = 0.9
# What scatterers add has heavy tails, above all where they take most of a path away: Student's t
# with so many degrees of freedom, as of its delay.
_DEGREES = 4.0
_NUM_ROUNDS = 10
# In an empty hall, levels are as good as the fit of the path.
_LEAST_STD_DB = 1e-3


@dataclass(frozen=True)
class LinkPowers:
    """Powers and gains over nominal, in dB, and the covariance of what is unknown of them.

    Attributes
    ----------
    node_ids
        In the order of the unknowns: all transmitters, then all receivers.
    mean_db
        Shape ``(2 N,)``.
    covariance_db2
        Shape ``(2 N, 2 N)``.
    links
        Whose levels they were told by.
    scatter_std_db
        Of what scatterers add to a level.
    """

    node_ids: tuple[str, ...]
    mean_db: FloatArray
    covariance_db2: FloatArray
    links: frozenset[Link]
    scatter_std_db: float

    def by_node(self) -> dict[str, tuple[float, float]]:
        """Power and gain of each node, by its id."""
        size = len(self.node_ids)
        return {
            name: (float(self.mean_db[n]), float(self.mean_db[size + n]))
            for n, name in enumerate(self.node_ids)
        }

    def scattered_db(self, link: Link, level_db: float) -> tuple[float, float]:
        """What scatterers have added to a link's level, in dB, and its standard deviation."""
        row = _row(self.node_ids, link)
        rest_db = level_db - float(row @ self.mean_db)
        var_db2 = float(row @ self.covariance_db2 @ row)
        if link in self.links:  # its level is known to the radios' already
            return rest_db, float(np.sqrt(var_db2))
        share = self.scatter_std_db**2 / (self.scatter_std_db**2 + var_db2)
        return share * rest_db, float(np.sqrt(share * var_db2))


def link_powers(
    node_ids: Sequence[str], level_db: Mapping[Link, float], scatter_std_db: float
) -> LinkPowers:
    """Powers and gains of nodes from levels over nominal, by link.

    Weights of links are those of Student's t, found in rounds (Lange et al. 1989).
    """
    links, std_db = list(level_db), max(scatter_std_db, _LEAST_STD_DB)
    values, rows = np.array([level_db[link] for link in links]), _rows(node_ids, links)
    precision = _precision(links) / std_db**2
    root = np.ones(len(links))  # of the weights
    for _ in range(_NUM_ROUNDS):
        weighted = precision * np.outer(root, root)
        covariance = _covariance_db2(rows, weighted)
        mean = covariance @ (rows.T @ (weighted @ values))
        square = (values - rows @ mean) ** 2 + np.sum((rows @ covariance) * rows, axis=1)
        root = np.sqrt((_DEGREES + 1.0) / (_DEGREES + square / std_db**2))
    return LinkPowers(tuple(node_ids), mean, covariance, frozenset(links), std_db)


def known_powers(
    power_db: Mapping[str, tuple[float, float]], links: Sequence[Link], scatter_std_db: float
) -> LinkPowers:
    """Powers and gains that were found before, from the levels of these links."""
    std_db = max(scatter_std_db, _LEAST_STD_DB)
    mean = np.array([power for power, _ in power_db.values()] + [g for _, g in power_db.values()])
    names = tuple(power_db)
    covariance = _covariance_db2(_rows(names, links), _precision(links) / std_db**2)
    return LinkPowers(names, mean, covariance, frozenset(links), std_db)


def _covariance_db2(rows: FloatArray, precision: FloatArray) -> FloatArray:
    prior = np.eye(rows.shape[1]) / _RADIO_STD_DB**2
    return np.asarray(np.linalg.inv(prior + rows.T @ precision @ rows))


def _rows(node_ids: Sequence[str], links: Sequence[Link]) -> FloatArray:
    return np.array([_row(node_ids, link) for link in links]).reshape(-1, 2 * len(node_ids))


def _row(node_ids: Sequence[str], link: Link) -> FloatArray:
    row = np.zeros(2 * len(node_ids))
    row[node_ids.index(link[0])] = row[len(node_ids) + node_ids.index(link[1])] = 1.0
    return row


def _precision(links: Sequence[Link]) -> FloatArray:
    """Inverse correlation of what scatterers add to the levels of links."""
    place = {link: n for n, link in enumerate(links)}
    shared = np.eye(len(links))
    for n, (tx_id, rx_id) in enumerate(links):
        if (rx_id, tx_id) in place:
            shared[n, place[rx_id, tx_id]] = _RECIPROCITY
    return np.asarray(np.linalg.inv(shared))
