"""Echoes beside an alignment: how strong they are, and where one is.

Gain and delay of an alignment are estimated with the echoes: what looks like the background or
its slope may be either. Least squares for all of them needs only inner products.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drivers.geometry import ComplexArray, FloatArray
from processing.waves import At, BandedChannels, WaveProducts

# Directions of the unknowns that are told worse than the best by this factor are left alone.
_LEAST_CURVATURE = 1e-5
_NUM_STEPS = 12
_LARGEST_STEP = 0.3  # resolution cells, beams
_SMALLEST_STEP = 1e-4


@dataclass(frozen=True)
class AlignmentUnknowns:
    """Inner products of what gains and delays of an alignment change, in each group.

    All of them are orthogonal.

    Attributes
    ----------
    energy
        Of the background and of its slope, shape ``(2, C)``.
    residual
        With the residual, shape ``(2, C)``.
    """

    energy: FloatArray
    residual: ComplexArray


def fitted_amplitudes(
    waves: Sequence[WaveProducts], between: ComplexArray, alignment: AlignmentUnknowns
) -> ComplexArray:
    """Least-squares amplitudes of several waves beside the alignment, shape ``(H,)``.

    Parameters
    ----------
    between
        Inner products of the waves with each other, shape ``(H, H)``.
    """
    gains, slopes = alignment.energy
    own, size = 2 * len(waves), 2 * len(waves) + 3 * len(gains)
    gram = np.zeros((size, size))
    gram[:own, :own] = np.block([[between.real, -between.imag], [between.imag, between.real]])
    gram[range(own, size), range(own, size)] = np.concatenate((gains, gains, slopes))
    rows = np.array([real_rows(wave.columns[0], 1.0) for wave in waves])  # (H, 2, 3 C)
    gram[:own, own:] = rows.transpose(1, 0, 2).reshape(own, -1)
    gram[own:, :own] = gram[:own, own:].T
    gain, slope = alignment.residual
    matched = np.array([wave.residual[0] for wave in waves])
    likeness = np.concatenate((matched.real, matched.imag, gain.real, gain.imag, slope.real))
    # Two hypotheses in one cell are nearly one wave: the least-squares solver shares it out.
    found = _solved(gram, likeness, 1e-3)
    return np.asarray(found[: len(waves)] + 1j * found[len(waves) : own])


def echo_beside_alignment(channels: BandedChannels, alignment: AlignmentUnknowns, start: At) -> At:
    """Delay in seconds and sine of one echo, estimated together with gain and delay of alignment.

    Least squares by Gauss and Newton's method, amplitudes solved for at each step.

    Parameters
    ----------
    start
        Delay and sine, within half a cell and half a beam; sine ``None`` for one element.
    """
    grid, array = channels.waves.grid, channels.waves.array
    beam = grid.wavelength_m / (array.num_elements * array.spacing_m)
    unit = np.array([1.0 / grid.bandwidth_hz, beam])[: 1 if start[1] is None else 2]
    now, explained, scale = start, -np.inf, 1.0
    step: FloatArray = np.zeros(len(unit))
    for _ in range(_NUM_STEPS):
        trial = _moved(now, scale * step * unit)
        trial_explained, next_step = _gauss_newton(channels.at(*trial), alignment)
        if trial_explained <= explained:
            scale /= 4.0
            if scale * np.max(np.abs(step)) < _SMALLEST_STEP:
                break
            continue
        now, explained, scale = trial, trial_explained, 1.0
        step = np.clip(next_step / unit, -_LARGEST_STEP, _LARGEST_STEP)
        if np.max(np.abs(step)) < _SMALLEST_STEP:
            break
    return now


def _gauss_newton(wave: WaveProducts, alignment: AlignmentUnknowns) -> tuple[float, FloatArray]:
    """Energy that a wave and the alignment explain, and the step to where they explain most."""
    joint, likeness = information(wave, alignment)
    linear = len(likeness)
    found = _solved(joint[:linear, :linear], likeness, _LEAST_CURVATURE)
    amplitude = complex(found[0], found[1])
    _fill_derivatives(joint, wave, amplitude)
    left = np.zeros(len(joint))
    derivatives = wave.residual[1:] * amplitude.conjugate()
    left[linear:] = derivatives.real - joint[linear:, :linear] @ found
    step = _solved(joint, left, _LEAST_CURVATURE)[linear:]
    return float(likeness @ found), step


def information(
    wave: WaveProducts, alignment: AlignmentUnknowns, amplitude: complex = 1.0
) -> tuple[FloatArray, FloatArray]:
    """Gram matrix of a wave's and the alignment's unknowns, and likeness of the linear ones.

    Both parts of the wave's amplitude, the gains' two parts and the delays, ``n = 2 + 3 C``, then
    the wave's derivatives at an amplitude: shapes ``(n + D - 1, n + D - 1)`` and ``(n,)``.
    """
    gains, slopes = alignment.energy
    linear, count = 2 + 3 * len(gains), len(wave.energy) - 1
    joint = np.zeros((linear + count, linear + count))
    own = np.concatenate(([wave.energy[0]] * 2, gains, gains, slopes))
    joint[range(linear), range(linear)] = own
    beside = real_rows(wave.columns[0], 1.0)
    joint[:2, 2:linear] = beside
    joint[2:linear, :2] = beside.T
    _fill_derivatives(joint, wave, amplitude)
    gain, slope = alignment.residual
    wanted = wave.residual[0]
    likeness = np.concatenate(([wanted.real, wanted.imag], gain.real, gain.imag, slope.real))
    return joint, likeness


def _fill_derivatives(joint: FloatArray, wave: WaveProducts, amplitude: complex) -> None:
    """Put the derivatives of a wave of an amplitude into the last rows and columns."""
    linear = len(joint) - len(wave.energy) + 1
    for n, row in enumerate(range(linear, len(joint)), start=1):
        beside = real_rows(wave.columns[n], amplitude)[0]
        joint[row, 2:linear] = joint[2:linear, row] = beside
        joint[row, row] = abs(amplitude) ** 2 * wave.energy[n]


def real_rows(columns: ComplexArray, amplitude: complex) -> FloatArray:
    """Real products of ``a w`` and ``j a w`` with gains' two parts and delays, ``(..., 2, 3 C)``.

    Parameters
    ----------
    columns
        ``<w, .>`` of the background and its slope in each group, shape ``(..., 2, C)``.
    """
    own = columns * np.conj(amplitude)
    gain, slope = own[..., 0, :], own[..., 1, :]
    first = np.concatenate((gain.real, -gain.imag, slope.real), axis=-1)
    second = np.concatenate((gain.imag, gain.real, slope.imag), axis=-1)
    return np.stack((first, second), axis=-2)


def _moved(at: At, step: FloatArray) -> At:
    sine = None if at[1] is None else float(np.clip(at[1] + step[1], -1.0, 1.0))
    return at[0] + float(step[0]), sine


def _solved(gram: FloatArray, likeness: FloatArray, rcond: float) -> FloatArray:
    """Real unknowns that explain most, from their Gram matrix."""
    size = np.sqrt(np.maximum(np.diag(gram), np.finfo(np.float32).tiny))
    solution = np.linalg.lstsq(gram / np.outer(size, size), likeness / size, rcond=rcond)[0]
    return np.asarray(solution / size)
