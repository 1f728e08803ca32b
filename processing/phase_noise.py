"""Where oscillators' phase noise leaves copies of strong paths in the map, and how strong.

Phase noise moves a tone's power to its neighbours: ``sum_n w_n X[k - n] H[k - n]`` is received
beside ``X[k] H[k]``. With the pilots used here what comes from `n` tones away looks like the whole
channel, delayed by a number of cells that goes with `n` (`drivers.waveform.pilot_symbols`). The
copies of nearby tones lie beyond the map, where they are measured; those of some tones further
away come back into it.
"""

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

    def power(self, residual: ComplexArray, background: ComplexArray) -> FloatArray:
        """Mean power of the copies in each cell of the residual's map, shape ``(G, L)``.

        Parameters
        ----------
        background
            What was subtracted, shape ``(K, M)``: the strong paths.
        """
        whole = power_map(background, self._plan).power
        strength = self._strength(residual, background)
        copies = np.zeros_like(whole)
        for n in np.flatnonzero(self._inside & (strength > 0.0)):
            copies += strength[n] * _delayed(whole, float(self._shift_bins[n]))
        return copies

    def _strength(self, residual: ComplexArray, background: ComplexArray) -> FloatArray:
        """Power of the copy from each of `_tones` over the background's, as of those about it."""
        measured = self._matched(residual, background)[self._tones]
        strength = np.zeros(len(self._tones))
        known = np.flatnonzero(self._measured)
        far = known[np.abs(self._tones[known]) > self._tones[-1] // 2]
        if not len(far):  # a waveform of few tones: its map has no room beside it
            return strength
        # The least of all is noise: where there is no phase noise nothing is left.
        floor = np.median(measured[far])
        for n in np.flatnonzero(self._inside):
            about = known[np.abs(self._tones[known] - self._tones[n]) <= _NUM_NEIGHBOURS]
            if len(about):
                strength[n] = max(0.0, float(np.mean(measured[about])) - floor / np.log(2.0))
        return strength

    def _matched(self, residual: ComplexArray, background: ComplexArray) -> FloatArray:
        """Power of the residual that looks like the background from `n` tones away, ``(2 K,)``."""
        size = fft.next_fast_len(2 * len(residual))
        pilots = self._pilots[:, None]
        sent = fft.fft(pilots * background, size, axis=0)
        left = fft.fft(pilots * residual, size, axis=0)
        matched = fft.ifft(np.sum(left * sent.conj(), axis=1))
        energy = float(np.vdot(background, background).real)
        return np.asarray(np.abs(matched) ** 2 / energy**2)


def _copy_delay(pilots: ComplexArray, tones: int) -> float:
    """Delay in resolution cells of the copy from so many tones away, modulo their number."""
    moved = np.roll(pilots, tones)
    ratio = (moved / pilots)[abs(tones) : len(pilots) - abs(tones)]
    return float(-np.angle(np.vdot(ratio[:-1], ratio[1:])) * len(pilots) / (2.0 * np.pi))


def _delayed(power: FloatArray, bins: float) -> FloatArray:
    """A map moved along its delays, with nothing moved in; linear between bins."""
    index = np.arange(power.shape[1]) - bins
    low = np.floor(index).astype(int)
    share = index - low
    padded = np.pad(power, ((0, 0), (1, 2)))
    at = np.clip(low + 1, 0, padded.shape[1] - 2)
    inside = (low >= -1) & (low <= power.shape[1] - 1)
    return np.where(inside, (1.0 - share) * padded[:, at] + share * padded[:, at + 1], 0.0)
