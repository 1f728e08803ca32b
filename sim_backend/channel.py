"""Frequency-domain bistatic channel, exact over frequency and aperture; eqs. (3), (6), (7)."""

import numpy as np

from drivers.geometry import ComplexArray, FloatArray
from drivers.node import Node
from drivers.waveform import OfdmGrid
from sim_backend.paths import Paths, Wavefront, scatterer_paths
from sim_backend.scene import Scene


def sum_of_paths(
    first_hz: float,
    spacing_hz: float,
    num_tones: int,
    paths: Paths,
    dtype: type[np.complexfloating] = np.complex128,
) -> ComplexArray:
    """Channel of several paths on equally spaced frequencies, shape ``(K, M)``.

    ``H[k, m] = sum_s gain[s] exp(-j 2 pi f_k tau[s, m])``. The tone index splits into
    ``k = a B + b``, so the exponential factors into two short ones and the sum over paths
    becomes one matrix product per element: exact, with about ``2 sqrt(K)`` exponentials per
    path and element instead of ``K``.

    Parameters
    ----------
    first_hz, spacing_hz, num_tones
        The frequencies ``f_k``, absolute.
    dtype
        Precision of the factors and of the sum; of phases it is always double.
    """
    block = int(np.ceil(np.sqrt(num_tones)))
    num_blocks = -(-num_tones // block)
    phase_per_hz = -2j * np.pi * paths.delay_s.T[:, :, None]  # (M, S, 1)
    block_start_hz = first_hz + np.arange(num_blocks) * block * spacing_hz
    coarse = paths.gain[None, :, None] * np.exp(phase_per_hz * block_start_hz)  # (M, S, blocks)
    fine = np.exp(phase_per_hz * (np.arange(block) * spacing_hz))
    coarse, fine = coarse.astype(dtype, copy=False), fine.astype(dtype, copy=False)
    channel = np.matmul(coarse.transpose(0, 2, 1), fine)  # (M, blocks, block)
    return channel.reshape(paths.delay_s.shape[1], -1)[:, :num_tones].T


def grid_channel(grid: OfdmGrid, paths: Paths) -> ComplexArray:
    """Channel of paths on a grid's tones, shape ``(K, M)``."""
    return sum_of_paths(
        float(grid.frequency_hz[0]), grid.subcarrier_spacing_hz, grid.num_subcarriers, paths
    )


def target_channel(
    scene: Scene, grid: OfdmGrid, tx_index: int, rx_index: int, rcs_m2: float
) -> ComplexArray:
    """Echo of the target alone, shape ``(K, M)``; eq. (7)."""
    return grid_channel(grid, scene.target_paths(tx_index, rx_index, rcs_m2, grid.wavelength_m))


def scatterer_channel(
    grid: OfdmGrid,
    tx: Node,
    rx: Node,
    points_m: FloatArray,
    rcs_m2: FloatArray,
    wavefront: Wavefront = "plane",
) -> ComplexArray:
    """Single-bounce echoes of point scatterers, shape ``(K, M)``; eq. (7) summed."""
    return grid_channel(
        grid, scatterer_paths(tx, rx, points_m, rcs_m2, grid.wavelength_m, wavefront)
    )


def background_channel(scene: Scene, grid: OfdmGrid, tx_index: int, rx_index: int) -> ComplexArray:
    """Everything static on one link: clutter and, if the scene has it, the direct path."""
    return grid_channel(grid, scene.static_paths(tx_index, rx_index, grid.wavelength_m))
