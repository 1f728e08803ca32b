"""The sounding burst: preamble, cyclic prefix and repeated pilot symbols, as samples."""

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import scipy.fft

from drivers.geometry import ComplexArray
from drivers.waveform import OfdmGrid, pilot_symbols

# Samples of magnitude 1 are full scale; the burst's peak stays 1 dB below it, so that a
# digital-to-analogue converter's reconstruction between the samples does not clip.
_PEAK_AMPLITUDE = 10.0 ** (-1.0 / 20.0)
_FEWEST_TONES = 4
# Every 128th tone: 128 repetitions, so that carrier offsets up to half of 128 tones are seen.
_PREAMBLE_STRIDE = 128
_MIN_PREAMBLE_TONES = 8
# The preamble goes on for this long, so that short symbols are found as well as long ones.
_MIN_PREAMBLE_SAMPLES = 4096


@dataclass(frozen=True, slots=True)
class SoundingBurst:
    """One burst of a grid at a sample rate.

    The burst is ``[prefix, preamble, ..., prefix, symbol, symbol, ...]``: the pilot symbols are
    equal, so one cyclic prefix serves all, and so are the preamble's. The tone at the local
    oscillator stays empty, because every radio leaks there.

    Attributes
    ----------
    grid
        The pilots' grid.
    sample_rate_hz
        A whole multiple of the subcarrier spacing.
    num_symbols
        Repeated pilot symbols.
    prefix_length
        Samples of each cyclic prefix; as long as the longest delay, plus timing errors.
    """

    grid: OfdmGrid
    sample_rate_hz: float
    num_symbols: int = 1
    prefix_length: int = 0

    def __post_init__(self) -> None:
        ratio = self.sample_rate_hz / self.grid.subcarrier_spacing_hz
        problem = None
        if not math.isfinite(ratio):
            problem = f"sample_rate_hz must be a number, got {self.sample_rate_hz}"
        elif self.grid.num_subcarriers < _FEWEST_TONES:
            problem = (
                f"a burst needs {_FEWEST_TONES} tones or more beside the empty one, got a grid of "
                f"{self.grid.num_subcarriers}"
            )
        elif abs(ratio - round(ratio)) > 1e-6:
            problem = (
                f"sample_rate_hz must be a whole multiple of the subcarrier spacing of "
                f"{self.grid.subcarrier_spacing_hz:g} Hz, got {self.sample_rate_hz:.12g}"
            )
        elif round(ratio) < self.grid.num_subcarriers + 2:
            problem = (
                f"{self.sample_rate_hz:.12g} samples/s cannot carry {self.grid.num_subcarriers} "
                f"tones of {self.grid.subcarrier_spacing_hz:g} Hz and a guard band"
            )
        elif self.num_symbols < 1:
            problem = f"num_symbols must be at least 1, got {self.num_symbols}"
        elif not 0 <= self.prefix_length <= round(ratio):
            problem = (
                f"prefix_length must be between 0 and one symbol of {round(ratio)} samples, got "
                f"{self.prefix_length}"
            )
        if problem:
            raise ValueError(problem)

    @property
    def symbol_length(self) -> int:
        """Samples of one symbol without prefix, ``N``."""
        return round(self.sample_rate_hz / self.grid.subcarrier_spacing_hz)

    @property
    def null_index(self) -> int:
        """Index of the empty tone in the grid."""
        return self.grid.num_subcarriers // 2

    @property
    def local_oscillator_hz(self) -> float:
        """Where the radio tunes: the frequency of the empty tone.

        Half a subcarrier above the carrier for an even number of tones, so that every tone is a
        whole number of subcarriers away from it.
        """
        return float(self.grid.carrier_hz + self.grid.offset_hz[self.null_index])

    @property
    def pilots(self) -> ComplexArray:
        """Pilots as sent, shape ``(K,)``: the grid's, with the empty tone zero."""
        sent = pilot_symbols(self.grid).astype(np.complex128)
        sent[self.null_index] = 0.0
        return sent

    @property
    def tone_bins(self) -> np.ndarray:
        """Bins of the grid's tones in a transform of one symbol, shape ``(K,)``."""
        return (np.arange(self.grid.num_subcarriers) - self.null_index) % self.symbol_length

    @property
    def first_symbol_sample(self) -> int:
        """Index of the first pilot symbol's first sample, after its prefix."""
        return self.preamble_length + self.prefix_length

    @property
    def preamble_length(self) -> int:
        """Samples of the preamble with its prefix."""
        return self.prefix_length + self.num_preamble_symbols * self.symbol_length

    @property
    def num_preamble_symbols(self) -> int:
        """Repeated symbols of the preamble."""
        return -(-_MIN_PREAMBLE_SAMPLES // self.symbol_length)

    @property
    def num_samples(self) -> int:
        """Samples of the whole burst."""
        return self.first_symbol_sample + self.num_symbols * self.symbol_length

    @property
    def duration_s(self) -> float:
        """Length of the burst in seconds."""
        return self.num_samples / self.sample_rate_hz

    @property
    def tone_amplitude(self) -> float:
        """Amplitude of each pilot tone in the samples, where 1 is full scale."""
        return _pilot_symbol(self)[1]

    @property
    def mean_square(self) -> float:
        """Mean power of the pilot symbols, where 1 is full scale."""
        return (self.grid.num_subcarriers - 1) * self.tone_amplitude**2

    @property
    def preamble_stride(self) -> int:
        """Distance of the preamble's tones in subcarriers; also how often it repeats itself."""
        stride = _PREAMBLE_STRIDE
        while stride > 1 and self.grid.num_subcarriers // stride < _MIN_PREAMBLE_TONES:
            stride //= 2
        while self.symbol_length % stride:
            stride //= 2
        return stride

    def preamble(self) -> ComplexArray:
        """One symbol of the preamble, shape ``(N,)``, complex128.

        Tones at multiples of `preamble_stride` from the local oscillator, Zadoff-Chu phases: the
        symbol repeats itself, which shows carrier offsets without knowing the channel. As
        powerful as a pilot symbol where its peaks allow.
        """
        stride = self.preamble_stride
        lowest = -(self.null_index // stride)
        highest = (self.grid.num_subcarriers - 1 - self.null_index) // stride
        tones = np.array([tone for tone in range(lowest, highest + 1) if tone])
        short = replace(self.grid, num_subcarriers=len(tones))
        spectrum = np.zeros(self.symbol_length, dtype=np.complex128)
        spectrum[tones * stride % self.symbol_length] = pilot_symbols(short)
        symbol = scipy.fft.ifft(spectrum) * self.symbol_length
        amplitude = np.sqrt(self.mean_square / len(tones))
        return symbol * min(amplitude, _PEAK_AMPLITUDE / float(np.abs(symbol).max()))

    def samples(self) -> ComplexArray:
        """The burst, shape ``(num_samples,)``, complex64, magnitude below 1."""
        symbol, preamble = _pilot_symbol(self)[0], self.preamble()
        start = self.symbol_length - self.prefix_length
        pieces = [preamble[start:], *[preamble] * self.num_preamble_symbols]
        pieces += [symbol[start:], *[symbol] * self.num_symbols]
        return np.concatenate(pieces).astype(np.complex64)


@lru_cache(maxsize=8)
def _pilot_symbol(burst: SoundingBurst) -> tuple[ComplexArray, float]:
    """One pilot symbol, shape ``(N,)``, and the amplitude of its tones."""
    spectrum = np.zeros(burst.symbol_length, dtype=np.complex128)
    spectrum[burst.tone_bins] = burst.pilots
    symbol = scipy.fft.ifft(spectrum) * burst.symbol_length
    amplitude = _PEAK_AMPLITUDE / float(np.abs(symbol).max())
    return symbol * amplitude, amplitude
