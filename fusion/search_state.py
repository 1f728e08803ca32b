"""What the compiled search of P2 works on."""

from typing import NamedTuple

import numpy as np

from drivers.geometry import FloatArray


class Search(NamedTuple):
    """One transmitter's part of a search, and what all transmitters share.

    Attributes
    ----------
    tx
        Its index.
    links
        Information of its links, shape ``(N, 3)``.
    path
        Receivers of the set at hand, shape ``(N_r,)``.
    best_var_m2, best_nodes
        Smallest ``tr(A^-1)`` so far, shape ``(1,)``; its transmitter and receivers,
        ``(1 + N_r,)``.
    effort
        Gains and sets evaluated so far, shape ``(1,)``.
    slack
        Share by which ``tr(A^-1)`` must be smaller than the best to be of interest.
    regularization_per_m2
        ``mu_reg`` of (18).
    """

    tx: int
    links: FloatArray
    path: np.ndarray
    best_var_m2: FloatArray
    best_nodes: np.ndarray
    effort: np.ndarray
    slack: float
    regularization_per_m2: float


class Branch(NamedTuple):
    """Sets that hold some receivers and take the others from the members.

    Or, with one more axis in front, one branch within another.

    Attributes
    ----------
    known
        Information of the prior and of the receivers held, regularized, shape ``(3,)``.
    start
        Information at which the relaxation starts, then its solution, shape ``(3,)``.
    weights
        Of entries ``xx, xy, yy`` in gains, shape ``(3,)``: the best found.
    members, gains
        Indices of receivers and their gains, shape ``(N,)``; how many count is kept apart.
    """

    known: FloatArray
    start: FloatArray
    weights: FloatArray
    members: np.ndarray
    gains: FloatArray
