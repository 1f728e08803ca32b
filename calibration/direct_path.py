"""Absolute delay and power of a learned background, from the direct path in it.

Its length is known from the survey, its amplitude from Friis: brought onto that, an entry counts
delay from transmission and power per transmitted power, whatever the radios' clocks and gains.
"""

from dataclasses import dataclass

import numpy as np

from drivers.array import steering_matrix
from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    ComplexArray,
    arrival_angle_rad,
    distance_m,
)
from drivers.link_budget import direct_path_gain
from drivers.node import Node
from drivers.waveform import OfdmGrid
from processing.alignment import align

# Share of the entry's power that the direct path must explain, else its peak may be something
# else's. In view it explains nearly all; behind a front-to-back ratio of 30 dB, little.
_MIN_SHARE = 0.3
_BIAS_OVER_RESIDUAL = 0.059


def direct_path_channel(tx: Node, rx: Node, grid: OfdmGrid) -> ComplexArray:
    """Channel of the direct path alone, as surveyed, shape ``(K, M)``, complex64."""
    delay_s = float(distance_m(tx.pose.position_m, rx.pose.position_m)) / SPEED_OF_LIGHT_M_PER_S
    angle_rad = arrival_angle_rad(rx.pose, tx.pose.position_m)
    steering = steering_matrix(rx.array, grid.frequency_hz, np.atleast_1d(angle_rad))[:, 0]
    turn = np.exp(-2j * np.pi * grid.frequency_hz * delay_s)[:, None]
    gain = direct_path_gain(tx, rx, grid.wavelength_m)
    return (gain * turn * steering).astype(np.complex64)


@dataclass(frozen=True)
class PlacedEntry:
    """An entry on the delay and the power of its direct path.

    Attributes
    ----------
    channel
        Shape ``(K, M)``.
    delay_var_s2
        Variance of the placing: paths close to the direct one pull at it.
    """

    channel: ComplexArray
    delay_var_s2: float


def placed_on_direct_path(
    entry: ComplexArray, tx: Node, rx: Node, grid: OfdmGrid
) -> PlacedEntry | None:
    """An entry with the delay and the power of its direct path.

    ``None`` where the direct path is out of an element's view, or explains too little of the
    entry to be told from the rest of it.
    """
    in_view = rx.receive_pattern.in_view(arrival_angle_rad(rx.pose, tx.pose.position_m))
    sent = tx.transmit_pattern.in_view(arrival_angle_rad(tx.pose, rx.pose.position_m))
    if not (in_view and sent):
        return None
    reference = direct_path_channel(tx, rx, grid)
    placed, _ = align(entry, reference, grid)
    likeness = abs(np.vdot(reference, placed)) ** 2
    power = float(np.vdot(reference, reference).real * np.vdot(placed, placed).real)
    if likeness < _MIN_SHARE * power:
        return None
    return PlacedEntry(placed, _placing_var_s2(placed - reference, reference, grid))


def _placing_var_s2(residual: ComplexArray, reference: ComplexArray, grid: OfdmGrid) -> float:
    """Variance of the direct path's delay from the power that is left beside it, in s^2.

    A path of relative amplitude ``a``, random phase and ``x`` cells of excess delay moves the
    fitted delay by ``a sin(phase) (3 / pi) j1(pi x)`` cells (j1: spherical Bessel function) and
    leaves ``a^2 (1 - sinc(x)^2 - 3 j1(pi x)^2)`` of power in the residual. With ``x`` anywhere
    within two cells the mean of the one, squared, is 0.059 times the mean of the other.
    """
    heard = np.einsum("km,km->k", residual, reference.conj()) / np.vdot(reference, reference).real
    cells = np.arange(-1, 4)
    turn = np.exp(2j * np.pi * np.outer(cells / grid.bandwidth_hz, grid.offset_hz))
    beside = float(np.sum(np.abs(turn @ heard) ** 2))
    return _BIAS_OVER_RESIDUAL * beside / grid.bandwidth_hz**2
