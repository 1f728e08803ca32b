"""A channel limited to the delays of a map, on a few of its tones.

The map shows a short stretch of all delays that tones tell apart: 193 bins of 6720 in the paper's
hall. A low-pass filter over the tones keeps that stretch, and every `decimation`-th of what it puts
out is enough to tell its delays apart. Sums over these rows with the phases of a delay in the
stretch are the sums over all tones (Poisson's formula), up to what the filter lets through from
delays that alias there.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.compiled import compiled_sums
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid

# Delays told apart by the rows over those that are kept, at least: the filter falls in between.
_ROOM = 2.25
_STOPBAND_DB = 100.0
_MOST_ERROR = 4e-5


@dataclass(frozen=True)
class DelayGate:
    """What limits a channel of one waveform to the first delays.

    Attributes
    ----------
    decimation
        Tones per row.
    taps
        Of the filter, symmetric, of sum `decimation`, shape ``(T,)``.
    turn
        Phase of each tone at the delay in the middle of those kept, shape ``(K,)``.
    row_tone
        Tone that each row stands for, shape ``(J,)``, from before the first tone to after the last:
        all rows that anything of the channel reaches.
    row_turn
        Phases that put the kept delays back where they were, shape ``(J,)``.
    error
        What is kept of an echo of amplitude one at any delay that aliases into those kept, and how
        far from one it is there.
    """

    decimation: int
    taps: FloatArray
    turn: ComplexArray
    row_tone: NDArray[np.intp]
    row_turn: ComplexArray
    error: float


def plan_delay_gate(grid: OfdmGrid, fft_length: int, num_bins: int) -> DelayGate:
    """Plan what keeps the first delays.

    Parameters
    ----------
    fft_length
        Delay bins of all delays that tones tell apart.
    num_bins
        Delay bins to keep.
    """
    decimation = _decimation(fft_length, num_bins)
    taps, error = _low_pass(fft_length, num_bins, decimation)
    half = len(taps) // 2
    last_row = (grid.num_subcarriers - 1 + half) // decimation
    row_tone = np.arange(-(half // decimation), last_row + 1) * decimation
    middle_rad = np.pi * (num_bins - 1) / fft_length
    tone = np.arange(grid.num_subcarriers)
    return DelayGate(
        decimation=decimation,
        taps=taps.astype(np.float32),
        turn=np.exp(1j * middle_rad * tone).astype(np.complex64),
        row_tone=row_tone,
        row_turn=np.exp(-1j * middle_rad * row_tone).astype(np.complex64),
        error=error,
    )


def _decimation(fft_length: int, num_bins: int) -> int:
    """Largest divisor of the bins that leaves room for the filter to fall; one if none does."""
    most = int(fft_length / (_ROOM * num_bins))
    return next((d for d in range(most, 1, -1) if fft_length % d == 0), 1)


def _low_pass(fft_length: int, num_bins: int, decimation: int) -> tuple[FloatArray, float]:
    """Windowed sinc (Kaiser 1974), and the largest error of its response where it matters."""
    if decimation == 1:
        return np.ones(1), 0.0
    period = fft_length // decimation  # delay bins that alias into one another
    kept = np.linspace(-num_bins / 2.0, num_bins / 2.0, 257) / fft_length
    aliasing = kept + np.arange(1, decimation)[:, None] * period / fft_length
    fall_rad = 2.0 * np.pi * (period - num_bins) / fft_length
    shortest = int(np.ceil((_STOPBAND_DB - 8.0) / (2.285 * fall_rad))) | 1
    for length in range(shortest, 4 * shortest, 2):  # Kaiser's formula is short for few taps
        index = np.arange(length) - length // 2
        taps = np.sinc(index / decimation) * np.kaiser(length, 0.1102 * (_STOPBAND_DB - 8.7))
        taps *= decimation / taps.sum()
        off = np.abs(_response(taps, kept) / decimation - 1.0).max()
        error = float(off + np.abs(_response(taps, aliasing)).max() / decimation)
        if error <= _MOST_ERROR:
            break
    return taps, error


def _response(taps: FloatArray, cycles: FloatArray) -> FloatArray:
    """Real response of symmetric taps at cycles per tone, any shape."""
    index = np.arange(len(taps)) - len(taps) // 2
    return np.cos(2.0 * np.pi * cycles[..., None] * index) @ taps


def gated(channel: ComplexArray, gate: DelayGate) -> ComplexArray:
    """Rows of a channel, shape ``(K, M)`` to ``(J, M)``, complex64.

    For any delay of those kept the sum of the rows with its phases at `DelayGate.row_tone` is the
    sum of the channel with its phases at all tones.
    """
    if gate.decimation == 1:
        return np.asarray(channel, dtype=np.complex64)
    narrow = np.ascontiguousarray(channel, dtype=np.complex64)
    rows = _filtered(narrow, gate.turn, gate.taps, gate.row_tone).view(np.complex64)
    rows *= gate.row_turn[:, None]
    return rows


@compiled_sums
def _filtered(
    channel: ComplexArray, turn: ComplexArray, taps: FloatArray, row_tone: NDArray[np.intp]
) -> NDArray[np.float32]:
    """Low-pass of the turned channel at the rows' tones, parts interleaved, shape ``(J, 2 M)``.

    Four tones at a time are added to the few rows that they reach: the channel is read once, and
    rows seldom.
    """
    num_tones, num_elements = channel.shape
    half, width = len(taps) // 2, 2 * num_elements
    padded = np.zeros(len(taps) + 6, np.float32)  # tones of a four may lie off the filter's ends
    padded[3:-3] = taps
    rows = np.zeros((len(row_tone), width), np.float32)
    turned = np.zeros((4, width), np.float32)
    first = 0
    for start in range(0, num_tones, 4):
        for i in range(4):
            if start + i == num_tones:
                turned[i:] = 0.0
                break
            cos, sin = turn[start + i].real, turn[start + i].imag
            for m in range(num_elements):
                real, imag = channel[start + i, m].real, channel[start + i, m].imag
                turned[i, 2 * m] = real * cos - imag * sin
                turned[i, 2 * m + 1] = real * sin + imag * cos
        while row_tone[first] + half < start:
            first += 1
        for j in range(first, len(row_tone)):
            at = start - row_tone[j] + half + 3
            if at < 0:
                break
            row = rows[j]
            for q in range(width):
                row[q] += (
                    padded[at] * turned[0, q]
                    + padded[at + 1] * turned[1, q]
                    + padded[at + 2] * turned[2, q]
                    + padded[at + 3] * turned[3, q]
                )
    return rows
