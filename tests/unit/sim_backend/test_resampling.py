"""Signals between their samples, against the sum over their frequencies; and unit phasors."""

from fractions import Fraction

import numpy as np
import pytest
import scipy.fft

from sim_backend.resampling import ROOM, sampled, unit_phasors


@pytest.mark.parametrize("length", [63, 64, 675])
@pytest.mark.parametrize("num_elements", [1, 3])
@pytest.mark.parametrize("ratio", [1.0, 1.0 + 3e-5, 1.0 - 3e-5, 0.37, 1.9])
@pytest.mark.parametrize("position", [0.0, -7.3, 100.25])
def test_sampled_is_the_sum_over_frequencies(length, num_elements, ratio, position):
    rng = np.random.default_rng(length)
    parts = rng.standard_normal((length, num_elements, 2), dtype=np.float32)
    spectrum = parts.view(np.complex64)[..., 0]
    count = int((length - ROOM) / ratio)
    found = sampled(spectrum, position, ratio, count)
    instants = position + ratio * np.arange(count)
    waves = np.exp(2j * np.pi * np.outer(instants, scipy.fft.fftfreq(length)))
    literal = waves @ spectrum.astype(complex) / length
    assert found.dtype == np.complex64
    assert found.shape == literal.shape
    # Errors of all frequencies add up as their amplitudes do at worst.
    assert np.abs(found - literal).max() <= 3e-6 * np.abs(spectrum).sum(axis=0).max() / length


def test_phasors_of_many_cycles_are_those_of_what_is_left():
    cycles = np.concatenate((np.linspace(-1.0, 1.0, 1001), 1e6 + np.linspace(0.0, 1.0, 1001)))
    rest = np.array([float(Fraction(cycle) % 1) for cycle in cycles])
    found = unit_phasors(cycles)
    assert found.dtype == np.complex64
    assert np.abs(found - np.exp(2j * np.pi * rest)).max() <= 4e-7
