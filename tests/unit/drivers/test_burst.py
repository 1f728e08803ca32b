"""The sounding burst, sample by sample."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    assert 10.0 * np.log10(np.abs(symbol).max() ** 2 / mean) < 4.4
    assert 10.0 * np.log10(np.abs(finer).max() ** 2 / mean) < 4.9
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


@pytest.mark.parametrize("burst", [EVEN, ODD])
def test_a_symbol_is_the_sum_of_its_tones_by_the_standards_formula(burst):
    """Zadoff-Chu, root 1 (3GPP TS 38.211, 5.2.2), about the oscillator, 1 dB below full scale."""
    num_tones = burst.grid.num_subcarriers  # even: exp(-j pi k^2 / K), odd: k (k + 1)
    sample = np.arange(64)
    total = np.zeros(64, dtype=complex)
    for k in range(num_tones):
        if k == 24:  # at the oscillator
            continue
        phase = -np.pi * k * (k + num_tones % 2) / num_tones
        total += np.exp(1j * phase) * np.exp(2j * np.pi * (k - 24) * sample / 64)
    expected = 10.0 ** (-1.0 / 20.0) * total / np.abs(total).max()
    np.testing.assert_allclose(symbol_of(burst), expected, atol=2e-6)  # of complex64 pilots
    assert burst.tone_amplitude == pytest.approx(10.0**-0.05 / np.abs(total).max(), rel=1e-6)
    # Parseval: one tone less than the grid has
    assert burst.mean_square == pytest.approx(np.mean(np.abs(expected) ** 2), rel=1e-6)


def test_pieces_lie_where_counting_puts_them():
    # EVEN: prefix 11, 4096 / 64 = 64 preamble symbols, prefix 11, 3 symbols of 64
    assert EVEN.num_preamble_symbols == 64
    assert EVEN.preamble_length == 11 + 4096
    assert EVEN.first_symbol_sample == 11 + 4096 + 11
    assert EVEN.num_samples == 11 + 4096 + 11 + 192
    assert EVEN.duration_s == pytest.approx(4310 / 960e3)
    paper = preset_burst("paper", 10e9)  # 2 us twice, at 122.88 MS/s: 491.52, so 492
    assert paper.num_samples == 492 + 8192 + 492 + 8192


@pytest.mark.parametrize("burst", BURSTS)
def test_any_window_from_the_prefix_on_holds_the_same_tones(burst):
    """What a prefix is for: an early window turns tones, and changes none in size."""
    early = burst.prefix_length
    begin = burst.first_symbol_sample - early
    window = burst.samples()[begin : begin + burst.symbol_length].astype(np.complex128)
    tone = np.arange(burst.grid.num_subcarriers) - burst.grid.num_subcarriers // 2
    turned = np.exp(-2j * np.pi * tone * early / burst.symbol_length)
    found = np.fft.fft(window)[tone % burst.symbol_length] / burst.symbol_length
    expected = burst.pilots * burst.tone_amplitude * turned
    np.testing.assert_allclose(found, expected, atol=1e-5 * burst.tone_amplitude * len(tone))


@pytest.mark.parametrize(
    ("burst", "stride", "lowest", "highest"),
    [
        (preset_burst("paper", 5.8e9), 128, -26, 26),  # 3333 / 128 = 26.04, 3332 / 128 = 26.03
        (preset_burst("pluto_20mhz", 5.8e9), 64, -4, 4),  # 612 / 128 = 4.8 tones are too few
        (EVEN, 4, -6, 5),  # 48 / 4 = 12 tones: 24 below the oscillator, 23 above
        (ODD, 4, -6, 6),
    ],
)
def test_the_preamble_is_a_comb_about_the_oscillator(burst, stride, lowest, highest):
    assert burst.preamble_stride == stride
    spectrum = np.fft.fft(burst.preamble()) / burst.symbol_length
    comb = np.array([tone for tone in range(lowest, highest + 1) if tone]) * stride
    amplitude = np.abs(spectrum[comb % burst.symbol_length])
    np.testing.assert_allclose(amplitude, amplitude[0], rtol=1e-5)
    assert np.sum(np.abs(spectrum) ** 2) == pytest.approx(np.sum(amplitude**2), rel=1e-9)
    # As powerful as a pilot symbol where its peaks, 1 dB below full scale, allow.
    peak = np.abs(burst.preamble()).max()
    power = np.mean(np.abs(burst.preamble()) ** 2)
    assert peak == pytest.approx(10.0**-0.05) or power == pytest.approx(burst.mean_square)
    assert peak <= 10.0**-0.05 * (1.0 + 1e-12)


@pytest.mark.parametrize("name", PRESET_NAMES)
def test_a_converter_has_room_for_what_lies_between_the_samples(name):
    """Also at the joints, where the burst is no sum of whole tones."""
    burst = preset_burst(name, 5.8e9, num_symbols=2)
    silence = np.zeros(burst.symbol_length)
    spectrum = np.fft.fft(np.concatenate((silence, burst.samples(), silence)))
    half = len(spectrum) // 2
    finer = np.zeros(4 * len(spectrum), dtype=complex)
    finer[:half], finer[-half:] = spectrum[:half], spectrum[-half:]
    assert np.abs(4.0 * np.fft.ifft(finer)).max() < 1.0


@given(
    num_tones=st.integers(16, 400), spare=st.integers(2, 600),
    num_symbols=st.integers(1, 4), prefix_share=st.floats(0.0, 1.0),
)  # fmt: skip
def test_any_burst_keeps_to_its_form(num_tones, spare, num_symbols, prefix_share):
    length = num_tones + spare
    prefix = int(prefix_share * length)
    burst = SoundingBurst(OfdmGrid(5e9, 30e3, num_tones), length * 30e3, num_symbols, prefix)
    samples = burst.samples()
    assert samples.dtype == np.complex64
    assert samples.shape == (burst.num_samples,)
    assert np.abs(samples).max() == pytest.approx(10.0**-0.05, rel=1e-6)  # one piece reaches it
    symbol = symbol_of(burst, num_symbols - 1)
    np.testing.assert_array_equal(samples[-length:], symbol)
    begin = burst.first_symbol_sample
    np.testing.assert_array_equal(samples[begin - prefix : begin], symbol[length - prefix :])
    assert abs(np.mean(symbol.astype(np.complex128))) < 1e-6  # nothing at the oscillator
    period = length // burst.preamble_stride
    preamble = burst.preamble()
    np.testing.assert_allclose(np.roll(preamble, period), preamble, atol=1e-9)


def test_who_changes_the_samples_changes_only_his_own():
    burst = replace(EVEN, prefix_length=0, num_symbols=1)
    before = burst.samples()
    burst.samples()[:] = 0.0
    burst.preamble()[:] = 0.0
    burst.pilots[:] = 0.0
    np.testing.assert_array_equal(burst.samples(), before)
    assert np.abs(before).max() > 0.8


@pytest.mark.parametrize(
    ("num_tones", "rate_hz"), [(1, 64 * 15e3), (0, 64 * 15e3), (48, float("inf"))]
)
def test_what_cannot_be_sampled_is_refused(num_tones, rate_hz):
    with pytest.raises(ValueError, match="got"):
        SoundingBurst(OfdmGrid(1e9, 15e3, num_tones), rate_hz).samples()
