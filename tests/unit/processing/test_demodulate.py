"""Demodulation: places and refusals, averaging, the filled tone, and noise as the budget says."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from drivers.array import ElementPattern, UniformLinearArray
from drivers.burst import SoundingBurst
from drivers.capture import CaptureRefusedError
from drivers.geometry import Pose
from drivers.grids import preset_burst
from drivers.link_budget import channel_noise_var, direct_path_gain
from drivers.node import Node
from drivers.radio import IqBlock, TransmitReport
from drivers.sounding import Sounding
from drivers.tuning import Tuning, transmit_power_dbm
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.demodulate import capture_of, demodulate
from sim_backend.ether import Ether
from sim_backend.impairments import PRESETS
from sim_backend.radio import SimRadio
from sim_backend.scene import SceneStatistics, draw_scene

# Two-sided 99.9 % intervals
TAIL = 0.0005
GRID = OfdmGrid(5.8e9, 30e3, 96)
BURST = SoundingBurst(GRID, 128 * 30e3, num_symbols=3, prefix_length=40)
START, FIRST_TICK = 10_000, 9_950
ADVANCE = 10  # a quarter of the prefix


def sounding(burst=BURST, start_tick=START, full_scale_dbm=0.0, **report) -> Sounding:
    return Sounding("tx", burst, start_tick, full_scale_dbm, TransmitReport(**report))


def block(samples: np.ndarray, first_tick=FIRST_TICK, full_scale_dbm=0.0, **flags) -> IqBlock:
    tuning = Tuning(5.8e9, BURST.sample_rate_hz, 0.0, 0.0)
    return IqBlock(
        np.asarray(samples, dtype=np.complex64), first_tick, BURST.sample_rate_hz, tuning,
        full_scale_dbm, 3, **flags,
    )  # fmt: skip


def received(delays: dict[int, complex], burst=BURST) -> np.ndarray:
    """The burst over paths of whole samples of delay, from tick `FIRST_TICK` on; one element."""
    samples = np.zeros((burst.num_samples + 600, 1), dtype=complex)
    for delay, gain in delays.items():
        begin = START - FIRST_TICK + delay
        samples[begin : begin + burst.num_samples, 0] += gain * burst.samples()
    return samples


def estimate(samples: np.ndarray, burst=BURST) -> np.ndarray:
    """Channel estimate of a block of samples, shape ``(K, M)``."""
    return (
        demodulate(block(samples), sounding(burst))[0] * pilot_symbols(burst.grid).conj()[:, None]
    )


def channel(delays: dict[int, complex], burst=BURST) -> np.ndarray:
    """The same in closed form, ``sum g exp(-j 2 pi (k - k_0) delay / N)``."""
    tone = np.arange(burst.grid.num_subcarriers) - burst.grid.num_subcarriers // 2
    turns = {d: np.exp(-2j * np.pi * tone * d / burst.symbol_length) for d in delays}
    return sum(gain * turns[delay] for delay, gain in delays.items())[:, None]


def sent_tones(h: np.ndarray) -> np.ndarray:
    return np.delete(h, BURST.null_index, axis=0)


def test_pilots_are_channel_times_pilots():
    delays = {0: 1.0, 7: -0.5, 19: 0.3j}
    found, report = demodulate(block(received(delays)), sounding())
    assert found.shape == (96, 1)
    assert found.dtype == np.complex64
    expected = channel(delays) * pilot_symbols(GRID)[:, None]
    np.testing.assert_allclose(sent_tones(found), sent_tones(expected), atol=2e-6)
    assert report.start_sample == START - FIRST_TICK
    assert report.carrier_offset_hz is report.clock_offset_ppm is None  # of one clock
    assert report.symbol_coherence == pytest.approx(1.0, abs=1e-6)


@pytest.mark.parametrize("delay", [-ADVANCE, -3, 0, 11, 40 - ADVANCE])
def test_the_timing_advance_is_taken_back(delay):
    """Bursts may come early by the advance and late by the rest of the prefix."""
    found = estimate(received({delay: 1.0}))
    np.testing.assert_allclose(sent_tones(found), sent_tones(channel({delay: 1.0})), atol=2e-6)


@pytest.mark.parametrize("delay", [-ADVANCE - 1, 40 - ADVANCE + 1])
def test_beyond_the_prefix_symbols_leak_into_each_other(delay):
    found = estimate(received({delay: 1.0}))
    assert np.abs(sent_tones(found) - sent_tones(channel({delay: 1.0}))).max() > 1e-3


@pytest.mark.parametrize(("tx_dbm", "rx_dbm"), [(20.0, -30.0), (-7.0, -47.0)])
def test_pilots_are_per_unit_transmitted_amplitude(tx_dbm, rx_dbm):
    # Full scale is 20 dBm at the transmitter and -30 dBm at the receiver: 50 dB, amplitude 1/316.2
    found, _ = demodulate(
        block(received({0: 1.0}), full_scale_dbm=rx_dbm), sounding(full_scale_dbm=tx_dbm)
    )
    expected = 10.0 ** ((rx_dbm - tx_dbm) / 20.0)
    np.testing.assert_allclose(np.abs(sent_tones(found)), expected, rtol=1e-5)


@pytest.mark.parametrize("lacking", ["receiver", "transmitter", "both"])
def test_without_common_time_one_symbol_or_no_burst_is_refused(lacking):
    tick = None if lacking in ("receiver", "both") else FIRST_TICK
    start_tick = None if lacking in ("transmitter", "both") else START
    short = replace(BURST, num_symbols=1)
    with pytest.raises(CaptureRefusedError):
        demodulate(block(received({0: 1.0}, short), tick), sounding(short, start_tick))
    silence = noise(np.random.default_rng(4), (3 * BURST.num_samples, 2))
    with pytest.raises(CaptureRefusedError):
        demodulate(block(silence, tick), sounding(start_tick=start_tick))
    capture = capture_of(block(silence, tick), sounding(start_tick=start_tick), "rx")
    assert capture.rx_pilots.shape == (0, 0)
    assert not capture.quality.usable
    assert not capture.delay_is_absolute


def test_a_block_just_long_enough_and_one_too_short():
    samples = received({0: 1.0})
    # Three symbols after the preamble and their prefix; windows begin `ADVANCE` early.
    end = START - FIRST_TICK + BURST.first_symbol_sample + 3 * 128 - ADVANCE
    np.testing.assert_array_equal(estimate(samples[:end]), estimate(samples))
    with pytest.raises(
        CaptureRefusedError, match=f"{end - 1} samples from tick 9950 does not hold"
    ):
        demodulate(block(samples[: end - 1]), sounding())


def test_a_block_that_starts_just_in_time_and_one_too_late():
    samples = received({0: 1.0})
    skipped = START - FIRST_TICK + BURST.first_symbol_sample - ADVANCE
    in_time, _ = demodulate(block(samples[skipped:], FIRST_TICK + skipped), sounding())
    np.testing.assert_array_equal(in_time, demodulate(block(samples), sounding())[0])
    with pytest.raises(CaptureRefusedError, match="sent at tick 10000"):
        demodulate(block(samples[skipped + 1 :], FIRST_TICK + skipped + 1), sounding())


def noise(rng: np.random.Generator, shape: tuple[int, int]) -> np.ndarray:
    """White circular noise of unit variance."""
    parts = rng.standard_normal((*shape, 2), dtype=np.float32) * np.float32(math.sqrt(0.5))
    return parts.view(np.complex64)[..., 0]


def assert_var(samples: np.ndarray, var: float) -> None:
    """Mean power within the chi-square interval of independent complex samples."""
    low, high = stats.chi2.ppf([TAIL, 1 - TAIL], 2 * samples.size) / (2 * samples.size)
    measured = float(np.mean(np.abs(samples.astype(complex)) ** 2)) / var
    assert low < measured < high, f"{measured:.5f} of what it should be, {low:.5f} to {high:.5f}"


@pytest.mark.parametrize("num_symbols", [1, 2, 9])
def test_averaging_lowers_noise_by_the_number_of_symbols(num_symbols):
    burst = replace(BURST, num_symbols=num_symbols)
    found = estimate(
        noise(np.random.default_rng(num_symbols), (burst.num_samples + 60, 500)), burst
    )
    # White noise of unit power has 1/N on each of N tones, and a tone amplitude of A.
    one_symbol = 1.0 / (128 * burst.tone_amplitude**2)
    assert_var(sent_tones(found), one_symbol / num_symbols)
    signal = estimate(received({3: 1.0}, burst), burst)
    np.testing.assert_allclose(sent_tones(signal), sent_tones(channel({3: 1.0})), atol=2e-6)


@pytest.mark.parametrize("snr_db", [-20.0, -10.0, 0.0, 30.0])
@pytest.mark.parametrize("num_symbols", [2, 4])
def test_the_report_tells_the_snr_of_a_tone(snr_db, num_symbols):
    burst = replace(BURST, num_symbols=num_symbols)
    signal = np.repeat(received({3: 1.0}, burst), 500, axis=1)
    std = burst.tone_amplitude * math.sqrt(128) * 10.0 ** (-snr_db / 20.0)
    samples = signal + std * noise(np.random.default_rng(3), signal.shape)
    _, report = demodulate(block(samples), sounding(burst))
    assert report.snr == pytest.approx(10.0 ** (snr_db / 10.0), rel=0.03, abs=0.003)
    # signal power is so much of a symbol's power; one pair of symbols is like all others
    share = 1.0 / (1.0 + 10.0 ** (-snr_db / 10.0))
    assert report.symbol_coherence == pytest.approx(share, rel=0.03, abs=0.01)


def test_one_symbol_tells_neither_snr_nor_coherence():
    burst = replace(BURST, num_symbols=1)
    _, report = demodulate(block(received({0: 1.0}, burst)), sounding(burst))
    assert report.snr is report.symbol_coherence is None


def test_the_filled_tone_is_a_little_less_noisy_than_its_neighbours():
    # (1 + 16 + 16 + 1) / 36 = 0.944 of independent neighbours' variance
    found = estimate(noise(np.random.default_rng(8), (BURST.num_samples + 60, 10_000)))
    one_tone = 1.0 / (3 * 128 * BURST.tone_amplitude**2)
    assert_var(found[BURST.null_index], 34.0 / 36.0 * one_tone)
    assert_var(found[BURST.null_index + 1], one_tone)


@pytest.mark.parametrize("delay", range(-ADVANCE, 40 - ADVANCE + 1, 4))
def test_the_filled_tone_is_right_to_the_fourth_order(delay):
    """Up to the prefix; the interpolation is about a quarter of it, the middle of all delays."""
    found = estimate(received({delay: 1.0}))
    error = np.abs(found - channel({delay: 1.0}))[BURST.null_index, 0]
    # (8 cos w - 2 cos 2w) / 6 = 1 - w^4 / 6 + w^6 / 36 - ..., w the turn from tone to tone
    turn = 2.0 * np.pi * (delay - 10) / 128
    assert error == pytest.approx(turn**4 / 6.0, rel=turn**2 / 4.0, abs=3e-6)


@pytest.mark.parametrize("preset", ["paper", "nr_100mhz", "e320_50mhz", "pluto_20mhz"])
def test_the_filled_tone_holds_what_the_two_fidelities_agree_to(preset):
    """Delays up to 2 us, for which the presets' prefixes are made, fill in to 2.1e-4."""
    burst = preset_burst(preset, 10e9)
    for delay_s in (0.0, 0.5e-6, 1e-6, 2e-6):
        delay = round(delay_s * burst.sample_rate_hz)
        found = estimate(received({delay: 1.0}, burst), burst)
        error = np.abs(found - channel({delay: 1.0}, burst))[burst.null_index, 0]
        # (2 pi 1 us 30 kHz)^4 / 6 = 2.1e-4 at both ends, nothing in the middle
        assert error <= 2.2e-4


def test_flags_of_block_and_report_travel_with_the_capture():
    samples = received({0: 1.0})
    clean = capture_of(block(samples), sounding(config_epoch=4), "rx")
    assert (clean.tx_id, clean.rx_id, clean.num_averaged) == ("tx", "rx", 3)
    assert clean.config_epoch == 3 + 4
    assert clean.waveform_hash == GRID.waveform_hash
    assert clean.quality.usable
    assert clean.demodulation is not None
    assert clean.quality.clock_locked is None
    unlocked = capture_of(block(samples, clock_locked=True), sounding(clock_locked=False), "rx")
    assert unlocked.quality.clock_locked is False
    locked = capture_of(block(samples, pps_locked=True), sounding(pps_locked=None), "rx")
    assert locked.quality.pps_locked is True
    for flag in ("overflow", "discontinuity", "late"):
        assert not capture_of(block(samples, **{flag: True}), sounding(), "rx").quality.usable
    for flag in ("underflow", "late"):
        assert not capture_of(block(samples), sounding(**{flag: True}), "rx").quality.usable
    empty = capture_of(block(samples[:9]), sounding(), "rx")
    assert empty.rx_pilots.shape == (0, 0)
    assert empty.demodulation is None
    assert "does not hold the burst" in empty.quality.problem


def pilots_of(burst: SoundingBurst) -> np.ndarray:
    return burst.samples()[burst.first_symbol_sample :]


class Link:
    """Two simulated radios 40 m apart; the transmitter's pilots carry its nominal power."""

    def __init__(self, burst: SoundingBurst, noise_figure_db: float, num_elements: int) -> None:
        every_way = ElementPattern(kind="omnidirectional")
        array = UniformLinearArray(num_elements, burst.grid.wavelength_m / 2.0)
        nodes = [
            Node(name, name, Pose((x_m, 0.0), 0.0), array, every_way, every_way, tx_power_dbm=17.0,
                 noise_figure_db=noise_figure_db)
            for name, x_m in (("tx", 0.0), ("rx", 40.0))
        ]  # fmt: skip
        scene = draw_scene(1, nodes, SceneStatistics((0.0, 0.0, 1.0, 1.0), num_clutter=0))
        ether = Ether(scene)
        self.burst, self.nodes = burst, nodes
        self.sender, self.listener = (SimRadio(ether, n, PRESETS["ideal"]) for n in range(2))
        # The pilots' mean square is below full scale's, so their power is that much lower; what
        # the gain takes away below its highest value comes off as well.
        able = self.sender.info.capabilities
        below_full_scale_db = 10.0 * math.log10(np.mean(np.abs(pilots_of(burst)) ** 2))
        at_highest_dbm = able.tx_full_scale_dbm + below_full_scale_db
        gain_db = able.tx_gain_range_db[1] - (at_highest_dbm - 17.0)
        for radio in (self.sender, self.listener):
            radio.configure(
                Tuning(burst.local_oscillator_hz, burst.sample_rate_hz, 60.0, gain_db, "external",
                       "pps")
            )  # fmt: skip
        self.full_scale_dbm = transmit_power_dbm(able, gain_db, 1.0)

    def receive(self, *, send: bool) -> IqBlock:
        at = self.listener.time_ticks() + 5000
        self.listener.arm_receive(self.burst.num_samples + 100, at)
        if send:
            self.sender.transmit(self.burst.samples(), at)
        return self.listener.fetch()

    def estimate(self, heard: IqBlock) -> np.ndarray:
        sent = Sounding(
            "tx", self.burst, heard.first_sample_tick, self.full_scale_dbm, TransmitReport()
        )
        return demodulate(heard, sent)[0] * pilot_symbols(self.burst.grid).conj()[:, None]


@pytest.mark.parametrize("noise_figure_db", [0.0, 7.0])
@pytest.mark.parametrize(("preset", "num_elements"), [("nr_100mhz", 32), ("pluto_20mhz", 100)])
def test_noise_of_the_channel_estimate_is_that_of_the_link_budget(
    preset, num_elements, noise_figure_db
):
    burst = preset_burst(preset, 10e9)
    link = Link(burst, noise_figure_db, num_elements)
    found = link.estimate(link.receive(send=False))
    # sigma_H^2 shares the power among K tones; one of them is empty, so the others are louder.
    num_tones = burst.grid.num_subcarriers
    budget = channel_noise_var(*link.nodes, burst.grid) * (num_tones - 1) / num_tones
    assert_var(np.delete(found, burst.null_index, axis=0), budget)


def test_pilots_carry_the_nodes_power():
    burst = preset_burst("nr_100mhz", 10e9)
    link = Link(burst, -200.0, 1)
    assert burst.mean_square == pytest.approx(np.mean(np.abs(pilots_of(burst)) ** 2))
    heard = link.receive(send=True)
    # One path: what arrives in a symbol's length of pilots is 17 dBm less its loss.
    pilots = heard.samples[burst.first_symbol_sample : burst.num_samples]
    arrived_dbm = heard.full_scale_dbm + 10.0 * np.log10(np.mean(np.abs(pilots) ** 2))
    gain = direct_path_gain(*link.nodes, burst.grid.wavelength_m)
    assert arrived_dbm == pytest.approx(17.0 + 20.0 * math.log10(gain), abs=0.005)
    # And the channel estimate is the channel, whatever the gains.
    assert np.abs(link.estimate(heard)).mean() == pytest.approx(gain, rel=1e-4)


@pytest.mark.parametrize("offset_tones", [-3, -2, 1, 2])
def test_the_tone_that_a_receivers_own_direct_current_falls_on_is_filled_in(offset_tones):
    """As strong as a tone of the burst; where carriers are offset it is not the empty one."""
    burst = replace(BURST, num_symbols=8)
    samples = np.concatenate([np.zeros((500, 1)), received({3: 1.0}, burst), np.zeros((500, 1))])
    turn = np.exp(2j * np.pi * offset_tones / burst.symbol_length * np.arange(len(samples)))
    heard = samples * turn[:, None]
    found = []
    for direct_current in (0.0, burst.tone_amplitude):
        pilots, report = demodulate(
            block(heard + direct_current, None), sounding(burst, start_tick=None)
        )
        assert report.carrier_offset_hz == pytest.approx(offset_tones * 30e3, abs=30.0)
        found.append(pilots[:, 0] * pilot_symbols(GRID).conj())
    error = np.abs(found[1] - found[0])
    own = BURST.null_index - offset_tones
    assert error[own] < 0.03
    assert np.delete(error, own).max() < 0.03
    clean = np.abs(found[0])
    np.testing.assert_allclose(clean, 1.0, atol=0.03)
