"""What the Pluto driver does with boards, through real pyadi-iio and libiio."""

import threading
import time
from contextlib import ExitStack, closing
from dataclasses import replace

import iio
import numpy as np
import pytest

from drivers import ad936x
from drivers.link_budget import direct_path_gain
from drivers.pluto import open_pluto_radio
from drivers.pluto.filters import filter_delays
from drivers.radio import RadioSpec
from drivers.radio_errors import BurstRefusedError, RadioError, RadioNotFoundError, TuningError
from drivers.tuning import Tuning
from tests.vendor.pluto.serve import NUM_CHANNELS, boards
from tests.vendor.pluto.software import free_space

TUNING = Tuning(2.45e9, 4e6, 60.0, -5.0)
PATIENCE_S = 20.0
REPEAT_S = 30.0  # as good as for ever


@pytest.fixture(scope="module")
def plutos():
    """Two boards of one channel in one hall, which tests leave as they find them."""
    with ExitStack() as stack:
        yield boards(stack, "pluto")


@pytest.fixture
def pair(plutos):
    """Drivers of the two."""
    with ExitStack() as stack:
        yield [stack.enter_context(closing(opened(board.uri))) for board in plutos]


def opened(uri: str, num_elements: int = 1, **options):
    return open_pluto_radio(RadioSpec("a", num_elements, uri, options))


def received(radio, num_samples: int = 8192):
    radio.arm_receive(num_samples)
    return radio.fetch()


def chirp(num_samples: int = 1000, amplitude: float = 0.9) -> np.ndarray:
    n = np.arange(num_samples)
    return (amplitude * np.exp(1j * np.pi * n * (n - num_samples) / 4 / num_samples)).astype(
        np.complex64
    )


def attribute(board, channel: str, name: str, *, output: bool, device: str = "ad9361-phy") -> str:
    """What another client reads."""
    context = iio.Context(board.uri)
    return context.find_device(device).find_channel(channel, output).attrs[name].value


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


def sends(radio) -> bool:
    try:
        radio.transmit(chirp())
    except RadioError:
        return False
    return True


def until(holds) -> bool:
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        if holds():
            return True
    return False


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
    time.sleep(0.12)
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
