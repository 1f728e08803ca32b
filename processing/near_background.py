"""Echoes that look like a part of the background, as alignment leaves them.

Alignment takes a part of such an echo away, and what is left peaks beside it. Matched filtering
with what alignment leaves of a wave (the generalized likelihood ratio, Kay 1998, section 9.4)
peaks at the echo.
"""

from collections.abc import Sequence

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid
from processing.refine import carrier_steering, subband_matrix
from processing.report import Hypothesis

# An echo of which less is left is not told from the background.
LEAST_SHARE = 0.05
# What is searched about a peak of the residual: resolution cells, beams.
_CELLS = np.arange(-1.0, 1.01, 0.05)
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
) -> tuple[float, float]:
    """Delay in seconds and sine of the echo that left a peak in the residual.

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

    def matched(channel: ComplexArray) -> FloatArray:
        bands, offset_hz = subband_matrix(channel, grid, peak.delay_s)
        over_band = np.exp(2j * np.pi * np.outer(delay_s, offset_hz))
        beams = bands @ carrier_steering(array, grid, sine).conj().T
        return np.asarray(np.abs(over_band @ beams) ** 2)

    size = residual.size
    share = np.ones((len(delay_s), len(sine)))
    for weight, kind in ((1.0, columns[0]), (0.5, columns[1])):
        for column in kind:
            energy = max(float(np.vdot(column, column).real), _TINY)
            share -= weight * matched(column) / (size * energy)
    likelihood = np.where(share > LEAST_SHARE, matched(residual) / np.maximum(share, 1e-3), 0.0)
    best = np.unravel_index(int(np.argmax(likelihood)), likelihood.shape)
    return peak.delay_s + float(delay_s[best[0]]), float(sine[best[1]])
