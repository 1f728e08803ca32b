"""Where the two ends of a link stand and what antennas they have: what its background is of."""

import msgspec
import numpy as np

from drivers.array import ElementPattern
from drivers.geometry import distance_m, wrap_angle
from drivers.node import Node

_LEAST_M = 1e-6  # as finely as surveys are written
_LEAST_RAD = 1e-9


class EndGeometry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One end of a link as surveyed.

    Attributes
    ----------
    position_m
        In the plane of the hall.
    boresight_rad
        Counter-clockwise from the x axis; ``None`` where the antenna looks everywhere alike.
    antenna
        Elements and their pattern, in words; two that read alike are alike.
    """

    position_m: tuple[float, float]
    boresight_rad: float | None
    antenna: str


class LinkGeometry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both ends of a link as surveyed when its background was learned."""

    transmitter: EndGeometry
    receiver: EndGeometry

    def changes(self, now: "LinkGeometry") -> list[str]:
        """What is different now, in words; nothing if the background is of the same link."""
        ends = (("transmitter", self.transmitter, now.transmitter),
                ("receiver", self.receiver, now.receiver))  # fmt: skip
        return [
            f"{name} {change}" for name, was, is_now in ends for change in _changes(was, is_now)
        ]


def link_geometry(tx: Node, rx: Node) -> LinkGeometry:
    """Geometry of a link between two nodes, whichever they are."""
    elements = f"{rx.array.num_elements} elements {rx.array.spacing_m!r} m apart"
    turns = tx.transmit_pattern.kind != "omnidirectional"
    return LinkGeometry(
        _end(tx, f"1 element, {_words(tx.transmit_pattern)}", has_boresight=turns),
        _end(rx, f"{elements}, {_words(rx.receive_pattern)}", has_boresight=True),
    )


def _end(node: Node, antenna: str, *, has_boresight: bool) -> EndGeometry:
    x_m, y_m = node.pose.position_m
    boresight_rad = float(node.pose.boresight_rad) if has_boresight else None
    return EndGeometry((float(x_m), float(y_m)), boresight_rad, antenna)


def _words(pattern: ElementPattern) -> str:
    if pattern.kind == "omnidirectional":
        return f"omnidirectional, {pattern.gain_dbi!r} dBi"
    return (
        f"{pattern.kind}, {pattern.gain_dbi!r} dBi, field of view {pattern.field_of_view_rad!r} "
        f"rad, {pattern.front_to_back_db!r} dB less behind"
    )


def _changes(was: EndGeometry, is_now: EndGeometry) -> list[str]:
    found = []
    moved_m = float(distance_m(was.position_m, is_now.position_m))
    if moved_m > _LEAST_M:
        found.append(f"moved by {moved_m:.3g} m")
    if was.boresight_rad is not None and is_now.boresight_rad is not None:
        turned_rad = abs(float(wrap_angle(is_now.boresight_rad - was.boresight_rad)))
        if turned_rad > _LEAST_RAD:
            found.append(f"turned by {np.rad2deg(turned_rad):.3g} degrees")
    if was.antenna != is_now.antenna:
        found.append(f"with another antenna ({is_now.antenna}; learned with {was.antenna})")
    return found
