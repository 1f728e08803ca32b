"""Echoes that look like a part of the background, as alignment leaves them.

Alignment takes a part of such an echo away, and what is left peaks beside it. Matched filtering
with what alignment leaves of a wave (the generalized likelihood ratio, Kay 1998, section 9.4)
peaks at the echo; the echo and the alignment are then estimated together.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid
from processing.accuracy import LEAST_SHARE, beside_alignment
from processing.alignment import Groups
from processing.echo import echo_beside_alignment, fitted_echoes
from processing.power_map import PowerMapPlan, power_map
from processing.refine import carrier_steering, subband_matrix
from processing.report import Hypothesis

# An echo of which less is left cannot have left a peak.
_LEAST_PEAK_SHARE = 0.004
# Of an echo's energy: above it nothing in the background is near enough to matter.
_CLEAR_SHARE = 0.98
# What is searched about a peak of the residual: resolution cells, beams.
_CELLS = np.arange(-1.5, 1.51, 0.05)
_BEAMS = np.arange(-1.5, 1.51, 0.1)
_TINY = float(np.finfo(np.float32).tiny)


class NearBackground:
    """What the alignment to one background takes from echoes, and where they were.

    Parameters
    ----------
    background
        What captures are aligned to, shape ``(K, M)``.
    groups
        Elements that share phase, time and gain; all, if empty.
    """

    def __init__(
        self, background: ComplexArray, grid: OfdmGrid, array: UniformLinearArray, groups: Groups
    ) -> None:
        self._grid, self._array = grid, array
        self._columns = alignment_columns(background, grid, groups)

    def share(self, plan: PowerMapPlan) -> FloatArray:
        """Share of echo and noise that alignment leaves in each cell of a map, shape ``(G, L)``.

        Zero where it leaves less than an echo must keep to be reported.
        """
        share = share_map(self._columns, plan)
        return np.where(share < LEAST_SHARE, 0.0, share)

    def whole(self, residual: ComplexArray, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """Where the echoes are that left these, strongest first.

        One only, if it looks like a part of the background: all of them may be its remains.
        """
        strongest = hypotheses[0]
        _, share = beside_alignment(strongest, self._columns, self._grid, self._array)
        if share > _CLEAR_SHARE:
            return hypotheses
        at = nearest_echo(residual, self._columns, self._grid, self._array, strongest)
        return self.fitted(residual, [replace(strongest, delay_s=at[0], sine=at[1])])

    def fitted(self, residual: ComplexArray, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """Hypotheses with the strongest where it is together with the alignment."""
        if not hypotheses:
            return []
        start = hypotheses[0].delay_s, hypotheses[0].sine
        at = echo_beside_alignment(residual, self._columns, self._grid, self._array, start)
        return [replace(hypotheses[0], delay_s=at[0], sine=at[1]), *hypotheses[1:]]

    def echoes(self, residual: ComplexArray, hypotheses: Sequence[Hypothesis]) -> ComplexArray:
        """What hypotheses contribute to the capture, shape ``(K, M)``."""
        return fitted_echoes(residual, self._columns, self._grid, self._array, hypotheses)

    def told_apart(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Hypotheses with their bounds beside the alignment, less what it may have made."""
        bounded = [
            beside_alignment(hypothesis, self._columns, self._grid, self._array)
            for hypothesis in hypotheses
        ]
        return [hypothesis for hypothesis, share in bounded if share > LEAST_SHARE]


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


def share_map(columns: ComplexArray, plan: PowerMapPlan) -> FloatArray:
    """Share of an echo's energy that alignment leaves, for each cell of a map, shape ``(G, L)``.

    The mean over phases; see `alignment_columns`.
    """
    share = np.ones((len(plan.angle_grid_rad), len(plan.delay_grid_s)))
    for weight, kind in ((1.0, columns[0]), (0.5, columns[1])):
        for column in kind:
            energy = max(float(np.vdot(column, column).real), _TINY) * len(column)
            share -= weight / energy * power_map(column, plan).power
    return share


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
    likelihood = np.where(
        least > _LEAST_PEAK_SHARE, likelihood / np.maximum(determinant, 1e-9), 0.0
    )
    best = np.unravel_index(int(np.argmax(likelihood)), likelihood.shape)
    return peak.delay_s + float(delay_s[best[0]]), float(sine[best[1]]) if many else None


def _over_energy(matched: ComplexArray, column: ComplexArray, size: int) -> ComplexArray:
    return matched / np.sqrt(size * max(float(np.vdot(column, column).real), _TINY))
