"""A burst is found wherever it lies, at any carrier offset two crystals can have."""

import numpy as np
import pytest
from scipy.signal import czt

from drivers.burst import SoundingBurst
from drivers.capture import CaptureRefusedError
from drivers.grids import preset_burst
from processing.resample import resampled
from processing.synchronize import Synchronization, symbols_at, synchronize


def received(
    burst: SoundingBurst, ppm: float, first: float, snr_db: float, num_elements: int, seed: int
) -> np.ndarray:
    """Burst after burst on a faster or slower clock: its Fourier series at the new instants.

    ``first`` is the position of a burst's first sample; the noise is ``snr_db`` under each tone.
    """
    rng = np.random.default_rng(seed)
    period, ratio = burst.num_samples, 1.0 + ppm * 1e-6
    count = 2 * period + burst.prefix_length
    series = np.fft.fftshift(np.fft.fft(burst.samples())) / period
    step = 2j * np.pi * ratio / period
    signal = czt(series, count, w=np.exp(step), a=np.exp(step * first))
    signal *= np.exp(-(period // 2) * step * (np.arange(count) - first))  # the lowest line
    offset_hz = ppm * 1e-6 * burst.local_oscillator_hz
    signal *= np.exp(2j * np.pi * offset_hz * np.arange(count) / burst.sample_rate_hz)
    phase = np.exp(2j * np.pi * rng.uniform(size=num_elements))
    std = burst.tone_amplitude * np.sqrt(burst.symbol_length / 2.0) * 10.0 ** (-snr_db / 20.0)
    parts = rng.standard_normal((count, num_elements, 2)) * std
    return (signal[:, None] * phase + parts.view(np.complex128)[..., 0]).astype(np.complex64)


def lost_db(burst: SoundingBurst, samples: np.ndarray, found: Synchronization, snr_db: float):
    """Noise and distortion of the averaged pilots over the noise alone; one flat path."""
    tones = np.fft.fft(symbols_at(samples, burst, found, 0), axis=1)[:, burst.tone_bins]
    channel = tones * burst.pilots.conj()[None, :, None]
    channel /= burst.symbol_length * burst.tone_amplitude
    turn = np.einsum("skm,km->s", channel, channel.mean(axis=0).conj())
    channel = np.mean(channel * (turn.conj() / np.abs(turn))[:, None, None], axis=0)
    used = np.arange(len(channel)) != burst.null_index
    index = np.arange(len(channel)) - burst.null_index
    error = 0.0
    for element in channel.T[:, used]:
        delays = np.linspace(-0.6, 0.6, 4801)  # samples: one flat path, up to timing
        model = np.exp(-2j * np.pi * np.outer(delays, index[used]) / burst.symbol_length)
        best = np.abs(model.conj() @ element).max() ** 2 / used.sum()
        error += (np.sum(np.abs(element) ** 2) - best) / used.sum()
    ideal = 10.0 ** (-snr_db / 10.0) / burst.num_symbols
    return 10.0 * np.log10(error / channel.shape[1] / ideal)


CASES = [
    ("pluto_20mhz", 5.8e9, 50.0, -10.0),
    ("pluto_20mhz", 5.8e9, -37.3, 0.0),
    ("pluto_20mhz", 5.8e9, -50.0, 40.0),
    ("pluto_20mhz", 10e9, 49.1, 20.0),
    ("e320_50mhz", 10e9, -50.0, -10.0),
    ("e320_50mhz", 10e9, 12.9, 40.0),
    ("e320_50mhz", 5.8e9, 0.0, 40.0),
]


@pytest.mark.parametrize("num_elements", [1, 2])
@pytest.mark.parametrize(("preset", "carrier_hz", "ppm", "snr_db"), CASES)
def test_any_offset_and_any_place_cost_less_than_a_decibel(
    preset, carrier_hz, ppm, snr_db, num_elements
):
    burst = preset_burst(preset, carrier_hz, num_symbols=4)
    first = (0.23 + 0.5 * num_elements / 3.0) * burst.num_samples + 0.37
    samples = received(burst, ppm, first, snr_db, num_elements, seed=num_elements)
    found = synchronize(samples, burst, 60e-6 * carrier_hz)
    period = burst.num_samples / (1.0 + ppm * 1e-6)
    early = (found.start_sample - first + period / 2.0) % period - period / 2.0
    assert abs(early) < 0.4
    assert found.start_sample > -burst.prefix_length
    offset_hz = ppm * 1e-6 * burst.local_oscillator_hz
    # a tenth of a subcarrier would cost half a decibel
    assert abs(found.offset_hz - offset_hz) < 0.1 * burst.grid.subcarrier_spacing_hz
    assert lost_db(burst, samples, found, snr_db) < 1.0


def test_noise_is_no_burst():
    burst = preset_burst("pluto_20mhz", 5.8e9, num_symbols=4)
    rng = np.random.default_rng(5)
    for _ in range(30):
        parts = rng.standard_normal((2 * burst.num_samples, 2, 2)).astype(np.float32)
        with pytest.raises(CaptureRefusedError, match="no burst found"):
            synchronize(parts.view(np.complex64)[..., 0], burst, 350e3)


def test_pilots_without_their_preamble_are_refused():
    burst = preset_burst("pluto_20mhz", 5.8e9, num_symbols=4)
    samples = received(burst, 3.0, 0.0, 40.0, 1, 0)
    pilots_only = samples[burst.first_symbol_sample : burst.num_samples]
    with pytest.raises(CaptureRefusedError, match="no burst found"):
        synchronize(pilots_only, burst, 350e3)


@pytest.mark.parametrize("step", [1.0, 1.00005, 0.99995])
def test_resampling_is_exact_to_eighty_decibels(step):
    """A tone at 81 % of the band's edge, as the paper's grid has, against its own formula."""
    frequency = 0.81 * np.pi
    tone = np.exp(1j * frequency * np.arange(6000))[:, None].astype(np.complex64)
    position = 100.37 + step * np.arange(5000)
    error = resampled(tone, 100.37, step, 5000)[:, 0] - np.exp(1j * frequency * position)
    assert 20.0 * np.log10(np.abs(error).max()) < -80.0


def test_beyond_the_block_there_is_silence():
    ones = np.ones((100, 1), dtype=np.complex64)
    assert np.all(resampled(ones, -200.0, 1.0, 100) == 0.0)
    assert np.all(resampled(ones, 300.0, 1.0, 100) == 0.0)
