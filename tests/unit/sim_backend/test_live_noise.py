"""Phase noise of devices that keep up with time: blocks come again, and nothing may show it."""

import numpy as np
import pytest
from scipy import signal

from sim_backend.impairments import PRESETS
from sim_backend.live_ether import LiveEther
from sim_backend.oscillator import FS_PER_S, PhaseNoise, mask_level

MASK = PRESETS["lab"].phase_noise_mask
RATE_HZ = 8e6
STEP_S, STEP_FS = 1.0 / RATE_HZ, 125_000_000


def live_noise() -> PhaseNoise:
    return PhaseNoise(MASK, 5.5e9, RATE_HZ, 1, (0, 0), LiveEther.num_noise_blocks)


def record(noise: PhaseNoise, start_tick: int, count: int) -> np.ndarray:
    return noise.phase_rad(start_tick * STEP_FS, STEP_S, count)


def test_captures_average_down_as_independent_ones_do():
    # Captures start at the same place of a block, which is what would show its coming again.
    noise, period, num_captures = live_noise(), 1 << 14, 400
    # Steps from sample to sample are all but white.
    steps = np.array([np.diff(record(noise, 37 * period * n, 4097)) for n in range(num_captures)])
    ratio = num_captures * np.mean(steps.mean(axis=0) ** 2) / np.mean(steps**2)
    # Some 2000 independent phases: 2 sqrt(1 / 2000) = 4.5 % for each of two standard deviations.
    assert abs(ratio - 1.0) < 0.1


def test_its_spectrum_is_the_masks():
    noise = live_noise()
    samples = np.concatenate([record(noise, n << 18, 1 << 18) for n in range(16)])
    offset_hz, found = signal.welch(samples, RATE_HZ, nperseg=1 << 12)
    for low_hz, high_hz in ((10e3, 30e3), (50e3, 150e3), (0.3e6, 1e6), (1e6, 3e6)):
        band = (offset_hz >= low_hz) & (offset_hz < high_hz)
        # One-sided density of the phase is twice the single-sideband level.
        stated = 2.0 * mask_level(MASK, offset_hz[band])
        assert abs(10.0 * np.log10(np.mean(found[band] / stated))) < 0.5


@pytest.mark.parametrize("start_tick", [-200_000, 0, 10**13])
def test_it_is_a_function_of_time(start_tick):
    whole = record(live_noise(), start_tick, 100_000)
    later = record(live_noise(), start_tick + 40_000, 50_000)
    assert np.std(whole) > 0.001
    # Slow parts are straight between points that each call sets anew.
    np.testing.assert_allclose(later, whole[40_000:90_000], atol=0.01 * np.std(whole))


def test_a_second_has_more_noise_than_what_is_kept():
    noise = live_noise()
    starts = [record(noise, n << 14, 8) for n in range(int(RATE_HZ) >> 14)]
    assert len({tuple(start) for start in starts}) == len(starts)
    assert round(RATE_HZ) * STEP_FS == FS_PER_S
