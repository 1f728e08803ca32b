"""Rows of a channel limited to a map's delays say the same of these as all its tones."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.waveform import OfdmGrid
from processing.delay_gate import DelayGate, gated, plan_delay_gate

NUM_BINS = 64


def gate_of(num_tones: int, fft_length: int, num_bins: int = NUM_BINS) -> DelayGate:
    return plan_delay_gate(OfdmGrid(10e9, 15e3, num_tones), fft_length, num_bins)


def noise(num_tones: int, num_elements: int, seed: int = 0) -> np.ndarray:
    parts = np.random.default_rng(seed).standard_normal((num_tones, num_elements, 2))
    return parts.view(np.complex128)[..., 0].astype(np.complex64)


def summed(channel: np.ndarray, tone: np.ndarray, cycles: float) -> np.ndarray:
    """Sum over tones at a delay of so many cycles per tone, shape ``(M,)``."""
    return np.exp(2j * np.pi * cycles * tone) @ channel


@pytest.mark.parametrize(
    ("num_tones", "fft_length", "decimation"),
    [(6666, 6720, 42), (1000, 1000, 5), (300, 300, 2), (612, 616, 4), (128, 128, 1)],
)
def test_the_decimation_divides_the_bins(num_tones, fft_length, decimation):
    gate = gate_of(num_tones, fft_length)
    assert gate.decimation == decimation
    assert gate.error <= 4e-5


@given(
    size=st.sampled_from([(6666, 6720), (997, 1000), (300, 300), (128, 128)]),
    num_elements=st.sampled_from([1, 3]),
    share=st.floats(0.0, 1.0),
    seed=st.integers(0, 99),
)
def test_sums_at_kept_delays_are_those_of_all_tones(size, num_elements, share, seed):
    num_tones, fft_length = size
    gate = gate_of(num_tones, fft_length)
    channel = noise(num_tones, num_elements, seed)
    cycles = share * (NUM_BINS - 1) / fft_length
    literal = summed(channel, np.arange(num_tones), cycles)
    found = summed(gated(channel, gate), gate.row_tone, cycles)
    # Each tone may be off by the filter's error and by a few roundings of single precision.
    most = (gate.error + 2e-6) * np.abs(channel).sum(axis=0)
    assert np.all(np.abs(found - literal) <= most)


def test_delays_that_are_not_kept_are_taken_away():
    """The control: rows alone would show an echo at a delay that aliases into those kept."""
    gate = gate_of(6666, 6720)
    tone = np.arange(6666)
    period = 6720 // gate.decimation
    far = np.exp(-2j * np.pi * (10 + period) / 6720 * tone)[:, None].astype(np.complex64)
    cycles = 10 / 6720
    alias = summed(far[:: gate.decimation], tone[:: gate.decimation], cycles) * gate.decimation
    assert abs(alias[0]) > 0.9 * 6666
    found = summed(gated(far, gate), gate.row_tone, cycles)[0]
    assert abs(found - summed(far, tone, cycles)[0]) < 2 * gate.error * 6666


def test_the_channel_is_left_as_it_was():
    gate, channel = gate_of(1000, 1000), noise(1000, 1)
    before = channel.copy()
    gated(channel, gate)
    np.testing.assert_array_equal(channel, before)
