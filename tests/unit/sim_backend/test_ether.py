"""The ether against the literal sum over paths and samples."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim_backend.ether import Ether, Window
from sim_backend.oscillator import FS_PER_S
from sim_backend.paths import Surfaces
from tests.oracles import ether as oracle
from tests.unit.sim_backend.air import (
    BURST,
    CARRIER_HZ,
    FLAT,
    NOON_FS,
    OTHER_BURST,
    OTHER_TX,
    RATE_HZ,
    RX,
    STEP_FS,
    STEP_S,
    TX,
    WHOLE,
    Air,
    hall,
    relative_error,
    smooth_burst,
    window,
)

# All of it 3 to 5 MHz above the carrier
UPPER = smooth_burst(3, 400, 0.05) * np.exp(2j * np.pi * 0.2 * np.arange(400))
UPPER_HZ = CARRIER_HZ + 4e6

CASES = {
    "same clocks": ([Air(BURST)], WHOLE),
    "between the samples": ([Air(BURST)], window(-30.437, 520)),
    "with the target": ([Air(BURST, look=3)], WHOLE),
    "a fast receiver": ([Air(BURST)], window(-30.3, 520, 1.0 - 5e-5)),
    "a slow transmitter": ([Air(BURST, step_s=STEP_S * (1.0 + 2.5e-5))], window(-30.3, 520)),
    "receiver at 1.5 times the rate": ([Air(BURST)], window(-30.3, 780, 2.0 / 3.0)),
    "receiver at 0.6 times the rate": ([Air(BURST)], window(-30.3, 315, 1.0 / 0.6)),
    "receiver 3 MHz higher": ([Air(BURST)], window(-30.3, 520, 1.0, CARRIER_HZ + 3e6)),
    "transmitter 1.23 MHz higher": ([Air(BURST, carrier_hz=CARRIER_HZ + 1.23e6)], WHOLE),
    "a receiver beside the burst's band": (
        [Air(BURST)], window(-30.3, 520, 1.0, CARRIER_HZ + 2.5 * RATE_HZ),
    ),
    "half the rate around the upper half": ([Air(UPPER)], window(-30, 260, 2.0, UPPER_HZ)),
    "half the rate around the lower half": (
        [Air(UPPER)], window(-30, 260, 2.0, 2.0 * CARRIER_HZ - UPPER_HZ),
    ),
    "long before on another carrier": (
        [Air(BURST)], window(-500.3, 1000, 1.0, CARRIER_HZ - 1e6),
    ),
    "another rate and another carrier": (
        [Air(BURST, step_s=STEP_S * 0.8, carrier_hz=CARRIER_HZ - 1e6)],
        window(-30.3, 560, 0.9, CARRIER_HZ + 1e6),
    ),
    "window ends before the burst": ([Air(BURST)], window(-300.5, 200)),
    "window begins after the burst": ([Air(BURST)], window(460.5, 200)),
    "window long before": ([Air(BURST)], window(-2.5 * RATE_HZ, 200)),
    "two transmitters": (
        [Air(BURST), Air(OTHER_BURST, NOON_FS + 77 * STEP_FS + 1234, tx_index=OTHER_TX)], WHOLE,
    ),
    "sent three times": ([Air(BURST, repeats=3)], window(-30.3, 1300)),
    "two of six": ([Air(np.pad(BURST, (0, 300)), repeats=4)], window(550.3, 1400, 1.00001)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_heard_is_the_literal_sum_over_paths(name):
    air, into = CASES[name]
    error = relative_error(hall(), air, into)
    assert error <= 1e-4, f"off by {error:.1e} of the strongest path"


@pytest.mark.parametrize("wavefront", ["plane", "spherical"])
def test_heard_between_walls_is_the_literal_sum_over_paths(wavefront):
    scene = hall(Surfaces((-61.0, -62.0, 63.0, 64.0), 6.0, 9.0, 3.0), wavefront)
    assert relative_error(scene, [Air(BURST, look=1)], window(-30.3, 560)) <= 1e-4


@pytest.mark.parametrize("first", [-30.3, 450.3, 520.0])
def test_an_echo_that_comes_long_after_its_burst_ended(first):
    # 4 km away: 27 us and 540 samples later, and as strong as the direct path
    far = {"clutter_m": np.array([[4e3, 0.0]]), "clutter_rcs_m2": np.array([1e12])}
    scene = replace(hall(), **far, num_dedicated=1)
    assert relative_error(scene, [Air(BURST)], window(first, 1000)) <= 1e-4


@settings(max_examples=60)
@given(
    shift_fs=st.integers(-STEP_FS, STEP_FS),
    tx_ppm=st.floats(-50.0, 50.0),
    rx_ppm=st.floats(-50.0, 50.0),
    offset_hz=st.floats(-2e6, 2e6),
    late_fs=st.integers(0, 7 * 86400 * FS_PER_S),
)
def test_any_clocks_and_carriers(shift_fs, tx_ppm, rx_ppm, offset_hz, late_fs):
    air = Air(
        BURST, NOON_FS + late_fs + shift_fs, STEP_S * (1.0 + tx_ppm * 1e-6), CARRIER_HZ + offset_hz
    )
    into = Window(NOON_FS + late_fs - 30 * STEP_FS, STEP_S * (1.0 + rx_ppm * 1e-6), 520, CARRIER_HZ)
    assert relative_error(hall(), [air], into) <= 1e-4


# At full strength in the middle, where windows cut it.
CUTS = [window(220.5, 60), window(-30.3, 250), window(250.3, 350)]


@pytest.mark.parametrize("into", CUTS, ids=["inside", "ends inside", "begins inside"])
def test_a_window_that_cuts_a_burst_hears_the_same_as_a_longer_one(into):
    assert relative_error(hall(), [Air(FLAT)], into) <= 1e-4


def test_an_extra_delay_of_an_element_is_one():
    extra_s = np.array([0.0, 3.21e-9])
    assert relative_error(hall(), [Air(BURST)], WHOLE, extra_s) <= 1e-4


def test_nobody_hears_itself_and_nothing_is_silence():
    ether = Ether(hall())
    assert not ether.heard(RX, WHOLE).any()
    ether.emit(Air(BURST, tx_index=RX).emission())
    assert not ether.heard(RX, WHOLE).any()
    assert ether.heard(TX, WHOLE).any()


def test_what_left_before_the_window_still_arrives():
    ether = Ether(hall())
    ether.emit(Air(np.ones(100, dtype=complex)).emission())
    heard = ether.heard(RX, window(101.0, 2))  # the direct path is 5.4 samples long
    assert np.abs(heard).min() > 0.5 * np.abs(Air(BURST).sent(hall()).gain).max()


def test_bursts_add_up():
    first = Air(BURST)
    second = Air(OTHER_BURST, NOON_FS + 10**10, tx_index=OTHER_TX)
    heard = []
    for air in ([first], [second], [first, second]):
        ether = Ether(hall())
        for burst in air:
            ether.emit(burst.emission())
        heard.append(ether.heard(RX, WHOLE))
    np.testing.assert_array_equal(heard[0] + heard[1], heard[2])


@pytest.mark.parametrize("at", [1.0, 200.5, 399.0, 550.0])
def test_silence_ends_a_burst_at_once(at):
    """What had left the antenna by then is still heard, and nothing later."""
    scene, burst = hall(), Air(np.ones(500, dtype=complex))
    ether = Ether(scene)
    ether.emit(burst.emission())
    ether.emit(Air(BURST, tx_index=OTHER_TX).emission())
    ether.reached(NOON_FS)
    ether.advance(at * STEP_S)
    ether.silence(TX)
    assert ether.now_fs == NOON_FS + round(at * STEP_FS)
    found = ether.heard(RX, window(-30.3, 640))
    left = Air(np.ones(min(int(at), 500), dtype=complex))
    sent = [left.sent(scene), Air(BURST, tx_index=OTHER_TX).sent(scene)]
    literal = oracle.heard(sent, NOON_FS - round(30.3 * STEP_FS), STEP_S, 640, CARRIER_HZ)
    largest = np.abs(sent[0].gain).max()
    # An abrupt end rings on after the ether stops; a sample more or less is an error near one.
    assert np.abs(found - literal).max() <= 0.01 * largest


def test_silence_before_a_burst_begins_is_silence():
    ether = Ether(hall())
    ether.emit(Air(BURST).emission())
    ether.reached(NOON_FS - 100 * STEP_FS)
    ether.silence(TX)
    assert not ether.heard(RX, WHOLE).any()
