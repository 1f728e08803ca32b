"""How the Pluto driver tunes boards, through real pyadi-iio and libiio."""

from contextlib import ExitStack, closing
from dataclasses import replace

import iio
import numpy as np
import pytest

from drivers.pluto.filters import filter_delays
from drivers.radio_errors import RadioError, TuningError
from drivers.tuning import Tuning
from tests.vendor.pluto.driving import REPEAT_S, TUNING, chirp, opened, received
from tests.vendor.pluto.serve import NUM_CHANNELS, boards


def attribute(board, channel: str, name: str, *, output: bool, device: str = "ad9361-phy") -> str:
    """What another client reads."""
    context = iio.Context(board.uri)
    return context.find_device(device).find_channel(channel, output).attrs[name].value


def test_nothing_of_the_tuning_before_is_in_a_block(pair):
    sender, receiver = pair
    sender.configure(TUNING)
    receiver.configure(replace(TUNING, carrier_hz=2.6e9))
    sender.transmit(chirp(), None, REPEAT_S)
    quiet = np.abs(received(receiver).samples).max()
    for _ in range(3):
        receiver.configure(TUNING)
        loud = np.abs(received(receiver).samples)
        receiver.configure(replace(TUNING, carrier_hz=2.6e9))
        assert loud.min() > 2.0 * quiet
        assert np.abs(received(receiver).samples).max() < 2.0 * quiet
    sender.stop_transmit()


def test_the_device_is_taken_out_of_its_automatic_modes(pair, plutos):
    pair[0].configure(TUNING)
    board = plutos[0]
    assert attribute(board, "voltage0", "gain_control_mode", output=False) == "manual"
    for loop in ("quadrature", "rf_dc_offset", "bb_dc_offset"):
        assert attribute(board, "voltage0", f"{loop}_tracking_en", output=False) == "0"
    assert attribute(board, "voltage0", "rf_bandwidth", output=False) == "4000000"
    core = "cf-ad9361-dds-core-lpc"
    for tone in range(4):
        assert attribute(board, f"altvoltage{tone}", "raw", output=True, device=core) == "0"
    assert received(pair[0]).gain_is_manual


@pytest.mark.parametrize("personality", NUM_CHANNELS)
def test_every_chip_and_channel_gets_the_tuning(personality):
    with ExitStack() as stack:
        board = boards(stack, personality)[0]
        radio = stack.enter_context(closing(opened(board.uri, NUM_CHANNELS[personality])))
        applied = radio.configure(Tuning(2.45e9, 4e6, 33.0, -12.3))
        assert applied == Tuning(2.45e9, 4e6, 33.0, -12.25)
        for chip in ("ad9361-phy", "ad9361-phy-B")[: 2 if personality == "fmcomms5" else 1]:
            for channel in range(1 if personality == "pluto" else 2):
                where = {"device": chip, "output": False}
                assert attribute(board, f"voltage{channel}", "hardwaregain", **where) == (
                    "33.000000 dB"
                )
            for oscillator in ("altvoltage0", "altvoltage1"):
                where = {"device": chip, "output": True}
                assert attribute(board, oscillator, "frequency", **where) == "2450000000"
            rate = attribute(board, "voltage0", "sampling_frequency", device=chip, output=False)
            assert rate == "4000000"
        gains = {
            attribute(board, f"voltage{n}", "hardwaregain", output=True)
            for n in range(1 if personality == "pluto" else 2)
        }
        assert gains == {"-12.250000 dB"} | ({"-89.750000 dB"} if personality != "pluto" else set())


def test_what_the_device_refuses_leaves_the_old_tuning(pair, plutos):
    radio = pair[0]
    before = radio.configure(TUNING)
    epoch = received(radio).config_epoch
    # Within the capabilities, which hold on every carrier; the device has no such gain here.
    able = radio.info.capabilities
    object.__setattr__(able, "rx_gain_range_db", (-10.0, 80.0))
    with pytest.raises(TuningError, match=r"refused a part of.*rx_gain_db=79.*Invalid argument"):
        radio.configure(replace(TUNING, carrier_hz=3e9, sample_rate_hz=8e6, rx_gain_db=79.0))
    block = received(radio)
    assert block.tuning == before
    assert block.config_epoch > epoch  # the oscillators have moved
    assert attribute(plutos[0], "altvoltage0", "frequency", output=True) == "2450000000"
    assert attribute(plutos[0], "voltage0", "sampling_frequency", output=False) == "4000000"


def test_out_of_range_is_refused_before_the_device_hears_of_it(pair):
    radio = pair[0]
    radio.configure(TUNING)
    epoch = received(radio).config_epoch
    with pytest.raises(TuningError, match=r"carrier_hz must be between 70000000 and 6000000000"):
        radio.configure(replace(TUNING, carrier_hz=6.1e9))
    assert received(radio).config_epoch == epoch


def test_every_change_has_its_epoch_and_the_same_tuning_none(pair):
    radio = pair[0]
    epochs = []
    for change in (
        {}, {}, {"carrier_hz": 2.5e9}, {"sample_rate_hz": 5e6}, {"rx_gain_db": 20.4},
        {"rx_gain_db": 20.4}, {"tx_gain_db": -30.0},
    ):  # fmt: skip
        radio.configure(replace(TUNING, **change))
        epochs.append(received(radio).config_epoch - (epochs[0] if epochs else 0))
    assert epochs[1:] == [0, 1, 2, 3, 3, 4]


def test_no_epoch_is_that_of_an_earlier_opening(plutos):
    epochs = []
    for _ in range(2):
        with closing(opened(plutos[0].uri)) as radio:
            radio.configure(TUNING)
            epochs.append(received(radio).config_epoch)
    assert epochs[0] < epochs[1]


def test_a_retune_between_arming_and_fetching_drops_the_block(pair):
    radio = pair[0]
    radio.configure(TUNING)
    radio.arm_receive(4096)
    radio.configure(replace(TUNING, carrier_hz=2.5e9))
    with pytest.raises(RadioError, match="arm_receive"):
        radio.fetch()
    assert received(radio).tuning.carrier_hz == 2.5e9


@pytest.mark.parametrize("rate_hz", [1e6, 4e6, 25e6, 50e6, 61.44e6])
def test_every_rate_has_its_filter_and_the_driver_knows_its_delay(plutos, pair, rate_hz):
    pair[0].configure(replace(TUNING, sample_rate_hz=rate_hz))
    context = iio.Context(plutos[0].uri)
    said = context.find_device("ad9361-phy").attrs["filter_fir_config"].value
    emulated = plutos[0]._context.board.chips[0].loaded_firs
    delays = filter_delays(said)
    assert [delays.rx_samples, delays.tx_samples] == pytest.approx(
        [fir.delay_s(1.0) for fir in emulated], abs=1e-6
    )
    assert pair[0]._device.delays == delays
