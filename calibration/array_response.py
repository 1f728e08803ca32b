"""Gain, phase and delay of a receiver's elements, from direct paths of known direction.

From one transmitter an element's error cannot be told from clutter; from several it can, because
the error stays and the clutter changes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibration.board_delays import board_delays_s
from calibration.direct_path import (
    ELEMENTS_PER_SCATTERER,
    DirectPathWindow,
    find_direct_path,
)
from drivers.geometry import ComplexArray, FloatArray
from drivers.link_budget import delay_var_s2
from drivers.waveform import OfdmGrid
from processing.alignment import Alignment, Groups, align

_NUM_REWEIGHTINGS = 8
# Of Student's t, for what clutter does to a link.
_DEGREES = 3.0
# Mean square of ``gain - 1`` under which elements are about as they should be.
_ABOUT_IDEAL = 0.3
# Nobody's elements are alike to less than three degrees, however alike they look: of two, the one
# phase between them is taken for a direction.
_LEAST_PHASE_RAD = 0.05
_NUM_TURNS = 10
# Chance alone lets a slope a row take a sixth of four elements' clutter, less of more elements.
_WORTH_TURNING = 0.5
# Elements in place of tones: a wave from elsewhere turns along the array as a late one over a band.
_TONE_HZ = 1.0
_LEAST_NOISE_S = 1e-15  # of a delay: finer than single precision
# Arrays that tell no scatterer from the direct path take one near the receiver for their gains, by
# all links alike: variance of a gain for each unit of the power that scatterers add. Its elements
# are alike to half a decibel, as those of one chip are.
_SCATTERED_SHARE = 0.2
_TYPICAL_VAR = 0.003


@dataclass(frozen=True)
class ArrayResponse:
    """What each element does to a signal besides what its place in the array does.

    Attributes
    ----------
    gain
        Complex, mean power one, shape ``(M,)``.
    delay_s
        Of the envelope, shape ``(M,)``, mean zero over the elements that share the node's time;
        the carrier's turn is in `gain`.
    error_var
        Mean square of ``gain - 1`` as found, boards' phases apart, before it was drawn towards one
        by what clutter and noise leave of it: how far from ideal the elements are.
    left_var
        Mean square of what is still unknown of the gains, their common factor and the slope of
        their phases apart.
    """

    gain: ComplexArray
    delay_s: FloatArray
    error_var: float = 0.0
    left_var: float = 0.0

    def channel(self, grid: OfdmGrid) -> ComplexArray:
        """Response of each tone and element, shape ``(K, M)``, complex64."""
        turn = np.exp(-2j * np.pi * grid.offset_hz[:, None] * self.delay_s)
        return np.asarray(self.gain * turn, dtype=np.complex64)

    def sine_var(self, spacing_wavelengths: float) -> float:
        """Variance of the sine of arrival that elements as far from ideal as these cause.

        Independent phases of variance ``v``: ``12 v / ((2 pi d / lambda)^2 M (M^2 - 1))``. Of the
        phases as found two of `M` degrees of freedom are gone, their mean and the slope itself.
        """
        size = len(self.gain)
        if size == 1:
            return 0.0
        found = float(np.mean(np.angle(self.gain) ** 2)) * size / max(size - 2, 1)
        phase_var = max(found, self.error_var / 2.0, _LEAST_PHASE_RAD**2)
        aperture = (2.0 * np.pi * spacing_wavelengths) ** 2 * size * (size**2 - 1)
        return 12.0 * min(phase_var, np.pi**2 / 3.0) / aperture


def ideal_response(num_elements: int) -> ArrayResponse:
    """Elements as they should be."""
    return ArrayResponse(np.ones(num_elements, dtype=np.complex128), np.zeros(num_elements))


def array_response(windows: Sequence[DirectPathWindow], groups: Groups = ()) -> ArrayResponse:
    """Response of one receiver's elements, from direct paths of several transmitters.

    Of elements that are about as they should be, without slope of the phase over them: that is one
    constant error of the sine, which `calibration.timing` finds with the poses, from the same
    direct paths but not twice. Over elements or boards of any phase a slope means nothing.

    Parameters
    ----------
    windows
        All of one receiver, at least one.
    groups
        Elements that share phases and a time, that of the node first; all, if empty.

    Raises
    ------
    ValueError
        If there is none.
    """
    if not windows:
        msg = "an array's response needs the direct path of one transmitter or more"
        raise ValueError(msg)
    size = windows[0].ratio.shape[1]
    if size == 1:
        return ideal_response(1)
    delay_s = element_delay_s(windows, groups)
    gain = _common(np.array([_each_element(window).gain for window in windows]))
    for free_elements in (True, False):
        found = [
            find_direct_path(window.corrected(gain, delay_s), free_elements=free_elements)
            for window in windows
        ]
        gains = np.array([normalized_gain(path.element_gain) for path in found])
        mean_power = [float(np.mean(np.abs(path.element_gain) ** 2)) for path in found]
        var = np.array([path.element_var for path in found]) / np.array(mean_power)
        correction, uncertain = agreed_gains(gains, var)
        gain = normalized_gain(gain * correction)
    scattered_var = float(np.mean([path.scattered**2 for path in found]))
    return _drawn_to_ideal(gain, delay_s, uncertain, scattered_var, groups)


def _drawn_to_ideal(
    gain: ComplexArray, delay_s: FloatArray, uncertain: float, scattered_var: float, groups: Groups
) -> ArrayResponse:
    """Gains drawn to one by what links leave uncertain of them, each board's phase apart."""
    size, turn = len(gain), _board_turns(gain, groups)
    own: ComplexArray = gain * turn.conj()
    if len(groups) < 2 and np.mean(np.abs(own - 1.0) ** 2) < _ABOUT_IDEAL:
        own = normalized_gain(_without_slope(own))
    error_var = float(np.mean(np.abs(own - 1.0) ** 2))
    if size < ELEMENTS_PER_SCATTERER and error_var < _ABOUT_IDEAL:
        uncertain += _SCATTERED_SHARE * scattered_var
        kept = _TYPICAL_VAR / (_TYPICAL_VAR + uncertain)
    else:
        kept = max(0.0, 1.0 - uncertain / max(error_var, 1e-30))
    # Nothing draws a board's phase: half of a gain's variance, and the mean over a board.
    left_of_boards = uncertain / 2.0 * max(len(groups) - 1, 0) / size
    return ArrayResponse(
        turn * (1.0 + kept * (own - 1.0)), delay_s, error_var, kept * uncertain + left_of_boards
    )


def _board_turns(gain: ComplexArray, groups: Groups) -> ComplexArray:
    """Phase of each element's board, shape ``(M,)``; gains of one board have none."""
    turn = np.ones_like(gain)
    for group in map(list, groups if len(groups) > 1 else ()):
        total = gain[group].sum()
        turn[group] = total / max(abs(total), 1e-12)
    return turn


def element_delay_s(windows: Sequence[DirectPathWindow], groups: Groups = ()) -> FloatArray:
    """Delay of each element's envelope over the mean of a group, shape ``(M,)``, in seconds.

    As if the poses were as the windows have them; `groups` as in `array_response`.
    """
    lays = [_each_element(window) for window in windows]
    late_s = np.array([lay.delay_s for lay in lays])
    noise_var = np.array([_delay_noise_var(*each) for each in zip(windows, lays, strict=True)])
    size = late_s.shape[1]
    delay_s, boards = np.zeros(size), [list(group) for group in groups or [range(size)]]
    for board in boards:
        mean_s = late_s[:, board].mean(axis=1, keepdims=True)
        later_s = mean_s - late_s[:, boards[0]].mean(axis=1, keepdims=True)
        own_s = agreed_delays(late_s[:, board] - mean_s, noise_var)
        delay_s[board] = own_s + np.median(later_s)
    if len(boards) > 1:
        ones = np.ones(size, dtype=np.complex128)
        still_s = board_delays_s([window.corrected(ones, delay_s) for window in windows], boards)
        for board, board_s in zip(boards, still_s, strict=True):
            delay_s[board] += board_s
    return delay_s


def _delay_noise_var(window: DirectPathWindow, lay: Alignment) -> float:
    """Of one element's delay, by noise alone."""
    power = len(window.ratio) * float(np.mean(np.abs(lay.gain) ** 2))
    var_s2 = delay_var_s2(power / window.noise_var, window.bands.rms_bandwidth_hz)
    return max(float(var_s2), _LEAST_NOISE_S**2)


def _each_element(window: DirectPathWindow) -> Alignment:
    """How each element alone lies to a single path."""
    ones = np.ones_like(window.ratio)
    return align(window.ratio, ones, window.bands, [[m] for m in range(ones.shape[1])])[1]


def _common(gains: ComplexArray) -> ComplexArray:
    """What rows of gains, each with a factor of its own, have in common; shape ``(M,)``.

    Where paths come from elsewhere than surveyed each row also has a slope of its own over the
    elements. Slopes are taken out only if little is left then: clutter is no slope.
    """
    rows = gains / np.linalg.norm(gains, axis=1, keepdims=True)
    plain, left = _rank_one(rows)
    elements = OfdmGrid(_TONE_HZ, _TONE_HZ, len(plain))
    common, left_turned = plain, left
    for _ in range(_NUM_TURNS):
        reference = np.repeat(common[:, None], len(rows), axis=1)
        _, lay = align(rows.T, reference, elements, [[n] for n in range(len(rows))])
        slope = lay.delay_s - np.median(lay.delay_s)
        turn = np.exp(2j * np.pi * np.outer(slope, elements.offset_hz))
        common, left_turned = _rank_one(rows * turn)
    return normalized_gain(common if left_turned < _WORTH_TURNING * left else plain)


def _rank_one(rows: ComplexArray) -> tuple[ComplexArray, float]:
    """What rows have in common, shape ``(M,)``, and the power that is left of them."""
    _, values, vectors = np.linalg.svd(rows, full_matrices=False)
    return vectors[0], float(np.sum(values[1:] ** 2))


def agreed_gains(gains: ComplexArray, var: FloatArray) -> tuple[ComplexArray, float]:
    """What links say together of the elements' gains, shape ``(M,)``, and its variance.

    Gains of shape ``(R, M)`` with a variance each. A scatterer too near to be told from the direct
    path spoils all elements of a link at once: Student's t over links, its scale from themselves.
    """
    weight, scale = 1.0 / var, 1.0
    mean = normalized_gain(weight @ gains / weight.sum())
    for _ in range(_NUM_REWEIGHTINGS if len(gains) > 1 else 0):
        square = np.mean(np.abs(gains - mean) ** 2, axis=1) / var
        freedom = len(gains) - 1
        scale = max(1.0, float(np.sum(square * weight * var)) / freedom)
        weight = (_DEGREES + 2.0) / (_DEGREES + 2.0 * square / scale) / var
        mean = normalized_gain(weight @ gains / weight.sum())
    return mean, scale / float(weight.sum())


def _without_slope(gain: ComplexArray) -> ComplexArray:
    """Gains less the slope of their phase, the steepest part of it first."""
    index = np.arange(len(gain)) - (len(gain) - 1) / 2.0
    step = float(np.angle(np.vdot(gain[:-1], gain[1:])))
    level = gain * np.exp(-1j * step * index)
    power = np.abs(level) ** 2
    phase = np.angle(level * np.conj(level.sum()))
    return np.asarray(level * np.exp(-1j * index * (power * index) @ phase / (power @ index**2)))


def normalized_gain(gain: ComplexArray) -> ComplexArray:
    """Mean power one, mean phase zero."""
    total = gain.sum()
    turn = np.conj(total) / max(abs(total), 1e-12)
    return np.asarray(gain * turn / np.sqrt(np.mean(np.abs(gain) ** 2)))


def agreed_delays(found: FloatArray, noise_var: FloatArray) -> FloatArray:
    """Mean over links of elements' delays, shape ``(M,)``, less the more links disagree.

    Weights are those of DerSimonian and Laird: noise of each link, and what links disagree by
    beyond it, which is clutter and alike for all. Empirical Bayes: what is kept is the share of
    the spread over elements that is not scatter.
    """
    freedom = len(found) - 1
    if not freedom:
        return np.asarray(found[0])
    weight = 1.0 / noise_var
    excess = _scatter(found, weight) - freedom
    clutter_var = max(0.0, excess / (weight.sum() - np.sum(weight**2) / weight.sum()))
    weight = 1.0 / (noise_var + clutter_var)
    mean = weight @ found / weight.sum()
    scatter = _scatter(found, weight) / freedom / weight.sum()
    kept = max(0.0, 1.0 - scatter / max(float(np.mean(mean**2)), 1e-40))
    return np.asarray(kept * mean)


def _scatter(found: FloatArray, weight: FloatArray) -> float:
    """Weighted sum of squares over links about their mean, an element's average."""
    mean = weight @ found / weight.sum()
    return float(np.mean(weight @ (found - mean) ** 2))
