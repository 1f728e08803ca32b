"""What the nodes' element patterns see: gains towards points, and which points are in view."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drivers.array import ElementPattern
from drivers.geometry import FloatArray, angle_from_boresight_rad
from drivers.node import Node

_Indices = NDArray[np.intp]


class NodePatterns:
    """Patterns of some nodes, equal ones evaluated together.

    Parameters
    ----------
    nodes
        Where they stand, where they look, and with which patterns they send and receive.
    """

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = tuple(nodes)
        self._position_m = np.array([node.pose.position_m for node in self._nodes])
        self._boresight_rad = np.array([node.pose.boresight_rad for node in self._nodes])
        self._distinct = self._nodes_of_patterns()

    def _nodes_of_patterns(self) -> list[tuple[ElementPattern, _Indices, _Indices]]:
        """Distinct patterns, each with the nodes that send and the nodes that receive with it."""
        sent = [node.transmit_pattern for node in self._nodes]
        received = [node.receive_pattern for node in self._nodes]
        return [
            (
                pattern,
                np.flatnonzero([own == pattern for own in sent]),
                np.flatnonzero([own == pattern for own in received]),
            )
            for pattern in dict.fromkeys(sent + received)
        ]

    def _angles_rad(self, points_m: FloatArray) -> FloatArray:
        """Angles of points from each node's boresight, shape ``(P, N)``."""
        return angle_from_boresight_rad(self._position_m, self._boresight_rad, points_m[:, None])

    def in_view(self, points_m: FloatArray) -> NDArray[np.bool_]:
        """Whether each node's receiving pattern has points in view, shape ``(P, N)``."""
        angle = self._angles_rad(points_m)
        seen = np.empty(angle.shape, dtype=bool)
        for pattern, _, members in self._distinct:
            seen[:, members] = pattern.in_view(angle[:, members])
        return seen

    def mutual_view(self) -> NDArray[np.bool_]:
        """Whether both ends of each link have each other in view, shape ``(N, N)`` as tx, rx."""
        position, boresight = self._position_m, self._boresight_rad
        angle = angle_from_boresight_rad(position[:, None], boresight[:, None], position)
        heard = [n.receive_pattern.in_view(own) for n, own in zip(self._nodes, angle, strict=True)]
        sent = [n.transmit_pattern.in_view(own) for n, own in zip(self._nodes, angle, strict=True)]
        return np.array(sent) & np.array(heard).T

    def gains(self, points_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Power gains of sending and of receiving, shape ``(P, N)`` each."""
        angle = self._angles_rad(points_m)
        transmit, receive = np.empty(angle.shape), np.empty(angle.shape)
        for pattern, senders, receivers in self._distinct:
            transmit[:, senders] = gain = pattern.power_gain(angle[:, senders])
            if not np.array_equal(senders, receivers):
                gain = pattern.power_gain(angle[:, receivers])
            receive[:, receivers] = gain
        return transmit, receive
