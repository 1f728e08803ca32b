"""Alignment of a capture to a link's background, before it is learned or subtracted; (8), (9).

Radios restart with another phase, another time and another gain. The static background of a link
is known and strong, so each capture is brought onto the whole of it: ``H = g exp(-j 2 pi f d) B``
plus target and noise, with one gain and one delay per group of coherent channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft

from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid

Groups = Sequence[Sequence[int]]  # of elements that share phase, time and gain

# The search grid is this many times finer than a resolution cell, so Newton's method starts
# within a sixteenth of a cell; each step then doubles the number of right digits.
_OVERSAMPLING = 8
_NUM_NEWTON_STEPS = 5
_MOST_NOISE = 0.5  # of a reference's energy: what is more than half noise is no reference
_NUM_NOISE_ELEMENTS = 4


@dataclass(frozen=True)
class Alignment:
    """How a capture lies to a reference, for each group of coherent channels.

    Attributes
    ----------
    gain
        Complex gain of the capture over the reference, for each element, shape ``(M,)``.
    delay_s
        Delay of the capture after the reference, for each element, shape ``(M,)``.
    residual_var
        Mean power that the aligned reference leaves of the capture, in the reference's scale.
    """

    gain: ComplexArray
    delay_s: FloatArray
    residual_var: float


def align(
    channel: ComplexArray,
    reference: ComplexArray,
    grid: OfdmGrid,
    groups: Groups | None = None,
    *,
    reference_noise_var: float = 0.0,
) -> tuple[ComplexArray, Alignment]:
    """A capture brought onto a reference, shape ``(K, M)``, and how it lay before.

    Parameters
    ----------
    channel, reference
        Channel estimates of the same link, shapes ``(K, M)``.
    groups
        Elements that share phase, time and gain; all, if left out.
    reference_noise_var
        Variance of the noise in each entry of the reference. Least squares takes it for a part of
        what the capture should hold, finds less, and finds a gain that is too small (regression
        dilution, Fuller 1987, section 1.1): a reference of 10 dB would be suppressed by 20 dB.

    Raises
    ------
    ValueError
        If the reference is zero on a group: there is nothing to align to.
    """
    gain = np.empty(channel.shape[1], dtype=np.complex128)
    delay_s = np.empty(channel.shape[1])
    for group in groups or [range(channel.shape[1])]:
        columns = list(group)
        energy = float(np.sum(np.abs(reference[:, columns]) ** 2))
        if energy == 0.0:
            msg = f"the background is zero on elements {columns}: nothing to align to"
            raise ValueError(msg)
        noise_energy = reference_noise_var * len(channel) * len(columns)
        energy -= min(noise_energy, _MOST_NOISE * energy)
        likeness = np.einsum("km,km->k", channel[:, columns], reference[:, columns].conj())
        delay_s[columns] = _delay_s(likeness.astype(np.complex128), grid)
        turned = np.exp(2j * np.pi * grid.offset_hz * delay_s[columns[0]])
        gain[columns] = np.sum(likeness * turned) / energy
    aligned = shifted(channel, grid, -delay_s) / gain.astype(np.complex64)
    residual_var = float(np.mean(np.abs(aligned - reference) ** 2))
    return aligned, Alignment(gain, delay_s, residual_var)


def noise_var_of(channel: ComplexArray) -> float:
    """Variance of the noise in an entry of a channel, from delays where there are no paths.

    Those that are furthest from the strongest, on a circle of all delays; their median is ln 2 of
    the mean.
    """
    size = len(channel)
    elements = channel[:, :: max(1, channel.shape[1] // _NUM_NOISE_ELEMENTS)]
    window = np.hanning(size)[:, None].astype(np.float32)
    power = np.abs(scipy.fft.ifft(elements * window, axis=0, norm="ortho")) ** 2
    peak = int(np.argmax(power.sum(axis=1)))
    far = np.roll(power, -peak, axis=0)[size // 4 : 3 * size // 4]
    return float(np.median(far) / np.log(2.0) / np.mean(window**2))


def shifted(channel: ComplexArray, grid: OfdmGrid, delay_s: FloatArray | float) -> ComplexArray:
    """A channel delayed about the carrier, shape ``(K, M)``, by one delay an element or by one."""
    turn = np.exp(-2j * np.pi * grid.offset_hz[:, None] * np.atleast_1d(delay_s))
    return channel * turn.astype(np.complex64)


def _delay_s(likeness: ComplexArray, grid: OfdmGrid) -> float:
    """Delay that maximizes ``|sum_k likeness_k exp(j 2 pi f_k d)|``, in seconds.

    ``likeness`` is capture times conjugate reference, summed over elements, shape ``(K,)``.
    """
    size = scipy.fft.next_fast_len(_OVERSAMPLING * len(likeness))
    peak = int(np.argmax(np.abs(scipy.fft.fft(likeness.conj(), size))))
    step_s = 1.0 / (size * grid.subcarrier_spacing_hz)
    delay_s = (peak if peak < size // 2 else peak - size) * step_s
    omega = 2.0 * np.pi * grid.offset_hz
    for _ in range(_NUM_NEWTON_STEPS):
        turned = likeness * np.exp(1j * omega * delay_s)
        value, slope, bend = turned.sum(), (1j * omega * turned).sum(), (-(omega**2) * turned).sum()
        rise = 2.0 * (value.conjugate() * slope).real
        curvature = 2.0 * (abs(slope) ** 2 + (value.conjugate() * bend).real)
        if curvature < 0.0:  # a maximum; else noise alone, where no step is better than another
            delay_s -= float(np.clip(rise / curvature, -step_s, step_s))
    return delay_s
