"""The nodes as the fusion sees them: predicted SNR and Fisher information of every link."""

from collections.abc import Sequence

import numpy as np

from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    FloatArray,
    angle_gradient_rad_per_m,
    arrival_angle_rad,
    distance_m,
)
from drivers.link_budget import delay_var_s2, leg_gain_per_m2, sine_var, snr_scale_m2
from drivers.node import Node
from drivers.waveform import OfdmGrid

# A point closer than this to a node is planned for as if it were this far: the radar equation's
# 1/d^2 is meaningless inside an antenna's own size.
MIN_DISTANCE_M = 0.5


class Network:
    """Nodes and waveform, and what follows from them for belief and planning.

    Parameters
    ----------
    nodes
        As surveyed.
    grid
        The waveform in use.
    """

    def __init__(self, nodes: Sequence[Node], grid: OfdmGrid) -> None:
        self.nodes = tuple(nodes)
        self.grid = grid
        self.index = {node.node_id: n for n, node in enumerate(self.nodes)}
        self.snr_scale_m2 = np.array(
            [[snr_scale_m2(tx, rx, grid) for rx in self.nodes] for tx in self.nodes]
        )
        self._unit_delay_var = float(delay_var_s2(1.0, grid.rms_bandwidth_hz))
        self._unit_sine_var = np.array([self._sine_var(node) for node in self.nodes])

    def _sine_var(self, node: Node) -> float:
        wavelengths = node.array.spacing_m / self.grid.wavelength_m
        return float(sine_var(1.0, node.array.num_elements, wavelengths))

    def sine_period(self, rx: Node) -> float:
        """Ambiguity of a receiver's sine, ``lambda / d``: 2 at half a wavelength."""
        return self.grid.wavelength_m / rx.array.spacing_m

    def transmit_leg_per_m2(self, node: Node, points_m: FloatArray) -> FloatArray:
        """Gain of the illuminating leg to points, shape of the points, in 1/m^2."""
        return leg_gain_per_m2(
            node.transmit_pattern, node.pose, points_m, min_distance_m=MIN_DISTANCE_M
        )

    def receive_leg_per_m2(self, node: Node, points_m: FloatArray) -> FloatArray:
        """Gain of the receiving leg from points, shape of the points, in 1/m^2."""
        return leg_gain_per_m2(
            node.receive_pattern, node.pose, points_m, min_distance_m=MIN_DISTANCE_M
        )

    def link_snr(self, tx: Node, rx: Node, points_m: FloatArray) -> FloatArray:
        """Matched-cell SNR of one link for unit RCS, shape of the points, in 1/m^2."""
        scale = self.snr_scale_m2[self.index[tx.node_id], self.index[rx.node_id]]
        legs = self.transmit_leg_per_m2(tx, points_m) * self.receive_leg_per_m2(rx, points_m)
        return np.asarray(scale * legs)

    def snr(self, points_m: FloatArray, rcs_m2: FloatArray) -> FloatArray:
        """Predicted matched-cell SNR of all links, shape ``(P, N, N)`` as point, tx, rx.

        The diagonal is zero: no node hears itself.
        """
        transmit = np.stack([self.transmit_leg_per_m2(n, points_m) for n in self.nodes], axis=-1)
        receive = np.stack([self.receive_leg_per_m2(n, points_m) for n in self.nodes], axis=-1)
        snr = transmit[:, :, None] * receive[:, None, :] * rcs_m2[:, None, None]
        snr *= self.snr_scale_m2
        diagonal = np.arange(len(self.nodes))
        snr[:, diagonal, diagonal] = 0.0
        return np.asarray(snr)

    def information(self, points_m: FloatArray, snr: FloatArray) -> FloatArray:
        """Fisher information of every link about a point, shape ``(P, N, N, 3)``, in 1/m^2.

        Eq. (17) as its entries ``xx, xy, yy``. Survey uncertainty adds to the variances.

        Parameters
        ----------
        points_m
            Shape ``(P, 2)``.
        snr
            Predicted matched-cell SNR, shape ``(P, N, N)``; zero means no information.
        """
        unit, angle_gradient, cosine = self._geometry(points_m)
        gradient = (unit[:, :, None] + unit[:, None, :]) / SPEED_OF_LIGHT_M_PER_S
        survey_delay, survey_sine = self._survey_vars(points_m, cosine)
        noise = 1.0 / np.maximum(snr, 1e-30)
        delay_weight = 1.0 / (
            self._unit_delay_var * noise + survey_delay[:, :, None] + survey_delay[:, None, :]
        )
        with np.errstate(invalid="ignore"):
            sine_total = self._unit_sine_var * noise + survey_sine[:, None, :]
        angle_weight = cosine[:, None, :] ** 2 / sine_total
        delay_weight = np.where(snr > 0.0, delay_weight, 0.0)
        angle_weight = np.where(snr > 0.0, angle_weight, 0.0)
        return _outer(gradient) * delay_weight[..., None] + (
            _outer(angle_gradient)[:, None] * angle_weight[..., None]
        )

    def _geometry(self, points_m: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Unit vectors, angle gradients and cosines of all nodes, shapes ``(P, N[, 2])``."""
        positions = np.array([node.pose.position_m for node in self.nodes])
        offset = points_m[:, None, :] - positions
        separation = np.maximum(np.linalg.norm(offset, axis=-1, keepdims=True), MIN_DISTANCE_M)
        gradient = angle_gradient_rad_per_m(positions, positions + offset)
        too_near = separation[..., 0] <= MIN_DISTANCE_M
        gradient[too_near] = 0.0  # inside an antenna's own size a bearing means nothing
        angles = [arrival_angle_rad(node.pose, points_m) for node in self.nodes]
        return offset / separation, gradient, np.cos(np.stack(angles, axis=-1))

    def _survey_vars(
        self, points_m: FloatArray, cosine: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Delay and sine variances from each node's survey uncertainty, shape ``(P, N)``."""
        position_var = np.array([node.survey.position_std_m**2 for node in self.nodes])
        boresight_var = np.array([node.survey.boresight_std_rad**2 for node in self.nodes])
        separation = np.stack(
            [distance_m(node.pose.position_m, points_m) for node in self.nodes], axis=-1
        )
        bearing_var = boresight_var + position_var / np.maximum(separation, MIN_DISTANCE_M) ** 2
        delay_var = np.broadcast_to(position_var / SPEED_OF_LIGHT_M_PER_S**2, separation.shape)
        return delay_var, cosine**2 * bearing_var


def _outer(gradient: FloatArray) -> FloatArray:
    """Entries ``xx, xy, yy`` of the outer product of gradients, shape ``(..., 3)``."""
    x, y = gradient[..., 0], gradient[..., 1]
    return np.stack((x * x, x * y, y * y), axis=-1)
