"""What the software USRP sends and hears, on one ether in a time that the test moves on."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from sim_backend.impairments import Impairments
from sim_backend.live_ether import LiveEther
from sim_backend.mpm.chdr import Kind, Packet
from sim_backend.mpm.endpoint import Input
from sim_backend.mpm.front_end import FrontEnd
from sim_backend.mpm.radio_block import TxEvent
from sim_backend.mpm.transmit import TxChannel
from tests.unit.sim_backend.mpm_client import free_space

RATE_HZ, GAIN_DB = 10e6, 40.0
PERIOD = 40  # samples of the tone
BOTH = (0, 1)
PACKET = 2000
QUIET = Impairments(retune_phase="random")


@dataclass
class Hall:
    """A sender and a receiver, 12 m apart, without noise."""

    impairments: Impairments = QUIET
    now_ns: int = 5 * 10**9
    told: list[tuple[TxEvent, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        scene = free_space(12.0, noise_figure_db=-250.0)
        ether = LiveEther(scene, 0, lambda: self.now_ns, lambda: 0)
        self.sender, self.receiver = (
            FrontEnd(ether, n, self.impairments, slice(None), 0) for n in range(2)
        )
        for front_end in (self.sender, self.receiver):
            front_end.timekeeper.set_source("clock", "external")
            front_end.set_rate(RATE_HZ)
            for channel in BOTH:
                front_end.set_gain("rx", channel, GAIN_DB)
                front_end.set_gain("tx", channel, 89.75)
        self.channels = [TxChannel(n, self.sender, Input(lambda _: None), self.tell) for n in BOTH]

    def tell(self, event: TxEvent, tick: int) -> None:
        self.told.append((event, tick))

    def wait(self, seconds: float) -> None:
        self.now_ns += round(seconds * 1e9)

    def tone(self, num_samples: int) -> np.ndarray:
        wave = 0.5 * np.exp(2j * np.pi * np.arange(num_samples) / PERIOD)
        return np.rint(np.stack((wave.real, wave.imag), axis=1) * 32768.0).astype("<i2")

    def send(self, num_samples: int, tick: int, channel: int = 0, *, in_time: bool = True) -> None:
        """Send a tone, packet by packet; in time, or as it is due."""
        samples, sender = self.tone(num_samples), self.channels[channel]
        for first in range(0, num_samples, PACKET):
            part = samples[first : first + PACKET].tobytes()
            kind, time = (Kind.TIMED_DATA, tick) if first == 0 else (Kind.DATA, None)
            ends = first + PACKET >= num_samples
            sender.take(Packet(kind, 2, part, first // PACKET, time, ends), self.now)
            if not in_time:
                self.wait(PACKET / RATE_HZ)
            sender.run_due(self.now)

    @property
    def now(self) -> int:
        return self.sender.timekeeper.now_tick

    def at(self, lead_s: float) -> int:
        """A tick of the sender from now, and the same of the receiver."""
        assert self.receiver.timekeeper.now_tick == self.now
        return self.now + round(lead_s * RATE_HZ)

    def heard(self, tick: int, count: int, channels: tuple[int, ...] = BOTH) -> np.ndarray:
        block = self.receiver.received(tick, count, channels).astype(np.float64)
        return (block[..., 0] + 1j * block[..., 1]) / 32768.0


@pytest.fixture
def hall() -> Hall:
    return Hall()


def against_tone(heard: np.ndarray) -> np.ndarray:
    """Heard samples over the tone: one number throughout, if nothing is amiss."""
    return heard * np.exp(-2j * np.pi * np.arange(heard.shape[-1]) / PERIOD)


@pytest.mark.parametrize("in_time", [True, False])
def test_a_long_burst_has_no_seams(hall, in_time):
    at = hall.at(2e-3)
    hall.send(300_000, at, in_time=in_time)
    hall.wait(0.1)
    steady = against_tone(hall.heard(at + 1000, 298_000, (0,))[0])
    assert abs(steady.mean()) > 0.005
    assert np.abs(steady / steady.mean() - 1.0).max() < 0.02
    hall.channels[0].run_due(hall.now)
    assert hall.told == [(TxEvent.ACKNOWLEDGED, at + 300_000)]


def test_the_second_transmitter_has_no_antenna_but_tells_as_the_first(hall):
    at = hall.at(2e-3)
    hall.send(4000, at, channel=1)
    hall.wait(0.1)
    hall.channels[1].run_due(hall.now)
    assert hall.told == [(TxEvent.ACKNOWLEDGED, at + 4000)]
    assert not hall.heard(at, 4000).any()


def test_one_receiver_alone_hears_what_it_hears_beside_the_other(hall):
    at = hall.at(2e-3)
    hall.send(4000, at)
    hall.wait(0.1)
    together = hall.heard(at, 4000)
    for channel in BOTH:
        assert np.array_equal(hall.heard(at, 4000, (channel,))[0], together[channel])
    assert np.abs(together[0] - together[1]).max() > 1e-3  # the wave comes at an angle


def test_every_channel_has_its_own_gain(hall):
    hall.receiver.set_gain("rx", 1, GAIN_DB - 20.0)
    at = hall.at(2e-3)
    hall.send(4000, at)
    hall.wait(0.1)
    levels = np.abs(hall.heard(at + 500, 3000)).mean(axis=1)
    assert levels[0] / levels[1] == pytest.approx(10.0, rel=0.02)


def phases(hall: Hall) -> np.ndarray:
    """Phase of each receiver against the tone of a burst."""
    at = hall.at(2e-3)
    hall.send(4000, at)
    hall.wait(0.1)
    return np.angle(against_tone(hall.heard(at + 500, 3000)).mean(axis=1))


def test_a_retune_turns_both_receivers_alike(hall):
    first = phases(hall)
    hall.receiver.set_carrier("rx", 2.4e9)  # where it is
    hall.wait(0.001)
    same = phases(hall)
    hall.receiver.set_carrier("rx", 2.5e9)
    hall.receiver.set_carrier("rx", 2.4e9)
    turned = phases(hall)
    assert same == pytest.approx(first, abs=0.02)
    assert abs(np.exp(1j * (turned - first))[0] - 1.0) > 0.05
    assert np.exp(1j * np.diff(turned)) == pytest.approx(np.exp(1j * np.diff(first)), abs=0.02)


def test_sending_and_receiving_have_oscillators_of_their_own(hall):
    at = hall.at(2e-3)
    hall.receiver.set_carrier("tx", 5e9)
    hall.send(4000, at)
    hall.wait(0.1)
    assert hall.heard(at, 4000).any()
    hall.receiver.set_carrier("rx", 5e9)
    assert not np.abs(hall.heard(at + 500, 3000)).max() > 1e-3


def test_without_a_reference_the_carrier_is_off():
    hall = Hall(replace(QUIET, clock_offset_ppm=2.0))
    hall.sender.timekeeper.set_source("clock", "internal")
    at = hall.now + 20_000
    hall.send(40_000, at)
    hall.wait(0.1)
    steady = against_tone(hall.heard(at + 4000, 30_000, (0,))[0])
    turned_rad = np.unwrap(np.angle(steady))
    drift_hz = (turned_rad[-1] - turned_rad[0]) / (2.0 * np.pi) * RATE_HZ / len(steady)
    offset = hall.sender.timekeeper.clock.offset
    assert abs(offset) > 1e-8
    assert drift_hz == pytest.approx(offset * 2.4e9 + offset * RATE_HZ / PERIOD, abs=20.0)
