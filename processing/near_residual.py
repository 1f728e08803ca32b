"""Echoes in a residual that look like a part of the background, as alignment leaves them.

Alignment takes a part of such an echo away, and what is left peaks beside it. Matched filtering
with what alignment leaves of a wave (the generalized likelihood ratio, Kay 1998, section 9.4)
peaks at the echo; the echo and the alignment are then estimated together.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np

from drivers.geometry import FloatArray
from processing.accuracy import LEAST_SHARE
from processing.alignment import Alignment
from processing.echo import AlignmentUnknowns, echo_beside_alignment, fitted_amplitudes
from processing.near_background import NearBackground
from processing.refine import SubbandSums, band_offset_hz, carrier_steering
from processing.remainder import Remainder
from processing.report import Hypothesis
from processing.waves import At, waves_between

# An echo of which less is left cannot have left a peak.
_LEAST_PEAK_SHARE = 0.004
# Of an echo's energy: above it nothing in the background is near enough to matter.
_CLEAR_SHARE = 0.98
# What is searched about a peak of the residual: resolution cells, beams.
_CELLS = np.arange(-1.5, 1.51, 0.05)
_BEAMS = np.arange(-1.5, 1.51, 0.1)
# Beside the shortest path: where echoes are that alignment takes away.
_HIDDEN_CELLS = np.arange(-0.05, 0.56, 0.025)
# Share of an echo that alignment must leave for its likelihood to mean anything: above rounding,
# and so many times the share of noise in the background.
_LEAST_TOLD, _NOISE_TOLD = 1e-5, 5.0
# Log-likelihood by which one echo explains a residual better than another beyond doubt.
_CLEARLY_BETTER = 5.0


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

    @cached_property
    def _unknowns(self) -> AlignmentUnknowns:
        near = self._near
        by_group = np.zeros((2, len(near.energy)), dtype=np.complex128)
        np.add.at(by_group.T, near.group, self._left.likeness.T)
        gain, ramp = by_group
        # The slope is the background times -j omega, less what a gain does alike.
        omega = 2.0 * np.pi / near.grid.num_subcarriers  # of a tone, over a resolution cell
        return near.unknowns(np.array([gain, 1j * omega * ramp - near.alike.conj() * gain]))

    def whole(self, hypotheses: list[Hypothesis]) -> list[Hypothesis]:
        """Where the echoes are that left these, strongest first.

        One only, if it looks like a part of the background: all of them may be its remains.
        """
        strongest = hypotheses[0]
        if self._near.bounded(strongest)[1] > _CLEAR_SHARE:
            return hypotheses
        at = self.nearest(strongest)
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

    def nearest(self, peak: Hypothesis) -> At:
        """About where the echo is that left a peak: delay in seconds, and sine."""
        near = self._near
        many = near.array.num_elements > 1
        beam = near.grid.wavelength_m / (near.array.num_elements * near.array.spacing_m)
        sine = (peak.sine or 0.0) + (_BEAMS * beam if many else np.zeros(1))
        sine = sine[np.abs(sine) <= 1.0]
        delay_s = peak.delay_s + _CELLS / near.grid.bandwidth_hz
        likelihood, kept = self._likelihood(delay_s, sine, peak.delay_s)
        likelihood = np.where(kept > _LEAST_PEAK_SHARE, likelihood, 0.0)
        best = np.unravel_index(int(np.argmax(likelihood)), likelihood.shape)
        return float(delay_s[best[0]]), float(sine[best[1]]) if many else None

    def is_of_background(self, hypothesis: Hypothesis, first_s: float, noise_power: float) -> bool:
        """Whether an echo about the direct path explains the residual as well.

        An echo along the direct path scales it. Alignment then scales the whole background, and
        what is left is a copy of all else in it: echoes that are none. An array tells them by
        their direction.

        Parameters
        ----------
        first_s
            Delay of the shortest path that an echo can take.
        noise_power
            What noise alone puts into a cell of a map.
        """
        if self._near.array.num_elements > 1:
            return False
        delay_s = first_s + _HIDDEN_CELLS / self._near.grid.bandwidth_hz
        hidden, kept = self._likelihood(delay_s, np.zeros(1), first_s)
        own, _ = self._likelihood(np.array([hypothesis.delay_s]), np.zeros(1), hypothesis.delay_s)
        least = _LEAST_TOLD + _NOISE_TOLD * self._near.noise_energy.max() / self._near.energy.min()
        # What would be reported must be clearly better; what would not, must not be as good.
        margin = np.where(kept < LEAST_SHARE, _CLEARLY_BETTER, -_CLEARLY_BETTER) * noise_power
        better = hidden + margin > own.max()
        return bool(np.any(better & (kept > least)))

    def _likelihood(
        self, delay_s: FloatArray, sine: FloatArray, about_s: float
    ) -> tuple[FloatArray, FloatArray]:
        """Likelihood ratio of an echo beside the alignment, and the share of it that is left.

        Of the phase that loses more; both of shape ``(delays, sines)``.
        """
        near, size = self._near, self.sums.channel.size
        channels = near.banded(about_s, self.sums)
        late_s = delay_s - channels.delay_s
        over_band = np.exp(2j * np.pi * np.outer(late_s, band_offset_hz(near.grid)))
        over_array = carrier_steering(near.array, near.grid, sine).conj().T

        # Information in both parts of the echo's amplitude beside the alignment, over its energy.
        real = np.ones((len(delay_s), len(sine)))
        imaginary, mixed = real.copy(), np.zeros_like(real)
        for number in range(len(near.energy)):
            own = over_array * (near.group == number)[:, None]
            gain, slope = (over_band @ (bands @ own) for bands in channels.bands[1:])
            energy, slope_energy = self._unknowns.energy[:, number]
            taken = np.abs(gain) ** 2 / (size * energy)
            along = slope / np.sqrt(size * slope_energy)
            real -= taken + along.real**2
            imaginary -= taken + along.imag**2
            mixed -= along.real * along.imag
        found = over_band @ (channels.bands[0] @ over_array)
        determinant = real * imaginary - mixed**2
        likelihood = imaginary * found.real**2 + real * found.imag**2
        likelihood -= 2.0 * mixed * found.real * found.imag
        return likelihood / np.maximum(determinant, 1e-9), np.minimum(real, imaginary)
