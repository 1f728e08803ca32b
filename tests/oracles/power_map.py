"""The range-angle power map of eqs. (10) and (11), with exact wideband steering."""

import math

import numpy as np

from tests.oracles.channel import Floats, steering


def power_map(
    residual: np.ndarray,
    frequency_hz: Floats,
    spacing_m: float,
    angle_grid_rad: Floats,
    fft_length: int,
) -> np.ndarray:
    """Power in every swept angle and every delay bin, shape ``(G, fft_length)``.

    The inverse FFT is NumPy's, which divides by its length as (11) does; longer than the number
    of tones it pads with zeros.
    """
    num_tones, num_elements = residual.shape
    power = np.empty((len(angle_grid_rad), fft_length))
    for g, angle_rad in enumerate(angle_grid_rad):
        combined = np.zeros(num_tones, dtype=complex)
        for k in range(num_tones):
            for m in range(num_elements):
                response = steering(frequency_hz[k], angle_rad, m, num_elements, spacing_m)
                combined[k] += response.conjugate() * complex(residual[k, m])
        combined /= math.sqrt(num_elements)  # eq. (10)
        power[g] = np.abs(np.fft.ifft(combined, n=fft_length)) ** 2  # eq. (11)
    return power
