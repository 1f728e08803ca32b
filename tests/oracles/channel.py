"""The channel of eqs. (4) to (7), one exponential after the other."""

import cmath
import math
from collections.abc import Sequence

import numpy as np

SPEED_OF_LIGHT_M_PER_S = 299_792_458.0

Floats = Sequence[float] | np.ndarray
Point = Floats


def bistatic_delay_s(tx_m: Point, rx_m: Point, point_m: Point) -> float:
    """Delay over one scatterer; eq. (4)."""
    return (math.dist(point_m, tx_m) + math.dist(point_m, rx_m)) / SPEED_OF_LIGHT_M_PER_S


def arrival_angle_rad(rx_m: Point, boresight_rad: float, point_m: Point) -> float:
    """Arrival angle of one scatterer, eq. (5), wrapped with `math.remainder`."""
    bearing_rad = math.atan2(point_m[1] - rx_m[1], point_m[0] - rx_m[0])
    return math.remainder(bearing_rad - boresight_rad, math.tau)


def steering(
    frequency_hz: float, angle_rad: float, element: int, num_elements: int, spacing_m: float
) -> complex:
    """Response of one element on one subcarrier; eq. (6)."""
    centred = element - (num_elements - 1) / 2
    cycles = frequency_hz / SPEED_OF_LIGHT_M_PER_S * spacing_m * math.sin(angle_rad) * centred
    return cmath.exp(-2j * math.pi * cycles)


def radar_amplitude(tx_m: Point, rx_m: Point, point_m: Point, rcs_m2: float, wavelength_m: float):
    """Amplitude of one echo between unit gains, the bracket of (7) as in section V."""
    legs_m2 = math.dist(point_m, tx_m) * math.dist(point_m, rx_m)
    return math.sqrt(wavelength_m**2 * rcs_m2 / (4 * math.pi) ** 3) / legs_m2


def echo_channel(
    tx_m: Point,
    rx_m: Point,
    boresight_rad: float,
    points_m: Sequence[Point] | np.ndarray,
    amplitude: Floats,
    frequency_hz: Floats,
    num_elements: int,
    spacing_m: float,
) -> np.ndarray:
    """Sum of eq. (7) over scatterers, shape ``(K, M)``: one term per tone, element, scatterer."""
    channel = np.zeros((len(frequency_hz), num_elements), dtype=complex)
    for point_m, gain in zip(points_m, amplitude, strict=True):
        delay_s = bistatic_delay_s(tx_m, rx_m, point_m)
        angle_rad = arrival_angle_rad(rx_m, boresight_rad, point_m)
        for k, tone_hz in enumerate(frequency_hz):
            for m in range(num_elements):
                response = steering(tone_hz, angle_rad, m, num_elements, spacing_m)
                channel[k, m] += gain * cmath.exp(-2j * math.pi * tone_hz * delay_s) * response
    return channel


def channel_of_delays(frequency_hz: Floats, gain: Floats, path_delay_s: np.ndarray) -> np.ndarray:
    """Channel of paths whose delay to each element, shape ``(S, M)``, is given; ``(K, M)``."""
    channel = np.zeros((len(frequency_hz), path_delay_s.shape[1]), dtype=complex)
    for s, amplitude in enumerate(gain):
        for k, tone_hz in enumerate(frequency_hz):
            for m in range(path_delay_s.shape[1]):
                phase = -2j * math.pi * tone_hz * float(path_delay_s[s, m])
                channel[k, m] += amplitude * cmath.exp(phase)
    return channel
