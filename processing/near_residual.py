"""Echoes in a residual that look like a part of the background, as alignment leaves them.

Alignment takes a part of such an echo away, and what is left peaks beside it. Matched filtering
with what alignment leaves of a wave (the generalized likelihood ratio, Kay 1998, section 9.4)
peaks at the echo; the echo and the alignment are then estimated together.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivers.geometry import FloatArray
from processing.accuracy import LEAST_SHARE
from processing.alignment import Alignment
from processing.echo import AlignmentUnknowns, echo_beside_alignment, fitted_amplitudes
from processing.echo_grid import EchoGrid
from processing.near_background import NearBackground
from processing.remainder import Remainder
from processing.report import Hypothesis
from processing.subbands import SubbandSums
from processing.waves import At, waves_between

# An echo of which less is left cannot have left a peak.
_LEAST_PEAK_SHARE = 0.004
# Of an echo's energy: above it nothing in the background is near enough to matter.
_CLEAR_SHARE = 0.98
# What is searched about a peak of the residual: resolution cells, beams.
_CELLS = np.arange(-1.5, 1.51, 0.05)
_BEAMS = np.arange(-1.5, 1.51, 0.1)
# Share of an echo that alignment must leave for its likelihood to mean anything: above rounding,
# and so many times the share of noise in the background.
_LEAST_TOLD, _NOISE_TOLD = 1e-5, 5.0
# Log-likelihood by which one echo explains a residual better than another beyond doubt, but for
# what is not known: the noise in the background to a tenth, and a share of what is stated of the
# elements' gains. With all of that a third of the echoes within 2 m is lost (40 MHz, two elements);
# with none a tenth of those within 0.2 m is reported elsewhere (decision 24).
_CLEARLY_BETTER = 5.0
_NOISE_UNSURE, _RESPONSE_UNSURE = 0.1, 0.3
# Standard deviations within which two places are one, and what is added to those that are stated:
# resolution cells, beams.
_SAME_PLACE, _ONE_ECHO = 3.0, 0.1


class NearResidual:
    """What alignment to a background left of one capture, and the echoes in it.

    Parameters
    ----------
    near
        The background.
    left
        The residual.

    Attributes
    ----------
    sums
        Of the residual over sub-bands.
    """

    def __init__(self, near: NearBackground, left: Remainder) -> None:
        self._near = near
        self._left = left
        self.sums: SubbandSums = near.sums(left.residual)
        self._looked_beside: tuple[EchoGrid, FloatArray] | None = None

    @cached_property
    def _unknowns(self) -> AlignmentUnknowns:
        near = self._near
        by_group = np.zeros((2, len(near.energy)), dtype=np.complex128)
        np.add.at(by_group.T, near.group, self._left.likeness.T)
        gain, ramp = by_group
        # The slope is the background times -j omega, less what a gain does alike.
        omega = 2.0 * np.pi / near.grid.num_subcarriers  # of a tone, over a resolution cell
        return near.unknowns(np.array([gain, 1j * omega * ramp - near.alike.conj() * gain]))

    def whole(self, hypotheses: list[Hypothesis], first_s: float) -> list[Hypothesis]:
        """Where the echoes are that left these, strongest first.

        One only, if it looks like a part of the background: all of them may be its remains. What
        is left of an echo beside the direct path may peak anywhere, so that it is looked for there
        too.

        Parameters
        ----------
        first_s
            Delay of the shortest path that an echo can take.
        """
        strongest = hypotheses[0]
        is_clear = self._near.bounded(strongest)[1] > _CLEAR_SHARE
        here = self._own(strongest) if is_clear else self._about(strongest, first_s)
        there = self._likeliest(*self._beside(first_s))
        if is_clear and here[0] >= there[0]:
            return hypotheses
        at = here[1] if here[0] >= there[0] else there[1]
        return self.fitted([replace(strongest, delay_s=at[0], sine=at[1])])

    def fitted(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """Hypotheses with the strongest where it is together with the alignment."""
        if not hypotheses:
            return []
        start = hypotheses[0].delay_s, hypotheses[0].sine
        channels = self._near.banded(start[0], self.sums)
        at = echo_beside_alignment(channels, self._unknowns, start)
        return [replace(hypotheses[0], delay_s=at[0], sine=at[1]), *hypotheses[1:]]

    def realignment(self, hypotheses: Sequence[Hypothesis]) -> Alignment:
        """How the capture lies to the background with the hypotheses' echoes out of account.

        To first order in what they had pulled the alignment by.
        """
        near, places = self._near, [(h.delay_s, h.sine) for h in hypotheses]
        waves = [near.banded(at[0], self.sums).at(*at) for at in places]
        between = waves_between(places, near.grid, near.array)
        amplitude = fitted_amplitudes(waves, between, self._unknowns)
        echoes = np.tensordot(amplitude, [wave.columns[0].conj() for wave in waves], axes=1)
        gain, slope = self._unknowns.residual - echoes
        energy, slope_energy = self._unknowns.energy
        cells = slope.real / slope_energy
        gain = 1.0 + gain / energy - cells * near.alike
        return Alignment(gain[near.group], cells[near.group] / near.grid.bandwidth_hz)

    def _own(self, peak: Hypothesis) -> tuple[float, At]:
        """Likelihood ratio of an echo at a peak, and where that is."""
        at = peak.delay_s, peak.sine
        grid = self._near.grids.of(np.array([at[0]]), np.array([at[1] or 0.0]), at[0], finely=True)
        return float(grid.likelihood(self.sums.about(grid.about_s)[0])[0, 0]), at

    def _about(self, peak: Hypothesis, first_s: float) -> tuple[float, At]:
        """Of the likeliest echo that may have left a peak."""
        near, sine = self._near, np.zeros(1)
        delay_s = peak.delay_s + _CELLS / near.grid.bandwidth_hz
        delay_s = delay_s[delay_s >= near.beside(first_s).delay_s[0]]
        if not delay_s.size:
            return -np.inf, (peak.delay_s, peak.sine)
        if peak.sine is not None:
            sine = peak.sine + _BEAMS * near.beam
            sine = sine[np.abs(sine) <= 1.0]
        grid = near.grids.of(delay_s, sine, peak.delay_s)
        likelihood = grid.likelihood(self.sums.coarse(grid.about_s)[0])
        return self._likeliest(grid, np.where(grid.kept > _LEAST_PEAK_SHARE, likelihood, 0.0))

    def _likeliest(self, grid: EchoGrid, likelihood: FloatArray) -> tuple[float, At]:
        best = np.unravel_index(int(np.argmax(likelihood)), likelihood.shape)
        one_element = self._near.array.num_elements == 1
        sine = None if one_element else float(grid.sine[best[1]])
        return float(likelihood[best]), (float(grid.delay_s[best[0]]), sine)

    def _beside(self, first_s: float) -> tuple[EchoGrid, FloatArray]:
        """Echoes that are hardly longer than the shortest path, and how likely each is.

        Zero where that means nothing.
        """
        near, grid = self._near, self._near.beside(first_s)
        if self._looked_beside is None or self._looked_beside[0] is not grid:
            likelihood = grid.likelihood(self.sums.about(grid.about_s)[0])
            least = _LEAST_TOLD + _NOISE_TOLD * float(near.noise_energy.max() / near.energy.min())
            self._looked_beside = grid, np.where(grid.kept > least, likelihood, 0.0)
        return self._looked_beside

    def is_of_background(self, hypothesis: Hypothesis, first_s: float, noise_power: float) -> bool:
        """Whether an echo that is hidden by the direct path explains the residual as well.

        An echo along the direct path scales it. Alignment then scales the whole background, and
        what is left is a copy of all else in it: echoes that are none.

        Parameters
        ----------
        first_s
            Delay of the shortest path that an echo can take.
        noise_power
            What noise alone puts into a cell of a map.
        """
        grid, likelihood = self._beside(first_s)
        least = self._own(hypothesis)[0] - _CLEARLY_BETTER * noise_power
        kept = np.maximum(grid.kept, _LEAST_TOLD)
        is_as_good = likelihood + self._unsure(likelihood, kept) > least
        rivals = (kept < LEAST_SHARE) & is_as_good & (likelihood > 0.0)
        return bool(rivals.any() and np.any(rivals & self._elsewhere(hypothesis, grid)))

    def _unsure(self, likelihood: FloatArray, kept: FloatArray) -> FloatArray:
        """How far likelihoods of echoes of which so much is left may be off.

        Noise in the background is taken out of what an echo has in common with it, and adds to what
        is left of it; gains of elements that are off make what is left another.
        """
        near = self._near
        noise = _NOISE_UNSURE * float(near.noise_energy.sum() / np.sqrt(near.energy.sum()))
        of_noise = 2.0 * noise * np.sqrt(self.sums.channel.size * likelihood / kept)
        own_var = near.response_var if near.array.num_elements > 1 else 0.0
        return of_noise + _RESPONSE_UNSURE * own_var / kept * likelihood

    def _elsewhere(self, hypothesis: Hypothesis, grid: EchoGrid) -> NDArray[np.bool_]:
        """Which places of a grid are not that of a hypothesis, shape ``(D, S)``."""
        near = self._near
        bounded, _ = near.bounded(hypothesis)
        delay_var_s2 = bounded.delay_var_s2 + (_ONE_ECHO / near.grid.bandwidth_hz) ** 2
        off = (grid.delay_s - bounded.delay_s)[:, None] ** 2 / delay_var_s2
        if bounded.sine is not None and bounded.sine_var is not None:
            sine_var = bounded.sine_var + (_ONE_ECHO * near.beam) ** 2
            off = off + (grid.sine - bounded.sine) ** 2 / sine_var
        return np.broadcast_to(off > _SAME_PLACE**2, grid.kept.shape)
