"""What is not known of the nodes, jointly: pose, array and time, and what that does to a link.

Linear about the nodes as stated: a measured bistatic range or sine differs from the predicted one
by ``S e``, where ``e`` are the nodes' errors and ``S`` the sensitivities given here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from drivers.geometry import (
    FloatArray,
    Pose,
    angle_gradient_rad_per_m,
    arrival_angle_rad,
)
from drivers.node import Node

# Errors of one node, in this order: position (m), boresight (rad), constant error of the measured
# sine (what element phases do), relative error of the element spacing, time as a range (m).
X_M, Y_M, BORESIGHT_RAD, SINE, SPACING, TIME_M = range(6)
NUM_ERRORS = 6


@dataclass(frozen=True)
class NodeErrors:
    """Joint zero-mean Gaussian of all nodes' errors.

    Attributes
    ----------
    node_ids
        The nodes, in the order of `covariance`.
    covariance
        Shape ``(6 N, 6 N)``: six errors a node.
    index
        Place of each node among them.
    """

    node_ids: tuple[str, ...]
    covariance: FloatArray
    index: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check the shape."""
        size = NUM_ERRORS * len(self.node_ids)
        if self.covariance.shape != (size, size):
            msg = f"covariance has shape {self.covariance.shape}, {(size, size)} are needed"
            raise ValueError(msg)
        object.__setattr__(self, "index", {name: n for n, name in enumerate(self.node_ids)})

    @cached_property
    def none(self) -> bool:
        """Whether everything is known."""
        return not self.covariance.any()

    def of(self, node_ids: Sequence[str]) -> FloatArray:
        """Joint covariance of some nodes, shape ``(6 n, 6 n)``, in their order."""
        first = NUM_ERRORS * np.array([self.index[name] for name in node_ids], dtype=np.intp)
        rows = (first[:, None] + np.arange(NUM_ERRORS)).ravel()
        return np.asarray(self.covariance[np.ix_(rows, rows)])

    @cached_property
    def time_difference_var_m2(self) -> FloatArray:
        """Variance of the difference of two nodes' times, as a range, shape ``(N, N)``."""
        time = self.covariance[TIME_M::NUM_ERRORS, TIME_M::NUM_ERRORS]
        own = np.diag(time)
        return np.asarray(np.maximum(own[:, None] + own[None] - time - time.T, 0.0))

    @cached_property
    def variances(self) -> FloatArray:
        """Variance of each error alone, shape ``(N, 6)``."""
        return np.diag(self.covariance).reshape(-1, NUM_ERRORS)


def survey_errors(nodes: Sequence[Node]) -> NodeErrors:
    """What surveys leave unknown: positions and boresights, each on its own."""
    variances = np.zeros((len(nodes), NUM_ERRORS))
    for row, node in zip(variances, nodes, strict=True):
        row[[X_M, Y_M]] = node.survey.position_std_m**2
        row[BORESIGHT_RAD] = node.survey.boresight_std_rad**2
    return NodeErrors(tuple(node.node_id for node in nodes), np.diag(variances.ravel()))


def node_with(node: Node, error: FloatArray) -> Node:
    """A node whose pose and element spacing are off by these errors, shape ``(6,)``."""
    x, y = node.pose.position + error[[X_M, Y_M]]
    boresight_rad = float(node.pose.boresight_rad + error[BORESIGHT_RAD])
    spacing_m = node.array.spacing_m * float(1.0 + error[SPACING])
    return replace(
        node,
        pose=Pose((float(x), float(y)), boresight_rad),
        array=replace(node.array, spacing_m=spacing_m),
    )


def leg_sensitivity(node: Node, point_m: FloatArray) -> FloatArray:
    """Derivative of a leg's length by its node's errors, shape ``(6,)``, in metres per unit."""
    row = np.zeros(NUM_ERRORS)
    toward = point_m - node.pose.position
    row[:2] = -toward / max(float(np.hypot(*toward)), 1e-9)
    return row


def sine_sensitivity(node: Node, point_m: FloatArray) -> FloatArray:
    """Derivative of the sine of arrival by the receiver's errors, shape ``(6,)``."""
    angle = float(arrival_angle_rad(node.pose, point_m))
    gradient = angle_gradient_rad_per_m(node.pose.position, point_m)
    row = np.zeros(NUM_ERRORS)
    row[:2] = -np.cos(angle) * gradient
    row[BORESIGHT_RAD] = -np.cos(angle)
    row[SINE] = 1.0
    row[SPACING] = np.sin(angle)
    return np.nan_to_num(row)
