"""What a calibration found of the nodes, for people: a table of arrays, of times, of powers."""

from collections.abc import Callable, Sequence

import numpy as np
from rich.table import Table

from calibration.node_calibration import NodeCalibration
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S
from drivers.node import Node
from drivers.node_errors import NUM_ERRORS, TIME_M

# Of an amplitude in nepers.
_DB = 20.0 / np.log(10.0)


def _table(title: str, *names: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("node", overflow="fold", min_width=4)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def array_table(calibration: NodeCalibration, nodes: Sequence[Node]) -> Table:
    """A row an element: gain, phase and delay against the others, and what is left unknown."""
    table = _table(
        "elements of the receivers: error, and standard deviation of what is left of it",
        "element", "gain (dB)", "phase (deg)", "delay (ps)", "left (dB)", "left (deg)",
    )  # fmt: skip
    for node in nodes:
        found = calibration.responses[node.node_id]
        left = float(np.sqrt(found.left_var / 2.0))  # of the gain's real and imaginary part each
        for number, (gain, delay_s) in enumerate(zip(found.gain, found.delay_s, strict=True)):
            table.add_row(
                node.node_id if number == 0 else "", f"{number}",
                f"{_DB * np.log(abs(gain)):+.2f}", f"{np.degrees(np.angle(gain)):+.2f}",
                f"{1e12 * delay_s:+.1f}", f"{_DB * left:.2f}", f"{np.degrees(left):.2f}",
            )  # fmt: skip
    return table


def timing_table(calibration: NodeCalibration, nodes: Sequence[Node]) -> Table:
    """A row a node: how far its time is ahead of the mean of all, and the standard deviation."""
    names = [node.node_id for node in nodes]
    if not calibration.time_s:
        return _table("the nodes share no time: delays count from the direct path or not at all")
    table = _table("times against the mean of all nodes", "ahead (ns)", "left (ns)")
    time_s = np.array([calibration.time_s[name] for name in names])
    # Nobody knows the time of all: that part of the uncertainty is left out, as the mean is.
    rest = np.eye(len(names)) - 1.0 / len(names)
    var_m2 = np.diag(
        rest @ calibration.errors.of(names)[TIME_M::NUM_ERRORS, TIME_M::NUM_ERRORS] @ rest
    )
    left_s = np.sqrt(np.maximum(var_m2, 0.0)) / SPEED_OF_LIGHT_M_PER_S
    for name, ahead_s, std_s in zip(names, time_s - time_s.mean(), left_s, strict=True):
        table.add_row(name, f"{1e9 * ahead_s:+.3f}", f"{1e9 * std_s:.3f}")
    return table


def power_table(calibration: NodeCalibration, nodes: Sequence[Node]) -> Table:
    """A row a node: power sent and gain received over nominal, and noise figure."""
    table = _table(
        "powers and gains over nominal, by the levels of direct paths",
        "sent (dB)", "received (dB)", "power (dBm)", "noise figure (dB)",
    )  # fmt: skip
    for node in nodes:
        found, over_db = calibration.node(node.node_id), calibration.power_db[node.node_id]
        table.add_row(
            node.node_id, f"{over_db[0]:+.2f}", f"{over_db[1]:+.2f}",
            f"{found.tx_power_dbm:.2f}", f"{found.noise_figure_db:.2f}",
        )  # fmt: skip
    return table


NODE_TABLES: dict[str, Callable[[NodeCalibration, Sequence[Node]], Table]] = {
    "array": array_table,
    "timing": timing_table,
    "power": power_table,
}
