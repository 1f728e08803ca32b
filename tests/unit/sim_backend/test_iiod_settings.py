"""What the software Pluto's settings do to what it sends and receives."""

import errno
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace

import numpy as np
import pytest

from sim_backend.iiod.attributes import RefusedError, number
from sim_backend.iiod.fir import Fir, parsed_filters
from sim_backend.iiod.rates import receive_path, transmit_path
from tests.unit.sim_backend.iiod_client import (
    PHY,
    RATE_HZ,
    RECEIVER,
    SENDER,
    Client,
    HandClock,
    plutos,
    tune,
)
from tests.vendor.pluto.software import IDEAL, expected_dbfs

SIZE = 4096
GAIN_DB = 40.0
ALTERNATING = "RX 3 GAIN -6 DEC 2\nTX 3 GAIN 0 INT 2\n" + "0,0\n" * 15 + "100,100\n"


class Link:
    """One device that sends and one that receives, in a time set by hand."""

    def __init__(self, running: ExitStack, retune_phase: str = "kept") -> None:
        self.clock = HandClock()
        impairments = replace(IDEAL, retune_phase=retune_phase)
        first, second = plutos(self.clock, "pluto", "pluto", impairments=impairments)
        self.first, self.second = (running.enter_context(p) for p in (first, second))
        self.sender, self.receiver, self.setting = (
            running.enter_context(Client(p)) for p in (first, second, second)
        )
        self.sending = running.enter_context(Client(first))
        tune(self.sender)
        tune(self.setting)

    def send(self, samples: np.ndarray) -> None:
        """Over and over."""
        scanned = np.stack((samples.real, samples.imag), axis=1)
        assert self.sender.open(SENDER, len(samples), "CYCLIC") == 0
        assert self.sender.push(np.rint(scanned * 2047).astype(np.int64) * 16) > 0
        self.clock.go_on(0.01 * RATE_HZ)

    def listen(self) -> np.ndarray:
        """A fresh block, as fractions of full scale."""
        assert self.receiver.number(f"SET {RECEIVER} BUFFERS_COUNT 1") == 0
        assert self.receiver.open(RECEIVER, SIZE) == 0
        self.clock.go_on(SIZE + 1)
        self.receiver.ask(SIZE)
        block = self.receiver.block() / 2048.0
        assert self.receiver.number(f"CLOSE {RECEIVER}") == 0
        return block[:, 0] + 1j * block[:, 1]


@pytest.fixture
def link() -> Iterator[Link]:
    with ExitStack() as running:
        yield Link(running)


def level_dbfs(samples: np.ndarray) -> float:
    return 10.0 * float(np.log10(np.mean(np.abs(samples) ** 2)))


def tone(amplitude: float = 0.5) -> np.ndarray:
    return amplitude * np.exp(2j * np.pi * 64 * np.arange(SIZE) / SIZE)


def test_level_and_attenuation_on_air(link: Link) -> None:
    link.send(tone())
    assert level_dbfs(link.listen()) == pytest.approx(expected_dbfs(0.5, GAIN_DB), abs=0.1)
    link.sending.write(f"{PHY} OUTPUT voltage0 hardwaregain", "-20")
    assert level_dbfs(link.listen()) == pytest.approx(expected_dbfs(0.5, GAIN_DB) - 20.0, abs=0.2)
    link.setting.write(f"{PHY} INPUT voltage0 hardwaregain", "50")
    assert level_dbfs(link.listen()) == pytest.approx(expected_dbfs(0.5, GAIN_DB) - 10.0, abs=0.2)


def test_an_oscillator_that_is_off_sends_and_receives_nothing(link: Link) -> None:
    link.send(tone())
    link.sending.write(f"{PHY} OUTPUT altvoltage1 powerdown", "1")
    assert level_dbfs(link.listen()) < expected_dbfs(0.5, GAIN_DB) - 20.0
    link.sending.write(f"{PHY} OUTPUT altvoltage1 powerdown", "0")
    assert level_dbfs(link.listen()) == pytest.approx(expected_dbfs(0.5, GAIN_DB), abs=0.1)
    link.setting.write(f"{PHY} OUTPUT altvoltage0 powerdown", "1")
    assert not link.listen().any()
    link.setting.write(f"{PHY} OUTPUT altvoltage0 powerdown", "0")
    link.setting.write(f"{PHY} ensm_mode", "alert")
    assert not link.listen().any()


def test_what_was_received_before_a_change_was_with_the_old_setting(link: Link) -> None:
    link.send(tone())
    link.receiver.number(f"SET {RECEIVER} BUFFERS_COUNT 1")
    link.receiver.open(RECEIVER, SIZE)
    link.clock.go_on(SIZE // 2)
    link.setting.write(f"{PHY} INPUT voltage0 hardwaregain", "50")
    link.clock.go_on(SIZE // 2 + 1)
    link.receiver.ask(SIZE)
    block = link.receiver.block() / 2048.0
    before, after = np.hypot(*block[: SIZE // 2 - 8].T), np.hypot(*block[SIZE // 2 + 8 :].T)
    assert 20.0 * np.log10(after.mean() / before.mean()) == pytest.approx(10.0, abs=0.1)


def test_filters_delay_what_is_sent_and_received(link: Link) -> None:
    rng = np.random.default_rng(1)
    spectrum = np.zeros(SIZE, dtype=complex)
    used = np.r_[1:800, SIZE - 799 : SIZE]
    spectrum[used] = np.exp(2j * np.pi * rng.uniform(size=len(used)))
    noise = np.fft.ifft(spectrum)
    noise *= 0.5 / np.abs(noise).max()
    link.send(noise)
    taps = "\n".join("100,100" for _ in range(128))
    filters = f"RX 3 GAIN -6 DEC 2\nTX 3 GAIN 0 INT 2\n{taps}\n"

    def response() -> np.ndarray:
        # A listener starts where it likes; a cyclic signal's place is told by the tick.
        begin = link.second._context.board.now_tick()
        spectrum_heard = np.fft.fft(link.listen())[used]
        phase = 2j * np.pi * np.fft.fftfreq(SIZE)[used] * begin
        return spectrum_heard * np.exp(-phase) / np.fft.fft(noise)[used]

    bare = response()
    assert link.setting.write(f"{PHY} filter_fir_config", filters) == len(filters)
    assert link.setting.read(f"{PHY} filter_fir_config") == "FIR Rx: 128,2 Tx: 128,2"
    assert link.setting.write(f"{PHY} INPUT out voltage_filter_fir_en", "1") == 1
    filtered = response()
    turn = np.unwrap(np.angle(filtered / bare)[np.argsort(np.fft.fftfreq(SIZE)[used])])
    slope = np.polyfit(np.sort(np.fft.fftfreq(SIZE)[used]), turn, 1)[0]
    assert -slope / (2.0 * np.pi) == pytest.approx(63.5 / 2.0, abs=0.01)


def test_each_retuning_has_its_own_phase() -> None:
    with ExitStack() as running:
        link = Link(running, "random")
        link.send(np.full(SIZE, 0.5))
        phases = []
        for _ in range(4):
            tune(link.setting, 2.4e9, GAIN_DB)
            phases.append(float(np.angle(link.listen().mean())))
        again = float(np.angle(link.listen().mean()))
    assert len(set(np.round(phases, 2))) == 4
    assert again == pytest.approx(phases[-1], abs=0.02)


def test_rate_changes_go_on_in_the_new_ticks(link: Link) -> None:
    link.send(tone())
    link.receiver.open(RECEIVER, SIZE)
    link.clock.go_on(SIZE + 1)
    assert link.setting.write(f"{PHY} INPUT voltage0 sampling_frequency", "3840000") == 7
    assert link.setting.read(f"{RECEIVER} INPUT voltage0 sampling_frequency") == "3840000"
    link.receiver.ask(SIZE)
    link.receiver.block()
    for _ in range(3):
        link.clock.go_on(SIZE, 3_840_000)
        link.receiver.ask(SIZE)
        block = link.receiver.block()
    frequency = np.fft.fftfreq(SIZE)[np.argmax(np.abs(np.fft.fft(block[:, 0] + 1j * block[:, 1])))]
    assert frequency * 3_840_000 == pytest.approx(64 / SIZE * RATE_HZ, abs=3_840_000 / SIZE)


def test_generated_tones_end_when_a_buffer_is_open(link: Link) -> None:
    for name, value in (("frequency", "960000"), ("scale", "0.5")):
        for channel in ("TX1_I_F1", "TX1_Q_F1"):
            link.sending.write(f"{SENDER} OUTPUT {channel} {name}", value)
    link.clock.go_on(0.01 * RATE_HZ)
    heard = link.listen()
    place = np.argmax(np.abs(np.fft.fft(heard)))
    assert np.fft.fftfreq(SIZE)[place] * RATE_HZ == pytest.approx(960_000)
    assert level_dbfs(heard) == pytest.approx(expected_dbfs(0.5, GAIN_DB), abs=0.1)
    assert link.sender.open(SENDER, SIZE) == 0
    assert level_dbfs(link.listen()) < expected_dbfs(0.5, GAIN_DB) - 20.0


def test_automatic_gain_refuses_a_gain(link: Link) -> None:
    link.setting.write(f"{PHY} INPUT voltage0 gain_control_mode", "slow_attack")
    gain = f"{PHY} INPUT voltage0 hardwaregain"
    assert link.setting.write(gain, "10") == -errno.EOPNOTSUPP
    link.send(tone())
    for _ in range(20):
        link.setting.read(gain)
    level = level_dbfs(link.listen())
    assert level == pytest.approx(-12.0, abs=2.5)
    strength = float(link.setting.read(f"{PHY} INPUT voltage0 rssi").split()[0])
    assert -strength == pytest.approx(expected_dbfs(0.5, GAIN_DB) - GAIN_DB, abs=0.3)


@pytest.mark.parametrize(
    ("where", "value"),
    [
        ("OUTPUT altvoltage0 frequency", "69999999"),
        ("OUTPUT altvoltage1 frequency", "46000000"),
        ("OUTPUT altvoltage0 frequency", "6000000001"),
        ("OUTPUT altvoltage0 frequency", "nan"),
        ("INPUT voltage0 hardwaregain", "72"),
        ("OUTPUT voltage0 hardwaregain", "0.25"),
        ("OUTPUT voltage0 hardwaregain", "-90"),
        ("INPUT voltage0 sampling_frequency", "2083332"),
        ("INPUT voltage0 sampling_frequency", "61440001"),
        ("INPUT voltage0 rf_bandwidth", "100"),
        ("INPUT voltage0 gain_control_mode", "loud"),
        ("INPUT out voltage_filter_fir_en", "1"),
        ("ensm_mode", "asleep"),
        ("filter_fir_config", "RX 3 GAIN 0 DEC 3"),
        ("DEBUG loopback", "1"),
        ("DEBUG direct_reg_access", "0x80000088 1 2"),
    ],
)
def test_what_is_out_of_range_is_refused(link: Link, where: str, value: str) -> None:
    assert link.setting.write(f"{PHY} {where}", value) == -errno.EINVAL


def test_a_filter_with_decimation_allows_lower_rates(link: Link) -> None:
    taps = "RX 3 GAIN -6 DEC 4\nTX 3 GAIN 0 INT 4\n" + "1,1\n" * 64
    rate = f"{PHY} INPUT voltage0 sampling_frequency"
    link.setting.write(rate, "3000000")
    link.setting.write(f"{PHY} filter_fir_config", taps)
    link.setting.write(f"{PHY} OUTPUT voltage0 filter_fir_en", "1")
    assert link.setting.read(f"{rate}_available") == "[520833 1 61440000]"
    assert link.setting.write(rate, "600000") == 6
    # Without it that rate would not be possible.
    assert link.setting.write(f"{PHY} OUTPUT voltage0 filter_fir_en", "0") == -errno.EINVAL


def test_a_filters_centre_is_where_its_weight_is() -> None:
    receive, transmit = parsed_filters(ALTERNATING)
    assert receive.delay_s(1e6) == pytest.approx(15 / 2e6)
    assert transmit == receive
    assert Fir().delay_s(1e6) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "", "RX 3 GAIN 0 DEC 2\n1,1\n",
        ALTERNATING + "1,1\n", ALTERNATING.replace("DEC 2", "DEC 3"),
        "RX 3 GAIN 0 DEC 2\nTX 3 GAIN 0 INT 2\n" + "1,1\n" * 144,
    ],
)  # fmt: skip
def test_filters_that_the_chip_cannot_have(text: str) -> None:
    with pytest.raises(RefusedError):
        parsed_filters(text)


def test_clocks_divide_down_to_the_samples() -> None:
    for rate_hz, fir in ((3e6, Fir()), (600e3, Fir((1,) * 128, 4)), (61.44e6, Fir((1,) * 64, 2))):
        for path in (transmit_path(rate_hz, fir), receive_path(rate_hz, fir)):
            assert path.stages[2] == rate_hz * fir.ratio
            assert path.converter <= 640e6
            assert path.sample == rate_hz


@pytest.mark.parametrize("text", ["", "1e9", "--1", "0x10", "1" * 40, "inf", "1 dBm"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(RefusedError):
        number(text)
