"""What goes wrong with a USRP that is there: refused, late, lost samples, lost references."""

import signal
import time
from contextlib import closing

import pytest

from drivers.radio import RadioSpec
from drivers.radio_errors import LateCommandError, RadioError, TuningError
from drivers.tuning import Tuning
from drivers.usrp import open_usrp_radio
from tests.vendor.usrp.emulated import emulated_usrps
from tests.vendor.usrp.one_board import BURST, LONG_BURST, TUNING, open_on

WITH_PULSE = Tuning(2.4e9, 10e6, 40.0, 60.0, "external", "pps")


def test_a_device_in_use_says_so(radio, usrps):
    with pytest.raises(RadioError, match="in use by another program"):
        open_on(usrps)
    radio.time_ticks()


def test_a_device_is_free_again_after_close(usrps):
    open_on(usrps).close()
    open_on(usrps).close()


def test_no_epoch_is_that_of_an_earlier_opening(usrps):
    epochs = []
    for _ in range(2):
        with closing(open_on(usrps)) as radio:
            radio.configure(TUNING)
            radio.arm_receive(1000)
            epochs.append(radio.fetch().config_epoch)
    assert epochs[0] < epochs[1]


def test_what_the_boards_do_not_have_is_refused(usrps):
    for options, said in (
        ({"rx_channels": [0, 5]}, "channel 5 is to receive"),
        ({"tx_channel": 2}, "channel 2 is to transmit"),
        ({"timed_tune": True}, "cannot time its tune"),
    ):
        with pytest.raises(RadioError, match=said):
            open_on(usrps, **options)


def test_a_carrier_out_of_range_leaves_the_old_tuning(radio):
    with pytest.raises(TuningError, match="carrier_hz must be between"):
        radio.configure(Tuning(9e9, 10e6, 40.0, 60.0))
    radio.arm_receive(1000)
    assert radio.fetch().tuning == TUNING


def test_a_late_burst_is_reported_by_the_device(radio):
    radio.transmit(BURST, radio.time_ticks() - 1000)
    report = radio.transmit_report()
    assert report.late
    assert report.first_sample_tick is None
    assert radio.health().num_lates == 1
    at_tick = radio.time_ticks() + 500_000
    radio.transmit(BURST, at_tick)
    assert radio.transmit_report().first_sample_tick == at_tick


def test_a_late_block_is_reported_by_the_device(radio):
    radio.arm_receive(1000, radio.time_ticks() - 1000)
    with pytest.raises(LateCommandError, match="UHD says: ERROR_CODE_LATE_COMMAND"):
        radio.fetch()
    assert radio.health().num_lates == 1


@pytest.mark.parametrize("deed", ["overflow", "drop a packet"])
def test_lost_samples_are_flagged_and_zero(radio, usrps, deed):
    begin_tick = radio.time_ticks() + 500_000
    radio.arm_receive(2_000_000, begin_tick)
    while radio.time_ticks() < begin_tick + 100_000:
        pass
    usrps.do(deed)
    block = radio.fetch()
    assert block.overflow
    assert block.discontinuity
    assert (block.samples == 0.0).all(axis=1).sum() > 100
    assert radio.health().num_overflows >= 1
    radio.arm_receive(200_000)
    block = radio.fetch()
    assert not block.overflow
    assert not block.discontinuity


def test_an_underflow_is_reported(radio):
    """A host that is busy elsewhere during a burst that the device cannot hold."""
    busy = radio._vendor._process
    begin_tick = radio.time_ticks() + 5_000_000
    radio.transmit(LONG_BURST, begin_tick)
    while radio.time_ticks() < begin_tick - 2_000_000:
        pass
    busy.send_signal(signal.SIGSTOP)
    time.sleep(0.5)  # 0.2 s until it begins, 26 ms that are held, and then nothing
    busy.send_signal(signal.SIGCONT)
    report = radio.transmit_report()
    assert report.underflow
    assert radio.health().num_underflows >= 1
    at_tick = radio.time_ticks() + 2_000_000
    radio.transmit(BURST, at_tick)
    assert radio.transmit_report().first_sample_tick == at_tick


@pytest.mark.parametrize("after_s", [0.0, 0.5], ids=["at once", "when the device is full"])
def test_a_burst_that_is_stopped_ends(radio, after_s):
    """What the device's buffer holds is sent; the rest of 0.3 s is not."""
    begin_tick = radio.time_ticks() + 20_000_000
    radio.transmit(LONG_BURST, begin_tick)
    time.sleep(after_s)
    radio.stop_transmit()
    radio.transmit_report()
    assert radio.time_ticks() < begin_tick + len(LONG_BURST)
    radio.transmit(BURST)
    assert not radio.transmit_report().late


def test_a_second_burst_waits_for_the_first(radio):
    radio.transmit(LONG_BURST, radio.time_ticks() + 1_000_000)
    with pytest.raises(RadioError, match="still being sent"):
        radio.transmit(BURST)
    radio.stop_transmit()


def test_a_lost_pulse_is_said_by_every_block_until_it_is_back(radio, usrps):
    radio.configure(WITH_PULSE)
    radio.arm_receive(1000)
    before = radio.fetch()
    usrps.do("lose pps")
    deadline_s = time.monotonic() + 5.0
    while radio.health().pps_locked and time.monotonic() < deadline_s:
        pass
    radio.arm_receive(1000)
    assert radio.fetch().pps_locked is False
    assert radio.configure(WITH_PULSE) == WITH_PULSE  # goes on, flagged
    with pytest.raises(RadioError, match="no PPS"):
        radio.configure(Tuning(2.4e9, 20e6, 40.0, 60.0, "external", "pps"))
    usrps.do("restore pps")
    radio.configure(WITH_PULSE)
    radio.arm_receive(1000)
    after = radio.fetch()
    assert after.pps_locked
    assert after.config_epoch > before.config_epoch


def test_a_lost_reference_is_said_and_the_time_is_set_again_when_it_is_back(radio, usrps):
    radio.configure(WITH_PULSE)
    usrps.do("lose reference")
    radio.arm_receive(1000)
    lost = radio.fetch()
    assert lost.clock_locked is False
    usrps.do("restore reference")
    radio.configure(WITH_PULSE)
    radio.arm_receive(1000)
    after = radio.fetch()
    assert after.clock_locked
    assert after.config_epoch > lost.config_epoch


def test_without_a_pulse_there_is_no_common_time(usrps):
    usrps.do("lose pps")
    with closing(open_on(usrps)) as radio, pytest.raises(RadioError, match="no PPS"):
        radio.configure(WITH_PULSE)


def test_several_boards_need_a_pulse():
    with (
        emulated_usrps(2) as usrps,
        closing(open_usrp_radio(RadioSpec("a", 4, usrps.address))) as radio,
        pytest.raises(TuningError, match="several boards need a pulse"),
    ):
        radio.configure(TUNING)
