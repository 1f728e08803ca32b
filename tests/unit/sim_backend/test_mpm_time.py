"""Time of the software USRP, by hand."""

import pytest

from sim_backend.mpm.pulses import Pulses
from sim_backend.mpm.timekeeper import Timekeeper
from sim_backend.oscillator import FS_PER_S, NodeClock

RATE_HZ = 10e6
JITTER_FS = 7 * 10**6  # 7 ns
MILLISECOND_FS = FS_PER_S // 1000


class World:
    """True time, and a device in it."""

    def __init__(self, offset: float = 0.0, *, is_connected: bool = True) -> None:
        self.now_fs = 300 * MILLISECOND_FS
        self.keeper = Timekeeper(
            lambda: self.now_fs, NodeClock(-123_456_789, offset), (offset, 0.0),
            lambda number: number * JITTER_FS, RATE_HZ, is_connected=is_connected,
        )  # fmt: skip

    def wait(self, milliseconds: int) -> None:
        self.now_fs += milliseconds * MILLISECOND_FS


@pytest.fixture
def world() -> World:
    return World()


def test_a_time_is_set_at_once(world):
    world.keeper.set_now(5_000_000)
    world.wait(20)
    assert world.keeper.time() == pytest.approx(5_200_000, abs=1)


@pytest.mark.parametrize("offset", [0.0, 2e-6])
def test_a_time_is_set_at_the_next_true_second_as_the_device_sees_it(offset):
    world = World(offset)
    world.keeper.set_source("time", "external")
    world.keeper.set_source("clock", "external")
    before = world.keeper.time()
    world.keeper.set_at_next_pulse(777)
    world.wait(699)
    assert world.keeper.time() == pytest.approx(before + 6_990_000, abs=1)
    world.wait(2)  # a millisecond after the pulse
    keeper = world.keeper
    assert keeper.time() == pytest.approx(777 + 10_000, abs=1)
    assert keeper.time_at_last_pulse() == 777
    # Tick 777 of its time is at the pulse and 7 ns.
    assert keeper.clock.true_fs(777 - keeper.offset, RATE_HZ) == FS_PER_S + JITTER_FS
    world.wait(1000)
    assert keeper.time_at_last_pulse() == 777 + 10_000_000


def test_the_time_at_the_last_pulse_does_not_change_when_the_time_is_set(world):
    world.keeper.set_source("time", "external")
    world.wait(1000)
    before = world.keeper.time_at_last_pulse()
    world.keeper.set_now(12_345)
    assert world.keeper.time_at_last_pulse() == before


def test_without_pulses_nothing_is_set_until_they_come_back(world):
    keeper = world.keeper
    keeper.set_source("time", "external")
    world.wait(1000)
    keeper.connect_pulses(are_there=False)
    stood = keeper.time_at_last_pulse()
    keeper.set_at_next_pulse(0)
    world.wait(5000)
    assert keeper.time_at_last_pulse() == stood
    assert keeper.time() > 50_000_000
    keeper.connect_pulses(are_there=True)
    world.wait(1000)
    assert keeper.time_at_last_pulse() == 0


def test_the_pulses_of_its_own_clock_need_no_line():
    world = World(is_connected=False)
    world.keeper.set_at_next_pulse(42)
    world.wait(1100)
    assert world.keeper.time_at_last_pulse() == 42
    world.keeper.set_source("time", "external")
    assert world.keeper.time_at_last_pulse() == 0


def test_a_lost_reference_unlocks_and_lets_the_clock_run_off():
    world = World(1e-5)
    keeper = world.keeper
    assert keeper.is_locked  # to itself
    keeper.set_source("clock", "external")
    keeper.set_now(0)
    world.wait(1000)
    assert keeper.time() == pytest.approx(10_000_000, abs=1)
    keeper.connect_reference(is_there=False)
    assert not keeper.is_locked
    world.wait(1000)
    assert keeper.time() == pytest.approx(20_000_100, abs=1)
    keeper.connect_reference(is_there=True)
    world.wait(1000)
    assert keeper.is_locked
    assert keeper.time() == pytest.approx(30_000_100, abs=1)


def test_another_rate_goes_on_from_the_same_tick(world):
    world.keeper.set_now(1000)
    world.keeper.set_rate(20e6)
    assert world.keeper.time() == pytest.approx(1000, abs=1)
    world.wait(10)
    assert world.keeper.time() == pytest.approx(201_000, abs=1)


def test_pulses_between_interruptions():
    pulses = Pulses(are_there=True)
    pulses.lose(2_500 * MILLISECOND_FS)
    pulses.restore(4_200 * MILLISECOND_FS)
    assert pulses.last(4_900 * MILLISECOND_FS) == 2 * FS_PER_S
    assert pulses.last(5_100 * MILLISECOND_FS) == 5 * FS_PER_S
    assert pulses.first_after(2_000 * MILLISECOND_FS, 4_900 * MILLISECOND_FS) is None
    assert pulses.first_after(2_000 * MILLISECOND_FS, 9_000 * MILLISECOND_FS) == 5 * FS_PER_S
    assert pulses.first_after(100 * MILLISECOND_FS, 9_000 * MILLISECOND_FS) == FS_PER_S
