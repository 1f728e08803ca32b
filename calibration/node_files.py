"""Calibrations of nodes as they are written down, on disk or in a message."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from calibration.array_response import ArrayResponse
from calibration.dictionary_entry import DictionaryError
from calibration.exchanged_elements import ExchangedElements
from calibration.node_calibration import NodeCalibration
from calibration.whole_files import write_atomically
from drivers.geometry import ComplexArray, Pose
from drivers.node import Node
from drivers.node_errors import NUM_ERRORS, NodeErrors

FILE_NAME = "nodes.json"

# Above every site's: what others wrote is bounded before anything is made of it.
_MOST_NODES = 1024
_OF_NODES = Meta(max_length=_MOST_NODES)
_OF_LINKS = Meta(max_length=_MOST_NODES * (_MOST_NODES - 1))
_OF_ERRORS = Meta(max_length=NUM_ERRORS * _MOST_NODES)
_OF_ELEMENTS = Meta(max_length=1024)


class NodeRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One node as calibrated, see `NodeCalibration` and `ArrayResponse`."""

    node_id: str
    position_m: tuple[float, float]
    boresight_rad: float
    spacing_m: float
    tx_power_dbm: float
    noise_figure_db: float
    power_db: tuple[float, float]
    time_s: float | None
    element_gain: Annotated[list[tuple[float, float]], _OF_ELEMENTS]
    element_delay_s: Annotated[list[float], _OF_ELEMENTS]
    element_error_var: float
    element_left_var: float = 0.0  # files of before have none

    def __post_init__(self) -> None:
        gains, delays = len(self.element_gain), len(self.element_delay_s)
        if gains != delays:
            msg = f"node {self.node_id!r}: {gains} gains and {delays} delays of its elements"
            raise ValueError(msg)


class _Link(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    tx_id: str
    rx_id: str
    config_epoch: int


class _Exchanged(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rx_id: str
    learned_by: str
    element_gain: Annotated[list[tuple[float, float]], _OF_ELEMENTS]
    element_delay_s: Annotated[list[float], _OF_ELEMENTS]


class NodeCalibrationFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A calibration of nodes, written down."""

    schema: Literal[1]
    nodes: Annotated[list[NodeRecord], _OF_NODES]
    links: Annotated[list[_Link], _OF_LINKS]
    range_scale: float
    sine_scale: float
    covariance: Annotated[list[Annotated[list[float], _OF_ERRORS]], _OF_ERRORS]
    exchanged: Annotated[list[_Exchanged], _OF_LINKS] = []  # files of before have none


def save_node_calibration(root: Path, calibration: NodeCalibration) -> None:
    """Keep a calibration in a dictionary's directory, whole or not at all."""
    content = msgspec.json.encode(written_down(calibration))
    write_atomically(root / FILE_NAME, msgspec.json.format(content))


def written_down(calibration: NodeCalibration) -> NodeCalibrationFile:
    """A calibration as it is written down."""
    records = []
    for node in calibration.nodes:
        response = calibration.responses[node.node_id]
        records.append(
            NodeRecord(
                node_id=node.node_id,
                position_m=node.pose.position_m,
                boresight_rad=node.pose.boresight_rad,
                spacing_m=node.array.spacing_m,
                tx_power_dbm=node.tx_power_dbm,
                noise_figure_db=node.noise_figure_db,
                power_db=calibration.power_db[node.node_id],
                time_s=calibration.time_s.get(node.node_id),
                element_gain=_pairs(response.gain),
                element_delay_s=response.delay_s.tolist(),
                element_error_var=response.error_var,
                element_left_var=response.left_var,
            )
        )
    return NodeCalibrationFile(
        1, records, [_Link(*link, epoch) for link, epoch in calibration.epochs.items()],
        calibration.range_scale, calibration.sine_scale, calibration.errors.covariance.tolist(),
        [
            _Exchanged(*key, _pairs(found.gain), found.delay_s.tolist())
            for key, found in calibration.exchanged.items()
        ],
    )  # fmt: skip


def load_node_calibration(root: Path, nodes: tuple[Node, ...]) -> NodeCalibration | None:
    """The calibration in a dictionary's directory; ``None`` if there is none.

    Parameters
    ----------
    nodes
        As surveyed, the same as it was made of.

    Raises
    ------
    DictionaryError
        If the file cannot be read or is of other nodes.
    """
    found = read_node_file(root)
    path = root / FILE_NAME
    try:
        return None if found is None else read_back(found, nodes, str(path))
    except ValueError as error:
        raise _not_readable(path, error) from error


def read_node_file(root: Path) -> NodeCalibrationFile | None:
    """What is written down in a dictionary's directory, of whatever nodes; ``None`` if nothing is.

    Raises
    ------
    DictionaryError
        If the file cannot be read.
    """
    path = root / FILE_NAME
    if not path.exists():
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=NodeCalibrationFile)
    except (msgspec.DecodeError, ValueError) as error:
        raise _not_readable(path, error) from error


def _not_readable(path: Path, error: Exception) -> DictionaryError:
    msg = f"{path}: not a calibration of nodes: {error}; delete it and calibrate again"
    return DictionaryError(msg)


def read_back(found: NodeCalibrationFile, nodes: tuple[Node, ...], place: str) -> NodeCalibration:
    """The calibration that was written down.

    Parameters
    ----------
    nodes
        As surveyed, the same as it was made of.
    place
        Where it comes from, for errors.

    Raises
    ------
    DictionaryError
        If it is of other nodes.
    ValueError
        If its parts do not go together.
    """
    errors = NodeErrors(tuple(record.node_id for record in found.nodes), np.array(found.covariance))
    if errors.node_ids != tuple(node.node_id for node in nodes):
        names = ", ".join(errors.node_ids)
        msg = f"{place}: of nodes {names}; calibrate again into another directory"
        raise DictionaryError(msg)
    records = {record.node_id: record for record in found.nodes}
    for each in found.exchanged:
        if len(each.element_gain) != len(each.element_delay_s):
            raise ValueError(
                f"gains and delays of {each.rx_id!r} over {each.learned_by!r} differ in number"
            )
    for node in nodes:
        known, needed = len(records[node.node_id].element_gain), node.array.num_elements
        if known != needed:
            msg = (
                f"{place}: of node {node.node_id!r} with {known} elements, not {needed}; calibrate "
                "again into another directory"
            )
            raise DictionaryError(msg)
    return NodeCalibration(
        nodes=tuple(_node(node, records[node.node_id]) for node in nodes),
        errors=errors,
        responses={name: response_of(record) for name, record in records.items()},
        time_s={
            name: record.time_s for name, record in records.items() if record.time_s is not None
        },
        epochs={(link.tx_id, link.rx_id): link.config_epoch for link in found.links},
        power_db={name: record.power_db for name, record in records.items()},
        range_scale=found.range_scale,
        sine_scale=found.sine_scale,
        exchanged={
            (each.rx_id, each.learned_by): ExchangedElements(
                _gains(each.element_gain), np.array(each.element_delay_s)
            )
            for each in found.exchanged
        },
    )


def _node(node: Node, record: NodeRecord) -> Node:
    return replace(
        node,
        pose=Pose(record.position_m, record.boresight_rad),
        array=replace(node.array, spacing_m=record.spacing_m),
        tx_power_dbm=record.tx_power_dbm,
        noise_figure_db=record.noise_figure_db,
    )


def response_of(record: NodeRecord) -> ArrayResponse:
    """Response of a node's elements."""
    return ArrayResponse(
        _gains(record.element_gain),
        np.array(record.element_delay_s),
        record.element_error_var,
        record.element_left_var,
    )


def _pairs(gain: ComplexArray) -> list[tuple[float, float]]:
    return [(float(each.real), float(each.imag)) for each in gain]


def _gains(pairs: list[tuple[float, float]]) -> ComplexArray:
    return np.array([complex(*each) for each in pairs])
