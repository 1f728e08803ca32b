"""The nodes as the fusion sees them: predicted SNR and Fisher information of every link."""

from collections.abc import Collection, Iterator, Sequence
from copy import copy

import numpy as np
from numpy.typing import NDArray

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, FloatArray, distance_m
from drivers.link_budget import delay_var_s2, leg_gain_per_m2, sine_var
from drivers.node import Node
from drivers.node_errors import BORESIGHT_RAD, SINE, X_M, Y_M, NodeErrors, survey_errors
from drivers.waveform import OfdmGrid
from fusion.alignment_loss import AlignmentLoss, Phasors
from fusion.link_information import links_information, links_snr, snr_scales_m2
from fusion.patterns import NodePatterns
from fusion.sensing import MIN_NODES

# A point closer than this to a node is planned for as if it were this far: the radar equation's
# 1/d^2 is meaningless inside an antenna's own size.
MIN_DISTANCE_M = 0.5

# Links times points whose information is at hand at once: what a core's own cache holds.
_LINKS_TOGETHER = 12_000

# Restrictions to some of the nodes that are kept: nodes leave and come back, but one at a time.
_NUM_PARTS = 8

_Indices = NDArray[np.intp]
_Gains = tuple[FloatArray, FloatArray, Phasors | None]
_Slopes = tuple[FloatArray, FloatArray, FloatArray]


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
    scale_m2
        `drivers.link_budget.snr_scale_m2` of every link, shape ``(N, N)`` as tx, rx; evaluated
        here, if left out.
    num_symbols
        Of one burst: what is predicted is the SNR of their mean.
    unusable
        Links, by the ids of transmitter and receiver, that bring nothing: none is planned with.
    """

    def __init__(
        self,
        nodes: Sequence[Node],
        grid: OfdmGrid,
        errors: NodeErrors | None = None,
        link_delay_var_s2: FloatArray | None = None,
        *,
        aligned: bool = False,
        scale_m2: FloatArray | None = None,
        num_symbols: int = 1,
        unusable: Collection[tuple[str, str]] = (),
    ) -> None:
        self.nodes = tuple(nodes)
        self.grid = grid
        self.errors = survey_errors(self.nodes) if errors is None else errors
        self.index = {node.node_id: n for n, node in enumerate(self.nodes)}
        self._position_m = np.array([node.pose.position_m for node in self.nodes])
        self._boresight_rad = np.array([node.pose.boresight_rad for node in self.nodes])
        self._ahead = np.stack((np.cos(self._boresight_rad), np.sin(self._boresight_rad)), axis=-1)
        self.num_symbols = num_symbols
        scale_m2 = snr_scales_m2(self.nodes, grid) if scale_m2 is None else scale_m2
        self._scale_m2 = num_symbols * scale_m2
        for tx_id, rx_id in unusable:
            self._scale_m2[self.index[tx_id], self.index[rx_id]] = 0.0
        self._unit_delay_var = float(delay_var_s2(1.0, grid.rms_bandwidth_hz))
        self._unit_sine_var = np.array([self._sine_var(node) for node in self.nodes])
        var = self.errors.variances
        self._position_var_m2 = var[:, [X_M, Y_M]].mean(axis=1)
        self._boresight_var_rad2 = var[:, BORESIGHT_RAD]
        self._constant_sine_var = var[:, SINE]
        self._link_delay_var_s2 = link_delay_var_s2
        range_var_m2 = self._link_range_var_m2(link_delay_var_s2)
        self._delay_var_s2 = range_var_m2 / SPEED_OF_LIGHT_M_PER_S**2
        self._patterns = NodePatterns(self.nodes)
        self._loss = self._alignment_loss() if aligned else None
        self._every = np.arange(len(self.nodes))
        self._parts: dict[frozenset[str], Network] = {}

    def only(self, node_ids: Collection[str]) -> "Network":
        """The network that some of the nodes are, in their order here; of all of them, itself.

        Raises
        ------
        ValueError
            If a node is not of this network, or fewer than two are given.
        """
        wanted = frozenset(node_ids)
        if unknown := sorted(wanted - self.index.keys()):
            msg = f"no nodes {unknown} in this network; it has {list(self.index)}"
            raise ValueError(msg)
        if len(wanted) < MIN_NODES:
            msg = f"a network needs at least {MIN_NODES} nodes, one to send and one to hear it"
            raise ValueError(f"{msg}; got {sorted(wanted)}")
        if len(wanted) == len(self.nodes):
            return self
        if wanted not in self._parts:
            if len(self._parts) == _NUM_PARTS:
                del self._parts[next(iter(self._parts))]
            self._parts[wanted] = self._part(wanted)
        return self._parts[wanted]

    def without_fields_of_view(self) -> "Network":
        """The same with antennas that see everywhere alike: (17) to (19) as they are written."""
        blind = copy(self)
        blind.nodes = tuple(node.seeing_everywhere() for node in self.nodes)
        blind._patterns, blind._parts = NodePatterns(blind.nodes), {}
        return blind

    def _part(self, wanted: frozenset[str]) -> "Network":
        nodes = [node for node in self.nodes if node.node_id in wanted]
        node_ids = tuple(node.node_id for node in nodes)
        kept = np.ix_(*2 * [[self.index[node_id] for node_id in node_ids]])
        shared = self._link_delay_var_s2
        return Network(
            nodes,
            self.grid,
            NodeErrors(node_ids, self.errors.of(node_ids)),
            None if shared is None else shared[kept],
            aligned=self._loss is not None,
            scale_m2=self._scale_m2[kept] / self.num_symbols,
            num_symbols=self.num_symbols,
        )

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
        return self._snr(self._gains(points_m, rcs_m2), self._every, self._every)

    def _snr(self, gains: _Gains, tx: _Indices, rx: _Indices) -> FloatArray:
        """SNR of links from nodes `tx` to nodes `rx`, shape ``(P, I, J)``."""
        transmit, receive, phasors = gains
        snr = links_snr(transmit, receive, self._scale_m2, tx, rx)
        if self._loss is not None and phasors is not None:
            self._loss.scale(snr, phasors, tx, rx)
        return snr

    def predictions(
        self, points_m: FloatArray, rcs_m2: FloatArray, receivers: _Indices | None = None
    ) -> Iterator[tuple[_Indices, FloatArray, FloatArray]]:
        """SNR and information of links to `receivers`, of a few transmitters at a time.

        Yields indices of transmitters, shape ``(I,)``, then what `snr` and `information` say of
        their links, shapes ``(P, I, J)`` and ``(P, I, J, 3)``. Memory grows with the nodes, not
        with their square. All nodes are receivers, if left out.
        """
        rx = self._every if receivers is None else receivers
        gains, slopes = self._gains(points_m, rcs_m2), self._slopes(points_m)
        together = max(1, _LINKS_TOGETHER // (len(points_m) * len(rx)))
        for start in range(0, len(self.nodes), together):
            tx = self._every[start : start + together]
            snr = self._snr(gains, tx, rx)
            yield tx, snr, self._information(slopes, snr, tx, rx)

    def link_shares(
        self, tx: Node, rx: Node, points_m: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """`processing.accuracy.shares_left` of one link's echoes from points; of their shape."""
        if self._loss is None:
            return np.ones(points_m.shape[:-1]), np.ones(points_m.shape[:-1])
        return self._loss.shares_of(points_m, self.index[tx.node_id], self.index[rx.node_id])

    def _alignment_loss(self) -> AlignmentLoss:
        arrays = [node.array for node in self.nodes]
        return AlignmentLoss(
            self._position_m, self._boresight_rad,
            np.array([array.num_elements for array in arrays]),
            np.array([array.spacing_m for array in arrays]) / self.grid.wavelength_m,
            self._patterns.mutual_view(), self.grid,
        )  # fmt: skip

    def in_view(self, points_m: FloatArray) -> NDArray[np.bool_]:
        """Whether each node's receiving pattern has points in view, shape ``(P, N)``."""
        return self._patterns.in_view(points_m)

    def _gains(self, points_m: FloatArray, rcs_m2: FloatArray) -> _Gains:
        """Gains over squared distance, of sending times RCS and of receiving; ``(P, N)`` each.

        And the phases that tell what alignment takes, if it does.
        """
        transmit, receive = self._patterns.gains(points_m)
        leg_m = np.maximum(distance_m(self._position_m, points_m[:, None]), MIN_DISTANCE_M)
        phasors = None if self._loss is None else self._loss.phasors(points_m)
        return transmit / leg_m**2 * rcs_m2[:, None], receive / leg_m**2, phasors

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
        return self._information(self._slopes(points_m), snr, self._every, self._every)

    def _information(
        self, slopes: _Slopes, snr: FloatArray, tx: _Indices, rx: _Indices
    ) -> FloatArray:
        """Information of links from nodes `tx` to nodes `rx`, shape ``(P, I, J, 3)``."""
        return links_information(
            np.ascontiguousarray(snr),
            *slopes,
            self._unit_sine_var,
            self._delay_var_s2,
            self._unit_delay_var,
            tx,
            rx,
        )

    def _slopes(self, points_m: FloatArray) -> _Slopes:
        """How each node's part of a measurement changes with the point.

        Gradient of the leg's delay, ``(P, N, 2)``; products ``xx, xy, yy`` of the sine's
        gradient, ``(P, N, 3)``; variance of the sine that no SNR takes away, ``(P, N)``.
        """
        offset = points_m[:, None] - self._position_m
        square = offset[..., 0] ** 2 + offset[..., 1] ** 2
        separation = np.maximum(np.sqrt(square), MIN_DISTANCE_M)
        unit = offset / separation[..., None]
        cosine = unit[..., 0] * self._ahead[:, 0] + unit[..., 1] * self._ahead[:, 1]
        bearing_var = self._boresight_var_rad2 + self._position_var_m2 / separation**2
        # Inside an antenna's own size a bearing means nothing.
        turn = np.where(separation > MIN_DISTANCE_M, cosine / separation, 0.0)
        across_x, across_y = -unit[..., 1] * turn, unit[..., 0] * turn  # (16) times the cosine
        products = np.stack((across_x**2, across_x * across_y, across_y**2), axis=-1)
        sine_var = cosine**2 * bearing_var + self._constant_sine_var
        return unit / SPEED_OF_LIGHT_M_PER_S, products, sine_var
