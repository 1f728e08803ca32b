"""pyadi-iio against the software Pluto: what its users do with a board."""

from typing import Any

import numpy as np
import pytest

from tests.vendor.pluto.software import (
    CARRIER_HZ,
    RATE_HZ,
    expected_dbfs,
    software_plutos,
    strongest_tone,
)

adi: Any = pytest.importorskip("adi", reason="pyadi-iio is not installed")

PERIOD, CYCLES, AMPLITUDE = 4096, 256, 0.5
TONE = AMPLITUDE * 2**15 * np.exp(2j * np.pi * CYCLES * np.arange(PERIOD) / PERIOD)
STALE = 4  # kernel buffers


def tuned(board: Any, gain_db: int) -> Any:
    """A board at the common carrier and rate, gains set by hand, full output."""
    board.sample_rate = RATE_HZ
    board.rx_lo = board.tx_lo = int(CARRIER_HZ)
    board.gain_control_mode_chan0 = "manual"
    board.rx_hardwaregain_chan0 = gain_db
    board.tx_hardwaregain_chan0 = 0
    board.rx_buffer_size = 8 * PERIOD
    return board


def received(board: Any) -> Any:
    """A fresh block, as fractions of full scale."""
    for _ in range(STALE):
        board.rx()
    return np.asarray(board.rx()) / 2048.0


@pytest.mark.parametrize("rate_hz", [600_000, 2_000_000, 2_500_000, 30_720_000, 50_000_000])
def test_any_rate_brings_its_own_filter(rate_hz: int) -> None:
    with software_plutos("pluto") as (pluto,):
        board = adi.Pluto(pluto.uri)
        board.sample_rate = rate_hz
        assert board.sample_rate == rate_hz
        taps, decimation = 128 if rate_hz <= 40e6 else 96, 4 if rate_hz <= 20e6 else 2
        assert board.filter == [taps, decimation] * 2
        assert board._get_iio_attr("out", "voltage_filter_fir_en", False) == 1
        del board


def test_a_pluto_sends_and_another_hears_it() -> None:
    with software_plutos("pluto", "pluto") as (first, second):
        sender, receiver = tuned(adi.Pluto(first.uri), 40), tuned(adi.Pluto(second.uri), 40)
        sender.tx_cyclic_buffer = True
        sender.tx(TONE)
        frequency_hz, level_dbfs = strongest_tone(received(receiver), RATE_HZ)
        with pytest.raises(Exception, match="cyclic"):
            sender.tx(TONE)
        sender.tx_destroy_buffer()
        receiver.rx_destroy_buffer()
        after_dbfs = strongest_tone(received(receiver), RATE_HZ)[1]
        sender.tx(TONE)  # after which it can send again
        again_dbfs = strongest_tone(received(receiver), RATE_HZ)[1]
        del sender, receiver
    assert frequency_hz == pytest.approx(RATE_HZ * CYCLES / PERIOD)
    assert level_dbfs == pytest.approx(expected_dbfs(AMPLITUDE, 40), abs=0.1)
    assert after_dbfs < level_dbfs - 30.0
    assert again_dbfs == pytest.approx(level_dbfs, abs=0.1)


def test_a_second_client_cannot_open_a_cyclic_buffer() -> None:
    with software_plutos("pluto") as (pluto,):
        first, second = adi.Pluto(pluto.uri), adi.Pluto(pluto.uri)
        first.tx_cyclic_buffer = second.tx_cyclic_buffer = True
        first.tx(TONE)
        with pytest.raises(OSError, match="busy"):
            second.tx(TONE)
        first.tx_destroy_buffer()
        second.tx(TONE)
        del first, second


def test_what_a_pluto_refuses() -> None:
    with software_plutos("pluto") as (pluto,):
        board = tuned(adi.Pluto(pluto.uri), 40)
        with pytest.raises(OSError, match="Invalid argument"):
            board.rx_lo = 7_000_000_000
        with pytest.raises(OSError, match="Invalid argument"):
            board.rx_hardwaregain_chan0 = 80
        assert board.rx_lo == int(CARRIER_HZ)
        assert board.rx_hardwaregain_chan0 == 40.0
        assert board._rxadc.reg_read(0x80000088) == 0
        assert board._ctrl.reg_read(0x37) == 0x0A
        del board


def test_tones_of_the_board_itself() -> None:
    with software_plutos("pluto", "pluto") as (first, second):
        sender, receiver = tuned(adi.Pluto(first.uri), 40), tuned(adi.Pluto(second.uri), 40)
        sender.dds_single_tone(RATE_HZ // 16, AMPLITUDE)
        frequency_hz, level_dbfs = strongest_tone(received(receiver), RATE_HZ)
        del sender, receiver
    assert frequency_hz == pytest.approx(RATE_HZ / 16)
    assert level_dbfs == pytest.approx(expected_dbfs(AMPLITUDE, 40), abs=0.1)


def test_two_receivers_hear_a_wave_from_the_side() -> None:
    with software_plutos("pluto", "fmcomms2", num_elements=2) as (first, second):
        sender, receiver = tuned(adi.Pluto(first.uri), 40), tuned(adi.ad9361(second.uri), 40)
        receiver.gain_control_mode_chan1 = "manual"
        receiver.rx_hardwaregain_chan1 = 37
        sender.tx_cyclic_buffer = True
        sender.tx(TONE)
        channels = received(receiver)
        # With its own two transmitters: only the first one is at an antenna.
        receiver.tx_cyclic_buffer = True
        receiver.tx([TONE, TONE])
        del sender, receiver
    levels = [strongest_tone(channel, RATE_HZ)[1] for channel in channels]
    assert levels == pytest.approx(
        [expected_dbfs(AMPLITUDE, 40), expected_dbfs(AMPLITUDE, 37)], abs=0.1
    )


def test_four_receivers_on_two_chips() -> None:
    with software_plutos("pluto", "fmcomms5", num_elements=4) as (first, second):
        sender, receiver = tuned(adi.Pluto(first.uri), 40), tuned(adi.FMComms5(second.uri), 40)
        receiver.rx_lo_chip_b = receiver.tx_lo_chip_b = int(CARRIER_HZ)
        receiver.gain_control_mode_chan1 = "manual"
        receiver.rx_hardwaregain_chan1 = 40
        receiver.gain_control_mode_chip_b_chan0 = "manual"
        receiver.gain_control_mode_chip_b_chan1 = "manual"
        receiver.rx_hardwaregain_chip_b_chan0 = 40
        receiver.rx_hardwaregain_chip_b_chan1 = 40
        sender.tx_cyclic_buffer = True
        sender.tx(TONE)
        channels = received(receiver)
        receiver.tx_cyclic_buffer = True
        receiver.tx([TONE] * 4)
        del sender, receiver
    levels = [strongest_tone(channel, RATE_HZ)[1] for channel in channels]
    assert levels == pytest.approx([expected_dbfs(AMPLITUDE, 40)] * 4, abs=0.1)


def test_automatic_gain_moves_and_is_frozen_by_hand() -> None:
    with software_plutos("pluto", "pluto") as (first, second):
        sender, receiver = tuned(adi.Pluto(first.uri), 40), tuned(adi.Pluto(second.uri), 0)
        sender.tx_cyclic_buffer = True
        sender.tx(TONE)
        receiver.gain_control_mode_chan0 = "slow_attack"
        for _ in range(16):
            receiver.rx()
        automatic_db = receiver.rx_hardwaregain_chan0
        level_dbfs = strongest_tone(np.asarray(receiver.rx()) / 2048.0, RATE_HZ)[1]
        receiver.gain_control_mode_chan0 = "manual"
        frozen_db = receiver.rx_hardwaregain_chan0
        for _ in range(4):
            receiver.rx()
        assert receiver.rx_hardwaregain_chan0 == frozen_db
        del sender, receiver
    assert level_dbfs == pytest.approx(-12.0, abs=2.5)
    assert automatic_db == pytest.approx(-12.0 - expected_dbfs(AMPLITUDE, 0), abs=2.5)
