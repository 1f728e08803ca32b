"""Problem P1 in NumPy's own operations, row by row, and solved by SciPy."""

from collections.abc import Sequence

import numpy as np
from scipy import optimize

from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
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


class LiteralProblem:
    """As `fusion.wls.WlsProblem`."""

    def __init__(
        self,
        measurements: Sequence[Measurement],
        bearing: str = "sine",
        errors: NodeErrors | None = None,
    ) -> None:
        self.ranges = [m for m in measurements if m.use_delay]
        self.bearings = [m for m in measurements if m.hypothesis.sine is not None]
        self.bearing = bearing
        self.nodes = {n.node_id: n for m in measurements for n in (m.tx, m.rx)}
        known = errors or survey_errors(list(self.nodes.values()))
        self.errors = known.of(list(self.nodes))

    def residual(self, position_m: np.ndarray) -> np.ndarray:
        left = []
        for m in self.ranges:
            delay_s = bistatic_delay_s(m.tx.pose.position_m, m.rx.pose.position_m, position_m)
            left.append(SPEED_OF_LIGHT_M_PER_S * (m.hypothesis.delay_s - float(delay_s)))
        for m in self.bearings:
            angle, sine = float(arrival_angle_rad(m.rx.pose, position_m)), m.hypothesis.sine
            if self.bearing == "angle":
                left.append(float(wrap_angle(np.arcsin(np.clip(sine, -1.0, 1.0)) - angle)))
            else:
                half = m.sine_period / 2
                left.append((sine - np.sin(angle) + half) % m.sine_period - half)
        return np.array(left)

    def jacobian(self, position_m: np.ndarray) -> np.ndarray:
        slope = [
            SPEED_OF_LIGHT_M_PER_S
            * delay_gradient_s_per_m(m.tx.pose.position_m, m.rx.pose.position_m, position_m)
            for m in self.ranges
        ]
        for m in self.bearings:
            gradient = angle_gradient_rad_per_m(m.rx.pose.position_m, position_m)
            turn = np.cos(arrival_angle_rad(m.rx.pose, position_m))
            slope.append(gradient if self.bearing == "angle" else gradient * turn)
        return np.nan_to_num(np.array(slope))

    def sensitivity(self, position_m: np.ndarray) -> np.ndarray:
        """Derivative of the residuals by the nodes' errors, shape ``(R, 6 n)``."""
        order = {name: n for n, name in enumerate(self.nodes)}
        rows = np.zeros((len(self.ranges) + len(self.bearings), len(order), NUM_ERRORS))
        for row, m in zip(rows, self.ranges, strict=False):
            i, j = order[m.tx.node_id], order[m.rx.node_id]
            row[i] += leg_sensitivity(m.tx, position_m)
            row[j] += leg_sensitivity(m.rx, position_m)
            if m.on_direct_path:
                row[i] -= leg_sensitivity(m.tx, m.rx.pose.position)
                row[j] -= leg_sensitivity(m.rx, m.tx.pose.position)
            else:
                row[i, TIME_M] -= 1.0
                row[j, TIME_M] += 1.0
        for row, m in zip(rows[len(self.ranges) :], self.bearings, strict=True):
            cosine = abs(float(np.cos(arrival_angle_rad(m.rx.pose, position_m))))
            slope = 1.0 / max(cosine, 1e-3) if self.bearing == "angle" else 1.0
            row[order[m.rx.node_id]] = slope * sine_sensitivity(m.rx, position_m)
        return rows.reshape(len(rows), -1)

    def noise_var(self) -> np.ndarray:
        var = [m.hypothesis.delay_var_s2 * SPEED_OF_LIGHT_M_PER_S**2 for m in self.ranges]
        for m in self.bearings:
            sine, sine_var = m.hypothesis.sine, m.hypothesis.sine_var
            if self.bearing == "angle":
                sine_var = sine_var / max(1.0 - sine**2, np.sqrt(sine_var))
            var.append(sine_var)
        return np.array(var)

    def covariance(self, position_m: np.ndarray) -> np.ndarray:
        sensitivity = self.sensitivity(position_m)
        joint = np.diag(self.noise_var()) + sensitivity @ self.errors @ sensitivity.T
        for r, m in enumerate(self.ranges):
            for s, other in enumerate(self.ranges):
                ends, others = ((a.tx.node_id, a.rx.node_id) for a in (m, other))
                by_path = m.on_direct_path and other.on_direct_path
                if ends == others or (by_path and set(ends) == set(others)):
                    shared_s = np.sqrt(m.link_delay_var_s2 * other.link_delay_var_s2)
                    joint[r, s] += shared_s * SPEED_OF_LIGHT_M_PER_S**2
        return joint

    def solve(
        self, start_m: np.ndarray, covariance_at_m: np.ndarray | None = None, method: str = "trf"
    ) -> optimize.OptimizeResult:
        """SciPy's minimum of the residuals, whitened by their covariance at one place."""
        place_m = start_m if covariance_at_m is None else covariance_at_m
        root = np.linalg.cholesky(self.covariance(place_m))
        return optimize.least_squares(
            lambda p: np.linalg.solve(root, self.residual(p)),
            start_m,
            lambda p: -np.linalg.solve(root, self.jacobian(p)),
            method=method, xtol=1e-15, ftol=1e-15, gtol=1e-15,
        )  # fmt: skip
