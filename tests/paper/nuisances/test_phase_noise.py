"""Phase noise: its size, its spectrum against the mask, whose it is, and when."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import signal

from drivers.geometry import ComplexArray, FloatArray
from sim_backend.impairments import PRESETS, Impairments
from sim_backend.oscillator import PhaseNoise
from tests.paper.nuisances.bench import IDEAL, TUNING, Hall, blocks, only, tone
from tests.paper.nuisances.intervals import agrees, power_interval

MASK = PRESETS["lab"].phase_noise_mask
NOISY = only(phase_noise_mask=MASK)
# Widest that the testbed samples, and a rate at which offsets under 1 kHz are measured soon.
WIDE_HZ, NARROW_HZ = 122.88e6, 7.68e6

# (Integral of S)^2 / (integral of S^2): flat to 200 kHz, then falling with the square of it.
BANDWIDTH_HZ = 600e3


def stated_dbc_per_hz(offset_hz: float, carrier_hz: float) -> float:
    """The page's mask: straight over the logarithm of the offset, 20 dB a decade of carrier."""
    at_hz, level_db = np.array(MASK).T
    at_reference = np.interp(np.log10(offset_hz), np.log10(at_hz), level_db)
    return float(at_reference + 20.0 * np.log10(carrier_hz / 5.5e9))


def carriers(
    *,
    hub: Impairments = IDEAL,
    ring: Impairments = IDEAL,
    num_ring: int,
    num_samples: int,
    rate_hz: float,
    carrier_hz: float = 5.5e9,
    seed: int = 1,
) -> list[ComplexArray]:
    """What each of the ring receives of the hub's unmodulated carrier, of mean amplitude 1."""
    tuning = replace(TUNING, sample_rate_hz=rate_hz, carrier_hz=carrier_hz)
    hall = Hall(hub=hub, ring=ring, num_ring=num_ring, tuning=tuning, seed=seed)
    hall.hub.transmit(tone(0.0, num_samples + 20_000), 1000)
    received = [b.samples[:, 0].astype(complex) for b in blocks(hall.ring, num_samples, 10_000)]
    return [samples / np.mean(samples) for samples in received]


def phase_deg(samples: ComplexArray) -> FloatArray:
    phase = np.unwrap(np.angle(samples))
    return np.rad2deg(phase - np.mean(phase))


@pytest.mark.parametrize("way", ["hub", "ring"])
@pytest.mark.parametrize(("carrier_hz", "stated_deg"), [(5.5e9, 0.59), (2.4e9, 0.59 * 2.4 / 5.5)])
def test_phase_noise_integrates_to_the_data_sheet_s_value(way, carrier_hz, stated_deg):
    squares, freedom = [], 0.0
    for seed in range(4):
        (samples,) = carriers(
            **{way: NOISY}, num_ring=1, num_samples=1 << 18, rate_hz=WIDE_HZ,
            carrier_hz=carrier_hz, seed=seed,
        )  # fmt: skip
        phase = phase_deg(samples)
        squares.append(np.mean(phase**2))
        # A record of length T holds 2 T (integral of S)^2 / (integral of S^2) independent values.
        offset_hz, density = signal.welch(phase, WIDE_HZ, nperseg=8192)
        step_hz = offset_hz[1]
        freedom += (
            2.0 * len(phase) / WIDE_HZ
            * (density.sum() * step_hz) ** 2 / (np.sum(density**2) * step_hz)
        )  # fmt: skip
    low, high = np.sqrt(power_interval(float(np.mean(squares)), freedom))
    # 0.2 % more between the last offset here and 100 MHz; the data sheet has two digits.
    agrees(
        f"phase noise at {carrier_hz / 1e9:g} GHz, degrees", stated_deg, (low - 0.003, high + 0.003)
    )


def spectrum(records: list[ComplexArray], rate_hz: float) -> tuple[FloatArray, FloatArray]:
    """Offsets and mean power density of carriers, both sides: dBc/Hz as an analyser has it."""
    welch = [
        signal.welch(
            samples, rate_hz, nperseg=len(samples), detrend="constant", return_onesided=False
        )
        for samples in records
    ]  # fmt: skip
    return welch[0][0], np.mean([density for _, density in welch], axis=0)


@pytest.mark.parametrize(
    ("rate_hz", "bands_hz"),
    [
        # The simulator goes over from tones to blocks of noise at 350 Hz here ...
        (NARROW_HZ, ((80, 240), (180, 600), (500, 1e3), (1e3, 3e3), (1e4, 3e4), (1e6, 3e6))),
        # ... and at 5.6 kHz here.
        (WIDE_HZ, ((1.3e3, 3.8e3), (3e3, 9e3), (8e3, 2e4), (1e5, 2e5), (9e6, 11e6), (5e7, 6e7))),
    ],
)  # fmt: skip
def test_spectrum_follows_the_mask(rate_hz, bands_hz):
    num_ring, num_samples = 20, 1 << 18
    records = carriers(ring=NOISY, num_ring=num_ring, num_samples=num_samples, rate_hz=rate_hz)
    offset_hz, density = spectrum(records, rate_hz)
    for low_hz, high_hz in (band for edges in bands_hz for band in (edges, (-edges[1], -edges[0]))):
        inside = (offset_hz >= low_hz) & (offset_hz <= high_hz)
        levels = [stated_dbc_per_hz(abs(f), 5.5e9) for f in np.linspace(low_hz, high_hz, 10_001)]
        # A Hann window leaves 1 / 1.94 of the independent values.
        freedom = 2.0 * (high_hz - low_hz) * num_ring * num_samples / rate_hz / 1.94
        low, high = power_interval(float(np.mean(density[inside])), freedom)
        agrees(
            f"phase noise from {low_hz:g} to {high_hz:g} Hz, dBc/Hz",
            float(10.0 * np.log10(np.mean(10.0 ** (np.array(levels) / 10.0)))),
            (10.0 * np.log10(low), 10.0 * np.log10(high)),
        )


def test_phase_noise_is_as_strong_at_all_times():
    records = carriers(ring=NOISY, num_ring=12, num_samples=1 << 18, rate_hz=NARROW_HZ)
    squares = np.mean([phase_deg(samples) ** 2 for samples in records], axis=0)
    duration_s = 12 * len(squares) / NARROW_HZ
    for period in (1 << 13, 1 << 14, 1 << 15, 1 << 16):  # of anything that comes in blocks
        folded = squares.reshape(-1, 8, period // 8).mean(axis=(0, 2))
        low, high = power_interval(1.0, 2.0 * BANDWIDTH_HZ * duration_s / 8)
        assert np.all((folded / np.mean(squares) > low) & (folded / np.mean(squares) < high))


def shifted_records(shift: int, **who: Impairments) -> tuple[FloatArray, FloatArray]:
    """Phases that two receivers see of one carrier at the same times, blocks `shift` apart."""
    hall = Hall(**who, num_ring=2, tuning=replace(TUNING, sample_rate_hz=WIDE_HZ))
    hall.hub.transmit(tone(0.0, 80_000), 1000)
    for n, radio in enumerate(hall.ring):
        radio.arm_receive(50_000, 20_000 + n * shift)
    first, second = (phase_deg(radio.fetch().samples[:, 0]) for radio in hall.ring)
    return first[shift + 2000 :], second[2000 : len(second) - shift]


# Of 2 x 600 kHz x 0.39 ms = 470 independent phases in such records (or more), 99.9 %.
UNCORRELATED = 0.16


@pytest.mark.parametrize("shift", [0, 1, 2, 3, 7, 1000, 20_001])
def test_all_receivers_hear_the_same_noise_of_a_transmitter(shift):
    first, second = shifted_records(shift, hub=NOISY)
    assert np.std(first) > 0.3
    assert np.std(first - second) < 0.002


def test_receivers_have_noise_of_their_own():
    first, second = shifted_records(0, ring=NOISY)
    assert abs(np.corrcoef(first, second)[0, 1]) < UNCORRELATED


def test_sending_and_receiving_have_oscillators_of_their_own():
    tuning = replace(TUNING, sample_rate_hz=WIDE_HZ)
    phases = []
    for sends in (False, False, True):
        hall = Hall(ring=NOISY, tuning=tuning)
        tx, rx = (hall.ring[0], hall.hub) if sends else (hall.hub, hall.ring[0])
        tx.transmit(tone(0.0, 60_000), 1000)
        phases.append(phase_deg(blocks([rx], 50_000, 10_000)[0].samples[:, 0]))
    received, again, sent = phases
    np.testing.assert_array_equal(received, again)
    assert abs(np.corrcoef(received, sent)[0, 1]) < UNCORRELATED


@pytest.mark.parametrize("rate_hz", [1e5, 1.92e6, 122.88e6])
def test_phase_noise_is_a_function_of_time_before_zero_too(rate_hz):
    noise = PhaseNoise(MASK, 5.5e9, rate_hz, 1, (0, 0))
    step_fs = round(1e15 / rate_hz)
    whole = noise.phase_rad(-50_000 * step_fs, 1.0 / rate_hz, 100_000)
    halves = [noise.phase_rad(n * step_fs, 1.0 / rate_hz, 50_000) for n in (-50_000, 0)]
    assert np.std(whole) > 0.001
    np.testing.assert_allclose(np.concatenate(halves), whole, atol=0.01 * np.std(whole))
