"""The OFDM grid and its pilots."""

import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import scipy.fft

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, ComplexArray, FloatArray

# Copies may come back to this share of a root's own delay.
_NEAREST_COPY = 0.15
_FEWEST_TONES = 256


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

    A Zadoff-Chu phase (constant modulus on the tones and low peak-to-average power in time; 3GPP
    TS 38.211 section 5.2.2 uses the same family) of root ``u``:
    ``exp(-j pi u k (k + K mod 2) / K)``.

    The root decides where oscillators' phase noise goes. It moves power to neighbouring tones, and
    there a sequence of root ``u`` is its own copy delayed by ``u`` resolution cells: with root 1
    the phase noise of a strong path lies in the cells beside it and pulls at its delay, with the
    root taken here it lies beyond all delays that are looked at.
    """
    count = grid.num_subcarriers
    index = np.arange(count, dtype=np.int64)
    twice = _pilot_root(count) * index * (index + count % 2) % (2 * count)
    return np.exp(-1j * np.pi / count * twice).astype(np.complex64)


@lru_cache
def _pilot_root(count: int) -> int:
    """Root between 1/32 and 1/20 of the tones, coprime to them, with low peaks in time.

    Its multiples are copies' delays, modulo the number of tones: they must not come back to zero
    soon.
    """
    if count < _FEWEST_TONES:  # too few roots to choose from, and high peaks with all of them
        return 1
    roots = [u for u in range(count // 32, count // 20 + 1) if math.gcd(u, count) == 1]
    away = {root: _nearest_copy(root, count) for root in roots}
    enough = min(_NEAREST_COPY, max(away.values(), default=0.0))
    kept = [root for root in roots if away[root] >= enough]
    return min(kept, key=lambda root: _peak_over_mean(root, count), default=1)


def _nearest_copy(root: int, count: int) -> float:
    """Least delay of a copy over the first one's, up to five turns about the symbol."""
    delay = np.arange(1, 5 * count // root, dtype=np.int64) * root % count
    return float(np.minimum(delay, count - delay).min() / root)


def _peak_over_mean(root: int, count: int) -> float:
    index = np.arange(count, dtype=np.int64)
    phase = np.pi / count * (root * index * (index + count % 2) % (2 * count))
    power = np.abs(scipy.fft.ifft(np.exp(-1j * phase), scipy.fft.next_fast_len(4 * count))) ** 2
    return float(power.max() / power.mean())
