"""Echoes on a grid of places: how likely each is, and what alignment leaves of it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid
from processing.refine import carrier_steering
from processing.subbands import SubbandSums, band_offset_hz

_LEAST_DETERMINANT = 1e-9


@dataclass(frozen=True)
class EchoGrid:
    """Plane waves of some delays and sines, beside gain and delay of an alignment.

    Attributes
    ----------
    delay_s, sine
        Of the waves, shapes ``(D,)`` and ``(S,)``.
    about_s
        Delay that sums over sub-bands are about.
    over_band, over_array
        Conjugate waves over sub-bands and elements, shapes ``(D, B)`` and ``(M, S)``.
    real, imaginary, mixed
        Information in both parts of a wave's amplitude, and in both together, over the wave's
        energy, shape ``(D, S)``.
    """

    delay_s: FloatArray
    sine: FloatArray
    about_s: float
    over_band: ComplexArray
    over_array: ComplexArray
    real: FloatArray
    imaginary: FloatArray
    mixed: FloatArray

    @property
    def kept(self) -> FloatArray:
        """Share of a wave that alignment leaves, for the phase that loses more, ``(D, S)``."""
        return np.minimum(self.real, self.imaginary)

    def likelihood(self, bands: ComplexArray) -> FloatArray:
        """Likelihood ratio of each wave in a residual, times its noise's power, ``(D, S)``.

        Parameters
        ----------
        bands
            The residual's sums over sub-bands, shape ``(B, M)``.
        """
        found = self.over_band @ (bands @ self.over_array)
        determinant = np.maximum(self.real * self.imaginary - self.mixed**2, _LEAST_DETERMINANT)
        likelihood = self.imaginary * found.real**2 + self.real * found.imag**2
        likelihood -= 2.0 * self.mixed * found.real * found.imag
        return np.asarray(likelihood / determinant)


@dataclass(frozen=True)
class EchoGrids:
    """Makes grids of echoes beside the alignment to one background.

    Parameters
    ----------
    sums
        Of the background and of its slope.
    energy
        Of both in each group, noise apart, shape ``(2, C)``.
    group
        Which group each element is of, shape ``(M,)``.
    """

    grid: OfdmGrid
    array: UniformLinearArray
    sums: Sequence[SubbandSums]
    energy: FloatArray
    group: NDArray[np.intp]

    def of(
        self, delay_s: FloatArray, sine: FloatArray, near_s: float, *, finely: bool = False
    ) -> EchoGrid:
        """The grid of some delays, all within a cell or so of one, and sines.

        Parameters
        ----------
        finely
            Over all sub-bands, not `NUM_SUBBANDS` of them.
        """
        found = [sums.about(near_s) if finely else sums.coarse(near_s) for sums in self.sums]
        about_s = found[0][1]
        offset_hz = band_offset_hz(self.grid, len(found[0][0]))
        over_band = np.exp(2j * np.pi * np.outer(delay_s - about_s, offset_hz))
        over_array = carrier_steering(self.array, self.grid, sine).conj().T
        size = self.sums[0].channel.size
        real = np.ones((len(delay_s), len(sine)))
        imaginary, mixed = real.copy(), np.zeros_like(real)
        for number, (energy, slope_energy) in enumerate(self.energy.T):
            own = over_array * (self.group == number)[:, None]
            gain, slope = (over_band @ (bands @ own) for bands, _ in found)
            taken = np.abs(gain) ** 2 / (size * energy)
            along = slope / np.sqrt(size * slope_energy)
            real -= taken + along.real**2
            imaginary -= taken + along.imag**2
            mixed -= along.real * along.imag
        return EchoGrid(delay_s, sine, about_s, over_band, over_array, real, imaginary, mixed)

    def direction(self, delay_s: float) -> float:
        """Sine in which most of the background comes at a delay; zero for one element."""
        if self.array.num_elements == 1:
            return 0.0
        step = 0.25 * self.grid.wavelength_m / (self.array.num_elements * self.array.spacing_m)
        sine = np.arange(-1.0, 1.0, step)
        bands, about_s = self.sums[0].coarse(delay_s)
        turn = np.exp(2j * np.pi * (delay_s - about_s) * band_offset_hz(self.grid, len(bands)))
        own = self.group[:, None] == np.arange(int(self.group.max()) + 1)
        steered = carrier_steering(self.array, self.grid, sine).conj()  # (S, M)
        power = np.sum(np.abs((steered * (turn @ bands)) @ own) ** 2, axis=1)
        return float(sine[np.argmax(power)])
