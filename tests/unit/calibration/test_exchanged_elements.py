"""Elements that took the place of others are told apart from them, and an entry is heard anew."""

import numpy as np
import pytest

from calibration.exchanged_elements import compared_elements, exchanged_elements
from drivers.waveform import OfdmGrid
from processing.alignment import shifted

GRID = OfdmGrid(5.8e9, 60e3, 600)
NOISE = 1e-3


def noisy(channel, rng):
    parts = rng.standard_normal((*channel.shape, 2)) * np.sqrt(NOISE / 2.0)
    return channel + parts[..., 0] + 1j * parts[..., 1]


def static_channel(rng, num_elements):
    """Eight paths within 100 ns, with a direction each."""
    delay_s, step = rng.uniform(0.0, 1e-7, 8), np.exp(2j * np.pi * rng.uniform(-0.5, 0.5, 8))
    gain = rng.standard_normal(8) + 1j * rng.standard_normal(8)
    tones = np.exp(-2j * np.pi * GRID.offset_hz[:, None] * delay_s)
    return (tones * gain) @ (step[:, None] ** np.arange(num_elements))


def exchange(rng, size):
    gain = np.exp(0.05 * rng.standard_normal(size) + 0.3j * rng.standard_normal(size))
    delay_s = 5e-12 * rng.standard_normal(size)
    return gain, delay_s - delay_s.mean()


def test_what_differs_is_found_by_several_links_as_finely_as_noise_allows():
    rng = np.random.default_rng(3)
    gain, delay_s = exchange(rng, 4)
    compared = []
    for _ in range(4):
        entry = static_channel(rng, 4)
        link_gain, late_s = 0.7 * np.exp(1j * rng.uniform(0.0, 6.0)), rng.uniform(-3e-8, 3e-8)
        there = shifted(entry, GRID, delay_s + late_s, gain * link_gain)
        compared.append(compared_elements(noisy(there, rng), noisy(entry, rng), GRID))
    found = exchanged_elements(compared)
    wanted = gain * np.conj(gain.sum()) / abs(gain.sum()) / np.sqrt(np.mean(np.abs(gain) ** 2))
    gain_std = np.sqrt(np.mean([each.gain_var for each in compared]) / len(compared))
    assert np.all(np.abs(found.gain - wanted) < 4.0 * gain_std)
    delay_std_s = np.sqrt(np.mean([each.delay_var_s2 for each in compared]) / len(compared))
    assert delay_std_s < 4e-12
    assert np.all(np.abs(found.delay_s - delay_s) < 4.0 * delay_std_s)
    entry = static_channel(rng, 4)
    heard = found.heard(entry, GRID)
    there = shifted(entry, GRID, delay_s, wanted)
    assert np.mean(np.abs(heard - there) ** 2) < 0.1 * NOISE  # of what a capture holds anyway
    assert np.mean(np.abs(entry - there) ** 2) > 30.0 * NOISE  # and would not fit as it is


def test_a_link_whose_hall_has_changed_does_not_spoil_the_others():
    rng = np.random.default_rng(4)
    gain, delay_s = exchange(rng, 4)
    compared = []
    for n in range(5):
        entry = static_channel(rng, 4)
        now = static_channel(rng, 4) if n == 0 else entry
        compared.append(
            compared_elements(noisy(shifted(now, GRID, delay_s, gain), rng), entry, GRID)
        )
    found = exchanged_elements(compared)
    alone = exchanged_elements(compared[1:])
    assert np.max(np.abs(found.gain - alone.gain)) < 0.05


def test_a_silent_link_tells_nothing():
    assert compared_elements(np.ones((600, 2)), np.zeros((600, 2)), GRID) is None
    with pytest.raises(ValueError, match="one link or more"):
        exchanged_elements([])
