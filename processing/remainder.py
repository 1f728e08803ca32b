"""What is left of a capture that is brought onto its background, eq. (9), read once.

Everything that is asked of it beside the background follows from a few inner products, which are
taken while it is made: memory is what takes time here.
"""

from dataclasses import dataclass

import numpy as np

from drivers.compiled import compiled
from drivers.geometry import ComplexArray
from drivers.waveform import OfdmGrid
from processing.alignment import Alignment, phases

_TONES_PER_PHASE = 16  # that a phase is stepped by in the channel's own precision
_TONES_PER_SUM = 64  # that are summed in the channel's own precision


@dataclass(frozen=True)
class Remainder:
    """A residual and its inner products with the background.

    Attributes
    ----------
    residual
        Shape ``(K, M)``.
    likeness
        Of the background, and of it times the tones' numbers from the middle, with the residual:
        for each element, shape ``(2, M)``.
    """

    residual: ComplexArray
    likeness: ComplexArray


def remainder(
    channel: ComplexArray,
    background: ComplexArray,
    grid: OfdmGrid,
    lay: Alignment,
    tones: ComplexArray | None = None,
) -> Remainder:
    """What is left of a capture, shape ``(K, M)``, that lies like this to its background.

    Parameters
    ----------
    tones
        What each tone of the channel is multiplied by first, shape ``(K,)``; nothing, if left out.
    """
    turn = phases(channel, grid, -lay.delay_s, 1.0 / lay.gain)
    own = np.ones(len(channel), channel.dtype) if tones is None else tones.astype(channel.dtype)
    return Remainder(*_turned_difference(channel, background, *turn, own, again=False))


def remainder_again(
    residual: ComplexArray, background: ComplexArray, grid: OfdmGrid, still: Alignment
) -> Remainder:
    """What is left where the capture of a residual still lies off its background."""
    turn = phases(residual, grid, -still.delay_s, 1.0 / still.gain)
    ones = np.ones(len(residual), residual.dtype)
    return Remainder(*_turned_difference(residual, background, *turn, ones, again=True))


@compiled
def _turned_difference(
    channel: ComplexArray,
    background: ComplexArray,
    first: ComplexArray,
    step: ComplexArray,
    tones: ComplexArray,
    again: bool,
) -> tuple[ComplexArray, ComplexArray]:
    """``channel[k, m] tones[k] first[m] step[m]^k`` less the background, its products with that.

    Parameters
    ----------
    again
        Whether the background was taken out of the channel before.
    """
    num_tones, num_elements = channel.shape
    left = np.empty_like(channel)
    likeness = np.zeros((2, num_elements), np.complex128)
    exact, leap = first.copy(), step**_TONES_PER_PHASE
    factor = np.empty(num_elements, channel.dtype)
    along = step.astype(channel.dtype)
    for start in range(0, num_tones, _TONES_PER_SUM):
        stop = min(start + _TONES_PER_SUM, num_tones)
        for k in range(start, stop):
            if k % _TONES_PER_PHASE == 0:
                factor[:] = exact
                exact *= leap
            for m in range(num_elements):
                value = channel[k, m] * tones[k]
                if again:
                    value += background[k, m]
                left[k, m] = value * factor[m] - background[k, m]
                factor[m] *= along[m]
        _add_products(left, background, start, stop, likeness)
    return left, likeness


@compiled
def _add_products(
    left: ComplexArray, background: ComplexArray, start: int, stop: int, likeness: ComplexArray
) -> None:
    """Products of some tones, added to the sum in double precision."""
    some = np.zeros(left.shape[1], left.dtype)
    ramp = np.zeros(left.shape[1], left.dtype)
    for k in range(start, stop):
        tone = np.float32(k - start)
        for m in range(left.shape[1]):
            product = background[k, m].conjugate() * left[k, m]
            some[m] += product
            ramp[m] += product * tone
    middle = (len(left) - 1) / 2.0
    likeness[0] += some
    likeness[1] += ramp + (start - middle) * some
