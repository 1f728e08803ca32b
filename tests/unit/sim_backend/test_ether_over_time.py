"""What is remembered of bursts, and for how long; windows of one that goes on."""

from dataclasses import fields, replace

import numpy as np
import pytest

from drivers.tuning import Tuning
from sim_backend.ether import Ether
from sim_backend.impairments import Impairments
from sim_backend.oscillator import FS_PER_S
from sim_backend.radio import SimRadio
from sim_backend.scene import Scene
from tests.oracles import ether as oracle
from tests.unit.sim_backend.air import (
    BURST,
    CARRIER_HZ,
    FLAT,
    NOON_FS,
    OTHER_TX,
    RATE_HZ,
    RX,
    STEP_FS,
    STEP_S,
    TX,
    WHOLE,
    Air,
    hall,
    window,
)


class CountingScene(Scene):
    """Counts how often somebody asks for paths."""

    asked = 0

    def static_paths(self, *link):
        CountingScene.asked += 1
        return super().static_paths(*link)


def test_bursts_are_remembered_for_a_second_and_paths_asked_for_once():
    scene = hall()
    ether = Ether(CountingScene(**{f.name: getattr(scene, f.name) for f in fields(scene)}))
    ether.emit(Air(BURST).emission())
    ether.reached(NOON_FS + FS_PER_S // 2)
    later = replace(WHOLE, start_fs=ether.now_fs)
    ether.emit(Air(BURST, ether.now_fs, tx_index=OTHER_TX).emission())
    assert ether.heard(RX, WHOLE).any()  # half a second later still on record
    assert CountingScene.asked == 1  # only of the burst that the window holds
    assert ether.heard(RX, later).any()
    assert ether.heard(RX, later).any()
    assert CountingScene.asked == 2
    ether.reached(NOON_FS + FS_PER_S + 10**12)
    ether.emit(Air(BURST, ether.now_fs).emission())
    assert not ether.heard(RX, WHOLE).any()
    assert CountingScene.asked == 2


@pytest.mark.parametrize("ratio", [1.0, 1.0 + 2e-5, 2.0 / 3.0])
def test_windows_of_one_long_burst_are_the_literal_sum_over_paths(ratio):
    """A receiver that listens on, over windows of several lengths; and one of its elements."""
    scene, air = hall(), Air(FLAT, repeats=3, look=2)
    ether = Ether(scene)
    ether.emit(air.emission())
    sent = air.sent(scene)
    for first, count in ((100.3, 400), (500.3, 400), (900.3, 333), (100.3, 400)):
        into = window(first, count, ratio)
        literal = oracle.heard([sent], into.start_fs, into.step_s, count, CARRIER_HZ)
        for elements in (slice(None), slice(1, 2)):
            found = ether.heard(RX, into, elements=elements)
            error = np.abs(found - literal[:, elements]).max()
            assert error <= 1e-4 * np.abs(sent.gain).max()


def test_a_radio_repeats_a_burst_until_it_is_stopped():
    scene = hall()
    ether = Ether(scene)
    sender, listener = (SimRadio(ether, n, Impairments()) for n in (TX, RX))
    for radio in (sender, listener):
        radio.configure(Tuning(CARRIER_HZ, RATE_HZ, 60.0, 90.0))
    samples = np.pad(BURST, (0, 300)).astype(np.complex64)
    sender.transmit(samples, 1000, 10_000 * STEP_S)
    listener.arm_receive(1450, 950)
    first = listener.fetch().samples  # two repetitions, and the time is 2400 then
    sender.stop_transmit()
    listener.arm_receive(1400, 2400)
    after = listener.fetch().samples
    # Magnitude 1 leaves with 29 dBm (6 dB over nominal) and is magnitude 1 again at -60 dBm.
    scale = 10.0 ** ((29.0 + 60.0) / 20.0)
    sent = [Air(BURST, 1000 * STEP_FS).sent(scene), Air(BURST, 1700 * STEP_FS).sent(scene)]
    literal = scale * oracle.heard(sent, 950 * STEP_FS, STEP_S, 1450, CARRIER_HZ)
    largest = scale * np.abs(sent[0].gain).max() * np.abs(BURST).max()
    assert np.abs(first - literal).max() <= 1e-4 * largest
    assert np.abs(after).max() <= 1e-4 * largest
