"""Refinement of one candidate: MUSIC for the angle, coherent sub-bands for the delay."""

import itertools
from dataclasses import dataclass

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid

_NUM_SUBBANDS = 32
_NUM_ROUNDS = 2


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
    bands, band_offset_hz = subband_matrix(residual, grid, coarse_delay_s)
    squint_s = array.element_delay_s(np.sin(coarse_angle_rad))
    bands = bands * np.exp(2j * np.pi * band_offset_hz[:, None] * squint_s)
    sine = float(np.sin(coarse_angle_rad))
    delay_shift_s = 0.0
    cell_s = 1.0 / grid.bandwidth_hz
    for _ in range(_NUM_ROUNDS):
        beam = bands @ carrier_steering(array, grid, np.array(sine)).conj()
        delay_shift_s = _spectral_peak(beam, band_offset_hz, delay_shift_s, cell_s)
        if array.num_elements > 1:
            aligned = bands * np.exp(2j * np.pi * band_offset_hz * delay_shift_s)[:, None]
            sine = _music_sine(aligned, grid, array, sine, num_snapshots)
    beam = bands @ carrier_steering(array, grid, np.array(sine)).conj()
    matched = abs(np.sum(beam * np.exp(2j * np.pi * band_offset_hz * delay_shift_s))) ** 2
    return RefinedEcho(
        delay_s=coarse_delay_s + delay_shift_s,
        sine=sine if array.num_elements > 1 else None,
        matched_power=float(matched / (grid.num_subcarriers * array.num_elements)),
    )


def subband_matrix(
    residual: ComplexArray, grid: OfdmGrid, delay_s: float
) -> tuple[ComplexArray, FloatArray]:
    """Delay-gated sums over sub-bands, shape ``(B, M)``, and their mean frequency offsets."""
    offset_hz = grid.offset_hz
    num_bands = min(_NUM_SUBBANDS, grid.num_subcarriers)
    edges = np.linspace(0, grid.num_subcarriers, num_bands + 1).astype(int)
    turn = np.exp(2j * np.pi * offset_hz * delay_s).astype(np.complex64)
    sums = np.stack([turn[a:b] @ residual[a:b] for a, b in itertools.pairwise(edges)])
    means = np.add.reduceat(offset_hz, edges[:-1]) / np.diff(edges)
    return sums.astype(np.complex128), means


def carrier_steering(array: UniformLinearArray, grid: OfdmGrid, sine: FloatArray) -> ComplexArray:
    """Steering vectors at the carrier for sines of any shape, shape ``(..., M)``; eq. (6)."""
    return np.exp(-2j * np.pi * grid.carrier_hz * array.element_delay_s(sine))


def _spectral_peak(
    samples: ComplexArray, abscissa: FloatArray, start: float, width: float
) -> float:
    """Frequency near `start` that maximizes ``|sum_n y_n exp(j 2 pi x_n s)|^2``.

    A grid of 33 points within +-`width`, then Newton steps; maximum likelihood for one tone in
    white noise.
    """
    trial = start + np.linspace(-1.0, 1.0, 33) * width
    spectrum = np.abs(np.exp(2j * np.pi * np.outer(trial, abscissa)) @ samples)
    peak = float(trial[int(np.argmax(spectrum))])
    omega = 2.0 * np.pi * abscissa
    for _ in range(4):
        turned = samples * np.exp(1j * omega * peak)
        total = turned.sum()
        first = 1j * np.sum(omega * turned)
        second = -np.sum(omega**2 * turned)
        slope = 2.0 * np.real(np.conj(total) * first)
        curvature = 2.0 * (np.abs(first) ** 2 + np.real(np.conj(total) * second))
        if curvature >= 0.0:
            break
        peak -= float(np.clip(slope / curvature, -width / 8, width / 8))
    return peak


def _music_sine(
    aligned: ComplexArray,
    grid: OfdmGrid,
    array: UniformLinearArray,
    sine: float,
    num_snapshots: int,
) -> float:
    """Peak of the one-source MUSIC spectrum near `sine` (Schmidt 1986), modulo its period.

    With one source the noise subspace is all but the principal eigenvector ``v``, and the
    pseudo-spectrum ``1 / (M - |a^H v|^2)`` peaks where ``|a^H v|^2`` does.
    """
    edges = np.linspace(0, len(aligned), min(num_snapshots, len(aligned)) + 1).astype(int)[:-1]
    snapshots = np.add.reduceat(aligned, edges, axis=0)
    principal = np.linalg.svd(snapshots, full_matrices=False)[2][0]
    cycles = array.element_offset_m / grid.wavelength_m  # phase per unit sine
    period = 1.0 / (array.spacing_m / grid.wavelength_m)
    refined = _spectral_peak(principal, cycles, sine, period / array.num_elements)
    return (refined + period / 2.0) % period - period / 2.0
