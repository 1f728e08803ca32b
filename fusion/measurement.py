"""What one link measured, and the positions that one or two measurements fix in closed form.

A delay puts the target on an ellipse with the link's nodes as foci, an angle on a ray from the
receiver. A ray meets its own link's ellipse, and two ellipses with a common focus meet each other,
in points that need no iteration: they are where the searches of P1 (`fusion.wls`) start.
"""

import math
from dataclasses import dataclass
from typing import cast

import numpy as np

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, FloatArray, Pose
from drivers.node import Node
from processing.report import Hypothesis


@dataclass(frozen=True, slots=True)
class Measurement:
    """One link's accepted hypothesis.

    Attributes
    ----------
    tx, rx
        The link's nodes as surveyed.
    hypothesis
        Its delay and, if the receiver has more than one element, the sine of its angle.
    sine_period
        Ambiguity of the sine, ``lambda / d``.
    use_delay
        False where the delay is not absolute: then only the angle counts.
    on_direct_path
        Whether the delay counts from the link's direct path as surveyed, not from common time.
    link_delay_var_s2
        Variance of an error that all looks at the link share.
    """

    tx: Node
    rx: Node
    hypothesis: Hypothesis
    sine_period: float
    use_delay: bool = True
    on_direct_path: bool = False
    link_delay_var_s2: float = 0.0

    @property
    def locates(self) -> bool:
        """Whether it says anything about where: one element without a common time does not."""
        return self.use_delay or self.hypothesis.sine is not None


def range_row(measurement: Measurement) -> tuple[float, ...]:
    """What P1 needs of a bistatic range; see `fusion.gauss_newton` for the order."""
    hypothesis, c_m_per_s = measurement.hypothesis, SPEED_OF_LIGHT_M_PER_S
    return (
        *measurement.tx.pose.position_m,
        *measurement.rx.pose.position_m,
        hypothesis.delay_s * c_m_per_s,
        hypothesis.delay_var_s2 * c_m_per_s**2,
        math.sqrt(measurement.link_delay_var_s2) * c_m_per_s,
        float(measurement.on_direct_path),
        0.0,
        0.0,
    )


def sine_row(measurement: Measurement) -> tuple[float, ...]:
    """What P1 needs of a bearing that is taken as its sine."""
    hypothesis = measurement.hypothesis
    return _bearing_row(measurement, cast(float, hypothesis.sine), cast(float, hypothesis.sine_var))


def angle_row(measurement: Measurement) -> tuple[float, ...]:
    """What P1 needs of a bearing that is taken as an angle, as in (12)."""
    hypothesis = measurement.hypothesis
    sine, var = cast(float, hypothesis.sine), cast(float, hypothesis.sine_var)
    angle_rad = math.asin(min(max(sine, -1.0), 1.0))
    # At endfire the sine turns over: an error of std there is one of sqrt(std) in angle.
    return _bearing_row(measurement, angle_rad, var / max(1.0 - sine**2, math.sqrt(var)))


def _bearing_row(measurement: Measurement, measured: float, var: float) -> tuple[float, ...]:
    rx = measurement.rx.pose
    return (
        *measurement.tx.pose.position_m, *rx.position_m, measured, var, 0.0, 0.0,
        rx.boresight_rad, measurement.sine_period,
    )  # fmt: skip


def bearing_range_points(measurement: Measurement) -> list[FloatArray]:
    """Closed-form positions of one delay and one angle, in front of the array then behind it.

    The ray from the receiver at angle ``a`` meets the ellipse of bistatic range ``rho`` over
    baseline ``D`` at ``r = (rho^2 - D^2) / (2 (rho - D cos b))``, ``b`` between ray and baseline.
    Empty where either is missing or the range is shorter than the baseline.
    """
    hypothesis, rx = measurement.hypothesis, measurement.rx.pose
    if hypothesis.sine is None or not measurement.use_delay:
        return []
    range_m = hypothesis.delay_s * SPEED_OF_LIGHT_M_PER_S
    baseline = measurement.tx.pose.position - rx.position
    if range_m <= np.hypot(*baseline):
        return []
    angle = float(np.arcsin(np.clip(hypothesis.sine, -1.0, 1.0)))
    return [_ray_meets_ellipse(rx, a, baseline, range_m) for a in (angle, np.pi - angle)]


def _ray_meets_ellipse(
    rx: Pose, angle_rad: float, baseline_m: FloatArray, range_m: float
) -> FloatArray:
    heading = rx.boresight_rad + angle_rad
    unit = np.array([np.cos(heading), np.sin(heading)])
    reach_m = (range_m**2 - baseline_m @ baseline_m) / (2.0 * (range_m - baseline_m @ unit))
    return np.asarray(rx.position + reach_m * unit)


def shared_focus_points(first: Measurement, second: Measurement) -> list[FloatArray]:
    """Closed-form intersections of two bistatic ellipses that share a node, at most two.

    With the shared focus as origin and ``r = |p|``, the ellipse with other focus ``f`` and range
    ``rho`` is linear in ``(p, r)``: ``p . f - rho r = (|f|^2 - rho^2) / 2``. Two of them give
    ``p = a + b r``, and ``|p|^2 = r^2`` a quadratic. Empty where no node is shared, a delay is
    missing, or the three foci stand in one line.
    """
    if not (first.use_delay and second.use_delay):
        return []
    shared = {first.tx.node_id, first.rx.node_id} & {second.tx.node_id, second.rx.node_id}
    if len(shared) != 1:
        return []
    focus_id = shared.pop()
    others = [m.rx if m.tx.node_id == focus_id else m.tx for m in (first, second)]
    focus = first.tx if first.tx.node_id == focus_id else first.rx
    origin = focus.pose.position
    foci = np.array([other.pose.position - origin for other in others])
    ranges = SPEED_OF_LIGHT_M_PER_S * np.array([m.hypothesis.delay_s for m in (first, second)])
    if abs(np.linalg.det(foci)) < 1e-9 * np.abs(foci).max() ** 2:
        return []
    offset = np.linalg.solve(foci, (np.sum(foci**2, axis=1) - ranges**2) / 2.0)
    slope = np.linalg.solve(foci, ranges)
    roots = np.roots([slope @ slope - 1.0, 2.0 * offset @ slope, offset @ offset])
    real = [float(r.real) for r in roots if abs(r.imag) < 1e-9 * max(abs(r), 1.0) and r.real > 0.0]
    return [origin + offset + slope * radius for radius in real]
