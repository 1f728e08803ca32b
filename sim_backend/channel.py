"""Frequency-domain bistatic channel, exact over frequency and aperture; eqs. (3), (6), (7)."""

import numpy as np

from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    ComplexArray,
    FloatArray,
    arrival_angle_rad,
    bistatic_delay_s,
    distance_m,
)
from drivers.link_budget import direct_path_gain, path_gain
from drivers.node import Node
from drivers.waveform import OfdmGrid
from sim_backend.scene import Scene, Wavefront


def _element_positions_m(rx: Node) -> FloatArray:
    """Element positions, shape ``(M, 2)``: element 0 lies towards +pi/2 of boresight."""
    along = rx.pose.boresight_rad + np.pi / 2.0
    axis = np.array([np.cos(along), np.sin(along)])
    return rx.pose.position - rx.array.element_offset_m[:, None] * axis


def element_path_delay_s(
    rx: Node, source_m: FloatArray, delay_s: FloatArray, wavefront: Wavefront
) -> FloatArray:
    """Delay from the transmitter to each element over each source, shape ``(S, M)``.

    ``delay_s``, shape ``(S,)``, is the delay to the array's centre. Plane: plus the element
    delay of eq. (6). Spherical: the exact distance from the last scatterer to each element.
    """
    if wavefront == "plane":
        sine = np.sin(arrival_angle_rad(rx.pose, source_m))
        return np.asarray(delay_s[:, None] + rx.array.element_delay_s(sine))
    last_leg = distance_m(_element_positions_m(rx), source_m[:, None, :])
    centre_leg = distance_m(rx.pose.position_m, source_m)
    return np.asarray(delay_s[:, None] + (last_leg - centre_leg[:, None]) / SPEED_OF_LIGHT_M_PER_S)


def sum_of_paths(grid: OfdmGrid, gain: FloatArray, path_delay_s: FloatArray) -> ComplexArray:
    """Channel of several paths, shape ``(K, M)``, complex128.

    ``H[k, m] = sum_s gain[s] exp(-j 2 pi f_k tau[s, m])``. The tone index splits into
    ``k = a B + b``, so the exponential factors into two short ones and the sum over paths
    becomes one matrix product per element: exact, with about ``2 sqrt(K)`` exponentials per
    path and element instead of ``K``.

    Parameters
    ----------
    gain
        Amplitudes, shape ``(S,)``.
    path_delay_s
        Delay of each path to each element, shape ``(S, M)``.
    """
    num_tones = grid.num_subcarriers
    block = int(np.ceil(np.sqrt(num_tones)))
    num_blocks = -(-num_tones // block)
    phase_per_hz = -2j * np.pi * path_delay_s.T[:, :, None]  # (M, S, 1)
    block_start_hz = grid.frequency_hz[0] + np.arange(num_blocks) * block * (
        grid.subcarrier_spacing_hz
    )
    coarse = gain[None, :, None] * np.exp(phase_per_hz * block_start_hz)  # (M, S, blocks)
    fine = np.exp(phase_per_hz * (np.arange(block) * grid.subcarrier_spacing_hz))
    channel = np.matmul(coarse.transpose(0, 2, 1), fine)  # (M, blocks, block)
    return channel.reshape(path_delay_s.shape[1], -1)[:, :num_tones].T


def target_channel(
    scene: Scene, grid: OfdmGrid, tx_index: int, rx_index: int, rcs_m2: float
) -> ComplexArray:
    """Echo of the target alone, shape ``(K, M)``; eq. (7)."""
    tx, rx = scene.nodes[tx_index], scene.nodes[rx_index]
    point = scene.target_m[None]
    return scatterer_channel(grid, tx, rx, point, np.array([rcs_m2]), scene.statistics.wavefront)


def scatterer_channel(
    grid: OfdmGrid,
    tx: Node,
    rx: Node,
    points_m: FloatArray,
    rcs_m2: FloatArray,
    wavefront: Wavefront = "plane",
) -> ComplexArray:
    """Single-bounce echoes of point scatterers, shape ``(K, M)``; eq. (7) summed."""
    gain = path_gain(tx, rx, points_m, rcs_m2, grid.wavelength_m)
    delay = bistatic_delay_s(tx.pose.position_m, rx.pose.position_m, points_m)
    return sum_of_paths(grid, gain, element_path_delay_s(rx, points_m, delay, wavefront))


def background_channel(scene: Scene, grid: OfdmGrid, tx_index: int, rx_index: int) -> ComplexArray:
    """Everything static on one link: clutter and, if the scene has it, the direct path."""
    tx, rx = scene.nodes[tx_index], scene.nodes[rx_index]
    points, rcs = scene.clutter_of_link(tx_index, rx_index)
    gain = path_gain(tx, rx, points, rcs, grid.wavelength_m)
    delay = bistatic_delay_s(tx.pose.position_m, rx.pose.position_m, points)
    if scene.statistics.direct_path:
        points = np.concatenate((points, tx.pose.position[None]))
        gain = np.append(gain, direct_path_gain(tx, rx, grid.wavelength_m))
        direct_m = distance_m(tx.pose.position_m, rx.pose.position_m)
        delay = np.append(delay, direct_m / SPEED_OF_LIGHT_M_PER_S)
    wavefront = scene.statistics.wavefront
    audible = gain > 0.0  # behind an infinite front-to-back ratio there is nothing to add
    if not audible.any():
        return np.zeros((grid.num_subcarriers, rx.array.num_elements), dtype=np.complex128)
    return sum_of_paths(
        grid, gain[audible],
        element_path_delay_s(rx, points[audible], delay[audible], wavefront),
    )  # fmt: skip
