"""Receiving front ends: noise, gain and its steps, converter, IQ imbalance, DC offset."""

from dataclasses import replace

import numpy as np
import pytest

from drivers.geometry import ComplexArray, FloatArray
from sim_backend.impairments import PRESETS, Impairments
from tests.paper.nuisances.bench import (
    IDEAL,
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
from tests.paper.nuisances.intervals import agrees, around, is_normal, is_uniform, mean_interval

RATE_HZ = TUNING.sample_rate_hz
# Half the full scale, 6 dB under the gain at which full scale is 6 dB over the nominal power.
TONE_DBM = TX_POWER_DBM + 6.0 - (90.0 - TUNING.tx_gain_db) + 20.0 * np.log10(0.5)
TONE_HZ = 1_234_567.0  # in no simple ratio to the rate, so that it meets all codes


def received_tones(hall: Hall, num_samples: int = 2048) -> list[ComplexArray]:
    """The hub's tone at each of the ring, without its ends."""
    begin = hall.hub.time_ticks() + 100
    hall.hub.transmit(tone(TONE_HZ, num_samples + 1024), begin)
    return [b.samples[:, 0] for b in blocks(hall.ring, num_samples, begin + 512)]


def tone_powers_dbm(hall: Hall) -> FloatArray:
    """Power of the hub's tone at each of the ring's ports, by their own scales."""
    begin = hall.hub.time_ticks() + 100
    hall.hub.transmit(tone(TONE_HZ, 3072), begin)
    heard = blocks(hall.ring, 2048, begin + 512)
    return np.array([power_dbm(b, tone_amplitude(b.samples[:, 0], TONE_HZ)) for b in heard])


def silence_dbm(hall: Hall, num_samples: int = 16_384) -> FloatArray:
    """Noise power at each of the ring's ports."""
    heard = blocks(hall.ring, num_samples, None)
    return np.array(
        [b.full_scale_dbm + 10 * np.log10(np.mean(np.abs(b.samples) ** 2)) for b in heard]
    )


def test_ideal_noise_is_that_of_290_kelvin():
    boltzmann_dbm = 10.0 * np.log10(1.380649e-23 * 290.0 * RATE_HZ / 1e-3)
    figures_db = silence_dbm(Hall(num_ring=20, noise_figure_db=5.0)) - boltzmann_dbm
    low, high = mean_interval(figures_db)
    agrees("ideal noise figure, dB", 5.0, (low - 0.03, high + 0.03))  # k T as -174 dBm/Hz: 0.025


def test_noise_is_circular_and_white():
    (block,) = blocks(Hall(noise_figure_db=5.0).ring, 1 << 16, None)
    noise = block.samples[:, 0] / np.sqrt(np.mean(np.abs(block.samples) ** 2))
    for other in (noise.conj(), np.roll(noise, 1), np.roll(noise, 7)):
        assert abs(np.vdot(other, noise)) / len(noise) < 3.7 / np.sqrt(len(noise))


@pytest.mark.parametrize("std_db", stated("noise_figure_error_db"))
def test_noise_figure_error(std_db):
    true, nominal = (
        silence_dbm(Hall(ring=impaired, num_ring=400, noise_figure_db=5.0))
        for impaired in (only(noise_figure_error_db=std_db), IDEAL)
    )
    # 16384 samples know it to 4.3 dB / 128 = 0.034 dB, which adds 0.2 % to the smaller size.
    is_normal("noise figure error, dB", true - np.mean(nominal), std_db)


@pytest.mark.parametrize("std_db", stated("rx_gain_error_db"))
def test_receive_gain_error(std_db):
    hall = Hall(ring=only(rx_gain_error_db=std_db), num_ring=400)
    is_normal("receive gain error, dB", tone_powers_dbm(hall) - TONE_DBM - friis_db(), std_db)


def test_ideal_gain_is_that_of_friis():
    (power,) = tone_powers_dbm(Hall())
    agrees("ideal received power, dBm", TONE_DBM + friis_db(), around(power, 1e-4))


@pytest.mark.parametrize("step_db", stated("rx_gain_step_db"))
def test_receive_gain_steps(step_db):
    hall = Hall(ring=only(rx_gain_step_db=step_db))
    applied_db, level_db = [], []
    for asked_db in np.arange(20.0, 26.0, 0.17):
        applied = hall.ring[0].configure(replace(TUNING, rx_gain_db=float(asked_db)))
        (samples,) = received_tones(hall)
        applied_db.append(applied.rx_gain_db)
        level_db.append(20.0 * np.log10(abs(tone_amplitude(samples, TONE_HZ))))
        assert abs(applied.rx_gain_db - asked_db) <= step_db / 2.0 + 1e-9
    # The samples go by the same steps as what the radio says that it applied.
    np.testing.assert_allclose(np.diff(level_db), np.diff(applied_db), atol=1e-3)
    seen_db = np.diff(level_db)
    agrees("receive gain step, dB", step_db, around(seen_db[seen_db > 0.01], 1e-3))


def test_receive_gain_without_steps():
    applied = Hall().ring[0].configure(replace(TUNING, rx_gain_db=23.456789))
    assert applied.rx_gain_db == 23.456789


@pytest.mark.parametrize("bits", stated("adc_bits"))
def test_receive_converter_s_bits(bits):
    loud = replace(TUNING, rx_gain_db=TUNING.rx_gain_db + 15.0)
    (samples,) = received_tones(Hall(ring=only(adc_bits=bits), tuning=loud), 1 << 16)
    middle = samples[4096:-4096]
    codes = np.unique(np.concatenate((middle.real, middle.imag)).astype(np.float64))
    step = np.diff(codes)
    agrees("smallest step, bit", bits, around(np.log2(2.0 / step.min()), 1e-6))
    assert np.abs(codes / step.min() - np.round(codes / step.min())).max() < 1e-3
    # A step's noise is its square over 12, in I and in Q: 1e5 values know it to 1.5 % (0.01 bit).
    noise = np.mean(np.abs(residual(middle, TONE_HZ)) ** 2) / 2.0
    agrees("noise of quantization, bit", bits, around(np.log2(2.0 / np.sqrt(12.0 * noise)), 0.02))


def test_ideal_converter_has_no_steps():
    (samples,) = received_tones(Hall(), 1 << 16)
    assert np.std(residual(samples[4096:-4096], TONE_HZ)) < 2.0**-18


@pytest.mark.parametrize(("bits", "largest"), [(None, 1.0), (12, 1.0 - 2.0**-11)])
def test_clipping_is_at_full_scale_in_i_and_in_q(bits, largest):
    loud = replace(TUNING, rx_gain_db=TUNING.rx_gain_db + 40.0)
    (free,) = received_tones(Hall(tuning=loud))
    (clipped,) = received_tones(Hall(ring=only(clipping=True, adc_bits=bits), tuning=loud))
    for full, cut in ((free.real, clipped.real), (free.imag, clipped.imag)):
        assert full.max() > 2.0
        agrees("largest sample", largest, around(cut.max(), 1e-6))
        agrees("smallest sample", -1.0, around(cut.min(), 1e-6))
        inside = np.abs(full) < 0.99
        np.testing.assert_allclose(cut[inside], full[inside], atol=1e-6 if bits is None else 2**-12)


WHOLE_HZ = RATE_HZ / 16.0


def imbalance(samples: ComplexArray) -> tuple[float, float]:
    """Gain of Q over I in dB, and how far their angle is off 90 degrees, over whole periods."""
    whole = samples[: len(samples) // 2048 * 2048].astype(np.complex128)
    in_phase, quadrature = whole.real - whole.real.mean(), whole.imag - whole.imag.mean()
    powers = np.mean(in_phase**2), np.mean(quadrature**2)
    sine = np.mean(in_phase * quadrature) / np.sqrt(powers[0] * powers[1])
    return 10.0 * float(np.log10(powers[1] / powers[0])), float(np.rad2deg(np.arcsin(sine)))


def tone_imbalances(impaired: Impairments) -> FloatArray:
    """Gain in dB and angle in degrees of each of 300 receivers, shape ``(300, 2)``."""
    hall = Hall(ring=impaired, num_ring=300)
    hall.hub.transmit(tone(WHOLE_HZ, 6144), 10_000)
    rows = []
    for block in blocks(hall.ring, 2048, 12_048):
        samples = block.samples[:, 0]
        gain_db, angle_deg = imbalance(samples)
        rows.append((gain_db, angle_deg))
        # The tone's image is as strong as gain and angle say.
        image_over_tone = tone_amplitude(samples, -WHOLE_HZ) / tone_amplitude(samples, WHOLE_HZ)
        skew = 10.0 ** (gain_db / 20.0) * np.exp(1j * np.deg2rad(angle_deg))
        stated_image = abs(1.0 - skew) / abs(1.0 + skew)
        assert abs(image_over_tone) == pytest.approx(stated_image, rel=0.01, abs=1e-5)
    return np.array(rows)


@pytest.mark.parametrize("std_db", stated("iq_gain_imbalance_db"))
def test_receive_gain_imbalance(std_db):
    gain_db, angle_deg = tone_imbalances(only(iq_gain_imbalance_db=std_db)).T
    is_normal("receiver's gain of Q over I, dB", gain_db, std_db)
    assert np.abs(angle_deg).max() < 0.002


@pytest.mark.parametrize("std_deg", stated("iq_phase_imbalance_deg"))
def test_receive_phase_imbalance(std_deg):
    gain_db, angle_deg = tone_imbalances(only(iq_phase_imbalance_deg=std_deg)).T
    is_normal("receiver's angle between I and Q, degrees", angle_deg, std_deg)
    assert np.abs(gain_db).max() < 0.002


def test_images_are_as_far_down_as_their_source_says():
    lab = PRESETS["lab"]
    both = only(
        iq_gain_imbalance_db=lab.iq_gain_imbalance_db,
        iq_phase_imbalance_deg=lab.iq_phase_imbalance_deg,
    )
    hall = Hall(ring=both, num_ring=300)
    hall.hub.transmit(tone(WHOLE_HZ, 6144), 10_000)
    heard = [block.samples[:, 0] for block in blocks(hall.ring, 2048, 12_048)]
    image, wanted = (
        np.array([tone_amplitude(one, side * WHOLE_HZ) for one in heard]) for side in (-1, 1)
    )
    mean_db = 10.0 * np.log10(mean_interval(np.abs(image / wanted) ** 2))
    agrees("mean image, dB (50 dB down, to 3 dB)", -50.0, (mean_db[0] - 3.0, mean_db[1] + 3.0))


@pytest.mark.parametrize("power_dbfs", stated("dc_offset_dbfs"))
def test_dc_offset(power_dbfs):
    hall = Hall(ring=only(dc_offset_dbfs=power_dbfs), num_ring=200, num_elements=2)
    means = np.array([b.samples.mean(axis=0) for b in blocks(hall.ring, 256, None)])
    agrees("DC offset, dBFS", power_dbfs, around(20.0 * np.log10(np.abs(means)), 1e-3))
    is_uniform("DC offset's phase, degrees", np.rad2deg(np.angle(means[:, 0])), -180.0, 180.0)
    is_uniform(
        "DC offset from channel to channel, degrees",
        np.rad2deg(np.angle(means[:, 1] / means[:, 0])), -180.0, 180.0,
    )  # fmt: skip
