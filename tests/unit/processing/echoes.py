"""Residual channels to process: point echoes by the plain formula, and white noise.

Noise has unit variance throughout, so that an amplitude of sqrt(snr / (K M)) gives a matched-cell
signal-to-noise ratio (SNR) of `snr`.
"""

import math

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S
from drivers.waveform import OfdmGrid
from processing.remainder import Remainder

# 100 MHz as in the paper with fewer tones, so that tests are quick. 1000 is a fast FFT length:
# delay bins are exactly 1/W = 10 ns apart, and half-way between two is the worst place to be.
GRID = OfdmGrid(carrier_hz=10e9, subcarrier_spacing_hz=100e3, num_subcarriers=1000)
CELL_S = 1 / GRID.bandwidth_hz
# The 200 m x 200 m of section VI: twice the diagonal, 566 m.
MAX_DELAY_S = 2 * math.hypot(200.0, 200.0) / SPEED_OF_LIGHT_M_PER_S


def half_wavelength_array(num_elements: int, grid: OfdmGrid = GRID) -> UniformLinearArray:
    return UniformLinearArray(num_elements, grid.wavelength_m / 2)


def echo(
    delay_s: float,
    sine: float,
    array: UniformLinearArray,
    snr_db: float,
    grid: OfdmGrid = GRID,
) -> np.ndarray:
    """One echo of the given matched-cell SNR over unit noise, shape ``(K, M)``."""
    centred = np.arange(array.num_elements) - (array.num_elements - 1) / 2
    tone_hz = grid.carrier_hz + grid.subcarrier_spacing_hz * (
        np.arange(grid.num_subcarriers) - (grid.num_subcarriers - 1) / 2
    )
    path_s = delay_s + array.spacing_m * sine * centred / SPEED_OF_LIGHT_M_PER_S
    amplitude = math.sqrt(10 ** (snr_db / 10) / (grid.num_subcarriers * array.num_elements))
    return amplitude * np.exp(-2j * np.pi * np.outer(tone_hz, path_s))


def unit_noise(
    rng: np.random.Generator, array: UniformLinearArray, grid: OfdmGrid = GRID
) -> np.ndarray:
    """White circular noise of unit variance, shape ``(K, M)``."""
    parts = rng.standard_normal((2, grid.num_subcarriers, array.num_elements))
    return (parts[0] + 1j * parts[1]) / math.sqrt(2)


def remainder_of(residual: np.ndarray, background: np.ndarray) -> Remainder:
    """A residual with its inner products with the background, summed literally."""
    tone = np.arange(len(residual)) - (len(residual) - 1) / 2.0
    products = background.conj().astype(np.complex128) * residual
    likeness = np.array([products.sum(axis=0), (tone[:, None] * products).sum(axis=0)])
    return Remainder(residual, likeness)
