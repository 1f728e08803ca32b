"""What detected echoes contribute to a channel: their plane waves, fitted together."""

from collections.abc import Sequence

import numpy as np

from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray
from drivers.waveform import OfdmGrid
from processing.report import Hypothesis


def fitted_echoes(
    residual: ComplexArray,
    grid: OfdmGrid,
    array: UniformLinearArray,
    hypotheses: Sequence[Hypothesis],
) -> ComplexArray:
    """Least-squares sum of plane-wave echoes at the hypotheses' delays and sines, ``(K, M)``."""
    waves = np.empty((len(hypotheses), *residual.shape), dtype=np.complex64)
    for wave, hypothesis in zip(waves, hypotheses, strict=True):
        element_s = array.element_delay_s(hypothesis.sine or 0.0)
        delay_s = hypothesis.delay_s + element_s
        wave[:] = np.exp(-2j * np.pi * grid.frequency_hz[:, None] * delay_s)
    flat = waves.reshape(len(hypotheses), -1)
    # Two hypotheses in one cell are nearly one wave: the least-squares solver shares it out.
    gram, likeness = flat.conj() @ flat.T, flat.conj() @ residual.reshape(-1)
    amplitude = np.linalg.lstsq(gram, likeness, rcond=1e-3)[0]
    return np.asarray(np.tensordot(amplitude.astype(np.complex64), waves, axes=1))
