"""A learned background on the scale of time, and for an array, that positions are reckoned in."""

from dataclasses import dataclass

import numpy as np
import scipy.fft

from calibration.direct_path import direct_path_window, find_direct_path, usable_direct_path
from calibration.node_calibration import NodeCalibration
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, ComplexArray, distance_m
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.waveform import OfdmGrid
from processing.alignment import shifted

# A path this far below the strongest still counts as the first one.
_ARRIVAL_DB = 25.0
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
    response_var
        Of an element's gain in the response.
    """

    channel: ComplexArray
    response: ComplexArray | None
    delay_is_absolute: bool
    on_direct_path: bool
    delay_var_s2: float
    response_var: float = 0.0


def place_background(
    channel: ComplexArray,
    tx: Node,
    rx: Node,
    grid: OfdmGrid,
    *,
    time_var_s2: float | None,
    calibration: NodeCalibration | None = None,
) -> PlacedBackground:
    """Absolute delay of a background, for captures that have no calibrated time of their own.

    From the direct path or from the common time that it was learned by, whichever is surer.

    Parameters
    ----------
    channel
        As learned, shape ``(K, M)``.
    tx, rx
        The link's nodes, as calibrated if they are.
    time_var_s2
        Variance of the common time that its delays count by; ``None`` without any.
    """
    response, response_var = None, 0.0
    if calibration is not None:
        known = calibration.responses[rx.node_id]
        response, response_var = known.channel(grid), known.left_var
        channel = channel / response
    if time_var_s2 == 0.0:
        return PlacedBackground(channel, response, True, False, 0.0, response_var)
    window = direct_path_window(channel, tx, rx, grid, channel_noise_var(tx, rx, grid))
    if window is not None:
        path, scale = find_direct_path(window), 1.0
        if calibration is not None:
            path = calibration.as_expected((tx.node_id, rx.node_id), path)
            scale = calibration.range_scale
        var = path.delay_var_s2 * scale**2
        if time_var_s2 is None or var < time_var_s2:
            there = shifted(channel, grid, -path.delay_s)
            return PlacedBackground(there, response, True, True, var, response_var)
    if time_var_s2 is not None:
        return PlacedBackground(channel, response, True, False, time_var_s2, response_var)
    early_s = _first_arrival_s(channel, grid) - _separation_s(tx, rx)
    moved = shifted(channel, grid, -early_s)
    return PlacedBackground(moved, response, False, False, 0.0, response_var)


def _separation_s(tx: Node, rx: Node) -> float:
    return float(distance_m(tx.pose.position_m, rx.pose.position_m)) / SPEED_OF_LIGHT_M_PER_S


def _first_arrival_s(channel: ComplexArray, grid: OfdmGrid) -> float:
    """Delay of the first tap within `_ARRIVAL_DB` of the strongest, in seconds.

    Nothing comes before the direct path, hidden or not: enough to look for echoes where they are.
    """
    taps = scipy.fft.ifft(channel * np.hanning(len(channel))[:, None], axis=0)
    power = np.sum(np.abs(taps) ** 2, axis=1)
    peak = int(np.argmax(power))
    # Half of the delays before the strongest path are its own past, not the end of all delays.
    around = np.roll(power, len(power) // 2 - peak)
    first = int(np.argmax(around > power[peak] * 10.0 ** (-_ARRIVAL_DB / 10.0)))
    cells = peak + first - len(power) // 2
    cells = (cells + len(power) // 2) % len(power) - len(power) // 2
    return cells / grid.bandwidth_hz


def expected_delay_var_s2(tx: Node, rx: Node, grid: OfdmGrid) -> float:
    """What `place_background` may be expected to state of a link without common time, in s^2.

    Infinite where there is no direct path to place it by: the link gives angle only.
    """
    if not usable_direct_path(tx, rx):
        return np.inf
    return (_EXPECTED_CELLS / grid.bandwidth_hz) ** 2
