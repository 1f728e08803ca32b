"""Pilots through samples on air, and pilots of the frequency-domain channel, are the same.

The two share the list of paths, so that what is compared is everything else: bursts, clocks, the
ether, windows, scales and phases. Their difference is stated in shares of the strongest path.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import pytest

from drivers.array import ElementPattern, UniformLinearArray
from drivers.burst import SoundingBurst
from drivers.geometry import ComplexArray, Pose
from drivers.grids import PRESET_NAMES, preset_burst
from drivers.node import Node
from drivers.sounding import Sounding
from drivers.tuning import Tuning, transmit_power_dbm
from drivers.waveform import pilot_symbols
from processing.demodulate import demodulate
from sim_backend.channel import background_channel, target_channel
from sim_backend.ether import Ether
from sim_backend.impairments import PRESETS, Impairments
from sim_backend.oscillator import FS_PER_S
from sim_backend.paths import Surfaces, Wavefront
from sim_backend.radio import SimRadio
from sim_backend.scene import Scene, SceneStatistics, draw_scene, draw_uniform_poses

AGREEMENT = 1e-3
AREA_M = (0.0, 0.0, 200.0, 200.0)  # of section VI, as are 40 nodes and 30 scatterers
HALL = Surfaces(AREA_M)
TX_GAIN_DB, RX_GAIN_DB = 84.0, 50.0
IDEAL = PRESETS["ideal"]


@dataclass(frozen=True)
class Case:
    """What a scene and a burst are made of."""

    preset: str
    num_elements: int
    seed: int
    num_nodes: int = 6
    wavefront: Wavefront = "plane"
    surfaces: Surfaces | None = None
    direct_path: bool = True
    num_symbols: int = 1
    carrier_hz: float = 10e9
    start_tick: int = 20_000

    @property
    def burst(self) -> SoundingBurst:
        return preset_burst(self.preset, self.carrier_hz, num_symbols=self.num_symbols)

    def scene(self, pattern: ElementPattern | None = None) -> Scene:
        array = UniformLinearArray(self.num_elements, self.burst.grid.wavelength_m / 2.0)
        nodes = [
            Node(f"n{n}", f"n{n}", pose, array, pattern or ElementPattern(), noise_figure_db=-200.0)
            for n, pose in enumerate(draw_uniform_poses(self.seed, AREA_M, self.num_nodes))
        ]
        statistics = SceneStatistics(
            AREA_M, direct_path=self.direct_path, wavefront=self.wavefront, surfaces=self.surfaces
        )
        return draw_scene(self.seed, nodes, statistics)


def drawn_case(seed: int) -> Case:
    """Any scene of any kind."""
    rng = np.random.default_rng(seed)
    return Case(
        preset=str(rng.choice(["nr_100mhz", "e320_50mhz", "pluto_20mhz"])),
        num_elements=int(rng.choice([1, 2, 8])),
        seed=seed,
        num_nodes=int(rng.integers(2, 12)),
        wavefront=rng.choice(["plane", "spherical"]),
        surfaces=HALL if rng.random() < 0.5 else None,
        direct_path=bool(rng.random() < 0.7),
        num_symbols=int(rng.integers(1, 4)),
        carrier_hz=float(rng.choice([2.4e9, 5.8e9, 10e9])),
        start_tick=int(10.0 ** rng.uniform(3.0, 12.0)),
    )


def pilots_on_air(
    scene: Scene, case: Case, look: int | None, sender: Impairments = IDEAL
) -> tuple[ComplexArray, int]:
    """Channel estimate of one burst from node 0 to node 1, and when it left too late, in fs."""
    burst, at = case.burst, case.start_tick
    ether = Ether(scene)
    ether.look = look
    tx, rx = SimRadio(ether, 0, sender), SimRadio(ether, 1, IDEAL)
    for radio in (tx, rx):
        radio.configure(
            Tuning(burst.local_oscillator_hz, burst.sample_rate_hz, RX_GAIN_DB, TX_GAIN_DB,
                   "external", "pps")
        )  # fmt: skip
    rx.arm_receive(burst.num_samples + 600, at)
    tx.transmit(burst.samples(), at)
    block = rx.fetch()
    full_scale_dbm = transmit_power_dbm(tx.info.capabilities, TX_GAIN_DB, 1.0)
    sounding = Sounding("n0", burst, at, full_scale_dbm, tx.transmit_report())
    estimate = demodulate(block, sounding)[0] * pilot_symbols(burst.grid).conj()[:, None]
    late_fs = tx._transceiver.clock.true_fs(at, burst.sample_rate_hz)  # nobody else can know
    return estimate, late_fs - rx._transceiver.clock.true_fs(at, burst.sample_rate_hz)


def assert_agree(scene: Scene, case: Case, look: int | None, sender: Impairments = IDEAL) -> float:
    """Assert that both fidelities agree, and return the worst difference."""
    grid, burst = case.burst.grid, case.burst
    found, late_fs = pilots_on_air(scene, case, look, sender)
    expected = background_channel(scene, grid, 0, 1)
    gains = [scene.static_paths(0, 1, grid.wavelength_m).gain]
    if look is not None:
        rcs_m2 = scene.target_rcs_m2(0, 1, look)
        expected = expected + target_channel(scene, grid, 0, 1, rcs_m2)
        gains.append(scene.target_paths(0, 1, rcs_m2, grid.wavelength_m).gain)
    # A burst that leaves later does so on the same carrier: its tones turn about the oscillator.
    above_hz = grid.frequency_hz - burst.local_oscillator_hz
    expected = expected * np.exp(-2j * np.pi * above_hz * (late_fs / FS_PER_S))[:, None]
    assert found.shape == expected.shape
    strongest = float(np.abs(np.concatenate(gains)).max())
    difference = np.abs(found - expected) / strongest
    worst = float(difference.max())
    tone, element = np.unravel_index(int(np.argmax(difference)), difference.shape)
    empty = " (the empty one)" if tone == burst.null_index else ""
    assert worst <= AGREEMENT, (
        f"off by {worst:.2e} of the strongest path, at tone {tone}{empty}, element {element}, "
        f"{late_fs} fs late, in {case}"
    )
    return worst


@pytest.mark.parametrize("surfaces", [None, HALL], ids=["open", "walls"])
@pytest.mark.parametrize("wavefront", ["plane", "spherical"])
@pytest.mark.parametrize("num_elements", [1, 2, 8, 32])
@pytest.mark.parametrize("preset", [name for name in PRESET_NAMES if name != "paper"])
def test_every_grid_and_array(preset, num_elements, wavefront, surfaces):
    case = Case(preset, num_elements, num_elements, wavefront=wavefront, surfaces=surfaces)
    assert_agree(case.scene(), case, look=0)


@pytest.mark.parametrize(
    ("wavefront", "surfaces", "num_symbols"),
    [("plane", None, 1), ("spherical", None, 3), ("spherical", HALL, 1)],
    ids=["plane", "spherical", "walls"],
)
def test_the_papers_grid_with_its_nodes_and_32_elements(wavefront, surfaces, num_symbols):
    case = Case(
        "paper", 32, 7, num_nodes=40, wavefront=wavefront, surfaces=surfaces,
        num_symbols=num_symbols, start_tick=10**12,
    )  # fmt: skip
    scene = case.scene()
    assert len(scene.clutter_of_link(0, 1)[0]) == 68
    assert_agree(scene, case, look=0)


@pytest.mark.parametrize("num_elements", [1, 2, 8])
def test_the_papers_grid_with_smaller_arrays(num_elements):
    case = Case("paper", num_elements, 11 + num_elements, num_symbols=2, surfaces=HALL)
    assert_agree(case.scene(), case, look=5)


@pytest.mark.parametrize("seed", range(100))
def test_random_scenes(seed):
    case = drawn_case(seed)
    assert_agree(case.scene(), case, look=None if seed % 5 == 0 else seed)


@pytest.mark.parametrize("seed", range(1000, 1040))
def test_bursts_between_the_receivers_samples(seed):
    """The transmitter's time is up to 100 ns off, as after another pulse per second."""
    case = drawn_case(seed)
    late = replace(IDEAL, pps_jitter_ns=100.0)
    scene = case.scene()
    _, late_fs = pilots_on_air(scene, case, 0, late)
    assert abs(late_fs * case.burst.sample_rate_hz / FS_PER_S % 1.0) > 1e-6
    assert_agree(scene, case, 0, late)


@pytest.mark.parametrize("start_tick", [1, 4095, 10**6 + 1, 10**9 + 7, 10**11 + 3, 10**12])
def test_any_start_tick_gives_the_same_pilots(start_tick):
    case = Case("nr_100mhz", 2, 3, start_tick=start_tick)
    scene = case.scene()
    assert_agree(scene, case, look=0)
    found, _ = pilots_on_air(scene, case, 0)
    early, _ = pilots_on_air(scene, replace(case, start_tick=20_000), 0)
    # Thermal noise of another tick, -374 dBm/Hz, is all that differs.
    assert np.abs(found - early).max() <= 1e-6 * np.abs(early).max()


@pytest.mark.parametrize("preset", ["nr_100mhz", "e320_50mhz", "pluto_20mhz"])
@pytest.mark.parametrize("seed", range(5))
def test_opposite_corners_of_the_hall(preset, seed):
    """The longest delays that there are: 0.9 us on the direct path, 2.4 us over walls."""
    case = Case(preset, 2, seed, num_nodes=5, surfaces=HALL)
    scene = case.scene(ElementPattern(kind="omnidirectional"))
    rng = np.random.default_rng(seed)
    near, far = rng.uniform(0.0, 5.0, 2), 200.0 - rng.uniform(0.0, 5.0, 2)
    corners = [
        replace(node, pose=Pose((float(x_m), float(y_m)), float(rng.uniform(-math.pi, math.pi))))
        for node, (x_m, y_m) in zip(scene.nodes, (near, far), strict=False)
    ]
    scene = replace(scene, nodes=(*corners, *scene.nodes[2:]))
    assert_agree(scene, case, look=seed)


def test_target_and_background_are_told_apart():
    """Without a look there is no target, and looks differ by the target's fluctuation alone."""
    case = Case("nr_100mhz", 2, 3)
    scene = case.scene()
    empty, first, second = (pilots_on_air(scene, case, look)[0] for look in (None, 0, 1))
    strongest = np.abs(scene.static_paths(0, 1, 0.03).gain).max()
    for look, found in ((0, first), (1, second)):
        rcs_m2 = scene.target_rcs_m2(0, 1, look)
        echo = target_channel(scene, case.burst.grid, 0, 1, rcs_m2)
        # What rings at abrupt ends is of the echo alone here; what is strong is rounded twice.
        allowed = AGREEMENT * np.abs(echo).max() + 3e-6 * strongest
        assert np.abs(found - empty - echo).max() <= allowed
