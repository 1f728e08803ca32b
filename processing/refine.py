"""Refinement of one candidate: MUSIC for the angle, coherent sub-bands for the delay."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drivers.array import UniformLinearArray
from drivers.compiled import compiled
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid
from processing.subbands import band_edges, band_offset_hz, subband_matrix

_NUM_ROUNDS = 2
_NUM_SQUARINGS = 20  # the millionth power
_NUM_TRIALS = 33  # within a cell or a beam to both sides, before the first round


@dataclass(frozen=True, slots=True)
class RefinedEcho:
    """Delay, sine of the arrival angle and matched power of one echo.

    Attributes
    ----------
    delay_s
        Bistatic delay.
    sine
        Sine of the arrival angle, ``None`` for one element.
    matched_power
        ``|sum conj(a) h|^2 / (K M)``: mean ``alpha^2 K M + sigma_H^2``.
    """

    delay_s: float
    sine: float | None
    matched_power: float


def refine(
    residual: ComplexArray,
    grid: OfdmGrid,
    array: UniformLinearArray,
    coarse_delay_s: float,
    coarse_angle_rad: float,
    *,
    num_snapshots: int = 4,
) -> RefinedEcho:
    """Refine one candidate cell to the Cramer-Rao bound.

    The residual is turned back by the coarse delay and summed over sub-bands, which passes the
    candidate's delays only (a gate of about +-16 cells) and lifts the SNR from per-tone, where
    phases cannot be unwrapped, to per-sub-band. Each sub-band is focused to the carrier at the
    coarse angle, so that one steering vector serves all. Delay (the phase trend over sub-bands,
    as the maximum of their periodogram) and angle (MUSIC) then alternate on that small matrix.

    Parameters
    ----------
    residual
        Background-suppressed channel, shape ``(K, M)``.
    num_snapshots
        Snapshots that MUSIC's covariance is made of. More snapshots tell more sources apart and
        cost angle accuracy at low SNR: the variance grows by ``1 + num_snapshots / snr``.
    """
    bands = subband_matrix(residual, grid, coarse_delay_s)
    return refined(
        bands, grid, array, coarse_delay_s, coarse_angle_rad, num_snapshots=num_snapshots
    )


def refined(
    bands: ComplexArray,
    grid: OfdmGrid,
    array: UniformLinearArray,
    coarse_delay_s: float,
    coarse_angle_rad: float,
    *,
    num_snapshots: int = 4,
) -> RefinedEcho:
    """As `refine`, from the residual's sums over sub-bands about the coarse delay."""
    sine = float(np.sin(coarse_angle_rad))
    cycles = array.element_offset_m / grid.wavelength_m  # phase of the carrier per unit sine
    delay_shift_s, sine, matched = _alternated(
        bands, band_offset_hz(grid), cycles, grid.carrier_hz, sine,
        1.0 / grid.bandwidth_hz, grid.wavelength_m / array.spacing_m,
        band_edges(len(bands), num_snapshots),
    )  # fmt: skip
    return RefinedEcho(
        delay_s=coarse_delay_s + delay_shift_s,
        sine=sine if array.num_elements > 1 else None,
        matched_power=float(matched / (grid.num_subcarriers * array.num_elements)),
    )


@compiled
def _alternated(
    bands: ComplexArray,
    offset_hz: FloatArray,
    cycles: FloatArray,
    carrier_hz: float,
    sine: float,
    cell_s: float,
    period: float,
    edges: NDArray[np.intp],
) -> tuple[float, float, float]:
    """Delay and angle in turns; the delay, the sine, and the power that is matched there.

    Parameters
    ----------
    cycles
        Of the carrier at each element, per unit sine.
    period
        Ambiguity of the sine.
    edges
        First sub-band of each snapshot, and their number at the end.
    """
    num_elements = len(cycles)
    focused = np.empty(bands.shape, np.complex128)
    for m in range(num_elements):
        squint_s = sine * cycles[m] / carrier_hz
        for b in range(len(offset_hz)):
            focused[b, m] = bands[b, m] * np.exp(2j * np.pi * offset_hz[b] * squint_s)
    delay_s = 0.0
    for number in range(_NUM_ROUNDS):
        trials = _NUM_TRIALS if number == 0 else 1
        beam = _beam(focused, cycles, sine)
        delay_s = _spectral_peak(beam, offset_hz, delay_s, cell_s, trials)
        if num_elements > 1:
            principal = _principal(_snapshots(focused, offset_hz, delay_s, edges))
            sine = _spectral_peak(principal, cycles, sine, period / num_elements, trials)
            sine = (sine + period / 2.0) % period - period / 2.0
    beam = _beam(focused, cycles, sine)
    matched = np.sum(beam * np.exp(2j * np.pi * offset_hz * delay_s))
    return delay_s, sine, abs(matched) ** 2


@compiled
def _beam(bands: ComplexArray, cycles: FloatArray, sine: float) -> ComplexArray:
    """Sum over elements, steered, shape ``(B,)``."""
    turn = np.exp(2j * np.pi * cycles * sine)
    beam = np.zeros(len(bands), np.complex128)
    for b in range(len(bands)):
        for m in range(len(cycles)):
            beam[b] += bands[b, m] * turn[m]
    return beam


@compiled
def _snapshots(
    bands: ComplexArray, offset_hz: FloatArray, delay_s: float, edges: NDArray[np.intp]
) -> ComplexArray:
    """Sums over some neighbouring sub-bands each, brought to one phase, shape ``(S, M)``."""
    snapshots = np.zeros((len(edges) - 1, bands.shape[1]), np.complex128)
    for n in range(len(snapshots)):
        for b in range(edges[n], edges[n + 1]):
            snapshots[n] += bands[b] * np.exp(2j * np.pi * offset_hz[b] * delay_s)
    return snapshots


@compiled
def _principal(snapshots: ComplexArray) -> ComplexArray:
    """Principal eigenvector of the snapshots' covariance, not normalized, shape ``(M,)``.

    MUSIC (Schmidt 1986) with one source: the noise subspace is all but this vector ``v``, and the
    pseudo-spectrum ``1 / (M - |a^H v|^2)`` peaks where ``|a^H v|^2`` does. It follows from that of
    the small covariance between snapshots, and that from the matrix's powers.
    """
    count = len(snapshots)
    between = np.zeros((count, count), np.complex128)
    for i in range(count):
        for j in range(count):
            between[i, j] = np.sum(snapshots[i] * snapshots[j].conj())
    for _ in range(_NUM_SQUARINGS):
        scale = np.trace(between).real
        if scale <= 0.0:
            return snapshots[0].copy()
        between /= scale
        squared = np.zeros((count, count), np.complex128)
        for i in range(count):
            for j in range(count):
                for n in range(count):
                    squared[i, j] += between[i, n] * between[n, j]
        between = squared
    strongest = np.argmax(np.diag(between).real)
    principal = np.zeros(snapshots.shape[1], np.complex128)
    for n in range(count):
        principal += between[n, strongest].conjugate() * snapshots[n]
    return principal


def carrier_steering(array: UniformLinearArray, grid: OfdmGrid, sine: FloatArray) -> ComplexArray:
    """Steering vectors at the carrier for sines of any shape, shape ``(..., M)``; eq. (6)."""
    return np.exp(-2j * np.pi * grid.carrier_hz * array.element_delay_s(sine))


@compiled
def _spectral_peak(
    samples: ComplexArray, abscissa: FloatArray, start: float, width: float, num_trials: int
) -> float:
    """Frequency near `start` that maximizes ``|sum_n y_n exp(j 2 pi x_n s)|^2``.

    The highest of some points within +-`width`, then Newton steps; maximum likelihood for one tone
    in white noise.
    """
    peak, highest = start, -1.0
    for step in range(num_trials if num_trials > 1 else 0):
        trial = start + width * (2.0 * step / (num_trials - 1) - 1.0)
        total = 0.0j
        for n in range(len(samples)):
            total += samples[n] * np.exp(2j * np.pi * abscissa[n] * trial)
        if abs(total) > highest:
            peak, highest = trial, abs(total)
    for _ in range(4):
        total, first, second = 0.0j, 0.0j, 0.0j
        for n in range(len(samples)):
            omega = 2.0 * np.pi * abscissa[n]
            turned = samples[n] * np.exp(1j * omega * peak)
            total += turned
            first += 1j * omega * turned
            second -= omega * omega * turned
        slope = 2.0 * (total.conjugate() * first).real
        curvature = 2.0 * (abs(first) ** 2 + (total.conjugate() * second).real)
        if curvature >= 0.0:
            break
        peak -= min(max(slope / curvature, -width / 8.0), width / 8.0)
    return peak
