"""The ether against the literal sum over paths and samples, and what it remembers."""

from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node
from drivers.tuning import Tuning
from sim_backend.ether import Emission, Ether, Window
from sim_backend.impairments import Impairments
from sim_backend.oscillator import FS_PER_S
from sim_backend.paths import Paths, Surfaces
from sim_backend.radio import SimRadio
from sim_backend.scene import Scene, SceneStatistics
from tests.oracles import ether as oracle

RATE_HZ, CARRIER_HZ = 20e6, 2.4e9
STEP_S, STEP_FS = 1.0 / RATE_HZ, 50_000_000
AREA_M = (-60.0, -60.0, 60.0, 60.0)
TX, OTHER_TX, RX = 0, 1, 2
NOON_FS = 12 * 3600 * FS_PER_S + 123_456_789  # not a whole number of samples


def hall(surfaces: Surfaces | None = None, wavefront="plane") -> Scene:
    array = UniformLinearArray(2, 0.06)
    every_way = ElementPattern(kind="omnidirectional")
    poses = [Pose((-40.0, 10.0), 0.0), Pose((30.0, 45.0), 1.0), Pose((35.0, -20.0), 2.5)]
    nodes = tuple(
        Node(str(n), str(n), pose, array, every_way, noise_figure_db=-200.0)
        for n, pose in enumerate(poses)
    )
    clutter_m = np.array([[0.0, 40.0], [-50.0, -55.0]])
    # 30 dB over the usual, so that an error in an echo shows beside the direct path
    statistics = SceneStatistics(AREA_M, mean_rcs_m2=1e3, wavefront=wavefront, surfaces=surfaces)
    return Scene(5, nodes, np.array([5.0, -30.0]), clutter_m, np.array([9e2, 2e3]), 2, statistics)


def smooth_burst(seed: int, length: int, highest: float = 0.25) -> np.ndarray:
    """A burst of tones up to `highest` cycles a sample that fades in and out.

    What begins abruptly rings over all time after an ideal band limit; this does not.
    """
    rng = np.random.default_rng(seed)
    tone = rng.uniform(-highest, highest, 12)
    waves = np.exp(2j * np.pi * (np.outer(np.arange(length), tone) + rng.random(12)))
    return waves.sum(axis=1) / 12.0 * np.hanning(length) ** 2


@dataclass(frozen=True)
class Air:
    """One burst for the ether and for the oracle alike."""

    samples: np.ndarray
    start_fs: int = NOON_FS
    step_s: float = STEP_S
    carrier_hz: float = CARRIER_HZ
    tx_index: int = TX
    look: int | None = None
    repeats: int = 1

    def emission(self) -> Emission:
        whole = np.tile(self.samples, self.repeats)
        return Emission(
            self.tx_index, self.start_fs, self.step_s, self.carrier_hz, len(whole),
            lambda first, count: whole[first : first + count].copy(), self.look,
        )  # fmt: skip

    def sent(self, scene: Scene, extra_s: np.ndarray | float = 0.0) -> oracle.Sent:
        link, wavelength_m = (self.tx_index, RX), 299_792_458.0 / self.carrier_hz
        paths: Paths = scene.static_paths(*link, wavelength_m)
        if self.look is not None:
            rcs_m2 = scene.target_rcs_m2(*link, self.look)
            paths = paths + scene.target_paths(*link, rcs_m2, wavelength_m)
        return oracle.Sent(
            np.tile(self.samples, self.repeats), self.start_fs, self.step_s, self.carrier_hz,
            paths.gain, paths.delay_s + extra_s,
        )  # fmt: skip


def window(first: float, count: int, ratio: float = 1.0, carrier_hz: float = CARRIER_HZ) -> Window:
    """Samples `ratio` sample distances apart from `first` (in samples after noon) on."""
    return Window(NOON_FS + round(first * STEP_FS), STEP_S * ratio, count, carrier_hz)


def relative_error(scene: Scene, air: list[Air], into: Window, extra_s=None) -> float:
    """Largest error of the ether, in shares of the strongest path's largest sample."""
    ether = Ether(scene)
    for burst in air:
        ether.emit(burst.emission())
    found = ether.heard(RX, into, extra_s)
    assert found.shape == (into.num_samples, 2)
    assert found.dtype == np.complex64
    sent = [burst.sent(scene, 0.0 if extra_s is None else extra_s) for burst in air]
    literal = oracle.heard(sent, into.start_fs, into.step_s, into.num_samples, into.carrier_hz)
    largest = max(np.abs(s.gain).max() * np.abs(s.samples).max() for s in sent)
    return float(np.abs(found - literal).max() / largest)


BURST, OTHER_BURST = smooth_burst(1, 400), smooth_burst(2, 300)
WHOLE = window(-30.0, 520)
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
RAMP = np.hanning(200)[:100] ** 2
FLAT = np.concatenate((RAMP, np.ones(300), RAMP[::-1]))
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
