"""What alignment costs: bounds of an echo's delay and sine beside the alignment's own unknowns."""

from dataclasses import replace

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid
from processing.echo import echo_columns, real_unknowns
from processing.report import Hypothesis

# An echo of which alignment leaves less is not told from the background, and not reported.
LEAST_SHARE = 0.05
# Information that is less than this share of what an echo alone would give is none.
_LEAST_INFORMATION = 1e-6


def beside_alignment(
    hypothesis: Hypothesis,
    alignment: ComplexArray,
    grid: OfdmGrid,
    array: UniformLinearArray,
) -> tuple[Hypothesis, float]:
    """A hypothesis with the Cramer-Rao bounds that hold beside gain and delay of the alignment.

    And the share of its energy that the alignment leaves, for the phase that loses more.

    The capture is ``g exp(-j 2 pi f d) B + a s(tau, sine) + noise`` with ``g`` and ``d`` unknown in
    each group of coherent elements: the inverse of the joint Fisher information of all of them
    (Kay 1993, section 3.9). Far from everything in the background the bounds are those of the
    echo alone.

    Parameters
    ----------
    alignment
        What gain and delay change, see `near_background.alignment_columns`.
    """
    columns = echo_columns(hypothesis.delay_s, hypothesis.sine, grid, array)
    alone = len(columns)
    joint = _normalized_information(np.concatenate((columns, real_unknowns(alignment))))
    share = _diagonal_of_inverse(joint[:alone, :alone]) / _diagonal_of_inverse(joint)[:alone]
    share = np.clip(share, _LEAST_INFORMATION, 1.0)
    amplitude = np.r_[0:2, alone : len(joint)]
    left = 1.0 / _diagonal_of_inverse(joint[np.ix_(amplitude, amplitude)])[:2]
    bounded = replace(
        hypothesis,
        delay_var_s2=hypothesis.delay_var_s2 / float(share[2]),
        sine_var=None if hypothesis.sine_var is None else hypothesis.sine_var / float(share[3]),
    )
    return bounded, float(min(left))


def _normalized_information(columns: ComplexArray) -> FloatArray:
    """Fisher information of real unknowns, scaled to a unit diagonal."""
    information = (columns.conj() @ columns.T).real.astype(np.float64)
    size = np.sqrt(np.maximum(np.diag(information), 1e-300))
    return np.asarray(information / np.outer(size, size))


def _diagonal_of_inverse(information: FloatArray) -> FloatArray:
    return np.asarray(np.diag(np.linalg.inv(information + 1e-9 * np.eye(len(information)))))


def share_kept(
    excess_cells: FloatArray, off_beams: FloatArray, num_elements: int | np.ndarray
) -> FloatArray:
    """Share of an echo's energy that alignment to a direct path leaves in the residual.

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
    lost = (delay_part**2 + slope_part**2 / 2.0) * array_part**2
    return np.asarray(np.clip(1.0 - lost, 0.0, 1.0))


def _dirichlet(beams: FloatArray, num_elements: int | np.ndarray) -> FloatArray:
    """Correlation of two plane waves so many beams apart, between -1 and 1."""
    half = np.pi * np.asarray(beams) / num_elements
    bottom = num_elements * np.sin(half)
    near = np.abs(bottom) < 1e-9
    return np.where(near, 1.0, np.sin(num_elements * half) / np.where(near, 1.0, bottom))
