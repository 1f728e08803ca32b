"""Bistatic geometry on the plane: delays, arrival angles and their gradients.

Equations (4), (5), (15) and (16) of Nozari et al. stand here and nowhere else.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

FloatArray = NDArray[np.float64]
ComplexArray = NDArray[np.complexfloating]

SPEED_OF_LIGHT_M_PER_S = 299_792_458.0


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a node stands and which way its array looks.

    Attributes
    ----------
    position_m
        Cartesian ``(x, y)``.
    boresight_rad
        Direction of the array's boresight, counter-clockwise from the x axis.
    """

    position_m: tuple[float, float]
    boresight_rad: float

    @property
    def position(self) -> FloatArray:
        """Position as an array, shape ``(2,)``, in metres."""
        return np.array(self.position_m, dtype=np.float64)


def wrap_angle(angle_rad: ArrayLike) -> FloatArray:
    """Angle mapped to [-pi, pi), in radians; the wrap of eq. (5)."""
    angle = np.asarray(angle_rad, dtype=np.float64)
    # The remainder operator is fifty times slower.
    wrapped = angle - 2.0 * np.pi * np.floor((angle + np.pi) / (2.0 * np.pi))
    # Rounding may carry it over either end.
    return np.where((wrapped >= -np.pi) & (wrapped < np.pi), wrapped, -np.pi)


def distance_m(position_m: ArrayLike, points_m: ArrayLike) -> FloatArray:
    """Euclidean distance from a position to points, shape ``points.shape[:-1]``, in metres."""
    offset = np.asarray(points_m, dtype=np.float64) - np.asarray(position_m, dtype=np.float64)
    return np.sqrt(offset[..., 0] ** 2 + offset[..., 1] ** 2)  # np.hypot is ten times slower


def bistatic_delay_s(tx_m: ArrayLike, rx_m: ArrayLike, points_m: ArrayLike) -> FloatArray:
    """Delay from transmitter over each point to receiver, in seconds; eq. (4)."""
    return (distance_m(tx_m, points_m) + distance_m(rx_m, points_m)) / SPEED_OF_LIGHT_M_PER_S


def arrival_angle_rad(rx: Pose, points_m: ArrayLike) -> FloatArray:
    """Arrival angle from each point relative to boresight, in [-pi, pi) radians; eq. (5).

    The printed equation lost its subscripts; this is
    ``wrap(atan2(p_y - s_y, p_x - s_x) - psi)``, counter-clockwise positive.
    """
    return angle_from_boresight_rad(rx.position_m, rx.boresight_rad, points_m)


def angle_from_boresight_rad(
    position_m: ArrayLike, boresight_rad: ArrayLike, points_m: ArrayLike
) -> FloatArray:
    """Arrival angle as `arrival_angle_rad`, for positions and boresights that broadcast."""
    offset = np.asarray(points_m, dtype=np.float64) - np.asarray(position_m, dtype=np.float64)
    return wrap_angle(np.arctan2(offset[..., 1], offset[..., 0]) - boresight_rad)


def delay_gradient_s_per_m(tx_m: ArrayLike, rx_m: ArrayLike, points_m: ArrayLike) -> FloatArray:
    """Gradient of the bistatic delay at points, shape ``(..., 2)``, in s/m; eq. (15).

    Undefined (NaN) where a point coincides with a node.
    """
    points = np.asarray(points_m, dtype=np.float64)
    to_tx = points - np.asarray(tx_m, dtype=np.float64)
    to_rx = points - np.asarray(rx_m, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        unit_tx = to_tx / np.linalg.norm(to_tx, axis=-1, keepdims=True)
        unit_rx = to_rx / np.linalg.norm(to_rx, axis=-1, keepdims=True)
    return np.asarray((unit_tx + unit_rx) / SPEED_OF_LIGHT_M_PER_S)


def angle_gradient_rad_per_m(rx_m: ArrayLike, points_m: ArrayLike) -> FloatArray:
    """Gradient of the arrival angle at points, shape ``(..., 2)``, in rad/m; eq. (16)."""
    offset = np.asarray(points_m, dtype=np.float64) - np.asarray(rx_m, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        perpendicular = np.stack((-offset[..., 1], offset[..., 0]), axis=-1)
        return np.asarray(perpendicular / np.sum(offset**2, axis=-1, keepdims=True))


def area_corners_m(area_m: tuple[float, float, float, float]) -> FloatArray:
    """Corners of a rectangular area ``(x_min, y_min, x_max, y_max)``, shape ``(4, 2)``."""
    x_min, y_min, x_max, y_max = area_m
    return np.array([(x_min, y_min), (x_min, y_max), (x_max, y_min), (x_max, y_max)])


def delay_limits_s(
    tx_m: ArrayLike, rx_m: ArrayLike, area_m: tuple[float, float, float, float]
) -> tuple[float, float]:
    """Shortest and longest bistatic delay of points in a rectangular area, in seconds.

    The delay is convex over the plane: its maximum is at a corner; the baseline bounds it below.
    """
    # Five points, at every look: numbers alone are several times faster than arrays.
    tx, rx = np.asarray(tx_m).tolist(), np.asarray(rx_m).tolist()
    x_min, y_min, x_max, y_max = area_m
    corners = product((x_min, x_max), (y_min, y_max))
    longest_m = max(_apart_m(tx, corner) + _apart_m(rx, corner) for corner in corners)
    return _apart_m(tx, rx) / SPEED_OF_LIGHT_M_PER_S, longest_m / SPEED_OF_LIGHT_M_PER_S


def _apart_m(first_m: Sequence[float], second_m: Sequence[float]) -> float:
    """As `distance_m`, rounding included."""
    x, y = second_m[0] - first_m[0], second_m[1] - first_m[1]
    return math.sqrt(x * x + y * y)
