"""What alignment to a background takes from echoes that look like a part of it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid
from processing.accuracy import LEAST_SHARE
from processing.alignment import MOST_NOISE, Alignment, Groups
from processing.echo import AlignmentUnknowns, information, real_rows
from processing.echo_grid import EchoGrid, EchoGrids
from processing.power_map import PowerMapPlan, power_map
from processing.report import Hypothesis
from processing.subbands import SubbandSums, band_offset_hz
from processing.waves import At, BandedChannels, Waves

# Information that is less than this share of what an echo alone would give is none.
_LEAST_INFORMATION = 1e-6
# Sub-bands: so many that what they lose of an echo on the direct path is nothing beside the
# thousandth of it that alignment may leave.
_NUM_BANDS = 256
# Echoes beside a path: resolution cells after it, and beams about it.
_BESIDE_STEP = 0.025
_BESIDE_STEPS = np.arange(-2, 41)
_BESIDE_BEAMS = np.arange(-1.5, 1.51, 0.1)
_MOST_KEPT = 32  # grids of them, 50 kB each
_TINY = float(np.finfo(np.float32).tiny)


class NearBackground:
    """What the alignment to one background takes from echoes.

    Parameters
    ----------
    background
        What captures are aligned to, shape ``(K, M)``.
    groups
        Elements that share phase, time and gain; all, if empty.
    noise_var
        Of an entry of the background.
    response_var
        Mean square of what is unknown of an element's gain, the common one and the slope of the
        phases apart.

    Attributes
    ----------
    background, slope
        What gain and delay of the alignment change, shapes ``(K, M)``. The slope by delay, in
        resolution cells, is taken without what a gain does alike.
    group
        Which group each element is of, shape ``(M,)``.
    energy, slope_energy
        Of both in each group, shape ``(C,)``.
    alike
        What a gain does like a delay, over it, shape ``(C,)``.
    noise_energy
        Of the noise in the background, shape ``(C,)``.
    grids
        Echoes beside the alignment.
    """

    def __init__(
        self,
        background: ComplexArray,
        grid: OfdmGrid,
        array: UniformLinearArray,
        groups: Groups,
        noise_var: float = 0.0,
        response_var: float = 0.0,
    ) -> None:
        self.grid, self.array = grid, array
        self.background = np.ascontiguousarray(background, dtype=np.complex64)
        self.group = np.zeros(background.shape[1], dtype=np.intp)
        for number, group in enumerate(groups or [range(background.shape[1])]):
            self.group[list(group)] = number
        self.response_var = response_var
        omega = (2.0 * np.pi * grid.offset_hz / grid.bandwidth_hz)[:, None].astype(np.float32)
        slope = -1j * omega * self.background
        self.energy = np.maximum(self._over_groups(np.abs(self.background) ** 2).real, _TINY)
        noise_energy = noise_var * len(background) * np.bincount(self.group)
        self.noise_energy = np.minimum(noise_energy, MOST_NOISE * self.energy)
        self.alike = self._over_groups(self.background.conj() * slope) / self.energy
        self.slope = (slope - self.background * self.alike[self.group]).astype(np.complex64)
        self.slope_energy = np.maximum(self._over_groups(np.abs(self.slope) ** 2).real, _TINY)
        self._sums = self.sums(self.background), self.sums(self.slope)
        self._waves = Waves(grid, array, band_offset_hz(grid), self.group)
        self.grids = EchoGrids(grid, array, self._sums, self.unknowns().energy, self.group)
        self._beside: dict[int, EchoGrid] = {}
        self._wrong_gains = wrong_gains(self._waves.turn_rad)

    def sums(self, channel: ComplexArray) -> SubbandSums:
        """Sums of a channel over sub-bands, about delays half a resolution cell apart."""
        return SubbandSums(channel, self.grid, 0.5 / self.grid.bandwidth_hz, _NUM_BANDS)

    @property
    def beam(self) -> float:
        """Of the array, in sine."""
        return self.grid.wavelength_m / (self.array.num_elements * self.array.spacing_m)

    def beside(self, first_s: float) -> EchoGrid:
        """Echoes that are hardly longer than a path, and come from about where it does.

        Of a path on a grid of delays, to 0.0125 resolution cells: worked out once for each.
        """
        number = round(first_s * self.grid.bandwidth_hz / _BESIDE_STEP)
        if number not in self._beside:
            if len(self._beside) == _MOST_KEPT:
                self._beside.clear()
            step_s = _BESIDE_STEP / self.grid.bandwidth_hz
            delay_s = np.asarray((number + _BESIDE_STEPS) * step_s, dtype=np.float64)
            sine = np.zeros(1)
            if self.array.num_elements > 1:
                sine = self.grids.direction(first_s) + _BESIDE_BEAMS * self.beam
                sine = sine[np.abs(sine) <= 1.0]
            self._beside[number] = self.grids.of(delay_s, sine, number * step_s, finely=True)
        return self._beside[number]

    def _over_groups(self, values: ComplexArray | FloatArray) -> ComplexArray:
        """Sums over tones and the elements of each group, shape ``(C,)``."""
        found = np.zeros(int(self.group.max()) + 1, dtype=np.complex128)
        np.add.at(found, self.group, values.sum(axis=0, dtype=np.complex128))
        return found

    def share(self, plan: PowerMapPlan) -> FloatArray:
        """Share of echo and noise that alignment leaves in each cell of a map, shape ``(G, L)``.

        The mean over an echo's phases. Zero where it is less than an echo must keep to be reported.
        """
        share = np.ones((len(plan.angle_grid_rad), len(plan.delay_grid_s)))
        for number, energy in enumerate(zip(self.energy, self.slope_energy, strict=True)):
            own = (self.group == number).astype(np.float32)
            for column, weight, of in zip(
                (self.background, self.slope), (1.0, 0.5), energy, strict=True
            ):
                taken = power_map(column * own, plan, noise_power=0.0).power
                share -= weight / (of * len(column)) * taken
        return np.where(share < LEAST_SHARE, 0.0, share)

    def unknowns(self, likeness: ComplexArray | None = None) -> AlignmentUnknowns:
        """What alignment estimates.

        Parameters
        ----------
        likeness
            Inner products of background and slope with a residual in each group, shape ``(2, C)``.
        """
        if likeness is None:
            likeness = np.zeros((2, len(self.energy)), dtype=np.complex128)
        # A residual holds the background's noise with the other sign. Taken for signal, that asks
        # for less of the background, and for an echo beside the direct path in its place.
        noise = np.array([self.noise_energy, np.zeros_like(self.noise_energy)])
        energy = np.array([self.energy, self.slope_energy])
        return AlignmentUnknowns(energy - noise, likeness + noise)

    def energy_of(self, still: Alignment) -> float:
        """Energy that a residual changes by with an alignment that is near to none.

        No cell of a map, matched with a wave of energy one, changes by more.
        """
        first = [int(np.argmax(self.group == number)) for number in range(len(self.energy))]
        cells = still.delay_s[first] * self.grid.bandwidth_hz
        gain = np.abs(still.gain[first] - 1.0 + cells * self.alike) ** 2
        return float(np.sum(gain * self.energy + cells**2 * self.slope_energy))

    def banded(self, delay_s: float, residual: SubbandSums | None = None) -> BandedChannels:
        """Background, slope and a residual about a delay."""
        (gain, about_s), (slope, _) = (sums.coarse(delay_s) for sums in self._sums)
        first = np.zeros_like(gain) if residual is None else residual.coarse(delay_s)[0]
        return BandedChannels(np.array([first, gain, slope]), about_s, self._waves)

    def told_apart(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Hypotheses with their bounds beside the alignment, less what it may have made."""
        bounded = [self.bounded(hypothesis) for hypothesis in hypotheses]
        return [hypothesis for hypothesis, share in bounded if share > LEAST_SHARE]

    def bounded(self, hypothesis: Hypothesis) -> tuple[Hypothesis, float]:
        """A hypothesis with the Cramer-Rao bounds that hold beside gain and delay of the alignment.

        And the share of its energy that the alignment leaves, for the phase that loses more.

        The capture is ``g exp(-j 2 pi f d) B + a s(tau, sine) + noise`` with ``g`` and ``d``
        unknown in each group of coherent elements: the inverse of the joint Fisher information of
        all of them (Kay 1993, section 3.9). Far from everything in the background the bounds are
        those of the echo alone.
        """
        at = hypothesis.delay_s, hypothesis.sine
        channels = self.banded(hypothesis.delay_s)
        joint, likeness = information(channels.at(*at), self.unknowns())
        linear = len(likeness)
        inverse = _inverse(joint)
        share = 1.0 / (np.diag(joint) * np.diag(inverse))[linear:]
        share = np.clip(share, _LEAST_INFORMATION, 1.0)
        amplitude = joint[:linear, :linear]
        left = 1.0 / (np.diag(amplitude) * np.diag(_inverse(amplitude)))[:2]
        bent = inverse[linear:, 2:linear] @ self._bent(channels, at).T
        bent_var = self.response_var * np.sum(bent**2, axis=1)
        sine_var = hypothesis.sine_var
        bounded = replace(
            hypothesis,
            delay_var_s2=hypothesis.delay_var_s2 / float(share[0]) + float(bent_var[0]),
            sine_var=None if sine_var is None else sine_var / float(share[1]) + float(bent_var[1]),
        )
        return bounded, float(min(left))

    def _bent(self, channels: BandedChannels, at: At) -> FloatArray:
        """What wrong gains of the elements make of an echo, as far as alignment takes it up.

        Products with the alignment's unknowns, each row for gains of mean square one that are off
        in one of the ways that are neither a common factor nor a slope of the phase.
        """
        in_group = self.group[:, None] == np.arange(len(self.energy))  # (M, C)
        own = channels.by_element(*at)[1:, :, None] * in_group  # (2, M, C)
        return real_rows(np.tensordot(self._wrong_gains.conj(), own, axes=(1, 1)), 1.0)[:, 0]


def _inverse(gram: FloatArray) -> FloatArray:
    size = np.sqrt(np.maximum(np.diag(gram), _TINY))
    scaled = gram / np.outer(size, size) + 1e-9 * np.eye(len(gram))
    return np.asarray(np.linalg.inv(scaled) / np.outer(size, size))


def wrong_gains(turn_rad: FloatArray) -> ComplexArray:
    """Ways in which elements' gains may be off, of mean square one over all, ``(2 M - 3, M)``.

    Orthonormal but for that: not a common factor, nor a slope of the phase over the elements. One
    element has none.
    """
    size = len(turn_rad)
    if size == 1:
        return np.zeros((0, 1), dtype=np.complex128)
    real = _complement(np.ones((size, 1)))
    imaginary = _complement(np.stack((np.ones(size), turn_rad), axis=1))
    return np.concatenate((real, 1j * imaginary)) * np.sqrt(size / (2 * size - 3))


def _complement(columns: FloatArray) -> FloatArray:
    """Orthonormal rows that are orthogonal to some columns."""
    vectors = np.linalg.svd(columns)[0]
    return np.asarray(vectors[:, columns.shape[1] :].T)
