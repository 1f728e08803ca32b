"""Eqs. (9) to (11) as vectorised NumPy: what a reader of the paper would write first.

The functions of `power_map` and `channel` beside this file are the same, one number at a time.
"""

from collections.abc import Iterator

import numpy as np

from tests.oracles.channel import SPEED_OF_LIGHT_M_PER_S


def steering(
    frequency_hz: np.ndarray, angle_rad: float, num_elements: int, spacing_m: float
) -> np.ndarray:
    """Exact wideband steering vectors of one angle on all tones, shape ``(K, M)``; eq. (6)."""
    centred = np.arange(num_elements) - (num_elements - 1) / 2
    cycles = np.outer(
        frequency_hz / SPEED_OF_LIGHT_M_PER_S, spacing_m * np.sin(angle_rad) * centred
    )
    return np.exp(-2j * np.pi * cycles)


def power_map(
    residual: np.ndarray,
    frequency_hz: np.ndarray,
    spacing_m: float,
    angle_grid_rad: np.ndarray,
    fft_length: int,
) -> np.ndarray:
    """Power in every swept angle and every delay bin, shape ``(G, fft_length)``."""
    num_elements = residual.shape[1]
    responses = (steering(frequency_hz, a, num_elements, spacing_m) for a in angle_grid_rad)
    return _swept(residual, responses, fft_length)


def all_steering(
    frequency_hz: np.ndarray, angle_grid_rad: np.ndarray, num_elements: int, spacing_m: float
) -> np.ndarray:
    """Steering of all angles, kept: shape ``(G, K, M)``, complex64; 309 MB at the paper's sizes."""
    shape = len(angle_grid_rad), len(frequency_hz), num_elements
    kept = np.empty(shape, dtype=np.complex64)
    for g, angle_rad in enumerate(angle_grid_rad):
        kept[g] = steering(frequency_hz, angle_rad, num_elements, spacing_m)
    return kept


def power_map_with(residual: np.ndarray, kept_steering: np.ndarray, fft_length: int) -> np.ndarray:
    """The same map from steering that was kept, see `all_steering`."""
    return _swept(residual, iter(kept_steering), fft_length)


def _swept(residual: np.ndarray, responses: Iterator[np.ndarray], fft_length: int) -> np.ndarray:
    power = []
    for response in responses:
        combined = np.sum(response.conj() * residual, axis=1) / np.sqrt(residual.shape[1])  # (10)
        power.append(np.abs(np.fft.ifft(combined, n=fft_length)) ** 2)  # (11)
    return np.array(power)


def aligned(
    channel: np.ndarray, background: np.ndarray, spacing_hz: float, num_steps: int = 401
) -> np.ndarray:
    """A channel brought onto a background by one gain and one delay, shape ``(K, M)``.

    The delay is the best of a grid: eight points a resolution cell by a zero-padded FFT, then
    `num_steps` within one of those to either side.
    """
    num_tones = len(channel)
    likeness = np.sum(channel * background.conj(), axis=1)
    padded = 8 * num_tones
    coarse = int(np.argmax(np.abs(np.fft.fft(likeness.conj(), padded))))
    coarse = coarse - padded if coarse > padded // 2 else coarse
    offset_hz = (np.arange(num_tones) - (num_tones - 1) / 2) * spacing_hz
    trial_s = (coarse + np.linspace(-1.0, 1.0, num_steps)) / (padded * spacing_hz)
    match = np.exp(2j * np.pi * np.outer(trial_s, offset_hz)) @ likeness
    best = int(np.argmax(np.abs(match)))
    gain = match[best] / np.sum(np.abs(background) ** 2)
    return channel * np.exp(2j * np.pi * offset_hz * trial_s[best])[:, None] / gain
