"""Clocks of nodes: exact over days, invertible, and one reference for samples and carrier."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node
from drivers.tuning import Tuning
from sim_backend.ether import Ether
from sim_backend.impairments import Impairments
from sim_backend.oscillator import FS_PER_S, NodeClock
from sim_backend.radio import SimRadio
from sim_backend.scene import SceneStatistics, draw_scene
from tests.oracles import ether as oracle

WEEK_S = 7 * 86400
# Rates whose ticks are no whole number of femtoseconds, one that is no exact double, and a slow one
RATES_HZ = (122.88e6, 61.44e6, 30.72e6, 1e9 / 3.0, 1e5)

rates = st.sampled_from(RATES_HZ)
offsets = st.floats(-50e-6, 50e-6)
drifts_per_s = st.floats(-20e-9, 20e-9)
zeros_fs = st.integers(-(10**18), 10**18)
days = st.floats(0.0, WEEK_S)


def exact_true_fs(clock: NodeClock, tick: int, rate_hz: float) -> Fraction:
    """True time of a tick in rational numbers: ``D / (1 + offset) - drift D^2 / 2``."""
    device_s = Fraction(tick) / Fraction(rate_hz)
    error_s = Fraction(clock.offset) / (1 + Fraction(clock.offset)) * device_s
    error_s += Fraction(clock.drift_per_s) * device_s**2 / 2
    return clock.zero_fs + (device_s - error_s) * FS_PER_S


@pytest.mark.parametrize("rate_hz", RATES_HZ)
@pytest.mark.parametrize("tick", [0, 1, 3, 10**6 + 1, 10**14 + 7, -1, -(10**6) - 1, -(10**12)])
def test_a_perfect_clock_is_exact_to_half_a_femtosecond(rate_hz, tick):
    clock = NodeClock(zero_fs=987_654_321)
    found = clock.true_fs(tick, rate_hz)
    assert abs(found - exact_true_fs(clock, tick, rate_hz)) <= Fraction(1, 2) + Fraction(1, 1000)


def test_ticks_of_a_perfect_clock_by_hand():
    # 122.88 MHz: 8.138020833.. ns; a second is 122 880 000 ticks, a week 7 x 86400 times that.
    clock = NodeClock(zero_fs=5)
    assert clock.true_fs(1, 122.88e6) == 5 + 8_138_021
    assert clock.true_fs(122_880_000, 122.88e6) == 5 + FS_PER_S
    assert clock.true_fs(WEEK_S * 122_880_000, 122.88e6) == 5 + WEEK_S * FS_PER_S
    assert clock.tick(5 + FS_PER_S, 122.88e6) == 122_880_000
    assert clock.tick(4 + FS_PER_S, 122.88e6) == 122_879_999
    assert clock.tick(4, 122.88e6) == -1


def test_a_fast_clock_by_hand():
    # +25 ppm: after a true second the device has counted 1.000025 s.
    clock = NodeClock(offset=25e-6)
    assert clock.tick(FS_PER_S, 1e6) == 1_000_025
    assert clock.true_fs(1_000_025, 1e6) == FS_PER_S
    # A device second lasts 1 / 1.000025 s = 1 s - 24.999375016 us
    assert float(clock.error_s(1.0)) == pytest.approx(24.999375016e-6, rel=1e-10)
    assert clock.tick_length_s(0, 1e6) == pytest.approx(0.999975000624984e-6, rel=1e-14)
    # Ten GHz of it are 250 kHz too high: 250 000 cycles a true second, 249 993.75 a device second.
    cycles = clock.carrier_cycles(10e9, 0, 1e6, 1_000_001)
    assert cycles[-1] == pytest.approx(249_993.75016, abs=1e-4)


def test_a_drifting_clock_by_hand():
    # 10 ppb/s for 100 s: 1 ppm fast by then, and 1e-8 * 100^2 / 2 = 50 us ahead.
    clock = NodeClock(drift_per_s=10e-9)
    tick = 100 * 10**6
    assert FS_PER_S * 100 - clock.true_fs(tick, 1e6) == 50 * 10**9
    assert clock.tick_length_s(tick, 1e6) == pytest.approx(1e-6 * (1.0 - 1e-6), rel=1e-14)


@given(zero_fs=zeros_fs, offset=offsets, drift_per_s=drifts_per_s, rate_hz=rates, at_s=days)
def test_true_times_are_exact_over_days(zero_fs, offset, drift_per_s, rate_hz, at_s):
    clock, tick = NodeClock(zero_fs, offset, drift_per_s), int(at_s * rate_hz)
    # A week at 50 ppm and at 20 ppb/s are off by 3700 s: doubles hold that to 0.5 ps.
    error_fs = abs(float(clock.error_s(at_s))) * FS_PER_S
    allowed_fs = 1.0 + 4.0 * np.finfo(float).eps * error_fs
    assert abs(clock.true_fs(tick, rate_hz) - exact_true_fs(clock, tick, rate_hz)) <= allowed_fs


@given(
    zero_fs=zeros_fs, offset=offsets, drift_per_s=drifts_per_s, rate_hz=rates,
    at_s=st.floats(-0.01, WEEK_S), inside=st.floats(0.0, 0.999),
)  # fmt: skip
@example(0, 0.0, 0.0, 122.88e6, 0.0, 0.0)
def test_tick_is_the_last_that_has_passed(zero_fs, offset, drift_per_s, rate_hz, at_s, inside):
    clock, tick = NodeClock(zero_fs, offset, drift_per_s), int(at_s * rate_hz)
    begin_fs, end_fs = (clock.true_fs(t, rate_hz) for t in (tick, tick + 1))
    assert begin_fs < end_fs
    assert clock.tick(begin_fs, rate_hz) == tick
    assert clock.tick(begin_fs - 1, rate_hz) == tick - 1
    assert clock.tick(begin_fs + int((end_fs - begin_fs) * inside), rate_hz) == tick
    assert clock.tick(end_fs - 1, rate_hz) == tick


@given(offset=offsets, drift_per_s=drifts_per_s, rate_hz=rates, at_s=st.floats(0.0, 1e4))
def test_tick_length_is_the_distance_of_true_times(offset, drift_per_s, rate_hz, at_s):
    clock, tick = NodeClock(0, offset, drift_per_s), int(at_s * rate_hz)
    count = int(rate_hz * 1e-3)
    measured_fs = clock.true_fs(tick + count, rate_hz) - clock.true_fs(tick, rate_hz)
    held_fs = clock.tick_length_s(tick, rate_hz) * count * FS_PER_S
    # Drift goes on inside: 20e-9 * (1 ms)^2 / 2 = 1e-14 s; 1 s of error is rounded to 0.2 fs.
    assert abs(measured_fs - held_fs) <= 15.0


@given(
    offset=offsets, drift_per_s=drifts_per_s, rate_hz=rates, at_s=st.floats(0.0, 86400.0),
    carrier_hz=st.floats(50e6, 30e9),
)  # fmt: skip
def test_carrier_is_ahead_by_carrier_times_error(offset, drift_per_s, rate_hz, at_s, carrier_hz):
    """The oscillator's phase is the carrier times what the same clock is ahead in true time."""
    clock, tick = NodeClock(10**15, offset, drift_per_s), int(at_s * rate_hz)
    ahead = clock.carrier_cycles(carrier_hz, tick, rate_hz, 1)[0]
    perfect_fs = exact_true_fs(NodeClock(10**15), tick, rate_hz)
    expected = Fraction(carrier_hz) * (perfect_fs - exact_true_fs(clock, tick, rate_hz)) / FS_PER_S
    off = float((expected - Fraction(float(ahead)) + Fraction(1, 2)) % 1 - Fraction(1, 2))
    # 30 GHz times a day at 50 ppm and its drift, 80 s: 2e12 cycles, held to 5e-4 by doubles
    allowed = 1e-9 + 4.0 * np.finfo(float).eps * carrier_hz * abs(float(clock.error_s(at_s)))
    assert abs(off) <= allowed


@given(
    offset=offsets, drift_per_s=drifts_per_s, rate_hz=rates, at_s=st.floats(0.0, 100.0),
    count=st.integers(1, 3000),
)  # fmt: skip
def test_carrier_is_continuous_from_call_to_call(offset, drift_per_s, rate_hz, at_s, count):
    clock, tick = NodeClock(0, offset, drift_per_s), int(at_s * rate_hz)
    whole = clock.carrier_cycles(10e9, tick, rate_hz, 2 * count)
    later = clock.carrier_cycles(10e9, tick + count, rate_hz, count)
    gap = (whole[count:] - later + 0.5) % 1.0 - 0.5
    # Both hold their rate, so drift parts them by 10 GHz * drift * (their distance)^2, and 5 ms of
    # error are 5e7 cycles, held to 1e-8.
    parted = 10e9 * abs(drift_per_s) * (2 * count / rate_hz) ** 2
    assert np.abs(gap).max() <= parted + 1e-7
    np.testing.assert_allclose(np.diff(whole), whole[1] - whole[0], atol=1e-9)


def test_two_clocks_on_one_reference_stay_together():
    late, early = NodeClock(zero_fs=7_000_000), NodeClock(zero_fs=-3_000_000)
    for tick in (0, 10**12, 10**14):
        assert late.true_fs(tick, 61.44e6) - early.true_fs(tick, 61.44e6) == 10_000_000
        np.testing.assert_array_equal(late.carrier_cycles(10e9, tick, 61.44e6, 9), np.zeros(9))


def test_free_running_radios_hear_each_other_as_their_clocks_say():
    """Two radios on their own clocks, from the wave equation of their device times."""
    rate_hz, carrier_hz, length, skipped = 20e6, 2.4e9, 1200, 600
    every_way = ElementPattern(kind="omnidirectional")
    nodes = [
        Node(str(n), str(n), Pose(position_m, 0.3), UniformLinearArray(2, 0.06), every_way,
             noise_figure_db=-200.0)
        for n, position_m in enumerate([(-40.0, 10.0), (35.0, -20.0)])
    ]  # fmt: skip
    scene = draw_scene(5, nodes, SceneStatistics((-60.0, -60.0, 60.0, 60.0), 3, mean_rcs_m2=1e3))
    ether = Ether(scene)
    crystal = Impairments(clock_offset_ppm=25.0, clock_drift_ppb_per_s=5.0)
    radios = [SimRadio(ether, n, crystal) for n in range(2)]
    for radio in radios:
        radio.configure(Tuning(carrier_hz, rate_hz, 60.0, 90.0))
    ether.advance(0.5)
    # Their clocks are the one thing about them that nobody outside can know.
    sender, listener = (radio._transceiver.clock for radio in radios)
    assert sender.zero_fs == listener.zero_fs == 0
    assert abs(sender.offset - listener.offset) > 5e-6
    # Fading in and out, since what begins abruptly rings over all time after a band limit.
    wave = np.exp(2j * np.pi * np.outer(np.arange(length), [0.11, -0.2, 0.237])).sum(axis=1) / 3.0
    samples = wave * np.hanning(length) ** 2
    tick = radios[0].time_ticks() + 4000
    # From the middle of the burst on, so that it was on its way for a while already.
    first = listener.tick(sender.true_fs(tick, rate_hz), rate_hz) + skipped
    count = length - skipped + 120
    radios[1].arm_receive(count, first)
    radios[0].transmit(samples.astype(np.complex64), tick)
    block = radios[1].fetch()

    def device_s(clock: NodeClock, true_s: np.ndarray) -> np.ndarray:
        device = true_s
        for _ in range(4):  # contracts by 5e-5 each time
            device = true_s + clock.error_s(device)
        return device

    paths = scene.static_paths(0, 1, 299_792_458.0 / carrier_hz)
    instants = [listener.true_fs(first + n, rate_hz) / FS_PER_S for n in range(count)]
    # Magnitude 1 leaves with 29 dBm (6 dB over nominal) and is magnitude 1 again at -60 dBm.
    scale = 10.0 ** ((29.0 + 60.0) / 20.0)
    literal = scale * oracle.heard_between_free_clocks(
        samples, paths.gain, paths.delay_s, carrier_hz, np.array(instants),
        lambda true_s: device_s(sender, true_s), lambda true_s: device_s(listener, true_s),
        tick / rate_hz, 1.0 / rate_hz,
    )  # fmt: skip
    error = np.abs(block.samples - literal).max()
    # Rounding to 1 fs at both ends: 3e-5 rad at 2.4 GHz; doubles of half a second: 1e-6 rad.
    assert error <= 1e-4 * scale * np.abs(paths.gain).max(), f"off by {error:.1e}"
