"""Where oscillators' phase noise leaves copies of strong paths in the map, and how strong.

Phase noise moves a tone's power to its neighbours: ``sum_n w_n X[k - n] H[k - n]`` is received
beside ``X[k] H[k]``. With the pilots used here what comes from `n` tones away looks like the whole
channel, delayed by a number of cells that goes with `n` (`drivers.waveform.pilot_symbols`). The
copies of nearby tones lie beyond the map, where they are measured; those of some tones further
away come back into it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import pilot_symbols
from processing.power_map import PowerMapPlan, power_map

# Phase noise falls with the square of the offset: further away it is lost in other noise.
_FURTHEST_SHARE = 4  # of the tones, one in so many
_FURTHEST_TONES = 256
# Tones on both sides whose phase noise is about the same.
_NUM_NEIGHBOURS = 10
_GUARD_CELLS = 4
# Copies are looked for in the directions that hold this share of the background's energy.
_MOST_OF_ENERGY = 0.95
_TINY = float(np.finfo(np.float32).tiny)


class PhaseNoiseCopies:
    """Copies that phase noise leaves in the map of one waveform.

    Parameters
    ----------
    plan
        Of the map.
    """

    def __init__(self, plan: PowerMapPlan) -> None:
        self._plan = plan
        count = plan.grid.num_subcarriers
        furthest = min(_FURTHEST_TONES, count // _FURTHEST_SHARE)
        self._tones = np.concatenate((np.arange(-furthest, 0), np.arange(1, furthest + 1)))
        self._pilots = pilot_symbols(plan.grid)
        delay = np.array([_copy_delay(self._pilots, int(n)) for n in self._tones])
        reach = len(plan.delay_grid_s) / plan.bins_per_cell
        self._inside: NDArray[np.bool_] = np.abs(delay) < reach
        self._measured: NDArray[np.bool_] = np.abs(delay) > reach + _GUARD_CELLS
        self._shift_bins = delay * plan.bins_per_cell
        self._far: NDArray[np.bool_] = self._measured & (np.abs(self._tones) > furthest // 2)
        near = np.abs(self._tones[:, None] - self._tones) <= _NUM_NEIGHBOURS
        near &= self._measured
        self._foreseen: NDArray[np.intp] = np.flatnonzero(self._inside & near.any(axis=1))
        about = near[self._foreseen]
        self._about: FloatArray = about / about.sum(axis=1, keepdims=True)  # mean of neighbours

    def of(self, background: ComplexArray) -> "BackgroundCopies":
        """Copies of one background, shape ``(K, M)``: the strong paths that are subtracted."""
        beams = _strongest_beams(background)
        sent = background @ beams
        size = fft.next_fast_len(len(background) + len(self._tones) // 2)
        return BackgroundCopies(
            copies=self,
            beams=beams,
            sent=self._spectrum(sent, size).conj(),
            energy=float(np.vdot(sent, sent).real),
            whole=power_map(background, self._plan, noise_power=0.0).power,
        )

    def strength(self, matched: FloatArray) -> FloatArray:
        """Power of the copy from each of the tones over the background's, as of those about it.

        Parameters
        ----------
        matched
            Power of the residual that looks like the background from `n` tones away, ``(N,)``.
        """
        measured = matched[self._tones]
        # The least of all is noise: where there is no phase noise nothing is left. A waveform of
        # few tones has no room beside its map to measure in.
        floor = np.median(measured[self._far]) / np.log(2.0) if self._far.any() else np.inf
        strength = np.zeros(len(self._tones))
        strength[self._foreseen] = np.maximum(self._about @ measured - floor, 0.0)
        return strength

    def matched(self, residual: ComplexArray, sent: ComplexArray) -> FloatArray:
        """Likeness of a residual to a background from `n` tones away, squared, shape ``(N,)``.

        Parameters
        ----------
        residual
            In the background's beams, shape ``(K, R)``.
        sent
            Conjugate spectrum of the background as sent, shape ``(R, N)``.
        """
        left = self._spectrum(residual, sent.shape[1])
        left *= sent
        matched = fft.ifft(left.sum(axis=0))
        return np.asarray(matched.real**2 + matched.imag**2)

    def _spectrum(self, channel: ComplexArray, size: int) -> ComplexArray:
        """Of the pilots as received over a channel, over the tones, shape ``(M, N)``."""
        return fft.fft(np.ascontiguousarray((self._pilots[:, None] * channel).T), size)

    def delayed(self, power: FloatArray, strength: FloatArray) -> FloatArray:
        """A map moved along its delays to where each copy is, and summed with their strengths.

        With nothing moved in; linear between bins.
        """
        strong = np.flatnonzero(strength > 0.0)
        num_bins = power.shape[1]
        low = np.floor(self._shift_bins[strong]).astype(int)
        share = self._shift_bins[strong] - low
        by_shift = np.zeros(2 * num_bins + 1)  # from minus to plus all bins
        np.add.at(by_shift, low + num_bins, strength[strong] * (1.0 - share))
        np.add.at(by_shift, low + 1 + num_bins, strength[strong] * share)
        shifts = np.lib.stride_tricks.sliding_window_view(by_shift.astype(power.dtype), num_bins)
        return np.asarray(power @ shifts[num_bins:0:-1])


@dataclass(frozen=True)
class BackgroundCopies:
    """Copies of one background, see `PhaseNoiseCopies.of`.

    Attributes
    ----------
    beams
        Directions across the array that hold most of it, shape ``(M, R)``.
    sent, energy
        Conjugate spectrum of what was sent in these, shape ``(R, N)``, and its energy.
    whole
        Its own map, shape ``(G, L)``.
    """

    copies: PhaseNoiseCopies
    beams: ComplexArray
    sent: ComplexArray
    energy: float
    whole: FloatArray

    def power(self, residual: ComplexArray) -> FloatArray:
        """Mean power of the copies in each cell of a residual's map, shape ``(G, L)``."""
        matched = self.copies.matched(residual @ self.beams, self.sent) / self.energy**2
        return self.copies.delayed(self.whole, self.copies.strength(matched))


def _strongest_beams(background: ComplexArray) -> ComplexArray:
    """Directions across the array that hold most of a background, orthonormal, ``(M, R)``."""
    energy, beams = np.linalg.eigh(background.conj().T @ background)
    strongest_first = np.cumsum(energy[::-1]) / max(float(energy.sum()), _TINY)
    count = int(np.searchsorted(strongest_first, _MOST_OF_ENERGY)) + 1
    return np.ascontiguousarray(beams[:, ::-1][:, :count])


def _copy_delay(pilots: ComplexArray, tones: int) -> float:
    """Delay in resolution cells of the copy from so many tones away, modulo their number."""
    moved = np.roll(pilots, tones)
    ratio = (moved / pilots)[abs(tones) : len(pilots) - abs(tones)]
    return float(-np.angle(np.vdot(ratio[:-1], ratio[1:])) * len(pilots) / (2.0 * np.pi))
