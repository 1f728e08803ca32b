"""The OFDM grid and its pilots."""

import hashlib
from dataclasses import dataclass

import numpy as np

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, ComplexArray, FloatArray


@dataclass(frozen=True, slots=True)
class OfdmGrid:
    """Subcarriers of one sounding symbol, symmetric about the carrier.

    Attributes
    ----------
    carrier_hz
        Centre of the occupied band.
    subcarrier_spacing_hz
        Spacing of neighbouring tones.
    num_subcarriers
        Number of pilot tones ``K``.
    """

    carrier_hz: float
    subcarrier_spacing_hz: float
    num_subcarriers: int

    @property
    def bandwidth_hz(self) -> float:
        """Occupied bandwidth ``W``, number of tones times their spacing."""
        return self.num_subcarriers * self.subcarrier_spacing_hz

    @property
    def wavelength_m(self) -> float:
        """Wavelength at the carrier."""
        return SPEED_OF_LIGHT_M_PER_S / self.carrier_hz

    @property
    def offset_hz(self) -> FloatArray:
        """Tone frequencies relative to the carrier, shape ``(K,)``, ascending, zero mean."""
        index = np.arange(self.num_subcarriers) - (self.num_subcarriers - 1) / 2.0
        return np.asarray(index * self.subcarrier_spacing_hz)

    @property
    def frequency_hz(self) -> FloatArray:
        """Absolute tone frequencies ``f_k``, shape ``(K,)``, ascending."""
        return np.asarray(self.carrier_hz + self.offset_hz)

    @property
    def rms_bandwidth_hz(self) -> float:
        """Centred root-mean-square bandwidth ``W_c``, close to ``W / sqrt(12)``.

        Deviates from the paper's W_rms, which uses absolute frequencies and is 346 times larger
        at 10 GHz: the unknown phase of an echo takes that part of the information away.
        """
        return float(np.sqrt(np.mean(self.offset_hz**2)))

    @property
    def waveform_hash(self) -> str:
        """Digest of the grid and its pilots; captures of different waveforms never mix."""
        digest = hashlib.sha256(pilot_symbols(self).tobytes())
        digest.update(np.array([self.carrier_hz, self.subcarrier_spacing_hz]).tobytes())
        return digest.hexdigest()[:16]


def pilot_symbols(grid: OfdmGrid) -> ComplexArray:
    """Unit-power pilots ``X[k]``, shape ``(K,)``, complex64.

    A Zadoff-Chu phase of root 1 (quadratic phase: constant modulus on the tones and low
    peak-to-average power in time; 3GPP TS 38.211 section 5.2.2 uses the same family).
    """
    index = np.arange(grid.num_subcarriers, dtype=np.float64)
    odd = grid.num_subcarriers % 2
    cycles = index * (index + odd) / (2.0 * grid.num_subcarriers)
    return np.exp(-2j * np.pi * (cycles % 1.0)).astype(np.complex64)
