"""Problem P1: position from delays and angles by weighted least squares; eq. (12)."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drivers.geometry import FloatArray
from drivers.node_errors import NodeErrors, survey_errors
from fusion.gauss_newton import (
    Problem,
    accuracy,
    covariances,
    foreseen_log_density,
    gradients,
    minimum,
    residuals,
)
from fusion.measurement import Measurement, angle_row, range_row, sine_row

Bearing = Literal["sine", "angle"]


@dataclass(frozen=True)
class WlsSolution:
    """A local minimum of P1.

    Attributes
    ----------
    position_m, covariance_m2
        Shapes ``(2,)`` and ``(2, 2)``; the covariance is the inverse information.
    cost
        Value of P1: squared normalized residuals, chi-square distributed.
    log_likelihood
        Gaussian log density of the measurements at the solution, delays as ranges in metres.
    """

    position_m: FloatArray
    covariance_m2: FloatArray
    cost: float
    log_likelihood: float

    def distance2(self, point_m: FloatArray) -> float:
        """Squared Mahalanobis distance of a point from the solution, dimensionless."""
        x, y = (point_m - self.position_m).tolist()
        (xx, xy), (_, yy) = self.covariance_m2.tolist()
        # Rounding may leave nothing of the determinant where one direction is known far better.
        determinant = max(xx * yy - xy * xy, sys.float_info.epsilon * xx * yy)
        return (yy * x * x - 2.0 * xy * x * y + xx * y * y) / determinant


class WlsProblem:
    """The stacked measurements of P1 with their joint covariance.

    Rows are bistatic ranges (metres) then bearings. Errors of a node are common to all measurements
    that the node takes part in, those of a link's delay to all looks at it (and at its way back, by
    the direct path), and repeated looks do not average them away, so the covariance is not diagonal
    where nodes are uncertain.

    Parameters
    ----------
    measurements
        At least one.
    bearing
        ``sine`` (Gaussian for a linear array, no singularity at endfire) or ``angle`` (as (12)).
    errors
        What is not known of the nodes; what their surveys say, if left out.
    """

    def __init__(
        self,
        measurements: Sequence[Measurement],
        bearing: Bearing = "sine",
        errors: NodeErrors | None = None,
    ) -> None:
        sines = bearing == "sine"
        ranges = [m for m in measurements if m.use_delay]
        bearings = [m for m in measurements if m.hypothesis.sine is not None]
        if not ranges and not bearings:
            msg = "P1 has no measurement: every link lacks both an absolute delay and an angle"
            raise ValueError(msg)
        bearing_row = sine_row if sines else angle_row
        rows = np.array([range_row(m) for m in ranges] + [bearing_row(m) for m in bearings])
        if errors is None:
            known_by_id = {n.node_id: n for m in measurements for n in (m.tx, m.rx)}
            errors = survey_errors(list(known_by_id.values()))
        index = errors.index
        nodes = np.array([(index[m.tx.node_id], index[m.rx.node_id]) for m in ranges + bearings])
        correlated = not errors.none or any(m.link_delay_var_s2 > 0.0 for m in ranges)
        known = np.ascontiguousarray(errors.covariance, dtype=np.float64)
        self._problem: Problem = (rows, len(ranges), sines, nodes, known, correlated)

    def residual(self, position_m: FloatArray) -> FloatArray:
        """Measured minus predicted, shape ``(R,)``: metres, then sines or radians."""
        return residuals(self._problem, *position_m)

    def jacobian(self, position_m: FloatArray) -> FloatArray:
        """Gradient of the predictions, shape ``(R, 2)``; eqs. (15) and (16)."""
        return gradients(self._problem, *position_m)

    def covariance(self, position_m: FloatArray) -> FloatArray:
        """Joint covariance of the residuals, shape ``(R, R)``."""
        return covariances(self._problem, *position_m)

    def foreseen_log_density(self, position_m: FloatArray, covariance_m2: FloatArray) -> float:
        """Log density of what was measured, if the position were known as well as this before."""
        x_m, y_m = position_m
        return foreseen_log_density(self._problem, x_m, y_m, covariance_m2)

    def bent(self, position_m: FloatArray, covariance_m2: FloatArray) -> FloatArray:
        """A covariance that also covers how far P1's valley bends off its axis, ``(2, 2)``.

        An ellipse of delays is a curve: along its axis by ``u`` the valley lies ``c u^2`` beside
        it, which for Gaussian ``u`` has three times the square of what is found one standard
        deviation along: at most the axis itself. Where that is as short as a converged position's,
        nothing of it shows.
        """
        _, vectors = np.linalg.eigh(covariance_m2)
        across, along = vectors.T
        std_m = float(np.sqrt(along @ covariance_m2 @ along))
        behind, here, ahead = (
            self._valley_m(position_m + u * std_m * along, across) for u in (-1.0, 0.0, 1.0)
        )
        sag_m = min(abs((behind + ahead) / 2.0 - here), std_m)
        return np.asarray(covariance_m2 + 3.0 * sag_m**2 * np.outer(across, across))

    def _valley_m(self, start_m: FloatArray, across: FloatArray, num_steps: int = 8) -> float:
        """How far P1's minimum on a line lies from its start."""
        root = np.linalg.cholesky(self.covariance(start_m))
        total_m = 0.0
        for _ in range(num_steps):
            point_m = start_m + total_m * across
            left = np.linalg.solve(root, self.residual(point_m))
            slope = np.linalg.solve(root, self.jacobian(point_m) @ across)
            total_m += float(slope @ left) / max(float(slope @ slope), 1e-300)
        return total_m

    def solve(
        self, start_m: FloatArray, *, max_iterations: int = 20, tolerance_m: float = 1e-6
    ) -> WlsSolution:
        """Gauss-Newton from one start, with the step halved while the cost rises.

        The joint covariance is taken at the start of every iteration. A direction without
        information keeps its start and an infinite-like variance (1e12 m^2).
        """
        start = float(start_m[0]), float(start_m[1])
        position = minimum(self._problem, *start, max_iterations, tolerance_m)
        return WlsSolution(np.array(position), *accuracy(self._problem, *position))
