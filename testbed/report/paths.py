"""Direct paths of entries, against what the calibrated nodes lead to expect of them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from calibration.dictionary_entry import Entry, EntryHeader
from calibration.direct_path import direct_path_window, find_direct_path
from calibration.node_files import NodeCalibrationFile, NodeRecord, response_of
from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, Pose, arrival_angle_rad, distance_m
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.node_errors import NodeErrors
from drivers.waveform import OfdmGrid

# The directory has antennas' patterns in words only: levels are of such antennas, and
# are compared only with those of links at wider angles.
_OMNIDIRECTIONAL = ElementPattern(kind="omnidirectional")


@dataclass(frozen=True)
class PathFound:
    """The strongest path of an entry, if one wave explains it, as the link's direct path.

    Attributes
    ----------
    distance_m
        Between the nodes, as calibrated.
    rx_angle_rad, tx_angle_rad
        Of the other node, from each node's boresight.
    level_db
        Of the path over Friis' law for antennas without gain, at calibrated powers and gains.
    range_off_m, range_std_m
        Found minus calibrated length, the nodes' times taken off, and its standard deviation;
        ``None`` where delays are not absolute or times not known.
    sine_off, sine_std
        Found minus calibrated sine of arrival; ``None`` for one element.
    """

    distance_m: float
    rx_angle_rad: float
    tx_angle_rad: float
    level_db: float
    range_off_m: float | None
    range_std_m: float | None
    sine_off: float | None
    sine_std: float | None


class CalibratedNodes:
    """Calibrated nodes at the locations that entries say they stood at.

    A node that entries name at several locations, or that shares its location with another, has
    been moved: where it stood is then not known from its calibration, and its links have no path.
    """

    def __init__(self, found: NodeCalibrationFile, headers: Iterable[EntryHeader]) -> None:
        self._found = found
        at: dict[str, set[str]] = defaultdict(set)
        names: dict[str, set[str]] = defaultdict(set)
        for header in headers:
            ends = header.learned_with
            for node_id, location in (
                (ends.tx_id, header.tx_location), (ends.rx_id, header.rx_location)
            ):  # fmt: skip
                if node_id is not None:
                    at[node_id].add(location)
                    names[location].add(node_id)
        self._record = {
            record.node_id: record
            for record in found.nodes
            if len(at[record.node_id]) == 1 and len(names[next(iter(at[record.node_id]))]) == 1
        }
        self._node = {name: _node(record) for name, record in self._record.items()}

    def thermal_var(self, header: EntryHeader) -> float | None:
        """Variance of one capture's channel entry by the calibrated link budget.

        A channel is relative to the tone as the site states it, and so is noise in it: a
        transmitter that is louder than stated makes the channel larger, not the noise smaller.
        """
        found, grid = self._ends(header), grid_of(header)
        if found is None or grid is None:
            return None
        return channel_noise_var(*found, grid) * 10.0 ** (self._over_nominal_db(*found) / 10.0)

    def direct_path(self, entry: Entry) -> PathFound | None:
        """The strongest path of an entry as its direct path; see `PathFound`."""
        header = entry.header
        found, grid, noise_var = self._ends(header), grid_of(header), _noise_var(header)
        if found is None or grid is None or noise_var is None:
            return None
        tx, rx = found
        response = response_of(self._record[rx.node_id])
        if len(response.gain) != header.shape[1] or distance_m(*_positions_m(tx, rx)) <= 0.0:
            return None
        channel = (entry.channel / response.channel(grid)).astype(np.complex64)
        window = direct_path_window(channel, tx, rx, grid, noise_var)
        if window is None:
            return None
        path = find_direct_path(window)
        # As stated of paths, not as the campaign's own misfit scales it: a wrong location is one.
        late_s = self._late_s(header, tx, rx)
        has_sine = bool(np.isfinite(path.sine_var))
        std_m = float(np.sqrt(path.delay_var_s2)) * SPEED_OF_LIGHT_M_PER_S
        return PathFound(
            distance_m=float(distance_m(*_positions_m(tx, rx))),
            rx_angle_rad=float(arrival_angle_rad(rx.pose, tx.pose.position_m)),
            tx_angle_rad=float(arrival_angle_rad(tx.pose, rx.pose.position_m)),
            level_db=float(20.0 * np.log10(max(path.amplitude, 1e-30)))
            - self._over_nominal_db(tx, rx),
            range_off_m=None
            if late_s is None
            else (path.delay_s - late_s) * SPEED_OF_LIGHT_M_PER_S,
            range_std_m=None if late_s is None else std_m,
            sine_off=path.sine if has_sine else None,
            sine_std=float(np.sqrt(path.sine_var)) if has_sine else None,
        )

    def _over_nominal_db(self, tx: Node, rx: Node) -> float:
        """Power of the transmitter and gain of the receiver over what the site states."""
        return self._record[tx.node_id].power_db[0] + self._record[rx.node_id].power_db[1]

    def _ends(self, header: EntryHeader) -> tuple[Node, Node] | None:
        tx, rx = (self._node.get(i or "") for i in _ids(header))
        return None if tx is None or rx is None else (tx, rx)

    def _late_s(self, header: EntryHeader, tx: Node, rx: Node) -> float | None:
        if not header.delay_is_absolute:
            return None
        tx_s, rx_s = self._record[tx.node_id].time_s, self._record[rx.node_id].time_s
        return None if tx_s is None or rx_s is None else rx_s - tx_s


def errors_of(found: NodeCalibrationFile) -> NodeErrors:
    """What is left unknown of calibrated nodes; ``ValueError`` if it is of other nodes."""
    return NodeErrors(tuple(node.node_id for node in found.nodes), np.array(found.covariance))


def grid_of(header: EntryHeader) -> OfdmGrid | None:
    """The waveform of an entry; ``None`` where it does not say."""
    carrier_hz = header.learned_with.carrier_hz
    spacing_hz = header.learned_with.subcarrier_spacing_hz
    if carrier_hz is None or spacing_hz is None:
        return None
    return OfdmGrid(carrier_hz, spacing_hz, header.shape[0])


def _ids(header: EntryHeader) -> tuple[str | None, str | None]:
    return header.learned_with.tx_id, header.learned_with.rx_id


def _noise_var(header: EntryHeader) -> float | None:
    """What of one capture's noise the median of all has left, about."""
    noise_var = header.learned_with.noise_var
    return None if noise_var is None else noise_var * np.pi / 2.0 / header.num_captures


def _positions_m(tx: Node, rx: Node) -> tuple[tuple[float, float], tuple[float, float]]:
    return tx.pose.position_m, rx.pose.position_m


def _node(record: NodeRecord) -> Node:
    return Node(
        record.node_id,
        record.node_id,
        Pose(record.position_m, record.boresight_rad),
        UniformLinearArray(len(record.element_gain), record.spacing_m),
        _OMNIDIRECTIONAL,
        _OMNIDIRECTIONAL,
        record.tx_power_dbm,
        record.noise_figure_db,
    )
