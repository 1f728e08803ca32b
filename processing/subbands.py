"""Sums of channels over sub-bands, about one delay: what is near it, in few numbers."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from drivers.compiled import compiled
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid

NUM_SUBBANDS = 32


def subband_matrix(
    residual: ComplexArray, grid: OfdmGrid, delay_s: float, num_bands: int = NUM_SUBBANDS
) -> ComplexArray:
    """Delay-gated sums over sub-bands, shape ``(B, M)``."""
    edges = band_edges(grid.num_subcarriers, num_bands)
    cycles = grid.subcarrier_spacing_hz * delay_s
    turn = np.exp(2j * np.pi * cycles * (edges[:-1] - (grid.num_subcarriers - 1) / 2.0))
    return _turned_sums(np.ascontiguousarray(residual), edges, turn, np.exp(2j * np.pi * cycles))


@lru_cache(maxsize=16)
def band_offset_hz(grid: OfdmGrid, num_bands: int = NUM_SUBBANDS) -> FloatArray:
    """Mean frequency of each sub-band from the carrier, shape ``(B,)``."""
    edges = band_edges(grid.num_subcarriers, num_bands)
    middle = (edges[:-1] + edges[1:] - grid.num_subcarriers) / 2.0
    return np.asarray(middle * grid.subcarrier_spacing_hz)


@lru_cache
def band_edges(count: int, parts: int) -> NDArray[np.intp]:
    """First of each of nearly equal parts of so many, and their number at the end."""
    return np.linspace(0, count, min(parts, count) + 1).astype(np.intp)


@compiled
def _turned_sums(
    channel: ComplexArray, edges: NDArray[np.intp], first: ComplexArray, step: complex
) -> ComplexArray:
    """Sums of ``channel[k] step^k`` between edges, ``first`` at each of them, ``(B, M)``."""
    num_elements = channel.shape[1]
    sums = np.zeros((len(first), num_elements), np.complex128)
    band = np.zeros(num_elements, channel.dtype)
    narrow = np.empty(1, channel.dtype)
    for b in range(len(first)):
        turn = first[b]
        band[:] = 0.0
        for k in range(edges[b], edges[b + 1]):
            narrow[0] = turn
            for m in range(num_elements):
                band[m] += channel[k, m] * narrow[0]
            turn *= step
        sums[b] = band
    return sums


class SubbandSums:
    """Sums over sub-bands of one channel about delays of a grid, made when first asked for.

    Parameters
    ----------
    channel
        Shape ``(K, M)``.
    step_s
        Of the grid of delays.
    num_bands
        Sub-bands ``B``: a wave ``x`` cells off loses ``(pi x / B)^2 / 3`` of its power in them.
    """

    def __init__(
        self, channel: ComplexArray, grid: OfdmGrid, step_s: float, num_bands: int = NUM_SUBBANDS
    ) -> None:
        self.channel = channel
        self._grid, self._step_s, self._num_bands = grid, step_s, num_bands
        self._made: dict[int, ComplexArray] = {}

    def about(self, delay_s: float) -> tuple[ComplexArray, float]:
        """Sums, shape ``(B, M)``, and the delay of the grid that they are about: the nearest."""
        number = round(delay_s / self._step_s)
        nearest_s = number * self._step_s
        if number not in self._made:
            self._made[number] = subband_matrix(
                self.channel, self._grid, nearest_s, self._num_bands
            )
        return self._made[number], nearest_s

    def coarse(self, delay_s: float) -> tuple[ComplexArray, float]:
        """As `about`, over `NUM_SUBBANDS` sub-bands."""
        bands, nearest_s = self.about(delay_s)
        edges = band_edges(len(bands), NUM_SUBBANDS)
        return np.add.reduceat(bands, edges[:-1], axis=0), nearest_s
