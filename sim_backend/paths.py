"""Propagation paths of one link: direct path, scatterers, and their images in walls and floor.

Pilots (`sim_backend.channel`) and IQ samples (`sim_backend.ether`) are made of the same paths.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    FloatArray,
    Pose,
    angle_from_boresight_rad,
    distance_m,
)
from drivers.link_budget import echo_amplitude, friis_amplitude, leg_gain_per_m2
from drivers.node import Node

Wavefront = Literal["plane", "spherical"]


@dataclass(frozen=True, slots=True)
class Surfaces:
    """Reflecting walls and floor of a rectangular hall; images of first order.

    Attributes
    ----------
    walls_m
        The walls' rectangle ``(x_min, y_min, x_max, y_max)``; all nodes and scatterers inside.
    wall_loss_db, floor_loss_db
        Power lost in a reflection; infinite for none. ITU-R P.2040: concrete at 5 to 10 GHz
        reflects about -8 dB at normal incidence.
    height_m
        Of antennas and scatterers over the floor.
    """

    walls_m: tuple[float, float, float, float]
    wall_loss_db: float = 8.0
    floor_loss_db: float = 8.0
    height_m: float = 1.5


@dataclass(frozen=True)
class Paths:
    """Paths of one link.

    Attributes
    ----------
    gain
        Amplitudes per unit transmitted amplitude, negative after a reflection, shape ``(S,)``.
    delay_s
        From transmitter to each element, shape ``(S, M)``.
    """

    gain: FloatArray
    delay_s: FloatArray

    def __add__(self, other: "Paths") -> "Paths":
        return Paths(
            np.concatenate((self.gain, other.gain)), np.concatenate((self.delay_s, other.delay_s))
        )


@dataclass(frozen=True, slots=True)
class _Mirror:
    """One surface, or none: where a point's image is, and what the reflection leaves."""

    axis: int | None = None
    at_m: float = 0.0
    climb_m: float = 0.0
    amplitude: float = 1.0

    def image(self, points_m: FloatArray) -> FloatArray:
        if self.axis is None:
            return points_m
        mirrored = points_m.copy()
        mirrored[..., self.axis] = 2.0 * self.at_m - mirrored[..., self.axis]
        return mirrored


_OPEN = _Mirror()


def _mirrors(surfaces: Surfaces | None) -> list[_Mirror]:
    """The surfaces that reflect anything; a reflection inverts the sign of the field."""
    if surfaces is None:
        return []
    wall, floor = (
        -(10.0 ** (-db / 20.0)) for db in (surfaces.wall_loss_db, surfaces.floor_loss_db)
    )
    x_min, y_min, x_max, y_max = surfaces.walls_m
    edges = ((0, x_min), (0, x_max), (1, y_min), (1, y_max))
    found = [_Mirror(axis, at_m, amplitude=wall) for axis, at_m in edges]
    found.append(_Mirror(climb_m=2.0 * surfaces.height_m, amplitude=floor))
    return [mirror for mirror in found if mirror.amplitude]


def _node_gain(
    node: Node, kind: Literal["transmit", "receive"], towards_m: FloatArray
) -> FloatArray:
    pattern = node.transmit_pattern if kind == "transmit" else node.receive_pattern
    pose = node.pose
    angle = angle_from_boresight_rad(pose.position_m, pose.boresight_rad, towards_m)
    return pattern.power_gain(angle)


def element_positions_m(rx: Node) -> FloatArray:
    """Element positions, shape ``(M, 2)``: element 0 lies towards +pi/2 of boresight."""
    along = rx.pose.boresight_rad + np.pi / 2.0
    axis = np.array([np.cos(along), np.sin(along)])
    return np.asarray(rx.pose.position - rx.array.element_offset_m[:, None] * axis)


def element_path_delay_s(
    rx: Node,
    source_m: FloatArray,
    delay_s: FloatArray,
    wavefront: Wavefront,
    climb_m: float = 0.0,
) -> FloatArray:
    """Delay from the transmitter to each element over each source, shape ``(S, M)``.

    ``delay_s``, shape ``(S,)``, is the delay to the array's centre, `climb_m` the vertical part
    of the last leg. Plane: plus the element delay of eq. (6). Spherical: the exact distance from
    the last source to each element.
    """
    centre_m = distance_m(rx.pose.position_m, source_m)
    if wavefront == "plane":
        sine = np.sin(_arrival(rx.pose, source_m))
        if climb_m:
            sine = sine * centre_m / np.hypot(centre_m, climb_m)
        return np.asarray(delay_s[:, None] + rx.array.element_delay_s(sine))
    last_leg = np.hypot(distance_m(element_positions_m(rx), source_m[:, None, :]), climb_m)
    extra_m = last_leg - np.hypot(centre_m, climb_m)[:, None]
    return np.asarray(delay_s[:, None] + extra_m / SPEED_OF_LIGHT_M_PER_S)


def _arrival(pose: Pose, source_m: FloatArray) -> FloatArray:
    return angle_from_boresight_rad(pose.position_m, pose.boresight_rad, source_m)


def scatterer_paths(
    tx: Node,
    rx: Node,
    points_m: FloatArray,
    rcs_m2: FloatArray,
    wavelength_m: float,
    wavefront: Wavefront = "plane",
    surfaces: Surfaces | None = None,
) -> Paths:
    """Echoes of point scatterers, eq. (7), and those with one reflection on the way.

    Parameters
    ----------
    points_m, rcs_m2
        Shapes ``(S, 2)`` and ``(S,)``.
    """
    mirrors = _mirrors(surfaces)
    bounces = [(_OPEN, _OPEN), *((m, _OPEN) for m in mirrors), *((_OPEN, m) for m in mirrors)]
    found = [
        _echoes(tx, rx, points_m, rcs_m2, wavelength_m, wavefront, *bounce) for bounce in bounces
    ]
    return _joined(found)


def _echoes(
    tx: Node, rx: Node, points_m: FloatArray, rcs_m2: FloatArray, wavelength_m: float,
    wavefront: Wavefront, on_way_out: _Mirror, on_way_in: _Mirror,
) -> Paths:  # fmt: skip
    out_m, in_m = on_way_out.image(points_m), on_way_in.image(points_m)
    legs = leg_gain_per_m2(
        tx.transmit_pattern, tx.pose.position_m, tx.pose.boresight_rad, out_m,
        climb_m=on_way_out.climb_m,
    ) * leg_gain_per_m2(
        rx.receive_pattern, rx.pose.position_m, rx.pose.boresight_rad, in_m,
        climb_m=on_way_in.climb_m,
    )  # fmt: skip
    gain = echo_amplitude(legs, rcs_m2, wavelength_m) * on_way_out.amplitude * on_way_in.amplitude
    out_leg_m = np.hypot(distance_m(tx.pose.position_m, out_m), on_way_out.climb_m)
    in_leg_m = np.hypot(distance_m(rx.pose.position_m, in_m), on_way_in.climb_m)
    delay_s = (out_leg_m + in_leg_m) / SPEED_OF_LIGHT_M_PER_S
    return _heard(rx, gain, in_m, delay_s, wavefront, on_way_in.climb_m)


def direct_paths(
    tx: Node,
    rx: Node,
    wavelength_m: float,
    wavefront: Wavefront = "plane",
    surfaces: Surfaces | None = None,
) -> Paths:
    """The direct path, and those that a wall or the floor reflects once."""
    return _joined(
        [_direct(tx, rx, wavelength_m, wavefront, m) for m in (_OPEN, *_mirrors(surfaces))]
    )


def _direct(
    tx: Node, rx: Node, wavelength_m: float, wavefront: Wavefront, mirror: _Mirror
) -> Paths:
    source_m = mirror.image(tx.pose.position[None])
    product = _node_gain(tx, "transmit", mirror.image(rx.pose.position[None])) * _node_gain(
        rx, "receive", source_m
    )
    path_m = np.hypot(distance_m(rx.pose.position_m, source_m), mirror.climb_m)
    gain = friis_amplitude(product, path_m, wavelength_m) * mirror.amplitude
    delay_s = path_m / SPEED_OF_LIGHT_M_PER_S
    return _heard(rx, gain, source_m, delay_s, wavefront, mirror.climb_m)


def _heard(
    rx: Node, gain: FloatArray, source_m: FloatArray, delay_s: FloatArray, wavefront: Wavefront,
    climb_m: float,
) -> Paths:  # fmt: skip
    audible = gain != 0.0  # behind an infinite front-to-back ratio there is nothing to add
    element_delay_s = element_path_delay_s(
        rx, source_m[audible], delay_s[audible], wavefront, climb_m
    )
    return Paths(gain[audible], element_delay_s)


def _joined(parts: list[Paths]) -> Paths:
    return Paths(
        np.concatenate([part.gain for part in parts]),
        np.concatenate([part.delay_s for part in parts]),
    )
