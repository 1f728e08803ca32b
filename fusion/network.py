"""The nodes as the fusion sees them: predicted SNR and Fisher information of every link."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from drivers.array import ElementPattern
from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    FloatArray,
    angle_from_boresight_rad,
    angle_gradient_rad_per_m,
    distance_m,
)
from drivers.link_budget import delay_var_s2, leg_gain_per_m2, sine_var, snr_scale_m2
from drivers.node import Node
from drivers.node_errors import BORESIGHT_RAD, SINE, X_M, Y_M, NodeErrors, survey_errors
from drivers.waveform import OfdmGrid
from processing.accuracy import LEAST_SHARE, share_kept

# A point closer than this to a node is planned for as if it were this far: the radar equation's
# 1/d^2 is meaningless inside an antenna's own size.
MIN_DISTANCE_M = 0.5

_Index = int | NDArray[np.intp]


class Network:
    """Nodes and waveform, and what follows from them for belief and planning.

    Parameters
    ----------
    nodes
        As surveyed, or as calibrated.
    grid
        The waveform in use.
    errors
        What is not known of the nodes; what their surveys say, if left out.
    link_delay_var_s2
        Variance that all delays on a link share, besides the nodes' errors, shape ``(N, N)`` as
        tx, rx; infinite where delays are not absolute, so that a link gives angle only. Zero, if
        left out.
    aligned
        Whether captures are aligned to their background, which takes a part of echoes beside a
        direct path away; the predicted SNR of planning is then what is left.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        grid: OfdmGrid,
        errors: NodeErrors | None = None,
        link_delay_var_s2: FloatArray | None = None,
        *,
        aligned: bool = False,
    ) -> None:
        self._aligned = aligned
        self.nodes = tuple(nodes)
        self.grid = grid
        self.errors = survey_errors(self.nodes) if errors is None else errors
        self.index = {node.node_id: n for n, node in enumerate(self.nodes)}
        self._position_m = np.array([node.pose.position_m for node in self.nodes])
        self._boresight_rad = np.array([node.pose.boresight_rad for node in self.nodes])
        self._scale_m2 = self._snr_scales_m2()
        self._unit_delay_var = float(delay_var_s2(1.0, grid.rms_bandwidth_hz))
        self._unit_sine_var = np.array([self._sine_var(node) for node in self.nodes])
        var = self.errors.variances
        self._position_var_m2 = var[:, [X_M, Y_M]].mean(axis=1)
        self._boresight_var_rad2 = var[:, BORESIGHT_RAD]
        self._constant_sine_var = var[:, SINE]
        self._range_var_m2 = self._link_range_var_m2(link_delay_var_s2)
        arrays = [node.array for node in self.nodes]
        self._num_elements = np.array([array.num_elements for array in arrays])
        self._spacing_wavelengths = np.array([a.spacing_m for a in arrays]) / grid.wavelength_m
        self._in_view = self._mutual_view()

    def _link_range_var_m2(self, link_delay_var_s2: FloatArray | None) -> FloatArray:
        """Variance of bistatic ranges that no look averages away, ``(N, N)``, in square metres."""
        own = self._position_var_m2
        shared = own[:, None] + own[None] + self.errors.time_difference_var_m2
        if link_delay_var_s2 is not None:
            shared = shared + link_delay_var_s2 * SPEED_OF_LIGHT_M_PER_S**2
        return np.asarray(shared)

    def range_var_m2(self, tx: Node, rx: Node) -> float:
        """What positions and times leave unknown of a link's bistatic ranges, in m^2."""
        i, j = self.index[tx.node_id], self.index[rx.node_id]
        own = self._position_var_m2
        return float(own[i] + own[j] + self.errors.time_difference_var_m2[i, j])

    def node_var(self, node: Node) -> FloatArray:
        """Variances of one node's six errors, see `drivers.node_errors`."""
        return np.asarray(self.errors.variances[self.index[node.node_id]])

    def _snr_scales_m2(self) -> FloatArray:
        """SNR scale of every link, shape ``(N, N)``; equal radios are evaluated once."""
        known: dict[tuple[float, float, int], float] = {}
        scales = np.empty((len(self.nodes), len(self.nodes)))
        for i, tx in enumerate(self.nodes):
            for j, rx in enumerate(self.nodes):
                key = tx.tx_power_dbm, rx.noise_figure_db, rx.array.num_elements
                if key not in known:
                    known[key] = snr_scale_m2(tx, rx, self.grid)
                scales[i, j] = known[key]
        return scales

    def _sine_var(self, node: Node) -> float:
        wavelengths = node.array.spacing_m / self.grid.wavelength_m
        return float(sine_var(1.0, node.array.num_elements, wavelengths))

    def sine_period(self, rx: Node) -> float:
        """Ambiguity of a receiver's sine, ``lambda / d``: 2 at half a wavelength."""
        return self.grid.wavelength_m / rx.array.spacing_m

    def link_snr(self, tx: Node, rx: Node, points_m: FloatArray) -> FloatArray:
        """Matched-cell SNR of one link for unit RCS, shape of the points, in 1/m^2."""
        scale = self._scale_m2[self.index[tx.node_id], self.index[rx.node_id]]
        legs = scale * np.ones(points_m.shape[:-1])
        for node, pattern in ((tx, tx.transmit_pattern), (rx, rx.receive_pattern)):
            legs *= leg_gain_per_m2(
                pattern, node.pose.position_m, node.pose.boresight_rad, points_m,
                min_distance_m=MIN_DISTANCE_M,
            )  # fmt: skip
        return legs

    def snr(self, points_m: FloatArray, rcs_m2: FloatArray) -> FloatArray:
        """Predicted matched-cell SNR of all links, shape ``(P, N, N)`` as point, tx, rx.

        The diagonal is zero: no node hears itself.
        """
        transmit = self._legs([node.transmit_pattern for node in self.nodes], points_m)
        receive = self._legs([node.receive_pattern for node in self.nodes], points_m)
        snr = (transmit * rcs_m2[:, None])[:, :, None] * receive[:, None, :]
        snr *= self._scale_m2
        every = np.arange(len(self.nodes))
        if self._aligned:
            snr *= self._kept(points_m[:, None, None], every[:, None], every[None])
        snr[:, every, every] = 0.0
        return np.asarray(snr)

    def link_kept(self, tx: Node, rx: Node, points_m: FloatArray) -> FloatArray:
        """Share of one link's echoes that alignment leaves for detection, shape of the points."""
        if not self._aligned:
            return np.ones(points_m.shape[:-1])
        return self._kept(points_m, self.index[tx.node_id], self.index[rx.node_id])

    def _kept(self, points_m: FloatArray, i: _Index, j: _Index) -> FloatArray:
        """Share of echoes of links `i` to `j` that alignment leaves; everything broadcasts."""
        position, boresight = self._position_m, self._boresight_rad
        baseline_m = distance_m(position[i], position[j])
        excess_m = distance_m(position[i], points_m) + distance_m(position[j], points_m)
        excess_m = excess_m - baseline_m
        to_point = np.sin(angle_from_boresight_rad(position[j], boresight[j], points_m))
        to_tx = np.sin(angle_from_boresight_rad(position[j], boresight[j], position[i]))
        size = self._num_elements[j]
        beams = size * self._spacing_wavelengths[j]
        cells = excess_m * self.grid.bandwidth_hz / SPEED_OF_LIGHT_M_PER_S
        kept = share_kept(cells, (to_point - to_tx) * beams, size)
        kept = np.where(kept < LEAST_SHARE, 0.0, kept)  # not reported
        return np.where(self._in_view[i, j], kept, 1.0)

    def _mutual_view(self) -> NDArray[np.bool_]:
        """Whether both ends of each link have each other in view, shape ``(N, N)`` as tx, rx."""
        position, boresight = self._position_m, self._boresight_rad
        angle = angle_from_boresight_rad(position[:, None], boresight[:, None], position)
        heard = [n.receive_pattern.in_view(own) for n, own in zip(self.nodes, angle, strict=True)]
        sent = [n.transmit_pattern.in_view(own) for n, own in zip(self.nodes, angle, strict=True)]
        return np.array(sent) & np.array(heard).T

    def _legs(self, patterns: Sequence[ElementPattern], points_m: FloatArray) -> FloatArray:
        """Leg gains of all nodes, shape ``(P, N)``; nodes of one pattern in one go."""
        legs = np.empty((len(points_m), len(patterns)))
        for pattern in set(patterns):
            members = [n for n, own in enumerate(patterns) if own == pattern]
            legs[:, members] = leg_gain_per_m2(
                pattern, self._position_m[members], self._boresight_rad[members],
                points_m[:, None], min_distance_m=MIN_DISTANCE_M,
            )  # fmt: skip
        return legs

    def information(self, points_m: FloatArray, snr: FloatArray) -> FloatArray:
        """Fisher information of every link about a point, shape ``(P, N, N, 3)``, in 1/m^2.

        Eq. (17) as its entries ``xx, xy, yy``. What is not known of the nodes adds to the
        variances.

        Parameters
        ----------
        points_m
            Shape ``(P, 2)``.
        snr
            Predicted matched-cell SNR, shape ``(P, N, N)``; zero means no information.
        """
        points = points_m[:, None]
        offset = points - self._position_m
        separation = np.maximum(distance_m(self._position_m, points), MIN_DISTANCE_M)
        cosine = np.cos(angle_from_boresight_rad(self._position_m, self._boresight_rad, points))
        bearing_var = self._boresight_var_rad2 + self._position_var_m2 / separation**2
        shared_var = self._range_var_m2 / SPEED_OF_LIGHT_M_PER_S**2
        with np.errstate(invalid="ignore"):  # no echo of a link without absolute delay: 0 x inf
            delay_weight = np.nan_to_num(snr / (self._unit_delay_var + snr * shared_var))
        common_var = cosine**2 * bearing_var + self._constant_sine_var
        sine_weight = snr / (self._unit_sine_var + snr * common_var[:, None])
        leg = offset / (separation * SPEED_OF_LIGHT_M_PER_S)[..., None]  # one half of (15)
        delay_gradient = leg[:, :, None] + leg[:, None, :]
        sine_gradient = cosine[..., None] * angle_gradient_rad_per_m(self._position_m, points)
        # Inside an antenna's own size a bearing means nothing.
        sine_gradient[separation <= MIN_DISTANCE_M] = 0.0
        information = np.empty((*snr.shape, 3))
        for entry, (a, b) in enumerate(((0, 0), (0, 1), (1, 1))):
            delay = delay_gradient[..., a] * delay_gradient[..., b]
            sine = sine_gradient[..., a] * sine_gradient[..., b]
            information[..., entry] = delay * delay_weight + sine[:, None] * sine_weight
        return information
