"""What detected echoes contribute to a channel: their plane waves, fitted together."""

from collections.abc import Sequence

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray
from drivers.waveform import OfdmGrid
from processing.report import Hypothesis


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
    waves = np.empty((len(hypotheses), *residual.shape), dtype=np.complex64)
    for wave, hypothesis in zip(waves, hypotheses, strict=True):
        element_s = array.element_delay_s(hypothesis.sine or 0.0)
        delay_s = hypothesis.delay_s + element_s
        wave[:] = np.exp(-2j * np.pi * grid.frequency_hz[:, None] * delay_s)
    gains, slopes = (kind.reshape(len(kind), -1) for kind in columns)
    flat = waves.reshape(len(waves), -1)
    # Real unknowns: both parts of amplitudes and gains, and delays.
    basis = np.concatenate((flat, 1j * flat, gains, 1j * gains, slopes)).astype(np.complex64)
    gram = (basis.conj() @ basis.T).real.astype(np.float64)
    likeness = (basis.conj() @ residual.reshape(-1)).real.astype(np.float64)
    size = np.sqrt(np.maximum(np.diag(gram), np.finfo(np.float32).tiny))
    # Two hypotheses in one cell are nearly one wave: the least-squares solver shares it out.
    found = np.linalg.lstsq(gram / np.outer(size, size), likeness / size, rcond=1e-3)[0] / size
    count = len(waves)
    amplitude = (found[:count] + 1j * found[count : 2 * count]).astype(np.complex64)
    return np.asarray(np.tensordot(amplitude, waves, axes=1))
