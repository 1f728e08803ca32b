"""Problem P1: position from delays and angles by weighted least squares; eq. (12)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    FloatArray,
    angle_gradient_rad_per_m,
    arrival_angle_rad,
    bistatic_delay_s,
    delay_gradient_s_per_m,
    wrap_angle,
)
from drivers.node_errors import (
    NUM_ERRORS,
    TIME_M,
    NodeErrors,
    leg_sensitivity,
    sine_sensitivity,
    survey_errors,
)
from fusion.measurement import Measurement

Bearing = Literal["sine", "angle"]

_MAX_HALVINGS = 8
# A direction with less information than this is undetermined: a standard deviation of 1000 km.
_MIN_INFORMATION_PER_M2 = 1e-12


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
        offset = point_m - self.position_m
        return float(offset @ np.linalg.solve(self.covariance_m2, offset))


class WlsProblem:
    """The stacked measurements of P1 with their joint covariance.

    Rows are bistatic ranges (metres) then bearings. Errors of a node are common to all measurements
    that the node takes part in, those of a link's delay to all looks at it, and repeated looks do
    not average them away, so the covariance is not diagonal where nodes are uncertain.

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
        self._bearing = bearing
        self._ranges = [m for m in measurements if m.use_delay]
        self._bearings = [m for m in measurements if m.hypothesis.sine is not None]
        if not self._ranges and not self._bearings:
            msg = "P1 has no measurement: every link lacks both an absolute delay and an angle"
            raise ValueError(msg)
        self._range_m = SPEED_OF_LIGHT_M_PER_S * np.array(
            [m.hypothesis.delay_s for m in self._ranges]
        )
        self._sine = np.array([m.hypothesis.sine for m in self._bearings], dtype=np.float64)
        self._period = np.array([m.sine_period for m in self._bearings])
        self._tx_m = np.array([m.tx.pose.position_m for m in self._ranges]).reshape(-1, 2)
        self._rx_m = np.array([m.rx.pose.position_m for m in self._ranges]).reshape(-1, 2)
        self._ear_m = np.array([m.rx.pose.position_m for m in self._bearings]).reshape(-1, 2)
        self._boresight = np.array([m.rx.pose.boresight_rad for m in self._bearings])
        self._noise_var = np.concatenate((self._range_vars(), self._bearing_vars()))
        self._nodes = {n.node_id: n for m in measurements for n in (m.tx, m.rx)}
        known = errors or survey_errors(list(self._nodes.values()))
        self._errors = known.of(list(self._nodes))
        self._shared = self._shared_link_errors()

    def _range_vars(self) -> FloatArray:
        delay_var = np.array([m.hypothesis.delay_var_s2 for m in self._ranges])
        return np.asarray(delay_var * SPEED_OF_LIGHT_M_PER_S**2)

    def _bearing_vars(self) -> FloatArray:
        var = np.array([m.hypothesis.sine_var for m in self._bearings], dtype=np.float64)
        if self._bearing == "sine":
            return var
        # At endfire the sine turns over: an error of std there is one of sqrt(std) in angle.
        return np.asarray(var / np.maximum(1.0 - self._sine**2, np.sqrt(var)))

    def _bearing_angle(self, position_m: FloatArray) -> FloatArray:
        offset = position_m - self._ear_m
        return np.asarray(np.arctan2(offset[:, 1], offset[:, 0]) - self._boresight)

    def residual(self, position_m: FloatArray) -> FloatArray:
        """Measured minus predicted, shape ``(R,)``: metres, then sines or radians."""
        predicted_m = SPEED_OF_LIGHT_M_PER_S * bistatic_delay_s(self._tx_m, self._rx_m, position_m)
        angle = self._bearing_angle(position_m)
        if self._bearing == "angle":
            bearing = wrap_angle(np.arcsin(np.clip(self._sine, -1.0, 1.0)) - angle)
        else:
            half = self._period / 2.0
            bearing = (self._sine - np.sin(angle) + half) % self._period - half
        return np.concatenate((self._range_m - predicted_m, bearing))

    def jacobian(self, position_m: FloatArray) -> FloatArray:
        """Gradient of the predictions, shape ``(R, 2)``; eqs. (15) and (16)."""
        ranges = SPEED_OF_LIGHT_M_PER_S * delay_gradient_s_per_m(self._tx_m, self._rx_m, position_m)
        bearings = angle_gradient_rad_per_m(self._ear_m, position_m)
        if self._bearing == "sine":
            bearings = bearings * np.cos(self._bearing_angle(position_m))[:, None]
        return np.nan_to_num(np.concatenate((ranges, bearings)))

    def _shared_link_errors(self) -> FloatArray:
        """Covariance of what all looks at a link share, shape ``(R, R)``, in square metres."""
        links = [(m.tx.node_id, m.rx.node_id) for m in self._ranges]
        std = SPEED_OF_LIGHT_M_PER_S * np.sqrt([m.link_delay_var_s2 for m in self._ranges])
        shared = np.zeros((len(self._noise_var), len(self._noise_var)))
        for row, link in enumerate(links):
            for column, other in enumerate(links):
                shared[row, column] = (link == other) * std[row] * std[column]
        return shared

    def _whitener(self, position_m: FloatArray) -> FloatArray:
        """Standard deviations, shape ``(R,)``, or a Cholesky factor ``(R, R)`` if correlated."""
        if not (self._errors.any() or self._shared.any()):
            return np.sqrt(self._noise_var)
        return np.asarray(np.linalg.cholesky(self.covariance(position_m)))

    def covariance(self, position_m: FloatArray) -> FloatArray:
        """Joint covariance of the residuals, shape ``(R, R)``."""
        sensitivity = self._sensitivity(position_m)
        common = sensitivity @ self._errors @ sensitivity.T + self._shared
        return np.asarray(np.diag(self._noise_var) + common)

    def _sensitivity(self, position_m: FloatArray) -> FloatArray:
        """Derivative of the residuals by the nodes' errors, shape ``(R, 6 n)``."""
        rows = np.zeros((len(self._noise_var), len(self._nodes), NUM_ERRORS))
        order = {name: n for n, name in enumerate(self._nodes)}
        for row, m in zip(rows, self._ranges, strict=False):
            i, j = order[m.tx.node_id], order[m.rx.node_id]
            row[i] += leg_sensitivity(m.tx, position_m)
            row[j] += leg_sensitivity(m.rx, position_m)
            if m.on_direct_path:  # whose length is then taken away, and the clocks with it
                row[i] -= leg_sensitivity(m.tx, m.rx.pose.position)
                row[j] -= leg_sensitivity(m.rx, m.tx.pose.position)
            else:
                row[i, TIME_M] -= 1.0
                row[j, TIME_M] += 1.0
        for row, m in zip(rows[len(self._ranges) :], self._bearings, strict=True):
            slope = 1.0
            if self._bearing == "angle":
                slope = 1.0 / max(
                    abs(float(np.cos(arrival_angle_rad(m.rx.pose, position_m)))), 1e-3
                )
            row[order[m.rx.node_id]] = slope * sine_sensitivity(m.rx, position_m)
        return rows.reshape(len(rows), -1)

    def solve(
        self, start_m: FloatArray, *, max_iterations: int = 20, tolerance_m: float = 1e-6
    ) -> WlsSolution:
        """Gauss-Newton from one start, with the step halved while the cost rises.

        The joint covariance is taken at the start of every iteration. A direction without
        information keeps its start and an infinite-like variance (1e12 m^2).
        """
        position = np.asarray(start_m, dtype=np.float64)
        for _ in range(max_iterations):
            root = self._whitener(position)
            residual = _whiten(root, self.residual(position))
            jacobian = _whiten(root, self.jacobian(position))
            step = np.linalg.lstsq(jacobian, residual, rcond=1e-9)[0]
            cost = residual @ residual
            for _ in range(_MAX_HALVINGS):
                trial = _whiten(root, self.residual(position + step))
                if trial @ trial <= cost:
                    break
                step = step / 2.0
            else:
                break  # no smaller step lowers the cost: this is the minimum to rounding
            position = position + step
            if np.hypot(*step) <= tolerance_m:
                break
        return self._solution(position)

    def _solution(self, position: FloatArray) -> WlsSolution:
        root = self._whitener(position)
        residual = _whiten(root, self.residual(position))
        jacobian = _whiten(root, self.jacobian(position))
        information = jacobian.T @ jacobian
        cost = float(residual @ residual)
        log_det = 2.0 * np.log(root if root.ndim == 1 else np.diag(root)).sum()
        log_likelihood = -0.5 * (cost + log_det + len(residual) * np.log(2.0 * np.pi))
        values, vectors = np.linalg.eigh(information)
        values = np.maximum(values, _MIN_INFORMATION_PER_M2)
        covariance = (vectors / values) @ vectors.T
        return WlsSolution(position, covariance, cost, float(log_likelihood))


def _whiten(root: FloatArray, rows: FloatArray) -> FloatArray:
    """Divide rows by standard deviations or by a Cholesky factor."""
    if root.ndim == 1:
        return (rows.T / root).T
    return np.asarray(np.linalg.solve(root, rows))
