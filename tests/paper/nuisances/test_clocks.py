"""Clocks: one oscillator drives carrier and sampling clock; what sets the time, and how well."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.geometry import FloatArray
from drivers.radio_errors import TuningError
from sim_backend.oscillator import NodeClock
from sim_backend.radio import SimRadio
from tests.paper.nuisances.bench import (
    COMMON,
    DELAY_S,
    TONE_HZ,
    TUNING,
    Hall,
    blocks,
    found_symbol,
    frequency_and_arrival,
    only,
    stated,
    sync_burst,
    tone_and_symbol,
)
from tests.paper.nuisances.intervals import agrees, around, is_normal, is_uniform

RATE_HZ, CARRIER_HZ = TUNING.sample_rate_hz, TUNING.carrier_hz
SLACK = 3000  # samples before and after a burst, for clocks that are off


def heard(tx: SimRadio, receivers: Sequence[SimRadio], at_tick: int) -> FloatArray:
    """Frequency in Hz and ticks of arrival after `at_tick`, shape ``(receivers, 2)``."""
    burst = tone_and_symbol()
    tx.transmit(burst, at_tick)
    found = [
        frequency_and_arrival(block.samples[:, 0])
        for block in blocks(receivers, len(burst) + 2 * SLACK, at_tick - SLACK)
    ]
    return np.array(found) - (0.0, SLACK)


def receiver_ppm(hall: Hall, first_tick: int, ticks: int) -> tuple[FloatArray, FloatArray]:
    """How fast the ring's clocks are, by their carriers and by the time between two bursts."""
    early, late = (heard(hall.hub, hall.ring, first_tick + n * ticks) for n in (0, 1))
    # A fast oscillator is above the tone, which it sees too low, in samples that are too short.
    by_carrier = (TONE_HZ - early[:, 0]) / (CARRIER_HZ + early[:, 0])
    by_time = (late[:, 1] - early[:, 1]) / ticks  # a fast clock counts more ticks in between
    return by_carrier * 1e6, by_time * 1e6


@pytest.mark.parametrize("limit_ppm", stated("clock_offset_ppm"))
def test_clock_offset_moves_carrier_and_sampling_clock_alike(limit_ppm):
    hall = Hall(ring=only(clock_offset_ppm=limit_ppm), num_ring=200)
    by_carrier, by_time = receiver_ppm(hall, 10_000, 1_000_000)
    is_uniform("clock offset by the carrier, ppm", by_carrier, -limit_ppm, limit_ppm)
    # 1e6 ticks, two arrivals to 1e-3 of one: 1e-3 ppm
    is_uniform("clock offset by the time, ppm", by_time, -limit_ppm, limit_ppm, slack=0.001)
    np.testing.assert_allclose(by_time, by_carrier, atol=0.001)


def test_a_fast_clock_s_carrier_is_high_and_its_burst_is_short():
    hall = Hall(ring=only(clock_offset_ppm=25.0), num_ring=8)
    ticks = 1_000_000
    as_receivers = receiver_ppm(hall, 10_000, ticks)[0]
    as_transmitters = []
    for n, radio in enumerate(hall.ring):
        begin = 10_000_000 + 3 * n * ticks
        (early,), (late,) = (heard(radio, [hall.hub], begin + m * ticks) for m in (0, 1))
        by_carrier = 1e6 * (early[0] - TONE_HZ) / (CARRIER_HZ + TONE_HZ)
        by_time = -1e6 * (late[1] - early[1]) / (ticks + late[1] - early[1])
        assert by_time == pytest.approx(by_carrier, abs=0.001)
        as_transmitters.append(by_carrier)
    assert min(as_transmitters) < -1.0  # both signs are among them
    assert max(as_transmitters) > 1.0
    # One clock for both ways of a radio.
    np.testing.assert_allclose(as_transmitters, as_receivers, atol=0.001)


@pytest.mark.parametrize("std_ppb_per_s", stated("clock_drift_ppb_per_s"))
def test_clock_drift(std_ppb_per_s):
    hall = Hall(ring=only(clock_drift_ppb_per_s=std_ppb_per_s), num_ring=200)
    pause_s = 10.0
    looks = []
    for n in range(3):
        looks.append(heard(hall.hub, hall.ring, 10_000 + round(n * pause_s * RATE_HZ)))
        hall.ether.advance(pause_s - 0.01)
    (early, early_tick), (middle, middle_tick), (late, late_tick) = (look.T for look in looks)
    by_carrier = -(late - early) / (CARRIER_HZ + TONE_HZ) / (2.0 * pause_s) * 1e9
    is_normal("clock drift, ppb/s", by_carrier, std_ppb_per_s)
    # Arrivals run away with the square of time.
    bend_s = (late_tick - 2.0 * middle_tick + early_tick) / RATE_HZ
    np.testing.assert_allclose(bend_s / pause_s**2 * 1e9, by_carrier, atol=0.002)
    # The drift is linear: as much in the first pause as in the second.
    np.testing.assert_allclose(middle - early, late - middle, atol=0.1)


def arrival_error_ns(hall: Hall, at_tick: int) -> FloatArray:
    """How much later than it should the hub's burst arrives, by the ring's clocks."""
    hall.hub.transmit(sync_burst(), at_tick)
    arrivals = [
        found_symbol(block.samples[:, 0]).arrival for block in blocks(hall.ring, 4096, at_tick - 64)
    ]
    return ((np.array(arrivals) - 64) / RATE_HZ - DELAY_S) * 1e9


@pytest.mark.parametrize("limit_ns", stated("pps_jitter_ns"))
def test_pulse_per_second_sets_the_time_to_its_jitter(limit_ns):
    hall = Hall(ring=only(pps_jitter_ns=limit_ns), num_ring=200, tuning=COMMON)
    errors = arrival_error_ns(hall, 10_000)
    is_uniform("PPS jitter, ns", errors, -limit_ns, limit_ns, slack=1e-3)
    np.testing.assert_allclose(arrival_error_ns(hall, 1_000_000), errors, atol=1e-3)
    again = []
    for rx_gain_db in (31.0, 32.0):
        for radio in hall.ring:
            radio.configure(replace(COMMON, rx_gain_db=rx_gain_db))
        again.append(arrival_error_ns(hall, hall.hub.time_ticks() + 10_000))
    is_uniform("PPS jitter, set again, ns", again[1], -limit_ns, limit_ns, slack=1e-3)
    assert abs(np.corrcoef(errors, again[1])[0, 1]) < 0.25  # 99.9 % of independent ones: 0.23


def test_a_pulse_sets_the_time_of_a_clock_that_has_run_away():
    free = replace(TUNING, time_source="pps")
    hall = Hall(ring=only(clock_offset_ppm=2.5), num_ring=20, tuning=free)
    hall.ether.advance(1.0)
    late = arrival_error_of_free_clocks_us(hall)
    assert np.ptp(late) > 1.0
    for radio in hall.ring:
        radio.configure(replace(free, rx_gain_db=31.0))
    agrees("time once set again, us", 0.0, around(arrival_error_of_free_clocks_us(hall), 0.01))


def arrival_error_of_free_clocks_us(hall: Hall) -> FloatArray:
    """How far the ring's clocks are ahead, by a burst of the hub."""
    found = heard(hall.hub, hall.ring, hall.hub.time_ticks() + SLACK + 1000)
    return (found[:, 1] / RATE_HZ - DELAY_S) * 1e6


@pytest.mark.parametrize("longest_s", stated("power_on_s"))
def test_unset_time_counts_from_power_on(longest_s):
    hall = Hall(ring=only(power_on_s=longest_s), num_ring=200)
    ages_s = np.array([radio.time_ticks() for radio in hall.ring]) / RATE_HZ
    is_uniform("age of the unset time count, s", ages_s, 0.0, longest_s, slack=1.0 / RATE_HZ)
    # The samples say the same: a burst at the hub's tick 10000 arrives by the ring's own count.
    hall.hub.transmit(sync_burst(), 10_000)
    for radio in hall.ring[:20]:
        radio.arm_receive(4096, radio.time_ticks() + 9000)
    for radio, age_s in zip(hall.ring[:20], ages_s[:20], strict=True):
        block = radio.fetch()
        arrival_tick = block.first_sample_tick + found_symbol(block.samples[:, 0]).arrival
        ahead_s = (arrival_tick - 10_000) / RATE_HZ - DELAY_S
        assert ahead_s == pytest.approx(age_s, abs=1.001 / RATE_HZ)


def test_without_a_shared_reference_there_is_no_common_clock():
    lonely = Hall(ring=only(shared_reference=False)).ring[0]
    assert not lonely.info.capabilities.pps
    assert not lonely.info.capabilities.external_clock
    for asked in ({"clock_source": "external"}, {"time_source": "pps"}):
        with pytest.raises(TuningError, match=next(iter(asked))):
            lonely.configure(replace(TUNING, **asked))


def test_a_shared_reference_makes_clocks_one():
    free = only(clock_offset_ppm=25.0, clock_drift_ppb_per_s=5.0, power_on_s=1.0)
    hall = Hall(ring=free, num_ring=20, tuning=COMMON)
    by_carrier, by_time = receiver_ppm(hall, 10_000, 1_000_000)
    agrees("offset on the reference by the carrier, ppm", 0.0, around(by_carrier, 1e-6))
    agrees("offset on the reference by the time, ppm", 0.0, around(by_time, 1e-3))
    agrees("time on the reference, ns", 0.0, around(arrival_error_ns(hall, 3_000_000), 1e-3))


def test_a_clock_that_loses_its_reference_runs_away_from_then_on():
    hall = Hall(ring=only(clock_offset_ppm=2.5), num_ring=8, tuning=COMMON)
    hall.ether.advance(100.0)
    for radio in hall.ring:
        radio.faults.inject("clock_unlock")
        assert radio.health().clock_locked is False
    by_carrier, by_time = receiver_ppm(hall, hall.hub.time_ticks() + 10_000, 1_000_000)
    assert np.abs(by_carrier).max() > 1.0
    np.testing.assert_allclose(by_time, by_carrier, atol=0.001)
    since_s = hall.now_s - 100.0  # 33 ms, not 100 s
    ahead_us = arrival_error_of_free_clocks_us(hall)
    np.testing.assert_allclose(ahead_us, by_carrier * since_s, atol=0.01)


@given(
    tick=st.integers(-(10**12), 10**12),
    zero_fs=st.integers(-(10**15), 10**15),
    offset=st.floats(-25e-6, 25e-6),
    drift_per_s=st.floats(-2e-8, 2e-8),
)
def test_ticks_and_times_are_inverse_before_zero_too(tick, zero_fs, offset, drift_per_s):
    clock = NodeClock(zero_fs, offset, drift_per_s)
    begin_fs = clock.true_fs(tick, RATE_HZ)
    assert clock.tick(begin_fs, RATE_HZ) == tick
    assert clock.tick(begin_fs - 1, RATE_HZ) == tick - 1
