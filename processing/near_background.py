"""Echoes that look like a part of the background, as alignment leaves them.

Alignment takes a part of such an echo away, and what is left peaks beside it. Matched filtering
with what alignment leaves of a wave (the generalized likelihood ratio, Kay 1998, section 9.4)
peaks at the echo.
"""

from collections.abc import Sequence

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray
from drivers.waveform import OfdmGrid
from processing.refine import carrier_steering, subband_matrix
from processing.report import Hypothesis

# An echo of which less is left cannot have left a peak.
_LEAST_SHARE = 0.004
# What is searched about a peak of the residual: resolution cells, beams.
_CELLS = np.arange(-1.5, 1.51, 0.05)
_BEAMS = np.arange(-1.5, 1.51, 0.1)
_TINY = float(np.finfo(np.float32).tiny)

Groups = Sequence[Sequence[int]]


def alignment_columns(background: ComplexArray, grid: OfdmGrid, groups: Groups) -> ComplexArray:
    """What gain and delay of an alignment change, ``(2, C, K, M)``: the background, its slope.

    The slope by delay is taken without what a gain does alike; one of each for every group.
    """
    num_elements = background.shape[1]
    omega = (2.0 * np.pi * grid.offset_hz / grid.bandwidth_hz)[:, None].astype(np.float32)
    columns = []
    for group in groups or [range(num_elements)]:
        own = np.zeros_like(background)
        own[:, list(group)] = background[:, list(group)]
        energy = max(float(np.vdot(own, own).real), _TINY)
        slope = -1j * omega * own
        slope = slope - own * np.complex64(np.vdot(own, slope) / energy)
        columns.append((own, slope))
    return np.array(columns).swapaxes(0, 1)


def nearest_echo(
    residual: ComplexArray,
    columns: ComplexArray,
    grid: OfdmGrid,
    array: UniformLinearArray,
    peak: Hypothesis,
) -> tuple[float, float | None]:
    """About where the echo is that left a peak in the residual: delay in seconds, and sine.

    Parameters
    ----------
    columns
        See `alignment_columns`.
    """
    many = array.num_elements > 1
    beam = grid.wavelength_m / (array.num_elements * array.spacing_m)
    sine = (peak.sine or 0.0) + (_BEAMS * beam if many else np.zeros(1))
    sine = sine[np.abs(sine) <= 1.0]
    delay_s = _CELLS / grid.bandwidth_hz

    def matched(channel: ComplexArray) -> ComplexArray:
        bands, offset_hz = subband_matrix(channel, grid, peak.delay_s)
        over_band = np.exp(2j * np.pi * np.outer(delay_s, offset_hz))
        beams = bands @ carrier_steering(array, grid, sine).conj().T
        return np.asarray(over_band @ beams)

    # Information in both parts of the echo's amplitude beside the alignment, over its own energy.
    real = np.ones((len(delay_s), len(sine)))
    imaginary, mixed = real.copy(), np.zeros_like(real)
    for gain, slope in zip(*columns, strict=True):
        taken = np.abs(_over_energy(matched(gain), gain, residual.size)) ** 2
        along = _over_energy(matched(slope), slope, residual.size)
        real -= taken + along.real**2
        imaginary -= taken + along.imag**2
        mixed -= along.real * along.imag
    found = matched(residual)
    determinant = real * imaginary - mixed**2
    likelihood = imaginary * found.real**2 + real * found.imag**2
    likelihood -= 2.0 * mixed * found.real * found.imag
    least = np.minimum(real, imaginary)
    likelihood = np.where(least > _LEAST_SHARE, likelihood / np.maximum(determinant, 1e-9), 0.0)
    best = np.unravel_index(int(np.argmax(likelihood)), likelihood.shape)
    return peak.delay_s + float(delay_s[best[0]]), float(sine[best[1]]) if many else None


def _over_energy(matched: ComplexArray, column: ComplexArray, size: int) -> ComplexArray:
    return matched / np.sqrt(size * max(float(np.vdot(column, column).real), _TINY))
