"""Times and poses of the nodes, estimated together from the direct paths between them.

Every direct path says how far its link's time and sine are off. Those of many links, with what
survey and clocks allow as prior, are one least-squares problem (solved by Gauss and Newton's
method), whose posterior says what is still unknown and how it hangs together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.direct_path import DirectPath
from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    FloatArray,
    arrival_angle_rad,
    distance_m,
)
from drivers.node import Node
from drivers.node_errors import (
    NUM_ERRORS,
    SINE,
    SPACING,
    TIME_M,
    NodeErrors,
    leg_sensitivity,
    node_with,
    sine_sensitivity,
    survey_errors,
)

_NUM_ROUNDS = 15
# Clutter's pull has heavy tails: Student's t with so many degrees of freedom. The information in
# a reading is less than its weight in the solution by this factor (Lange et al. 1989).
_DEGREES = 4.0
_INFORMATION_SHARE = (_DEGREES + 1.0) / (_DEGREES + 3.0)
# The stated variances of direct paths count as much as so many residuals.
_PRIOR_COUNT = 10.0


@dataclass(frozen=True)
class Reading:
    """The direct path of one link, as found.

    Attributes
    ----------
    tx_id, rx_id
        The link.
    path
        Against the survey.
    timed
        Whether its delay counts from transmission, by the nodes' own times.
    """

    tx_id: str
    rx_id: str
    path: DirectPath
    timed: bool


@dataclass(frozen=True)
class SolvedNodes:
    """Errors of all nodes as estimated.

    Attributes
    ----------
    mean
        Shape ``(N, 6)``, see `drivers.node_errors`.
    errors
        What is left of them.
    range_scale, sine_scale
        Standard deviation of the direct paths' errors over what was stated of them.
    """

    mean: FloatArray
    errors: NodeErrors
    range_scale: float
    sine_scale: float


def solve_nodes(
    nodes: Sequence[Node],
    readings: Sequence[Reading],
    time_var_s2: Mapping[str, float],
    sine_var: Mapping[str, float],
    spacing_var: Mapping[str, float] | None = None,
) -> SolvedNodes:
    """Errors of all nodes from the direct paths between them.

    Parameters
    ----------
    nodes
        As surveyed; the surveys' standard deviations are the prior.
    time_var_s2
        Variance of each node's time before; infinite where nothing is known of it.
    sine_var
        Variance of each array's constant error of the sine before, dimensionless.
    spacing_var
        Variance of each array's relative error of the element spacing before; zero if left out.
    """
    prior = survey_errors(nodes)
    prior_var = prior.variances.copy()
    for row, node in zip(prior_var, nodes, strict=True):
        # Nobody's time is known better than to a light second: finite, and as good as infinite.
        row[TIME_M] = min(time_var_s2[node.node_id], 1.0) * SPEED_OF_LIGHT_M_PER_S**2
        row[SINE] = sine_var[node.node_id]
        row[SPACING] = spacing_var[node.node_id] if spacing_var else 0.0
    std = np.sqrt(prior_var.ravel())
    mean = np.zeros(len(std))  # of the unknowns in units of their prior's standard deviation
    information = np.eye(len(std))
    scale = np.ones(2)
    weight: FloatArray | float = 1.0
    for _ in range(_NUM_ROUNDS):
        errors_now = (mean * std).reshape(-1, NUM_ERRORS)
        rows, value, var, kind = _observations(nodes, readings, errors_now)
        if not len(value):
            break
        scaled = rows * std
        precision = weight / (var * scale[kind] ** 2)
        information = np.eye(len(std)) + scaled.T @ (scaled * precision[:, None])
        covariance = np.linalg.inv(information)
        # As a step: rounding of the inverse, large where times are all but unknown, dies out.
        step = covariance @ (scaled.T @ (value * precision) - mean)
        mean = mean + step
        left = value - scaled @ step
        leverage = np.einsum("rp,pq,rq->r", scaled, covariance, scaled) * precision
        scale = _scales(left**2 / var * weight, 1.0 - leverage, kind)
        weight = (_DEGREES + 1.0) / (_DEGREES + left**2 / (var * scale[kind] ** 2))
    told = np.eye(len(std)) + _INFORMATION_SHARE * (information - np.eye(len(std)))
    covariance = np.linalg.inv(told) * std[:, None] * std
    errors = NodeErrors(prior.node_ids, (covariance + covariance.T) / 2.0)
    return SolvedNodes(
        (mean * std).reshape(-1, NUM_ERRORS), errors, float(scale[0]), float(scale[1])
    )


def _scales(square: FloatArray, freedom: FloatArray, kind: np.ndarray) -> FloatArray:
    """Scale of ranges' and of sines' errors, from what is left of them; shape ``(2,)``."""
    scale = np.ones(2)
    for which in (0, 1):
        mine = kind == which
        total, count = square[mine].sum(), np.maximum(freedom[mine], 0.0).sum()
        scale[which] = np.sqrt((_PRIOR_COUNT + total) / (_PRIOR_COUNT + count))
    return scale


def _observations(
    surveyed: Sequence[Node], readings: Sequence[Reading], errors: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray, np.ndarray]:
    """What readings say beside errors ``(N, 6)`` of the nodes.

    Sensitivities there ``(R, 6 N)``, found minus expected, variances and kind (0 range in m, 1
    sine).
    """
    nodes = [node_with(node, error) for node, error in zip(surveyed, errors, strict=True)]
    index = {node.node_id: n for n, node in enumerate(nodes)}
    rows: list[FloatArray] = []
    value, var, kind = [], [], []
    for reading in readings:
        i, j = index[reading.tx_id], index[reading.rx_id]
        tx, rx, path = nodes[i], nodes[j], reading.path
        if reading.timed:
            row = np.zeros((len(nodes), NUM_ERRORS))
            row[i] += leg_sensitivity(tx, rx.pose.position)
            row[j] += leg_sensitivity(rx, tx.pose.position)
            row[i, TIME_M] -= 1.0
            row[j, TIME_M] += 1.0
            rows.append(row.ravel())
            longer_m = _separation_m(tx, rx) - _separation_m(surveyed[i], surveyed[j])
            later_m = longer_m + errors[j, TIME_M] - errors[i, TIME_M]
            value.append(path.delay_s * SPEED_OF_LIGHT_M_PER_S - later_m)
            var.append(path.delay_var_s2 * SPEED_OF_LIGHT_M_PER_S**2)
            kind.append(0)
        if np.isfinite(path.sine_var):
            row = np.zeros((len(nodes), NUM_ERRORS))
            row[j] = sine_sensitivity(rx, tx.pose.position)
            row[i, :2] = -row[j, :2]  # it is the direction between the two that counts
            rows.append(row.ravel())
            stretched = (1.0 + errors[j, SPACING]) * _sine(tx, rx) - _sine(surveyed[i], surveyed[j])
            value.append(path.sine - stretched - errors[j, SINE])
            var.append(path.sine_var)
            kind.append(1)
    matrix = np.array(rows).reshape(-1, NUM_ERRORS * len(nodes))
    return matrix, np.array(value), np.array(var), np.array(kind, dtype=np.intp)


def _separation_m(tx: Node, rx: Node) -> float:
    return float(distance_m(tx.pose.position_m, rx.pose.position_m))


def _sine(tx: Node, rx: Node) -> float:
    return float(np.sin(arrival_angle_rad(rx.pose, tx.pose.position_m)))
