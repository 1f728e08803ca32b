"""Receiving arrays: gain, phase and delay of each element against an ideal array's."""

import numpy as np
import pytest

from drivers.geometry import ComplexArray, FloatArray
from sim_backend.impairments import Impairments
from tests.paper.nuisances.bench import (
    IDEAL,
    TUNING,
    Hall,
    blocks,
    found_symbol,
    only,
    stated,
    sync_burst,
)
from tests.paper.nuisances.intervals import agrees, around, is_normal

NUM_RING, NUM_ELEMENTS = 40, 8


def responses(impaired: Impairments) -> tuple[FloatArray, ComplexArray]:
    """Frequencies of the symbol's tones, and the channel to each element, ``(ring, M, tones)``."""
    hall = Hall(ring=impaired, num_ring=NUM_RING, num_elements=NUM_ELEMENTS)
    hall.hub.transmit(sync_burst(), 1000)
    found = [
        [found_symbol(one) for one in block.samples.T] for block in blocks(hall.ring, 4096, 500)
    ]
    response = np.array([[symbol.response for symbol in radio] for radio in found])
    return found[0][0].frequency_hz, response


@pytest.fixture(scope="module")
def ideal() -> ComplexArray:
    return responses(IDEAL)[1]


def test_ideal_elements_are_alike(ideal):
    np.testing.assert_allclose(ideal[:, 1:], ideal[:, :1].repeat(NUM_ELEMENTS - 1, 1), rtol=1e-4)


@pytest.mark.parametrize("std_db", stated("element_gain_error_db"))
def test_element_gains(ideal, std_db):
    error = responses(only(element_gain_error_db=std_db))[1] / ideal
    gain_db = 20.0 * np.log10(np.abs(error))
    is_normal("element gain error, dB", gain_db.mean(axis=2).ravel(), std_db)
    assert np.abs(np.angle(error)).max() < 1e-4
    assert np.ptp(gain_db, axis=2).max() < 1e-3  # the same over the band


@pytest.mark.parametrize("std_deg", stated("element_phase_error_deg"))
def test_element_phases(ideal, std_deg):
    error = responses(only(element_phase_error_deg=std_deg))[1] / ideal
    phase_deg = np.rad2deg(np.angle(error))
    is_normal("element phase error, degrees", phase_deg.mean(axis=2).ravel(), std_deg)
    assert np.abs(np.abs(error) - 1.0).max() < 1e-4
    assert np.ptp(phase_deg, axis=2).max() < 0.01


@pytest.mark.parametrize("std_ps", stated("element_delay_error_ps"))
def test_element_delays(ideal, std_ps):
    frequency_hz, impaired = responses(only(element_delay_error_ps=std_ps))
    error = (impaired / ideal).reshape(-1, len(frequency_hz))
    phase = np.unwrap(np.angle(error), axis=1)
    delay_s = -np.polyfit(frequency_hz, phase.T, 1)[0] / (2.0 * np.pi)
    is_normal("element delay error, ps", delay_s * 1e12, std_ps)
    # A true delay: it turns the carrier by as much as it turns the band.
    turned = np.angle(error.mean(axis=1) * np.exp(2j * np.pi * TUNING.carrier_hz * delay_s))
    agrees("carrier's phase behind the delay, degrees", 0.0, around(np.rad2deg(turned), 0.5))
    assert np.abs(np.abs(error) - 1.0).max() < 1e-4
