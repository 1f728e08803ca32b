"""`drivers.usrp` on the real libuhd, against software USRPs."""

import time
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import pytest

from drivers.contract import Bench, verdict_of
from drivers.contract_checks import CHECKS
from drivers.radio import RadioSpec
from drivers.tuning import Tuning
from drivers.usrp import open_usrp_radio
from tests.vendor.usrp.emulated import EmulatedUsrps, emulated_usrps

TUNING = Tuning(2.4e9, 20e6, 40.0, 60.0, "external", "pps")


@pytest.fixture(scope="module")
def usrps() -> Iterator[EmulatedUsrps]:
    with emulated_usrps(2) as both:
        yield both


@pytest.fixture(scope="module")
def array(usrps):
    with closing(open_usrp_radio(RadioSpec("a", 4, usrps.address))) as radio:
        radio.configure(TUNING)
        yield radio


@pytest.mark.parametrize("num_boards", [1, 2])
def test_the_whole_contract_holds(num_boards):
    with emulated_usrps(num_boards) as usrps:
        bench = Bench(open_usrp_radio(RadioSpec("a", 2 * num_boards, usrps.address)), TUNING)
        verdicts = [verdict_of(check, bench) for check in CHECKS]
    assert [v for v in verdicts if v.outcome == "broken"] == []
    left_out = {v.check for v in verdicts if v.outcome == "not applicable"}
    assert left_out == {"refuses times it cannot keep", "stops sending"}


def test_the_group_of_the_board_that_transmits_comes_first():
    """The radio's time is theirs."""
    with emulated_usrps(2) as usrps:
        spec = RadioSpec("a", 4, usrps.address, {"tx_channel": 2})
        with closing(open_usrp_radio(spec)) as radio:
            assert radio.info.capabilities.coherent_groups == ((2, 3), (0, 1))


def test_it_says_who_it_is(array):
    info = array.info
    assert info.kind == "usrp"
    assert len(info.serial.split("+")) == 2
    assert info.software.startswith("UHD 4.")
    assert info.capabilities.coherent_groups == ((0, 1), (2, 3))
    assert not info.capabilities.radiates
    assert not info.capabilities.phase_stable_retune


def test_device_time_is_utc_and_the_same_on_all_boards(array):
    """Set at a pulse; the host's clock says which second it was, the pulse when it began."""
    now_s = array.time_ticks() / TUNING.sample_rate_hz
    assert abs(now_s - time.time()) < 0.5
    assert array.health().pps_locked


def test_the_time_is_set_once(array):
    """A second look at the same tuning neither waits for a pulse nor changes the epoch."""
    array.arm_receive(1000)
    epoch = array.fetch().config_epoch
    array.configure(TUNING)
    array.arm_receive(1000)
    assert array.fetch().config_epoch == epoch


def test_many_blocks_come_through_one_streamer(array):
    """A streamer for each block would die after about a hundred."""
    tick = 0
    for _ in range(200):
        array.arm_receive(2048)
        block = array.fetch()
        assert block.first_sample_tick > tick
        assert not block.discontinuity
        tick = block.first_sample_tick + 2047
    assert block.clock_locked
    assert block.pps_locked
    assert block.samples.shape == (2048, 4)
    assert 30e-9 <= block.time_std_s < 100e-9


def test_a_long_block_is_in_one_piece(array):
    array.arm_receive(1 << 18)
    block = array.fetch()
    assert not block.discontinuity
    assert np.count_nonzero(np.abs(block.samples).sum(axis=1)) > 0.9 * (1 << 18)


def test_a_block_that_is_armed_gives_way_to_the_next(array):
    array.arm_receive(1 << 16, array.time_ticks() + round(0.1 * TUNING.sample_rate_hz))
    at_tick = array.time_ticks() + round(0.2 * TUNING.sample_rate_hz)
    array.arm_receive(1000, at_tick)
    assert array.fetch().first_sample_tick == at_tick


@pytest.mark.parametrize("rate_hz", [5e6, 61.44e6])
def test_the_rate_is_the_master_clock(rate_hz):
    """Streamers are made again, and the time is set again, in ticks of the new rate."""
    with (
        emulated_usrps(1) as one,
        closing(
            open_usrp_radio(RadioSpec("a", 1, one.address, {"rx_channels": [1], "tx_channel": 1}))
        ) as radio,
    ):
        for rate in (20e6, rate_hz):
            tuning = Tuning(5.8e9, rate, 40.0, 60.0, "internal", "none")
            assert radio.configure(tuning) == tuning
            at_tick = radio.time_ticks() + round(0.2 * rate)  # the emulator designs its filters
            radio.arm_receive(1000, at_tick)
            radio.transmit(np.full(100, 0.1, np.complex64), at_tick)
            assert radio.transmit_report().first_sample_tick == at_tick
            block = radio.fetch()
            assert block.first_sample_tick == at_tick
            assert block.clock_locked is None
            assert block.pps_locked is None
            assert block.time_std_s > 1e-3  # the host's time: no delays can be told with it


def test_a_burst_longer_than_the_devices_buffer_is_fed_while_it_is_sent():
    """The call returns at once; the report waits until the device has acknowledged it."""
    rate_hz = 4e6  # of which the buffer holds 65 ms: a busy host feeds that, too
    with (
        emulated_usrps(1) as one,
        closing(open_usrp_radio(RadioSpec("a", 1, one.address))) as radio,
    ):
        radio.configure(Tuning(2.4e9, rate_hz, 40.0, 60.0))
        samples = np.full(1 << 19, 0.1, np.complex64)
        at_tick = radio.time_ticks() + round(0.3 * rate_hz)
        radio.transmit(samples, at_tick)
        assert radio.time_ticks() < at_tick
        report = radio.transmit_report()
        assert report.first_sample_tick == at_tick
        assert not report.late
        assert not report.underflow
        assert radio.time_ticks() >= at_tick + len(samples)
