"""What alignment to a direct path costs, for planning."""

import numpy as np

from drivers.geometry import FloatArray

LEAST_SHARE = 0.05
"""Share of an echo's energy that alignment must leave for it to be told from the background.

One of which less is left is not reported.
"""


def shares_left(
    excess_cells: FloatArray, off_beams: FloatArray, num_elements: int | np.ndarray
) -> tuple[FloatArray, FloatArray]:
    """Shares of an echo's energy that alignment leaves, in the mean and in the worse phase.

    Alignment takes out what looks like the direct path or, in one phase of two, like its
    derivative by delay: ``1 - |c|^2 - |c'|^2 / 2`` with the correlations of a flat band.

    Parameters
    ----------
    excess_cells
        Delay over the direct path's, in resolution cells (bandwidth times delay).
    off_beams
        Sine of arrival off the direct path's, times elements times spacing in wavelengths.
    num_elements
        Of the array; broadcasts with the others.
    """
    x = np.maximum(np.abs(excess_cells), 1e-4)
    delay_part = np.sinc(x)
    slope_part = (np.cos(np.pi * x) - delay_part) / x * (np.sqrt(3.0) / np.pi)
    array_part = _dirichlet(off_beams, num_elements)
    any_phase, one_phase = (delay_part * array_part) ** 2, (slope_part * array_part) ** 2
    mean, least = 1.0 - any_phase - one_phase / 2.0, 1.0 - any_phase - one_phase
    return np.clip(mean, 0.0, 1.0), np.clip(least, 0.0, 1.0)


def _dirichlet(beams: FloatArray, num_elements: int | np.ndarray) -> FloatArray:
    """Correlation of two plane waves so many beams apart, between -1 and 1."""
    half = np.pi * np.asarray(beams) / num_elements
    bottom = num_elements * np.sin(half)
    near = np.abs(bottom) < 1e-9
    return np.where(near, 1.0, np.sin(num_elements * half) / np.where(near, 1.0, bottom))
