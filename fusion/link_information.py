"""SNR and Fisher information of many links from what each node sees of points, compiled."""

from collections.abc import Sequence

import numpy as np

from drivers.compiled import compiled
from drivers.geometry import FloatArray
from drivers.link_budget import snr_scale_m2
from drivers.node import Node
from drivers.waveform import OfdmGrid


@compiled
def links_snr(
    transmit_per_m2: FloatArray,
    receive_per_m2: FloatArray,
    scale_m2: FloatArray,
    transmitters: np.ndarray,
    receivers: np.ndarray,
) -> FloatArray:
    """Matched-cell SNR, shape ``(P, I, J)``, of links from both legs; zero to oneself.

    Parameters
    ----------
    transmit_per_m2
        Gain over squared distance times RCS, shape ``(P, N)``; dimensionless.
    receive_per_m2
        Gain over squared distance, shape ``(P, N)``.
    scale_m2
        Shape ``(N, N)`` as tx, rx.
    transmitters, receivers
        Indices of nodes, shapes ``(I,)`` and ``(J,)``.
    """
    snr = np.empty((len(transmit_per_m2), len(transmitters), len(receivers)))
    for p in range(len(transmit_per_m2)):
        for row in range(len(transmitters)):
            i = transmitters[row]
            leg = transmit_per_m2[p, i]
            for column in range(len(receivers)):
                j = receivers[column]
                value = leg * receive_per_m2[p, j] * scale_m2[i, j]
                snr[p, row, column] = 0.0 if i == j else value
    return snr


@compiled
def links_information(
    snr: FloatArray,
    leg_s_per_m: FloatArray,
    sine_square: FloatArray,
    shared_sine_var: FloatArray,
    unit_sine_var: FloatArray,
    shared_delay_var_s2: FloatArray,
    unit_delay_var_s2: float,
    transmitters: np.ndarray,
    receivers: np.ndarray,
) -> FloatArray:
    """Fisher information (17) of links as ``xx, xy, yy``, shape ``(P, I, J, 3)``, in 1/m^2.

    Parameters
    ----------
    snr
        Matched-cell SNR, shape ``(P, I, J)``; zero means no information.
    leg_s_per_m
        Gradient of each leg's delay, one half of (15), shape ``(P, N, 2)``.
    sine_square
        Products ``xx, xy, yy`` of the gradient of each receiver's sine, shape ``(P, N, 3)``.
    shared_sine_var, shared_delay_var_s2
        Variances that no SNR takes away, shapes ``(P, N)`` and ``(N, N)``; the latter may be
        infinite.
    unit_sine_var, unit_delay_var_s2
        Variances at unit SNR, the sine's of shape ``(N,)`` and infinite for one element.
    transmitters, receivers
        Indices of nodes, shapes ``(I,)`` and ``(J,)``.
    """
    information = np.empty((*snr.shape, 3))
    for p in range(snr.shape[0]):
        for row in range(snr.shape[1]):
            i = transmitters[row]
            own_x, own_y = leg_s_per_m[p, i, 0], leg_s_per_m[p, i, 1]
            for column in range(snr.shape[2]):
                j = receivers[column]
                power = snr[p, row, column]
                delay = power / (unit_delay_var_s2 + power * shared_delay_var_s2[i, j])
                # Zero times infinity: no echo of a link without absolute delay.
                delay = 0.0 if np.isnan(delay) else delay
                sine = power / (unit_sine_var[j] + power * shared_sine_var[p, j])
                x, y = own_x + leg_s_per_m[p, j, 0], own_y + leg_s_per_m[p, j, 1]
                information[p, row, column, 0] = x * x * delay + sine_square[p, j, 0] * sine
                information[p, row, column, 1] = x * y * delay + sine_square[p, j, 1] * sine
                information[p, row, column, 2] = y * y * delay + sine_square[p, j, 2] * sine
    return information


def snr_scales_m2(nodes: Sequence[Node], grid: OfdmGrid) -> FloatArray:
    """SNR scale of every link, shape ``(N, N)``; equal radios are evaluated once."""
    known: dict[tuple[float, float, int], float] = {}
    scales = np.empty((len(nodes), len(nodes)))
    for i, tx in enumerate(nodes):
        for j, rx in enumerate(nodes):
            key = tx.tx_power_dbm, rx.noise_figure_db, rx.array.num_elements
            if key not in known:
                known[key] = snr_scale_m2(tx, rx, grid)
            scales[i, j] = known[key]
    return scales
