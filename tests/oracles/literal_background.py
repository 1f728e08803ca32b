"""Eq. (8), and the channel of eqs. (3) to (7), as vectorised NumPy."""

import numpy as np

from tests.oracles.channel import (
    SPEED_OF_LIGHT_M_PER_S,
    arrival_angle_rad,
    bistatic_delay_s,
    radar_amplitude,
)


def complex_median(captures: np.ndarray) -> np.ndarray:
    """Median of real and of imaginary parts over the first axis; eq. (8)."""
    return np.median(captures.real, axis=0) + 1j * np.median(captures.imag, axis=0)


def half_plane_channel(
    tx_m: np.ndarray,
    rx_m: np.ndarray,
    boresight_rad: float,
    points_m: np.ndarray,
    rcs_m2: np.ndarray,
    frequency_hz: np.ndarray,
    num_elements: int,
    spacing_m: float,
) -> np.ndarray:
    """Sum of eq. (7) over scatterers, shape ``(K, M)``, complex128; one product a scatterer.

    Elements have unit gain in front of the array and none behind it, the transmitter unit gain.
    """
    wavelength_m = SPEED_OF_LIGHT_M_PER_S / np.mean(frequency_hz)
    centred = np.arange(num_elements) - (num_elements - 1) / 2
    channel = np.zeros((len(frequency_hz), num_elements), dtype=np.complex128)
    for point_m, own_rcs_m2 in zip(points_m, rcs_m2, strict=True):
        angle_rad = arrival_angle_rad(rx_m, boresight_rad, point_m)
        amplitude = radar_amplitude(tx_m, rx_m, point_m, own_rcs_m2, wavelength_m)
        amplitude *= float(abs(angle_rad) <= np.pi / 2)
        delay_s = bistatic_delay_s(tx_m, rx_m, point_m)
        element_s = centred * spacing_m * np.sin(angle_rad) / SPEED_OF_LIGHT_M_PER_S
        channel += amplitude * np.exp(-2j * np.pi * np.outer(frequency_hz, delay_s + element_s))
    return channel
