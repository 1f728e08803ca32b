"""Transmitting front ends: power, steps of gain, converter, IQ imbalance, carrier leakage."""

from dataclasses import replace

import numpy as np
import pytest

from drivers.geometry import ComplexArray, FloatArray
from drivers.radio import IqBlock
from sim_backend.impairments import Impairments
from sim_backend.radio import SimRadio
from tests.paper.nuisances.bench import (
    TUNING,
    TX_POWER_DBM,
    Hall,
    blocks,
    friis_db,
    only,
    power_dbm,
    residual,
    stated,
    tone,
    tone_amplitude,
)
from tests.paper.nuisances.intervals import agrees, around, is_normal, is_uniform

# In no simple ratio to the rate, so that it meets all codes of a converter.
TONE_HZ = 1_234_567.0
HALF_DB = 20.0 * np.log10(0.5)  # amplitude of the tones


def heard_by_hub(hall: Hall, radio: SimRadio, samples: ComplexArray, margin: int = 512) -> IqBlock:
    """What the hub receives of a radio's burst, without its ends."""
    hall.ether.advance(1.1)  # the ether forgets bursts of more than a second ago
    begin = hall.hub.time_ticks() + 100
    radio.transmit(samples, begin)
    return blocks([hall.hub], len(samples) - 2 * margin, begin + margin)[0]


def powers_dbm(impaired: Impairments, num_ring: int) -> FloatArray:
    """Power that the hub receives of a tone of each radio."""
    hall = Hall(ring=impaired, num_ring=num_ring)
    heard = [heard_by_hub(hall, radio, tone(TONE_HZ, 3072)) for radio in hall.ring]
    return np.array([power_dbm(b, tone_amplitude(b.samples[:, 0], TONE_HZ)) for b in heard])


def test_ideal_power_is_nominal():
    # The gain of 84 dB is 6 dB under the highest, where magnitude 1 is 6 dB over the nominal.
    stated_dbm = TX_POWER_DBM + 6.0 - (90.0 - TUNING.tx_gain_db) + HALF_DB + friis_db()
    agrees("ideal power, dBm", stated_dbm, around(powers_dbm(only(), 1), 1e-4))


@pytest.mark.parametrize("std_db", stated("tx_power_error_db"))
def test_power_error(std_db):
    off_db = powers_dbm(only(tx_power_error_db=std_db), 400) - powers_dbm(only(), 1)
    is_normal("transmit power error, dB", off_db, std_db)


@pytest.mark.parametrize("step_db", stated("tx_gain_step_db"))
def test_transmit_gain_steps(step_db):
    hall = Hall(ring=only(tx_gain_step_db=step_db))
    applied_db, level_db = [], []
    for asked_db in np.arange(70.0, 73.0, 0.07):
        applied = hall.ring[0].configure(replace(TUNING, tx_gain_db=float(asked_db)))
        block = heard_by_hub(hall, hall.ring[0], tone(TONE_HZ, 3072))
        applied_db.append(applied.tx_gain_db)
        level_db.append(power_dbm(block, tone_amplitude(block.samples[:, 0], TONE_HZ)))
        assert abs(applied.tx_gain_db - asked_db) <= step_db / 2.0 + 1e-9
    np.testing.assert_allclose(np.diff(level_db), np.diff(applied_db), atol=1e-3)
    seen_db = np.diff(level_db)
    agrees("transmit gain step, dB", step_db, around(seen_db[seen_db > 0.01], 1e-3))


@pytest.mark.parametrize("bits", stated("adc_bits"))
def test_transmit_converter_s_bits(bits):
    loud = 0.98 / 0.5 * tone(TONE_HZ, 1 << 16)
    hall = Hall(ring=only(adc_bits=bits))
    samples = heard_by_hub(hall, hall.ring[0], loud, 4096).samples[:, 0]
    full_scale = abs(tone_amplitude(samples, TONE_HZ)) / 0.98
    noise = np.mean(np.abs(residual(samples, TONE_HZ) / full_scale) ** 2) / 2.0
    agrees("transmitter's noise, bit", bits, around(np.log2(2.0 / np.sqrt(12.0 * noise)), 0.02))


def imbalances(impaired: Impairments) -> FloatArray:
    """Gain of Q over I in dB, and their angle's error in degrees, of 300 transmitters.

    The image of a tone over the same channel's response to the conjugate tone.
    """
    hall = Hall(ring=impaired, num_ring=300)
    rows = []
    for radio in hall.ring:
        upper, lower = (heard_by_hub(hall, radio, tone(s * TONE_HZ, 3072)) for s in (1, -1))
        image, wanted = (tone_amplitude(b.samples[:, 0], -TONE_HZ) for b in (upper, lower))
        skew = (1.0 + image / wanted) / (1.0 - image / wanted)  # (1 + j g sin) / (g cos)
        angle = np.arctan(skew.imag)
        rows.append((-20.0 * np.log10(skew.real * np.cos(angle)), np.rad2deg(angle)))
    return np.array(rows)


@pytest.mark.parametrize("std_db", stated("iq_gain_imbalance_db"))
def test_transmit_gain_imbalance(std_db):
    gain_db, angle_deg = imbalances(only(iq_gain_imbalance_db=std_db)).T
    is_normal("transmitter's gain of Q over I, dB", gain_db, std_db)
    assert np.abs(angle_deg).max() < 0.002


@pytest.mark.parametrize("std_deg", stated("iq_phase_imbalance_deg"))
def test_transmit_phase_imbalance(std_deg):
    gain_db, angle_deg = imbalances(only(iq_phase_imbalance_deg=std_deg)).T
    is_normal("transmitter's angle between I and Q, degrees", angle_deg, std_deg)
    assert np.abs(gain_db).max() < 0.002


@pytest.mark.parametrize("power_dbfs", stated("carrier_leakage_dbfs"))
def test_carrier_leakage(power_dbfs):
    hall = Hall(ring=only(carrier_leakage_dbfs=power_dbfs), num_ring=200)
    leaks = []
    for radio in hall.ring:
        samples = heard_by_hub(hall, radio, tone(TONE_HZ, 3072)).samples[:, 0]
        leaks.append(0.5 * tone_amplitude(samples, 0.0) / abs(tone_amplitude(samples, TONE_HZ)))
    agrees("carrier leakage, dBFS", power_dbfs, around(20.0 * np.log10(np.abs(leaks)), 0.01))
    is_uniform("carrier leakage's phase, degrees", np.rad2deg(np.angle(leaks)), -180.0, 180.0)


def test_carrier_leaks_only_while_sending():
    hall = Hall(ring=only(carrier_leakage_dbfs=-50.0))
    radio, silent = hall.ring[0], 1e-9  # the noise of -200 dB is 1e-13
    sent = heard_by_hub(hall, radio, np.zeros(3072, dtype=complex)).samples
    assert np.abs(sent).min() > silent
    for _ in range(2):
        assert np.abs(blocks([hall.hub], 1000, None)[0].samples).max() > silent  # its last samples
        hall.ether.advance(1e-3)
        assert np.abs(blocks([hall.hub], 1000, None)[0].samples).max() < silent
        radio.transmit(np.zeros(3072, dtype=complex))
