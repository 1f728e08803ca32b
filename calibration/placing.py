"""A learned background on the scale of time, and for an array, that positions are reckoned in."""

from dataclasses import dataclass

import numpy as np

from calibration.direct_path import direct_path_window, find_direct_path, usable_direct_path
from calibration.node_calibration import NodeCalibration
from drivers.geometry import ComplexArray
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.waveform import OfdmGrid
from processing.alignment import shifted

# Typical error of a direct path's delay among a hall's scatterers, in resolution cells.
_EXPECTED_CELLS = 0.015


@dataclass(frozen=True)
class PlacedBackground:
    """A background with what its delays count from.

    Attributes
    ----------
    channel
        With the elements' response taken out, shape ``(K, M)``.
    response
        Of the elements, shape ``(K, M)``; ``None`` where it is not known.
    delay_is_absolute, on_direct_path
        Whether delays count from transmission, and whether by the direct path as surveyed.
    delay_var_s2
        Variance of that, which all delays on the link share, besides errors of the nodes.
    """

    channel: ComplexArray
    response: ComplexArray | None
    delay_is_absolute: bool
    on_direct_path: bool
    delay_var_s2: float


def place_background(
    channel: ComplexArray,
    tx: Node,
    rx: Node,
    grid: OfdmGrid,
    *,
    time_var_s2: float | None,
    epoch: int = 0,
    calibration: NodeCalibration | None = None,
) -> PlacedBackground:
    """Absolute delay of a background: from calibrated time, the direct path, or common time.

    Parameters
    ----------
    channel
        As learned, shape ``(K, M)``.
    tx, rx
        The link's nodes, as calibrated if they are.
    time_var_s2
        Variance of the common time that its delays count by; ``None`` without any.
    epoch
        Config epoch that it was learned in.
    """
    response = None
    if calibration is not None:
        response = calibration.responses[rx.node_id].channel(grid)
        channel = channel / response
        late_s = calibration.late_s(tx.node_id, rx.node_id, epoch)
        if time_var_s2 is not None and late_s is not None:
            there = shifted(channel, grid, -late_s)
            return PlacedBackground(there, response, True, False, 0.0)
    if time_var_s2 == 0.0:
        return PlacedBackground(channel, response, True, False, 0.0)
    window = direct_path_window(channel, tx, rx, grid, channel_noise_var(tx, rx, grid))
    if window is not None:
        path = find_direct_path(window)
        var = path.delay_var_s2 * (1.0 if calibration is None else calibration.range_scale**2)
        if time_var_s2 is None or var < time_var_s2:
            there = shifted(channel, grid, -path.delay_s)
            return PlacedBackground(there, response, True, True, var)
    absolute = time_var_s2 is not None
    return PlacedBackground(channel, response, absolute, False, time_var_s2 or 0.0)


def expected_delay_var_s2(tx: Node, rx: Node, grid: OfdmGrid) -> float:
    """What `place_background` may be expected to state of a link without common time, in s^2.

    Infinite where there is no direct path to place it by: the link gives angle only.
    """
    if not usable_direct_path(tx, rx):
        return np.inf
    return (_EXPECTED_CELLS / grid.bandwidth_hz) ** 2
