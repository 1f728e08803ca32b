"""The oscillator's phase from one retune to the next."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from drivers.geometry import FloatArray
from sim_backend.impairments import Impairments
from tests.paper.nuisances.bench import IDEAL, TUNING, Hall, blocks, only, tone, tone_amplitude
from tests.paper.nuisances.intervals import CONFIDENCE, is_uniform

AWAY = replace(TUNING, carrier_hz=TUNING.carrier_hz + 1e6)


def phases_after_retunes(
    retunes: int, *, hub: Impairments = IDEAL, ring: Impairments = IDEAL, num_elements: int = 1
) -> FloatArray:
    """Phase of an unmodulated carrier after each retune away and back, shape ``(retunes, M)``."""
    hall = Hall(hub=hub, ring=ring, num_elements=num_elements)
    impaired = hall.hub if hub is not IDEAL else hall.ring[0]
    phases = []
    for _ in range(retunes):
        impaired.configure(AWAY)
        impaired.configure(TUNING)
        hall.ether.advance(1.5)  # the ether forgets bursts of more than a second ago
        begin = hall.hub.time_ticks() + 10
        hall.hub.transmit(tone(0.0, 768), begin)
        block = blocks(hall.ring, 512, begin + 128)[0]
        phases.append([np.angle(tone_amplitude(one, 0.0)) for one in block.samples.T])
    return np.array(phases)


@pytest.mark.parametrize("way", ["hub", "ring"])
def test_random_phase_is_uniform(way):
    (phase,) = phases_after_retunes(500, **{way: only(retune_phase="random")}).T
    is_uniform("phase after a retune, degrees", np.rad2deg(phase), -180.0, 180.0)
    steps = np.angle(np.exp(1j * np.diff(phase)))  # no retune knows of the one before
    is_uniform("phase from retune to retune, degrees", np.rad2deg(steps), -180.0, 180.0)


@pytest.mark.parametrize("way", ["hub", "ring"])
def test_quadrants_are_four_and_alike(way):
    (phase,) = phases_after_retunes(500, **{way: only(retune_phase="quadrants")}).T
    quarters = (phase - phase[0]) / (np.pi / 2.0)
    assert np.abs(quarters - np.round(quarters)).max() < 1e-4
    counts = np.bincount(np.round(quarters).astype(int) % 4, minlength=4)
    assert stats.chisquare(counts).pvalue > 1.0 - CONFIDENCE


@pytest.mark.parametrize("way", ["hub", "ring"])
def test_kept_phase_is_kept(way):
    (phase,) = phases_after_retunes(5, **{way: only(retune_phase="kept")}).T
    assert np.ptp(phase) < 1e-4


def test_channels_of_one_radio_turn_together():
    phase = phases_after_retunes(20, ring=only(retune_phase="random"), num_elements=3)
    between = np.angle(np.exp(1j * (phase - phase[:, :1])))
    assert np.abs(between).max() < 1e-4


def test_phase_stays_between_retunes():
    hall = Hall(ring=only(retune_phase="random"))
    phases = []
    for _ in range(3):
        begin = hall.hub.time_ticks() + 10
        hall.hub.transmit(tone(0.0, 768), begin)
        block = blocks(hall.ring, 512, begin + 128)[0]
        phases.append(np.angle(tone_amplitude(block.samples[:, 0], 0.0)))
        hall.ether.advance(1.0)
    assert np.ptp(phases) < 1e-4
