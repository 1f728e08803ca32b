"""Alignment of a capture to a link's background, before it is learned or subtracted; (8), (9).

Radios restart with another phase, another time and another gain. The static background of a link
is known and strong, so each capture is brought onto the whole of it: ``H = g exp(-j 2 pi f d) B``
plus target and noise, with one gain and one delay per group of coherent channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.fft

from drivers.compiled import compiled, compiled_sums
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid

Groups = Sequence[Sequence[int]]  # of elements that share phase, time and gain

# The search grid is this many times finer than a resolution cell, so Newton's method starts
# within an eighth of a cell; each step then doubles the number of right digits.
_OVERSAMPLING = 4
_NUM_NEWTON_STEPS = 5
_SETTLED = 1e-9  # of a step of the grid: the sum there is the sum at the maximum
_TONES_PER_PHASE = 16  # that a phase is stepped by in the channel's own precision
MOST_NOISE = 0.5  # of a reference's energy: what is more than half noise is no reference
_NUM_NOISE_ELEMENTS = 4
_NOISE_TAPER = 0.25  # share of the tones
_STICKS_OUT = 5.0  # times the mean: one in 150 of noise alone


@dataclass(frozen=True)
class Alignment:
    """How a capture lies to a reference, for each group of coherent channels.

    Attributes
    ----------
    gain
        Complex gain of the capture over the reference, for each element, shape ``(M,)``.
    delay_s
        Delay of the capture after the reference, for each element, shape ``(M,)``.
    energy
        Of the capture, over all tones and elements, where it was looked at.
    """

    gain: ComplexArray
    delay_s: FloatArray
    energy: float | None = None


def align(
    channel: ComplexArray,
    reference: ComplexArray,
    grid: OfdmGrid,
    groups: Groups | None = None,
    *,
    reference_noise_var: float = 0.0,
) -> tuple[ComplexArray, Alignment]:
    """A capture brought onto a reference, shape ``(K, M)``, and how it lay before.

    See `alignment_of`.
    """
    lay = alignment_of(channel, reference, grid, groups, reference_noise_var=reference_noise_var)
    return shifted(channel, grid, -lay.delay_s, 1.0 / lay.gain), lay


def alignment_of(
    channel: ComplexArray,
    reference: ComplexArray,
    grid: OfdmGrid,
    groups: Groups | None = None,
    *,
    reference_noise_var: float = 0.0,
    tones: ComplexArray | None = None,
) -> Alignment:
    """How a capture lies to a reference.

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
    tones
        What each tone of the channel is multiplied by first, shape ``(K,)``; nothing, if left out.

    Returns
    -------
    Alignment
        As if in place, where the capture's energy is zero or not finite.

    Raises
    ------
    ValueError
        If the reference is zero on a group: there is nothing to align to.
    """
    gain = np.ones(channel.shape[1], dtype=np.complex128)
    delay_s = np.zeros(channel.shape[1])
    energy = 0.0
    for group in groups or [range(channel.shape[1])]:
        columns = list(group)
        every = columns == list(range(channel.shape[1]))
        own = (c if every else np.ascontiguousarray(c[:, columns]) for c in (channel, reference))
        likeness, of_reference, of_channel = _likeness(*own)
        energy += of_channel
        if of_reference == 0.0:
            msg = f"the background is zero on elements {list(group)}: nothing to align to"
            raise ValueError(msg)
        if of_channel == 0.0 or not np.isfinite(of_channel):
            continue
        if tones is not None:
            likeness *= tones
        noise_energy = reference_noise_var * len(channel) * len(columns)
        of_reference -= min(noise_energy, MOST_NOISE * of_reference)
        found_s, height = _highest(likeness, grid)
        delay_s[columns], gain[columns] = found_s, height / of_reference
    return Alignment(gain, delay_s, energy)


def noise_var_of(channel: ComplexArray) -> float:
    """Variance of the noise in an entry of a channel, from delays where there are no paths.

    Those that are not near the strongest, on a circle of all delays; what sticks out of them is
    left out. Within 2.5 % of 1300 tones' noise (standard deviation): errors in it decide which of
    two echoes explains a residual (`processing.near_residual`).
    """
    size = len(channel)
    elements = channel[:, :: max(1, channel.shape[1] // _NUM_NOISE_ELEMENTS)]
    window = _tapered(size)[:, None].astype(np.float32)
    power = np.abs(scipy.fft.ifft(elements * window, axis=0, norm="ortho")) ** 2
    peak = int(np.argmax(power.sum(axis=1)))
    far = np.roll(power, -peak, axis=0)[size // 8 : size - size // 8]
    most = _STICKS_OUT * np.median(far) / np.log(2.0)  # the median of noise is ln 2 of its mean
    rare = np.exp(-_STICKS_OUT)
    mean_below = 1.0 - _STICKS_OUT * rare / (1.0 - rare)
    return float(np.mean(far[far <= most]) / mean_below / np.mean(window**2))


def _tapered(size: int) -> FloatArray:
    """Tukey's window: flat but for a share of the tones, half of it at either end."""
    from_edge = np.minimum(np.arange(size), np.arange(size)[::-1]) / (_NOISE_TAPER / 2.0 * size)
    return 0.5 - 0.5 * np.cos(np.pi * np.minimum(from_edge, 1.0))


def shifted(
    channel: ComplexArray,
    grid: OfdmGrid,
    delay_s: FloatArray | float,
    gain: ComplexArray | complex = 1.0,
) -> ComplexArray:
    """A channel delayed about the carrier, shape ``(K, M)``, in the channel's own precision.

    Parameters
    ----------
    delay_s, gain
        One for each element, shape ``(M,)``, or one for all.
    """
    return _turned(np.ascontiguousarray(channel), *phases(channel, grid, delay_s, gain))


def phases(
    channel: ComplexArray,
    grid: OfdmGrid,
    delay_s: FloatArray | float,
    gain: ComplexArray | complex,
) -> tuple[ComplexArray, ComplexArray]:
    """Factor of each element's first tone, and from each tone to the next, shapes ``(M,)``."""
    cycles = np.asarray(delay_s) * grid.subcarrier_spacing_hz + np.zeros(channel.shape[1])
    first = np.exp(1j * np.pi * cycles * (grid.num_subcarriers - 1)) * gain
    return first, np.exp(-2j * np.pi * cycles)


def _highest(likeness: ComplexArray, grid: OfdmGrid) -> tuple[float, complex]:
    """Delay in seconds that maximizes ``|sum_k likeness_k exp(j 2 pi f_k d)|``, and that sum.

    ``likeness`` is capture times conjugate reference, summed over elements, shape ``(K,)``.
    """
    size = scipy.fft.next_fast_len(_OVERSAMPLING * len(likeness))
    spectrum = scipy.fft.fft(likeness.conj().astype(np.complex64), size)
    peak = int(np.argmax(spectrum.real**2 + spectrum.imag**2))
    cycles, height = _climbed(likeness, (peak if peak < size // 2 else peak - size) / size, size)
    return cycles / grid.subcarrier_spacing_hz, height


@compiled_sums
def _likeness(channel: ComplexArray, reference: ComplexArray) -> tuple[ComplexArray, float, float]:
    """Channel times conjugate reference, summed over elements, ``(K,)``; energies of both."""
    likeness = np.empty(len(channel), np.complex128)
    of_reference, of_channel = 0.0, 0.0
    zero = np.zeros(1, channel.real.dtype)[0]
    for k in range(len(channel)):
        real, imag, own, other = zero, zero, zero, zero
        for m in range(channel.shape[1]):
            here, there = channel[k, m], reference[k, m]
            real += here.real * there.real + here.imag * there.imag
            imag += here.imag * there.real - here.real * there.imag
            own += there.real * there.real + there.imag * there.imag
            other += here.real * here.real + here.imag * here.imag
        likeness[k] = complex(real, imag)
        of_reference += own
        of_channel += other
    return likeness, of_reference, of_channel


@compiled
def _climbed(likeness: ComplexArray, cycles: float, size: int) -> tuple[float, complex]:
    """Newton's method to the maximum near a number of cycles per tone, and the sum there.

    Steps are of at most one in `size` cycles.
    """
    middle = (len(likeness) - 1) / 2.0
    value = 0.0j
    for step in range(_NUM_NEWTON_STEPS + 1):
        turn = np.exp(-2j * np.pi * cycles * middle)
        along = np.exp(2j * np.pi * cycles)
        value, slope, bend = 0.0j, 0.0j, 0.0j
        for k in range(len(likeness)):
            omega = 2.0 * np.pi * (k - middle)
            turned = likeness[k] * turn
            value += turned
            slope += 1j * omega * turned
            bend -= omega * omega * turned
            turn *= along
        rise = 2.0 * (value.conjugate() * slope).real
        curvature = 2.0 * (abs(slope) ** 2 + (value.conjugate() * bend).real)
        if step == _NUM_NEWTON_STEPS or curvature >= 0.0:  # noise alone: no step is better
            break
        move = min(max(rise / curvature, -1.0 / size), 1.0 / size)
        if abs(move) * size < _SETTLED:
            break
        cycles -= move
    return cycles, value


@compiled
def _turned(channel: ComplexArray, first: ComplexArray, step: ComplexArray) -> ComplexArray:
    """A channel times ``first[m] step[m]^k``, shape ``(K, M)``; phases as in double precision."""
    turned = np.empty_like(channel)
    exact, leap = first.copy(), step**_TONES_PER_PHASE
    factor = np.empty(len(first), channel.dtype)
    along = step.astype(channel.dtype)
    for k in range(len(channel)):
        if k % _TONES_PER_PHASE == 0:
            factor[:] = exact
            exact *= leap
        for m in range(channel.shape[1]):
            turned[k, m] = channel[k, m] * factor[m]
            factor[m] *= along[m]
    return turned
