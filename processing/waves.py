"""Plane waves: inner products with each other, and with channels by sums over sub-bands."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.array import UniformLinearArray
from drivers.compiled import compiled
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid

At = tuple[float, float | None]  # delay in seconds and sine of a wave; no sine for one element


@dataclass(frozen=True)
class WaveProducts:
    """Inner products of one plane wave of amplitude one, and of its derivatives, with channels.

    Attributes
    ----------
    residual
        With the residual: of the wave, of its derivative by delay and of that by sine, ``(D,)``.
    columns
        With what gains and delays of the alignment change, in each group, shape ``(D, 2, C)``.
    energy
        Of the wave and its derivatives, which are orthogonal, shape ``(D,)``.
    """

    residual: ComplexArray
    columns: ComplexArray
    energy: FloatArray


class Waves:
    """Plane waves at the elements and sub-bands of one waveform and array.

    Parameters
    ----------
    offset_hz
        Mean frequency of each sub-band from the carrier, shape ``(B,)``.
    group
        Which group each element is of, shape ``(M,)``.

    Attributes
    ----------
    carrier_rad_per_s, omega_rad_per_s
        Of the carrier and, from it, of each sub-band.
    turn_rad
        Phase of the carrier at each element for a sine of one, shape ``(M,)``.
    energy
        Of a wave and of its derivatives by delay and sine, shape ``(3,)``.
    """

    def __init__(
        self,
        grid: OfdmGrid,
        array: UniformLinearArray,
        offset_hz: FloatArray,
        group: NDArray[np.intp],
    ) -> None:
        self.grid, self.array, self.group = grid, array, group
        self.num_groups = int(group.max()) + 1
        self.carrier_rad_per_s = 2.0 * np.pi * grid.carrier_hz
        self.omega_rad_per_s = 2.0 * np.pi * offset_hz
        self.turn_rad = self.carrier_rad_per_s * array.element_delay_s(1.0)
        squares = [1.0, np.mean(self.omega_rad_per_s**2), np.mean(self.turn_rad**2)]
        self.energy = grid.num_subcarriers * array.num_elements * np.array(squares)


@dataclass(frozen=True)
class BandedChannels:
    """Sums of channels over sub-bands about one delay.

    Attributes
    ----------
    bands
        Of the residual, the background and its slope, shape ``(3, B, M)``.
    delay_s
        That the tones were turned back by before they were summed.
    waves
        At the same elements and sub-bands.
    """

    bands: ComplexArray
    delay_s: float
    waves: Waves

    def at(self, delay_s: float, sine: float | None) -> WaveProducts:
        """Products with the wave of a delay, within a cell of the bands', and a sine.

        What a delay does to the carrier's phase is left out of the derivatives: the phase of an
        amplitude is free.
        """
        waves = self.waves
        late_s, carrier = self._conjugate(delay_s, sine)
        products = _wave_products(
            self.bands, waves.omega_rad_per_s, late_s, carrier, waves.turn_rad,
            waves.group, waves.num_groups,
        )  # fmt: skip
        count = 2 if sine is None else 3
        residual = products[:count, 0].sum(axis=-1)
        return WaveProducts(residual, products[:count, 1:], waves.energy[:count])

    def by_element(self, delay_s: float, sine: float | None) -> ComplexArray:
        """Products with the same wave at each element alone, shape ``(3, M)``."""
        late_s, carrier = self._conjugate(delay_s, sine)
        over_band = np.exp(1j * np.outer(self.waves.omega_rad_per_s, late_s))
        return np.asarray(carrier * np.einsum("bm,nbm->nm", over_band, self.bands))

    def _conjugate(self, delay_s: float, sine: float | None) -> tuple[FloatArray, ComplexArray]:
        """Delay of a wave after the bands' at each element, and the carrier's turn back, (M,)."""
        waves = self.waves
        over_array = (sine or 0.0) * waves.turn_rad
        late_s = delay_s - self.delay_s + over_array / waves.carrier_rad_per_s
        return late_s, np.exp(1j * (waves.carrier_rad_per_s * delay_s + over_array))


def waves_between(places: Sequence[At], grid: OfdmGrid, array: UniformLinearArray) -> ComplexArray:
    """Inner products of plane waves with each other, shape ``(H, H)``."""
    late_s = np.array([delay_s + array.element_delay_s(sine or 0.0) for delay_s, sine in places])
    apart_s = late_s[:, None] - late_s  # (H, H, M)
    half = np.pi * grid.subcarrier_spacing_hz * apart_s
    near = np.abs(half) < 1e-12
    with np.errstate(invalid="ignore", divide="ignore"):
        kernel = np.sin(grid.num_subcarriers * half) / np.sin(half)
    over_tones = np.where(near, grid.num_subcarriers, kernel)
    carrier = np.exp(2j * np.pi * grid.carrier_hz * apart_s)
    return np.asarray((carrier * over_tones).sum(axis=-1))


@compiled
def _wave_products(
    bands: ComplexArray,
    omega: FloatArray,
    late_s: FloatArray,
    carrier: ComplexArray,
    turn: FloatArray,
    group: NDArray[np.intp],
    num_groups: int,
) -> ComplexArray:
    """Products of a wave and its derivatives with channels in each group, shape ``(3, 3, C)``."""
    products = np.zeros((3, len(bands), num_groups), np.complex128)
    for m in range(len(late_s)):
        own = np.zeros((2, len(bands)), np.complex128)
        for b in range(len(omega)):
            conjugate = np.exp(1j * omega[b] * late_s[m])
            for n in range(len(bands)):
                matched = conjugate * bands[n, b, m]
                own[0, n] += matched
                own[1, n] += 1j * omega[b] * matched
        for n in range(len(bands)):
            products[0, n, group[m]] += carrier[m] * own[0, n]
            products[1, n, group[m]] += carrier[m] * own[1, n]
            products[2, n, group[m]] += carrier[m] * own[0, n] * 1j * turn[m]
    return products
