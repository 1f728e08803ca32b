"""Band-limited signals at other instants than those of their samples."""

from functools import lru_cache

import numpy as np
import scipy.fft
import scipy.special

from drivers.compiled import compiled_sums
from drivers.geometry import ComplexArray, FloatArray

# Sample clocks nearer than this (relative) do not slip within a burst: 1e-12 of 1e6 samples.
_SAME_RATE = 1e-12
# Other instants are interpolated on a finer grid, between eight points, with the window of Kaiser
# and Bessel in the shape of Beatty, Nishimura and Pauly (2005): to 2e-6 of a signal.
_FINER, _POINTS = 1.5, 8
ROOM = _POINTS
_SHAPE = float(np.pi * np.sqrt((_POINTS * (1.0 - 0.5 / _FINER)) ** 2 - 0.8))
# The window is taken from a table, linearly in between: to 1e-7.
_TABLE_ROWS = 1024


def unit_phasors(cycles: FloatArray) -> ComplexArray:
    """``exp(j 2 pi cycles)``, complex64; whole cycles are taken off in double precision."""
    angle_rad = np.rint(cycles)
    np.subtract(cycles, angle_rad, out=angle_rad)
    angle_rad = angle_rad.astype(np.float32)
    angle_rad *= np.float32(2.0 * np.pi)
    phasors = np.empty(angle_rad.shape, dtype=np.complex64)
    phasors.real, phasors.imag = np.cos(angle_rad), np.sin(angle_rad)
    return phasors


def sampled(spectrum: ComplexArray, position: float, ratio: float, count: int) -> ComplexArray:
    """A signal at ``position + n ratio``, in steps of its own, shape ``(count, M)``, complex64.

    Equal rates need one inverse transform, others a longer one and an interpolation (Dutt and
    Rokhlin, 1993).

    Parameters
    ----------
    spectrum
        As `scipy.fft.fft` gives it, complex64, shape ``(F, M)``. The signal is periodic; instants
        are within one period less `ROOM` steps.
    """
    length = len(spectrum)
    if abs(ratio - 1.0) < _SAME_RATE:
        spectrum = spectrum * _shift(length, position)[:, None]
        return np.asarray(scipy.fft.ifft(spectrum, axis=0, overwrite_x=True)[:count])
    size = scipy.fft.next_fast_len(int(_FINER * length), real=True)
    # Before the first instant there are points enough to interpolate between.
    margin = _POINTS // 2 - 1
    turned = _shift(length, position - margin * length / size) * _weights(length, size)
    finer = np.zeros((spectrum.shape[1], size), dtype=np.complex64)
    upper = (length + 1) // 2
    np.multiply(spectrum[:upper].T, turned[:upper], out=finer[:, :upper])
    np.multiply(spectrum[upper:].T, turned[upper:], out=finer[:, upper - length :])
    finer = scipy.fft.ifft(finer, overwrite_x=True)
    return _interpolated(finer, float(margin), ratio * size / length, count, _table())


def rehearse() -> None:
    """Compile what is compiled, before anybody waits for it."""
    sampled(np.zeros((2, 1), dtype=np.complex64), 0.0, 1.5, 1)


def _shift(length: int, position: float) -> ComplexArray:
    """What moves a signal forward by a number of its steps."""
    return unit_phasors(scipy.fft.fftfreq(length) * position)


@lru_cache(maxsize=8)
def _weights(length: int, size: int) -> FloatArray:
    """What the interpolation takes from each frequency, and the transforms' scale, inverted."""
    across = np.pi * _POINTS * scipy.fft.fftfreq(length) * length / size
    root = np.sqrt(_SHAPE**2 - across**2)
    kept = _POINTS * np.sinh(root) / root / scipy.special.i0(_SHAPE)
    return np.asarray(size / length / kept).astype(np.float32)


@lru_cache(maxsize=1)
def _table() -> FloatArray:
    """Weights of eight points around an instant, at a thousandth of a step after another."""
    after = np.linspace(0.0, 1.0, _TABLE_ROWS + 1)[:, None]
    away = (np.arange(_POINTS) - (_POINTS // 2 - 1) - after) / (_POINTS / 2)
    window = scipy.special.i0(_SHAPE * np.sqrt(np.maximum(0.0, 1.0 - away**2)))
    return np.asarray(window / scipy.special.i0(_SHAPE)).astype(np.float32)


@compiled_sums
def _interpolated(
    finer: ComplexArray, first: float, step: float, count: int, table: FloatArray
) -> ComplexArray:
    """Sums of neighbours at ``first + n step``, in points of each row, shape ``(count, rows)``."""
    num_rows, num_points = table.shape[0] - 1, table.shape[1]
    found = np.empty((count, len(finer)), dtype=np.complex64)
    for n in range(count):
        at = first + n * step
        begin = int(at) - (num_points // 2 - 1)
        place = at % 1.0 * num_rows
        row = int(place)
        part = np.float32(place - row)
        for m in range(len(finer)):
            real = imag = np.float32(0.0)
            for p in range(num_points):
                weight = table[row, p] + part * (table[row + 1, p] - table[row, p])
                real += weight * finer[m, begin + p].real
                imag += weight * finer[m, begin + p].imag
            found[n, m] = complex(real, imag)
    return found
