"""A hall, what is on its air, and windows on that."""

from dataclasses import dataclass

import numpy as np

from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node
from sim_backend.ether import Emission, Ether, Window
from sim_backend.oscillator import FS_PER_S
from sim_backend.paths import Paths, Surfaces
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
RAMP = np.hanning(200)[:100] ** 2
FLAT = np.concatenate((RAMP, np.ones(300), RAMP[::-1]))
