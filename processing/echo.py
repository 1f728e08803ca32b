"""Plane waves beside an alignment: their inner products, and where one is.

Gain and delay of an alignment are estimated with the echoes: what looks like the background or
its slope may be either. Least squares for all of them needs only inner products, and those of a
wave come from sums of channels over sub-bands about its delay.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.array import UniformLinearArray
from drivers.compiled import compiled
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid

# Directions of the unknowns that are told worse than the best by this factor are left alone.
_LEAST_CURVATURE = 1e-5
_NUM_STEPS = 12
_LARGEST_STEP = 0.3  # resolution cells, beams
_SMALLEST_STEP = 1e-4

At = tuple[float, float | None]  # delay in seconds and sine of a wave; no sine for one element


@dataclass(frozen=True)
class WaveProducts:
    """Inner products of one plane wave of amplitude one, and of its derivatives, with channels.

    Attributes
    ----------
    residual
        With the residual: of the wave, of its derivative by delay and of that by sine, ``(D,)``.
    columns
        With what gains and delays of the alignment change, in each group, shape ``(D, 2, C)``.
    energy
        Of the wave and its derivatives, which are orthogonal, shape ``(D,)``.
    """

    residual: ComplexArray
    columns: ComplexArray
    energy: FloatArray


@dataclass(frozen=True)
class BandedChannels:
    """Sums of channels over sub-bands about one delay.

    Attributes
    ----------
    bands
        Of the residual, the background and its slope, shape ``(3, B, M)``.
    offset_hz
        Mean frequency of each sub-band from the carrier, shape ``(B,)``.
    delay_s
        That the tones were turned back by before they were summed.
    group
        Which group each element is of, shape ``(M,)``.
    """

    bands: ComplexArray
    offset_hz: FloatArray
    delay_s: float
    group: NDArray[np.intp]
    grid: OfdmGrid
    array: UniformLinearArray

    def at(self, delay_s: float, sine: float | None) -> WaveProducts:
        """Products with the wave of a delay, within a cell of the bands', and a sine.

        What a delay does to the carrier's phase is left out of the derivatives: the phase of an
        amplitude is free.
        """
        over_array_s = self.array.element_delay_s(sine or 0.0)
        carrier = np.exp(2j * np.pi * self.grid.carrier_hz * (delay_s + over_array_s))
        turn = 2.0 * np.pi * self.grid.carrier_hz * self.array.element_delay_s(1.0)
        omega = 2.0 * np.pi * self.offset_hz
        num_products = 2 if sine is None else 3
        late_s = delay_s - self.delay_s + over_array_s
        products = _wave_products(
            self.bands, omega, late_s, carrier, turn, self.group, int(self.group.max()) + 1
        )[:num_products]
        size = self.grid.num_subcarriers * self.array.num_elements
        energy = size * np.array([1.0, np.mean(omega**2), np.mean(turn**2)])[:num_products]
        return WaveProducts(products[:, 0].sum(axis=-1), products[:, 1:], energy)


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
    cross = np.array([_real_rows(wave.columns[0], 1.0 + 0.0j) for wave in waves])  # (H, 2, 3 C)
    own = np.block([[between.real, -between.imag], [between.imag, between.real]])
    beside = cross.transpose(1, 0, 2).reshape(2 * len(waves), -1)
    matched = np.array([wave.residual[0] for wave in waves])
    gram, likeness = _joined(own, beside, np.concatenate((matched.real, matched.imag)), alignment)
    # Two hypotheses in one cell are nearly one wave: the least-squares solver shares it out.
    found = _solved(gram, likeness, 1e-3)
    return found[: len(waves)] + 1j * found[len(waves) : 2 * len(waves)]


def echo_beside_alignment(channels: BandedChannels, alignment: AlignmentUnknowns, start: At) -> At:
    """Delay in seconds and sine of one echo, estimated together with gain and delay of alignment.

    Least squares by Gauss and Newton's method, amplitudes solved for at each step.

    Parameters
    ----------
    start
        Delay and sine, within half a cell and half a beam; sine ``None`` for one element.
    """
    grid, array = channels.grid, channels.array
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
    gram, likeness = linear_information(wave, alignment)
    found = _solved(gram, likeness, _LEAST_CURVATURE)
    amplitude = complex(found[0], found[1])
    joint = information(wave, alignment, amplitude)
    linear, size = len(found), len(joint)
    left = np.zeros(size)
    derivatives = wave.residual[1:] * amplitude.conjugate()
    left[linear:] = derivatives.real - joint[linear:, :linear] @ found
    step = _solved(joint, left, _LEAST_CURVATURE)[linear:]
    return float(likeness @ found), step


def linear_information(
    wave: WaveProducts, alignment: AlignmentUnknowns
) -> tuple[FloatArray, FloatArray]:
    """Gram matrix of both parts of a wave's amplitude and the alignment's unknowns, and likeness.

    Shapes ``(2 + 3 C, 2 + 3 C)`` and ``(2 + 3 C,)``.
    """
    own = wave.energy[0] * np.eye(2)
    matched = np.array([wave.residual[0].real, wave.residual[0].imag])
    return _joined(own, _real_rows(wave.columns[0], 1.0 + 0.0j), matched, alignment)


def information(wave: WaveProducts, alignment: AlignmentUnknowns, amplitude: complex) -> FloatArray:
    """Gram matrix as `linear_information`, with the wave's derivatives at an amplitude, last."""
    linear, _ = linear_information(wave, alignment)
    size, count = len(linear), len(wave.energy) - 1
    joint = np.zeros((size + count, size + count))
    joint[:size, :size] = linear
    for n in range(count):
        beside = _real_rows(wave.columns[n + 1], amplitude)[0]
        joint[size + n, 2:size] = joint[2:size, size + n] = beside
        joint[size + n, size + n] = abs(amplitude) ** 2 * wave.energy[n + 1]
    return joint


def _real_rows(columns: ComplexArray, amplitude: complex) -> FloatArray:
    """Real products of ``a w`` and ``j a w`` with gains' two parts and delays, ``(2, 3 C)``.

    Parameters
    ----------
    columns
        ``<w, .>`` of the background and its slope in each group, shape ``(2, C)``.
    """
    gain, slope = columns * np.conj(amplitude)
    return np.array(
        [
            np.concatenate((gain.real, -gain.imag, slope.real)),
            np.concatenate((gain.imag, gain.real, slope.imag)),
        ]
    )


def _joined(
    own: FloatArray, beside: FloatArray, matched: FloatArray, alignment: AlignmentUnknowns
) -> tuple[FloatArray, FloatArray]:
    gains, slopes = alignment.energy
    columns = np.diag(np.concatenate((gains, gains, slopes)))
    gram = np.block([[own, beside], [beside.T, columns]])
    gain, slope = alignment.residual
    return gram, np.concatenate((matched, gain.real, gain.imag, slope.real))


def _moved(at: At, step: FloatArray) -> At:
    sine = None if at[1] is None else float(np.clip(at[1] + step[1], -1.0, 1.0))
    return at[0] + float(step[0]), sine


def _solved(gram: FloatArray, likeness: FloatArray, rcond: float) -> FloatArray:
    """Real unknowns that explain most, from their Gram matrix."""
    size = np.sqrt(np.maximum(np.diag(gram), np.finfo(np.float32).tiny))
    solution = np.linalg.lstsq(gram / np.outer(size, size), likeness / size, rcond=rcond)[0]
    return np.asarray(solution / size)


def waves_between(places: Sequence[At], grid: OfdmGrid, array: UniformLinearArray) -> ComplexArray:
    """Inner products of plane waves with each other, shape ``(H, H)``."""
    late_s = np.array([delay_s + array.element_delay_s(sine or 0.0) for delay_s, sine in places])
    apart_s = late_s[:, None] - late_s  # (H, H, M)
    half = np.pi * grid.subcarrier_spacing_hz * apart_s
    near = np.abs(half) < 1e-12
    with np.errstate(invalid="ignore", divide="ignore"):
        kernel = np.sin(grid.num_subcarriers * half) / np.sin(half)
    over_tones = np.where(near, grid.num_subcarriers, kernel)
    carrier = np.exp(2j * np.pi * grid.carrier_hz * apart_s)
    return np.asarray((carrier * over_tones).sum(axis=-1))


@compiled
def _wave_products(
    bands: ComplexArray,
    omega: FloatArray,
    late_s: FloatArray,
    carrier: ComplexArray,
    turn: FloatArray,
    group: NDArray[np.intp],
    num_groups: int,
) -> ComplexArray:
    """Products of a wave and its derivatives with channels in each group, shape ``(3, 3, C)``."""
    products = np.zeros((3, len(bands), num_groups), np.complex128)
    for m in range(len(late_s)):
        own = np.zeros((2, len(bands)), np.complex128)
        for b in range(len(omega)):
            conjugate = np.exp(1j * omega[b] * late_s[m])
            for n in range(len(bands)):
                matched = conjugate * bands[n, b, m]
                own[0, n] += matched
                own[1, n] += 1j * omega[b] * matched
        for n in range(len(bands)):
            products[0, n, group[m]] += carrier[m] * own[0, n]
            products[1, n, group[m]] += carrier[m] * own[1, n]
            products[2, n, group[m]] += carrier[m] * own[0, n] * 1j * turn[m]
    return products
