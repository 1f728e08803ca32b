"""Eqs. (6) and (7), Friis, walls and floor by hand, from a radio's samples to pilots.

Carrier and spacing are such that nothing needs the speed of light: the wavelength is 30 mm, and a
way of 20 km turns by one whole turn from tone to tone. So a way of D metres has

- phase ``-360 deg D / 0.03`` at the middle tone, and
- phase ``-360 deg D / 20000 = -0.018 deg D`` more on each tone above.

Elements are 15 mm apart (half a wavelength): by eq. (6) the phase of element m is
``-180 deg sin(angle) (m - 1.5)``, at 30 degrees +135, +45, -45, -135.

sqrt((4 pi)^3) = 44.546623, so an echo has amplitude 0.03 / 44.546623 = 6.734517e-4 over both legs'
product in m^2, at 1 m^2; a path of Friis has 0.03 / (4 pi) = 2.387324e-3 over its metres.
"""

import math

import numpy as np
import pytest

from drivers.array import ElementPattern, UniformLinearArray
from drivers.burst import SoundingBurst
from drivers.geometry import Pose
from drivers.node import Node
from drivers.sounding import Sounding
from drivers.tuning import Tuning, transmit_power_dbm
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.demodulate import demodulate
from sim_backend.ether import Ether
from sim_backend.impairments import PRESETS
from sim_backend.paths import Surfaces
from sim_backend.radio import SimRadio
from sim_backend.scene import Scene, SceneStatistics

LIGHT_M_PER_S = 299_792_458.0
NUM_TONES, MIDDLE = 401, 200
GRID = OfdmGrid(LIGHT_M_PER_S / 0.03, LIGHT_M_PER_S / 20_000.0, NUM_TONES)
BURST = SoundingBurst(GRID, 1024 * GRID.subcarrier_spacing_hz, num_symbols=2, prefix_length=256)
SPACING_M, AREA_M = 0.015, (-300.0, -300.0, 300.0, 300.0)
EVERY_WAY = ElementPattern(kind="omnidirectional")
NOTHING = math.inf
AT_30_DEG = np.array([135.0, 45.0, -45.0, -135.0])


def looking(width_deg: float) -> ElementPattern:
    """Hears all within its view alike and nothing beside it: picks out one path."""
    return ElementPattern("sector", math.radians(width_deg), front_to_back_db=math.inf)


def channel(
    tx_m, rx_m, rx_boresight_deg, *, tx_boresight_deg=0.0, tx_pattern=EVERY_WAY,
    rx_pattern=EVERY_WAY, echo_m=None, rcs_m2=1.0, surfaces=None, wavefront="plane",
    num_elements=4, spacing_m=SPACING_M,
) -> np.ndarray:  # fmt: skip
    """Channel estimate of a burst: the direct path, or, with `echo_m`, one scatterer's echo."""
    array = UniformLinearArray(num_elements, spacing_m)
    tx, rx = (
        Node(name, name, Pose(at_m, math.radians(turn_deg)), array, rx_pattern, tx_pattern,
             noise_figure_db=-200.0)
        for name, at_m, turn_deg in (
            ("tx", tx_m, tx_boresight_deg), ("rx", rx_m, rx_boresight_deg),
        )
    )  # fmt: skip
    statistics = SceneStatistics(
        AREA_M, direct_path=echo_m is None, wavefront=wavefront, surfaces=surfaces
    )
    points_m = np.zeros((0, 2)) if echo_m is None else np.array([echo_m])
    rcs = np.full(len(points_m), rcs_m2)
    ether = Ether(Scene(0, (tx, rx), np.zeros(2), points_m, rcs, len(points_m), statistics))
    sender, listener = (SimRadio(ether, n, PRESETS["ideal"]) for n in range(2))
    for radio in (sender, listener):
        radio.configure(
            Tuning(BURST.local_oscillator_hz, BURST.sample_rate_hz, 50.0, 84.0, "external", "pps")
        )
    listener.arm_receive(BURST.num_samples + BURST.prefix_length, 12_345)
    sender.transmit(BURST.samples(), 12_345)
    block = listener.fetch()
    full_scale_dbm = transmit_power_dbm(sender.info.capabilities, 84.0, 1.0)
    report = sender.transmit_report()
    received, _ = demodulate(block, Sounding("tx", BURST, 12_345, full_scale_dbm, report))
    return received * pilot_symbols(GRID).conj()[:, None]


def assert_is(found: np.ndarray, level_db: float, phase_deg, length_m: float) -> None:
    """Level, phase of each element at the middle tone, and phase from tone to tone.

    Abrupt ends of bursts ring to 1e-4 on single tones, so the slope is a mean over tones.
    """
    sent = np.delete(found, MIDDLE, axis=0)
    np.testing.assert_allclose(20.0 * np.log10(np.abs(sent)), level_db, atol=0.003)
    # The middle tone is the empty one: its neighbours' mean has its phase, and it is filled in.
    expected = np.exp(1j * np.radians(phase_deg))
    neighbours = found[MIDDLE - 1] + found[MIDDLE + 1]
    np.testing.assert_allclose(np.angle(neighbours * expected.conj(), deg=True), 0.0, atol=0.02)
    filled = found[MIDDLE] / (10.0 ** (level_db / 20.0) * expected)
    np.testing.assert_allclose(filled, 1.0, atol=0.01)
    steps_deg = np.angle(found[1:] * found[:-1].conj(), deg=True)
    np.testing.assert_allclose(steps_deg.mean(), -0.018 * length_m, atol=5e-4)
    assert np.all(steps_deg < 0.0)


def test_the_numbers_of_the_setting():
    assert BURST.local_oscillator_hz == GRID.carrier_hz  # an odd number of tones
    assert GRID.wavelength_m == pytest.approx(0.03, rel=1e-15)
    assert math.sqrt((4.0 * math.pi) ** 3) == pytest.approx(44.546623, rel=1e-7)


def test_direct_path_from_30_degrees():
    # 90 m are 3000 wavelengths: phase 0. The source is towards 180 degrees, the boresight 150.
    # 2.387324e-3 / 90 = 2.652582e-5, 20 log10 of it -91.527 dB
    found = channel((0.0, 0.0), (90.0, 0.0), 150.0)
    assert_is(found, -91.527, AT_30_DEG, 90.0)


def test_direct_path_from_minus_30_degrees():
    found = channel((0.0, 0.0), (90.0, 0.0), 210.0)
    assert_is(found, -91.527, -AT_30_DEG, 90.0)


def test_direct_path_at_boresight():
    # 120.0225 m are 4000.75 wavelengths: -270 = +90 degrees on every element.
    # 2.387324e-3 / 120.0225 = 1.989064e-5, -94.027 dB
    found = channel((0.0, 0.0), (0.0, 120.0225), -90.0)
    assert_is(found, -94.027, 90.0, 120.0225)


def test_a_source_straight_to_the_left_is_nearest_to_element_0():
    # Boresight along x, the source 90 m up at +90 degrees. Two elements 7.5 mm (a quarter
    # wavelength) apart: element 0 is 3.75 mm nearer, an eighth of a turn ahead.
    # By distance alone, without eq. (6): hence the spherical wavefront.
    for wavefront in ("plane", "spherical"):
        found = channel(
            (0.0, 90.0), (0.0, 0.0), 0.0, wavefront=wavefront, num_elements=2, spacing_m=0.0075
        )
        assert_is(found, -91.527, np.array([45.0, -45.0]), 90.0)


def test_echo_by_the_bistatic_radar_equation():
    # Legs from (0, 0) over (30, 40) to (60, 0): 50 m each. 100 m are 3333 1/3 wavelengths: -120
    # degrees. From (60, 0) the scatterer is towards (-30, 40), 126.8699 degrees.
    # 6.734517e-4 / 2500 = 2.693807e-7, -131.393 dB
    found = channel((0.0, 0.0), (60.0, 0.0), 96.8699, echo_m=(30.0, 40.0))
    assert_is(found, -131.393, AT_30_DEG - 120.0, 100.0)
    # Four times the cross section: twice the amplitude, 6.021 dB
    louder = channel((0.0, 0.0), (60.0, 0.0), 96.8699, echo_m=(30.0, 40.0), rcs_m2=4.0)
    assert_is(louder, -125.372, AT_30_DEG - 120.0, 100.0)


def test_echo_off_the_baseline_with_unequal_legs():
    # (0, 0) to (120, 0) to (120, 90): legs of 120 m and 90 m, 7000 wavelengths: phase 0. The
    # scatterer is straight below the receiver, towards -90 degrees, 30 degrees off boresight.
    # 6.734517e-4 / 10800 = 6.235664e-8, -144.102 dB
    found = channel((0.0, 0.0), (120.0, 90.0), -120.0, echo_m=(120.0, 0.0))
    assert_is(found, -144.102, AT_30_DEG, 210.0)


def test_wall_reflection_of_the_direct_path():
    # The wall x = -40 mirrors (0, 0) to (-80, 0); from (0, 60) that is (-80, -60) away: 100 m,
    # towards -143.1301 degrees. The specular point is (-40, 30), towards 143.1301 degrees from
    # the transmitter, whose narrow view holds it and neither receiver nor another image of it.
    # 3333 1/3 wavelengths: -120 degrees, turned over: +60. 20 dB lost:
    # 2.387324e-3 / 100 / 10 = 2.387324e-6, -112.442 dB
    found = channel(
        (0.0, 0.0), (0.0, 60.0), -173.1301, tx_boresight_deg=143.1301, tx_pattern=looking(20.0),
        surfaces=Surfaces((-40.0, -100.0, 100.0, 100.0), 20.0, NOTHING),
    )  # fmt: skip
    assert_is(found, -112.442, AT_30_DEG + 60.0, 100.0)


def test_wall_reflection_on_the_way_in():
    # The wall x = 0 mirrors the scatterer (30, 40) to (-30, 40). Out: (60, 0) to (30, 40), 50 m.
    # In: (-30, 40) to (50, 100), 100 m, towards (-80, -60), -143.1301 degrees. The view of +-40
    # degrees around -173.1301 leaves out the scatterer itself, towards (-20, -60), -108.4
    # degrees. 150 m are 5000 wavelengths: 0 degrees, turned over: 180. 20 dB lost:
    # 6.734517e-4 / 5000 / 10 = 1.346903e-8, -157.413 dB
    found = channel(
        (60.0, 0.0), (50.0, 100.0), -173.1301, rx_pattern=looking(80.0), echo_m=(30.0, 40.0),
        surfaces=Surfaces((0.0, -100.0, 200.0, 200.0), 20.0, NOTHING),
    )  # fmt: skip
    assert_is(found, -157.413, AT_30_DEG + 180.0, 150.0)


def test_wall_reflection_on_the_way_out():
    # The wall y = 0 mirrors the scatterer (60, 30) to (60, -30). From (0, 50) that is (60, -80)
    # away: 100 m, towards -53.1301 degrees. The view of +-10 degrees leaves out the scatterer
    # itself, towards (60, -20), -18.4 degrees. In: (60, 30) to (60, 80), 50 m, towards -90
    # degrees, 30 degrees off boresight. 5000 wavelengths again, and turned over.
    # 6.734517e-4 / 5000 / 10 = 1.346903e-8, -157.413 dB
    found = channel(
        (0.0, 50.0), (60.0, 80.0), -120.0, tx_boresight_deg=-53.1301, tx_pattern=looking(20.0),
        echo_m=(60.0, 30.0), surfaces=Surfaces((-100.0, 0.0, 200.0, 200.0), 20.0, NOTHING),
    )  # fmt: skip
    assert_is(found, -157.413, AT_30_DEG + 180.0, 150.0)


def test_floor_reflection():
    # 40 m apart and 15 m high: the floor's image is 30 m below, 50 m away. 1666 2/3 wavelengths:
    # -240 degrees, turned over: -60. The wave arrives from below, so 30 degrees count by
    # sin(30 deg) 40 / 50 = 0.4: 72 degrees from element to element. 20 dB lost:
    # 2.387324e-3 / 50 / 10 = 4.774648e-6, -106.421 dB
    link = (0.0, 0.0), (40.0, 0.0), 150.0
    floor = Surfaces((-100.0, -100.0, 100.0, 100.0), NOTHING, 20.0, height_m=15.0)
    # No view leaves out the direct path, which comes from the same side, but it can be taken away.
    found = channel(*link, surfaces=floor) - channel(*link)
    assert_is(found, -106.421, np.array([108.0, 36.0, -36.0, -108.0]) - 60.0, 50.0)


def test_later_means_a_more_negative_slope():
    near, far = (channel((0.0, 0.0), (x_m, 0.0), 180.0) for x_m in (30.0, 240.0))
    slopes = [np.angle(h[MIDDLE + 50] * h[MIDDLE].conj(), deg=True)[0] for h in (near, far)]
    # 50 tones: -0.9 degrees a metre, 27 and 216 = 144 the other way round
    np.testing.assert_allclose(slopes, [-27.0, 144.0], atol=0.05)
