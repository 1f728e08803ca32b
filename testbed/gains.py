"""Gains at which a node's radio sends its nominal power, and hears the others undistorted."""

from collections.abc import Sequence

import numpy as np

from drivers.burst import SoundingBurst
from drivers.link_budget import direct_path_gain
from drivers.node import Node
from drivers.radio_errors import TuningError
from drivers.tuning import Capabilities, transmit_power_dbm

# Above the strongest direct path: peaks of the burst, and echoes that add to it.
_HEADROOM_DB = 15.0


def rx_gain_db(
    node: Node, nodes: Sequence[Node], able: Capabilities, burst: SoundingBurst
) -> float:
    """Receive gain that keeps the strongest direct path, with headroom, below full scale.

    Parameters
    ----------
    nodes
        All nodes of the site.
    """
    strongest_dbm = max(
        other.tx_power_dbm
        + 20.0 * np.log10(max(direct_path_gain(other, node, burst.grid.wavelength_m), 1e-12))
        for other in nodes
        if other.node_id != node.node_id
    )
    low, high = able.rx_gain_range_db
    return float(min(max(able.rx_full_scale_dbm - (strongest_dbm + _HEADROOM_DB), low), high))


def tx_gain_db(node: Node, able: Capabilities, burst: SoundingBurst) -> float:
    """Transmit gain at which the pilot symbols carry the node's nominal power.

    Raises
    ------
    TuningError
        If the radio is too weak or too strong for it.
    """
    low, high = able.tx_gain_range_db
    at_highest_dbm = transmit_power_dbm(able, high, burst.mean_square)
    gain_db = high + node.tx_power_dbm - at_highest_dbm
    if not low <= gain_db <= high:
        at_lowest_dbm = transmit_power_dbm(able, low, burst.mean_square)
        msg = (
            f"node {node.node_id!r}: tx_power_dbm is {node.tx_power_dbm:g}, its radio sends this "
            f"burst with {at_lowest_dbm:.1f} to {at_highest_dbm:.1f} dBm"
        )
        raise TuningError(msg, "change tx_power_dbm in the site file")
    return gain_db
