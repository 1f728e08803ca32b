"""What the Pluto driver sends and receives on boards, through real pyadi-iio and libiio."""

import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace

import numpy as np
import pytest

from drivers import ad936x
from drivers.link_budget import direct_path_gain
from drivers.radio_errors import BurstRefusedError, RadioError, RadioNotFoundError
from tests.vendor.pluto.driving import (
    PATIENCE_S,
    REPEAT_S,
    TUNING,
    chirp,
    opened,
    received,
    sends,
    until,
)
from tests.vendor.pluto.serve import boards
from tests.vendor.pluto.software import free_space


def test_a_burst_is_heard_at_the_level_of_the_link_budget(pair):
    sender, receiver = pair
    for radio in pair:
        radio.configure(TUNING)
    sender.transmit(chirp(), None, REPEAT_S)
    block = received(receiver)
    sender.stop_transmit()
    nodes = free_space().nodes
    expected_dbm = (
        ad936x.TX_FULL_SCALE_DBM + TUNING.tx_gain_db + 20 * np.log10(0.9)
        + 20 * np.log10(direct_path_gain(*nodes, 299792458.0 / TUNING.carrier_hz))
    )  # fmt: skip
    mean_square = float(np.mean(np.abs(block.samples) ** 2))
    assert abs(block.full_scale_dbm + 10 * np.log10(mean_square) - expected_dbm) < 0.5
    # Repeated without a seam: every stretch of the burst's length holds all of it.
    heard, sent = np.fft.fft(block.samples[2000:3000, 0]), np.fft.fft(chirp())
    spectrum = np.fft.ifft(heard * sent.conj())
    assert np.abs(spectrum).max() ** 2 > 0.9 * np.sum(np.abs(heard) ** 2) * 0.81
    assert np.mean(np.abs(received(receiver).samples) ** 2) < 1e-2 * mean_square  # noise only


@pytest.mark.parametrize("num_samples", [997, 998, 1000])
def test_a_repeated_burst_has_its_own_length_whatever_the_bus_moves(pair, num_samples):
    sender, receiver = pair
    for radio in pair:
        radio.configure(TUNING)
    sender.transmit(chirp(num_samples), None, REPEAT_S)
    samples = received(receiver, 4 * num_samples + 1).samples[:, 0]
    sender.stop_transmit()
    assert len(samples) == 4 * num_samples + 1
    ahead, behind = samples[num_samples : 3 * num_samples], samples[: 2 * num_samples]
    assert abs(np.vdot(behind, ahead)) > 0.99 * np.vdot(behind, behind).real


def test_a_repeated_burst_ends_by_itself_and_by_being_stopped(pair, plutos):
    sender, _ = pair
    with closing(opened(plutos[0].uri)) as other:
        for radio in (sender, other):
            radio.configure(TUNING)
        sender.transmit(chirp(), None, 0.2)
        with pytest.raises(RadioError, match=r"somebody else uses the device.*end the other"):
            other.transmit(chirp())
        assert until(lambda: sends(other))
        other.stop_transmit()
        sender.transmit(chirp(), None, REPEAT_S)
        stopper = threading.Thread(target=sender.stop_transmit)
        stopper.start()
        stopper.join(PATIENCE_S)
        other.transmit(chirp(), None, REPEAT_S)  # at once, as the device is free
        other.close()
        sender.transmit(chirp(), None, REPEAT_S)
        sender.transmit(chirp(500), None, REPEAT_S)  # ends the one before
        assert not sender.transmit_report().underflow


def test_a_stop_from_another_thread_comes_between_two_blocks(pair):
    sender, _ = pair
    sender.configure(TUNING)
    sender.transmit(chirp(), None, REPEAT_S)
    sender.arm_receive(400_000)
    stopper = threading.Thread(target=sender.stop_transmit)
    stopper.start()
    assert sender.fetch().samples.shape == (400_000, 1)
    stopper.join(PATIENCE_S)
    assert not stopper.is_alive()


def test_a_block_may_take_longer_than_an_answer(plutos):
    with closing(opened(plutos[0].uri, timeout_s=0.2)) as radio:
        radio.configure(replace(TUNING, sample_rate_hz=1e6))
        assert received(radio, 400_000).samples.shape == (400_000, 1)


def test_lost_samples_are_flagged_in_their_block_and_counted(plutos, pair):
    radio = pair[0]
    radio.configure(TUNING)
    radio.arm_receive(4096)
    plutos[0].faults.inject("overflow", 1)  # in what comes before the block
    block = radio.fetch()
    plutos[0].faults.inject("overflow", 2)
    bad = received(radio)
    good = received(radio)
    assert [b.overflow for b in (bad, good)] == [True, False]
    assert [b.discontinuity for b in (bad, good)] == [True, False]
    assert not block.overflow
    assert radio.health().num_overflows == 1


def test_a_transmission_that_runs_dry_is_reported_and_counted(plutos, pair):
    radio = pair[0]
    radio.configure(TUNING)
    plutos[0].faults.inject("underflow")
    radio.transmit(chirp(), None, REPEAT_S)
    assert until(lambda: radio.transmit_report().underflow)
    radio.transmit(chirp(), None, REPEAT_S)
    assert not radio.transmit_report().underflow
    radio.stop_transmit()
    radio.transmit(chirp())
    assert not radio.transmit_report().underflow
    assert radio.health().num_underflows == 1


def test_a_burst_that_is_sent_once_is_heard_once(pair):
    sender, receiver = pair
    for radio in pair:
        radio.configure(TUNING)
    receiver.arm_receive(400_000)  # 0.2 s, of which the second half comes
    time.sleep(0.12)  # until the second half has begun
    sender.transmit(chirp(20_000))
    level = np.abs(receiver.fetch().samples[:, 0])
    loud = level > 0.5 * level.max()
    assert 19_000 < np.count_nonzero(loud) <= 20_001
    assert np.ptp(np.flatnonzero(loud)) < 20_001


@pytest.mark.parametrize("repeat_s", [-1.0, float("nan"), float("inf")])
def test_a_time_that_does_not_end_is_refused(pair, repeat_s):
    pair[0].configure(TUNING)
    with pytest.raises(BurstRefusedError, match="repeat_s must be a finite time"):
        pair[0].transmit(chirp(), None, repeat_s)


def test_who_it_is_and_how_warm(pair):
    info = pair[0].info
    assert (info.kind, info.serial) == ("pluto", "emulated-1-n0")
    assert info.software == "pyadi-iio 0.0.21, libiio 0.24, firmware v0.38-emulated"
    assert 20.0 < pair[0].health().temperature_c < 60.0


def test_a_radio_that_is_forgotten_stops_sending(plutos):
    sender, other = opened(plutos[0].uri), opened(plutos[0].uri)
    with closing(other):
        for radio in (sender, other):
            radio.configure(TUNING)
        sender.transmit(chirp(), None, REPEAT_S)
        assert not sends(other)
        del sender, radio
        assert until(lambda: sends(other))


def test_channels_can_be_chosen():
    with ExitStack() as stack:
        board = boards(stack, "fmcomms5")[0]
        every = stack.enter_context(closing(opened(board.uri, 4)))
        every.configure(TUNING)
        assert received(every).samples.shape == (8192, 4)
        some = stack.enter_context(closing(opened(board.uri, 4, rx_channels=[1, 2])))
        some.configure(TUNING)
        assert received(some).samples.shape == (8192, 2)
        assert some.info.capabilities.coherent_groups == ((0,), (1,))
        with pytest.raises(RadioError, match="4 receive and 4 transmit channels"):
            opened(board.uri, 4, tx_channel=4)


def test_nothing_there_and_nobody_there_name_the_address():
    with pytest.raises(RadioNotFoundError, match=r"'ip:127.0.0.1:9': Connection refused"):
        opened("ip:127.0.0.1:9")
    with pytest.raises(RadioNotFoundError, match=r"'usb:255.255.0': No such device"):
        opened("usb:255.255.0")


def test_a_closed_radio_keeps_no_connection(plutos):
    radio = opened(plutos[0].uri)
    radio.configure(TUNING)
    radio.transmit(chirp(), None, REPEAT_S)
    radio.arm_receive(4096)
    assert len(plutos[0]._clients) == 3
    radio.close()
    assert until(lambda: not plutos[0]._clients)
    assert radio.info.serial == "emulated-1-n0"
