"""The OFDM grid and its pilots."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.waveform import OfdmGrid, pilot_symbols

PAPER = OfdmGrid(carrier_hz=10e9, subcarrier_spacing_hz=15e3, num_subcarriers=6666)


def test_grid_golden():
    grid = OfdmGrid(carrier_hz=10e9, subcarrier_spacing_hz=30e3, num_subcarriers=4)
    assert grid.bandwidth_hz == 120e3
    assert grid.wavelength_m == pytest.approx(0.0299792458)
    np.testing.assert_allclose(grid.offset_hz, [-45e3, -15e3, 15e3, 45e3])
    np.testing.assert_allclose(grid.frequency_hz - 10e9, grid.offset_hz, atol=1e-5)


def test_rms_bandwidth_is_that_of_a_full_band():
    # K tones: spacing sqrt((K^2 - 1) / 12); W / sqrt(12) is 1/(2 K^2) = 1.1e-8 larger
    assert PAPER.rms_bandwidth_hz == pytest.approx(PAPER.bandwidth_hz / math.sqrt(12), rel=2e-8)
    small = OfdmGrid(1e9, 10.0, 2)
    assert small.rms_bandwidth_hz == pytest.approx(5.0)  # tones at -5 and +5 Hz


@given(num_subcarriers=st.integers(1, 300), spacing_hz=st.floats(1.0, 1e6))
def test_offsets_are_ascending_and_centred(num_subcarriers, spacing_hz):
    offset_hz = OfdmGrid(10e9, spacing_hz, num_subcarriers).offset_hz
    assert offset_hz.shape == (num_subcarriers,)
    np.testing.assert_allclose(np.diff(offset_hz), spacing_hz)
    assert np.mean(offset_hz) == pytest.approx(0.0, abs=1e-9 * spacing_hz)


@pytest.mark.parametrize("num_subcarriers", [1, 2, 7, 64, 3276, 6666])
def test_pilots_have_unit_modulus_on_tones_and_in_time(num_subcarriers):
    pilots = pilot_symbols(OfdmGrid(10e9, 15e3, num_subcarriers))
    assert pilots.dtype == np.complex64
    np.testing.assert_allclose(np.abs(pilots), 1.0, atol=1e-6)
    # A Zadoff-Chu sequence has constant modulus on both sides of the Fourier transform.
    envelope = np.abs(np.fft.ifft(pilots.astype(complex), norm="ortho"))
    np.testing.assert_allclose(envelope, 1.0, atol=1e-4)  # K roundings of 6e-8 each


def test_pilots_golden():
    # even K: exp(-j pi k^2 / 4); odd K: exp(-j pi k (k + 1) / 3)
    eighth = np.exp(-1j * math.pi / 4)
    third = np.exp(-2j * math.pi / 3)
    np.testing.assert_allclose(
        pilot_symbols(OfdmGrid(1e9, 1.0, 4)), [1, eighth, -1, eighth], atol=1e-6
    )
    np.testing.assert_allclose(pilot_symbols(OfdmGrid(1e9, 1.0, 3)), [1, third, 1], atol=1e-6)


def test_waveform_hash_names_the_grid():
    grids = [
        PAPER,
        OfdmGrid(10e9 + 1.0, 15e3, 6666),
        OfdmGrid(10e9, 30e3, 6666),
        OfdmGrid(10e9, 15e3, 6665),
        OfdmGrid(15e3, 10e9, 6666),  # swapped
    ]
    hashes = [grid.waveform_hash for grid in grids]
    assert len(set(hashes)) == len(grids)
    assert OfdmGrid(10e9, 15e3, 6666).waveform_hash == hashes[0]
    assert all(len(text) == 16 and int(text, 16) >= 0 for text in hashes)
