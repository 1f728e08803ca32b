"""The sounding burst, sample by sample."""

import numpy as np
import pytest

from drivers.burst import SoundingBurst
from drivers.grids import PRESET_NAMES, preset_burst
from drivers.waveform import OfdmGrid, pilot_symbols

EVEN = SoundingBurst(OfdmGrid(1e9, 15e3, 48), 64 * 15e3, num_symbols=3, prefix_length=11)
ODD = SoundingBurst(OfdmGrid(1e9, 15e3, 49), 64 * 15e3, num_symbols=2, prefix_length=64)
BURSTS = [EVEN, ODD, *(preset_burst(name, 5.8e9, num_symbols=2) for name in PRESET_NAMES)]


def symbol_of(burst: SoundingBurst, index: int = 0) -> np.ndarray:
    begin = burst.first_symbol_sample + index * burst.symbol_length
    return burst.samples()[begin : begin + burst.symbol_length]


@pytest.mark.parametrize("burst", [EVEN, ODD])
def test_the_tones_stand_at_the_grids_frequencies(burst):
    """One tone after the other by its own sum, at its absolute frequency less the oscillator's."""
    time_s = np.arange(burst.symbol_length) / burst.sample_rate_hz
    pilots = pilot_symbols(burst.grid)
    for k, frequency_hz in enumerate(burst.grid.frequency_hz):
        baseband_hz = frequency_hz - burst.local_oscillator_hz
        tone = np.mean(symbol_of(burst) * np.exp(-2j * np.pi * baseband_hz * time_s))
        expected = 0.0 if k == burst.null_index else pilots[k] * burst.tone_amplitude
        assert tone == pytest.approx(expected, abs=1e-6)


def test_the_oscillator_is_half_a_tone_off_an_even_grids_carrier():
    assert EVEN.local_oscillator_hz == 1e9 + 7.5e3
    assert ODD.local_oscillator_hz == 1e9
    assert (EVEN.null_index, ODD.null_index) == (24, 24)


@pytest.mark.parametrize("burst", BURSTS)
def test_nothing_is_sent_at_the_oscillator_or_beyond_the_band(burst):
    spectrum = np.abs(np.fft.fft(symbol_of(burst).astype(np.complex128)))
    occupied = np.zeros(burst.symbol_length, dtype=bool)
    occupied[burst.tone_bins] = True
    assert spectrum[0] < 1e-5 * spectrum.max()
    assert spectrum[~occupied].max() < 1e-5 * spectrum.max()
    assert (~occupied).sum() > 0.02 * burst.symbol_length  # a guard band


@pytest.mark.parametrize("burst", BURSTS)
def test_prefixes_are_ends_and_symbols_repeat(burst):
    samples, length, prefix = burst.samples(), burst.symbol_length, burst.prefix_length
    assert len(samples) == burst.num_samples
    assert burst.duration_s == pytest.approx(len(samples) / burst.sample_rate_hz)
    for n in range(1, burst.num_symbols):
        np.testing.assert_array_equal(symbol_of(burst, n), symbol_of(burst))
    begin = burst.first_symbol_sample
    np.testing.assert_array_equal(
        samples[begin - prefix : begin], symbol_of(burst)[length - prefix :]
    )
    np.testing.assert_array_equal(samples[:prefix], samples[length : length + prefix])


@pytest.mark.parametrize("burst", BURSTS[2:])
def test_the_preamble_repeats_itself_and_lasts_4096_samples(burst):
    period = burst.symbol_length // burst.preamble_stride
    preamble = burst.samples()[burst.prefix_length : burst.preamble_length]
    assert len(preamble) >= 4096
    assert len(preamble) == burst.num_preamble_symbols * burst.symbol_length
    np.testing.assert_allclose(preamble[period:], preamble[:-period], atol=2e-6)
    # offsets of two 25 ppm crystals at 5.8 GHz are told apart
    assert burst.preamble_stride * burst.grid.subcarrier_spacing_hz / 2.0 > 50e-6 * 5.8e9
    power = np.mean(np.abs(preamble) ** 2)
    assert 0.75 * burst.mean_square < power < 1.01 * burst.mean_square


@pytest.mark.parametrize("burst", BURSTS[2:])
def test_peaks_stay_low_also_between_the_samples(burst):
    symbol = symbol_of(burst)
    size, guard = burst.symbol_length, burst.symbol_length // 2
    spectrum = np.fft.fftshift(np.fft.fft(symbol))
    finer = 4.0 * np.fft.ifft(np.fft.ifftshift(np.pad(spectrum, (3 * guard, 3 * guard))))
    mean = np.mean(np.abs(symbol) ** 2)
    assert mean == pytest.approx(burst.mean_square, rel=1e-4)
    assert len(finer) == 4 * size
    assert 10.0 * np.log10(np.abs(symbol).max() ** 2 / mean) < 2.8
    assert 10.0 * np.log10(np.abs(finer).max() ** 2 / mean) < 3.3
    assert np.abs(burst.samples()).max() < 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sample_rate_hz": 1e6}, "whole multiple of the subcarrier spacing"),
        ({"sample_rate_hz": 48 * 15e3}, "cannot carry 48 tones"),
        ({"num_symbols": 0}, "num_symbols must be at least 1"),
        ({"prefix_length": -1}, "prefix_length"),
        ({"prefix_length": 65}, "prefix_length"),
    ],
)
def test_what_is_no_burst_is_refused(changes, message):
    given = {"sample_rate_hz": 64 * 15e3, "num_symbols": 1, "prefix_length": 4} | changes
    with pytest.raises(ValueError, match=message):
        SoundingBurst(OfdmGrid(1e9, 15e3, 48), **given)
