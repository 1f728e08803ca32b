"""Eqs. (13), (14), (18) and (19) as they are printed: every set, one matrix inverse for each."""

import math
from collections.abc import Iterator
from itertools import combinations

import numpy as np

from tests.oracles.channel import Floats


def matrix(entries: Floats) -> np.ndarray:
    """Of entries ``xx, xy, yy``."""
    return np.array([[entries[0], entries[1]], [entries[1], entries[2]]])


def peb_m(information: Floats, regularization_per_m2: float) -> float:
    """(18)."""
    regularized = matrix(information) + regularization_per_m2 * np.eye(2)
    return math.sqrt(np.trace(np.linalg.inv(regularized)))


def configurations(num_nodes: int, num_receivers: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Every transmitter with every set of receivers."""
    for tx in range(num_nodes):
        for rx in combinations([n for n in range(num_nodes) if n != tx], num_receivers):
            yield tx, rx


def best_configuration(
    information: np.ndarray, prior: Floats, num_receivers: int, regularization_per_m2: float
) -> tuple[float, int, tuple[int, ...]]:
    """(19): PEB, transmitter and receivers of the best of all, the first of equal ones."""
    return min(
        (peb_m(prior + information[tx, list(rx)].sum(axis=0), regularization_per_m2), tx, rx)
        for tx, rx in configurations(len(information), num_receivers)
    )


def field_of_view_plan(
    in_view: np.ndarray, information: np.ndarray, num_receivers: int, regularization_per_m2: float
) -> tuple[float, int, tuple[int, ...]]:
    """(13), then (14), from views ``(P, N)`` and information ``(P, N, N, 3)``.

    Mean PEB, transmitter and receivers; the first of equal sets and of equal transmitters.
    """
    num_points, num_nodes = in_view.shape
    covered = {
        rx: sum(any(in_view[p, n] for n in rx) for p in range(num_points))
        for rx in combinations(range(num_nodes), num_receivers)
    }
    receivers = max(covered, key=lambda rx: covered[rx])  # the first of equal ones
    means = []
    for tx in range(num_nodes):
        if tx not in receivers:
            errors = [
                peb_m(information[p, tx, list(receivers)].sum(axis=0), regularization_per_m2)
                for p in range(num_points)
            ]
            means.append((float(np.mean(errors)), tx, receivers))
    return min(means)


def expected_error_m(
    seen: np.ndarray, information: np.ndarray, span_m: float, regularization_per_m2: float
) -> float:
    """Mean error of a set, from its links' probabilities ``(P, R)`` and information ``(P, R, 3)``.

    The information that is expected, given that one receiver at least detects, gives the error
    then; else it is the span.
    """
    errors = []
    for own_seen, own in zip(seen, information, strict=True):
        one_sees = 1.0 - np.prod(1.0 - own_seen)
        error_m = span_m
        if one_sees > 1e-9:
            expected = (own_seen[:, None] * own).sum(axis=0) / one_sees
            error_m = min(peb_m(expected, regularization_per_m2), span_m)
        errors.append(one_sees * error_m + (1.0 - one_sees) * span_m)
    return float(np.mean(errors))


def expected_error_plan(
    seen: np.ndarray,
    information: np.ndarray,
    span_m: float,
    num_receivers: int,
    regularization_per_m2: float,
) -> tuple[float, int, tuple[int, ...]]:
    """Receivers added one by one to every transmitter; error, transmitter, receivers."""
    plans = []
    for tx in range(seen.shape[1]):
        chosen: list[int] = []
        error_m = math.inf
        for _ in range(num_receivers):
            trials = [
                (
                    expected_error_m(
                        seen[:, tx, [*chosen, n]],
                        information[:, tx, [*chosen, n]],
                        span_m,
                        regularization_per_m2,
                    ),
                    n,
                )
                for n in range(seen.shape[1])
                if n != tx and n not in chosen
            ]
            error_m, best = min(trials)
            chosen.append(best)
        plans.append((error_m, tx, tuple(chosen)))
    return min(plans)
