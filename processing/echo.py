"""What detected echoes contribute to a channel, and where one is, beside an alignment.

Gain and delay of an alignment are estimated with the echoes: what looks like the background or
its slope may be either.
"""

from collections.abc import Sequence

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid
from processing.report import Hypothesis

_NUM_STEPS = 12
_LARGEST_STEP = 0.3  # resolution cells, beams
_SMALLEST_STEP = 1e-4
# Directions of the unknowns that are told worse than the best by this factor are left alone.
_LEAST_CURVATURE = 1e-5


def fitted_echoes(
    residual: ComplexArray,
    columns: ComplexArray,
    grid: OfdmGrid,
    array: UniformLinearArray,
    hypotheses: Sequence[Hypothesis],
) -> ComplexArray:
    """Least-squares sum of plane-wave echoes at the hypotheses' delays and sines, ``(K, M)``.

    Fitted together with what an alignment may have taken away of them.

    Parameters
    ----------
    columns
        What gain and delay of the alignment change, see `near_background.alignment_columns`.
    """
    waves = np.array([_wave(h.delay_s, h.sine, grid, array) for h in hypotheses])
    basis = np.concatenate((waves, 1j * waves, real_unknowns(columns)))
    # Two hypotheses in one cell are nearly one wave: the least-squares solver shares it out.
    found = _solved(basis, residual.reshape(-1), 1e-3)
    count = len(waves)
    amplitude = (found[:count] + 1j * found[count : 2 * count]).astype(np.complex64)
    return np.asarray(amplitude @ waves).reshape(residual.shape)


def echo_beside_alignment(
    residual: ComplexArray,
    columns: ComplexArray,
    grid: OfdmGrid,
    array: UniformLinearArray,
    start: tuple[float, float | None],
) -> tuple[float, float | None]:
    """Delay in seconds and sine of one echo, estimated together with gain and delay of alignment.

    Least squares by Gauss and Newton's method, amplitudes solved for at each step.

    Parameters
    ----------
    columns
        See `fitted_echoes`.
    start
        Delay and sine, within half a cell and half a beam; sine ``None`` for one element.
    """
    nuisance, data = real_unknowns(columns), residual.reshape(-1)
    beam = grid.wavelength_m / (array.num_elements * array.spacing_m)
    unit = np.array([1.0 / grid.bandwidth_hz, beam])[: 1 if start[1] is None else 2]
    now, cost, scale = start, np.inf, 1.0
    step: FloatArray = np.zeros(len(unit))
    for _ in range(_NUM_STEPS):
        trial = _moved(now, scale * step * unit)
        derivatives = echo_columns(*trial, grid, array)
        linear = np.concatenate((derivatives[:2], nuisance))
        found = _solved(linear, data, _LEAST_CURVATURE)
        left = data - found.astype(np.float32) @ linear
        trial_cost = float(np.vdot(left, left).real)
        if trial_cost >= cost:
            scale /= 4.0
            if scale * np.max(np.abs(step)) < _SMALLEST_STEP:
                break
            continue
        now, cost, scale = trial, trial_cost, 1.0
        amplitude = np.complex64(found[0] + 1j * found[1])
        joint = np.concatenate((linear, amplitude * derivatives[2:]))
        step = _solved(joint, left, _LEAST_CURVATURE)[len(linear) :] / unit
        step = np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        if np.max(np.abs(step)) < _SMALLEST_STEP:
            break
    return now


def echo_columns(
    delay_s: float, sine: float | None, grid: OfdmGrid, array: UniformLinearArray
) -> ComplexArray:
    """An echo's derivatives by both parts of its amplitude, by delay and by sine.

    Shape ``(4, K M)``, at amplitude one; ``(3, K M)`` without a sine.
    """
    wave = _wave(delay_s, sine, grid, array)
    omega = -2j * np.pi * grid.offset_hz[:, None] * np.ones(array.num_elements)
    columns = [wave, 1j * wave, omega.astype(np.complex64).reshape(-1) * wave]
    if sine is not None:
        turn = -2j * np.pi * grid.carrier_hz * array.element_delay_s(1.0) * np.ones((len(omega), 1))
        columns.append(turn.astype(np.complex64).reshape(-1) * wave)
    return np.array(columns)


def _wave(
    delay_s: float, sine: float | None, grid: OfdmGrid, array: UniformLinearArray
) -> ComplexArray:
    """Plane wave at the elements, shape ``(K M,)``."""
    late_s = delay_s + array.element_delay_s(sine or 0.0)
    return np.exp(-2j * np.pi * grid.frequency_hz[:, None] * late_s).astype(np.complex64).ravel()


def _moved(at: tuple[float, float | None], step: FloatArray) -> tuple[float, float | None]:
    sine = None if at[1] is None else float(np.clip(at[1] + step[1], -1.0, 1.0))
    return at[0] + float(step[0]), sine


def real_unknowns(columns: ComplexArray) -> ComplexArray:
    """What both parts of gains change, and delays: shape ``(3 C, K M)``."""
    gains, slopes = (kind.reshape(len(kind), -1) for kind in columns)
    return np.concatenate((gains, 1j * gains, slopes)).astype(np.complex64)


def _solved(basis: ComplexArray, data: ComplexArray, rcond: float) -> FloatArray:
    """Real coefficients of the rows of a basis that explain data best."""
    gram = (basis.conj() @ basis.T).real.astype(np.float64)
    likeness = (basis.conj() @ data).real.astype(np.float64)
    size = np.sqrt(np.maximum(np.diag(gram), np.finfo(np.float32).tiny))
    solution = np.linalg.lstsq(gram / np.outer(size, size), likeness / size, rcond=rcond)[0]
    return np.asarray(solution / size)
