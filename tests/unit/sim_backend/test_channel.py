"""The simulated channel against the literal equations (6) and (7), and its wavefronts."""

import math

import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, Pose
from drivers.node import Node
from drivers.waveform import OfdmGrid
from sim_backend.channel import (
    background_channel,
    grid_channel,
    scatterer_channel,
    target_channel,
)
from sim_backend.paths import Paths, element_path_delay_s
from sim_backend.scene import Scene, SceneStatistics
from tests.oracles import channel as oracle

OMNIDIRECTIONAL = ElementPattern(kind="omnidirectional")
AREA_M = (-50.0, -50.0, 50.0, 50.0)


def node(
    node_id: str,
    position_m: tuple[float, float],
    boresight_rad: float,
    array: UniformLinearArray,
    pattern: ElementPattern = OMNIDIRECTIONAL,
) -> Node:
    return Node(node_id, node_id, Pose(position_m, boresight_rad), array, pattern)


@settings(max_examples=60)
@given(
    num_subcarriers=st.integers(1, 90),
    carrier_hz=st.floats(1e9, 60e9),
    spacing_hz=st.floats(1e3, 2e6),
    num_elements=st.integers(1, 6),
    num_paths=st.integers(1, 4),
    seed=st.integers(0, 2**32 - 1),
)
@example(1, 10e9, 15e3, 3, 2, 0)  # one tone
@example(2, 10e9, 15e3, 1, 1, 0)
@example(81, 10e9, 15e3, 2, 2, 0)  # a square: every block is full
@example(82, 10e9, 15e3, 2, 2, 0)  # one more: the last block holds one tone
def test_sum_of_paths_equals_the_literal_sum(
    num_subcarriers, carrier_hz, spacing_hz, num_elements, num_paths, seed
):
    rng = np.random.default_rng(seed)
    grid = OfdmGrid(carrier_hz, spacing_hz, num_subcarriers)
    gain = rng.exponential(size=num_paths)
    # up to 600 m of common path, and whatever the elements add
    delay_s = rng.uniform(0.0, 2e-6, (num_paths, 1)) + rng.uniform(
        -1e-9, 1e-9, (num_paths, num_elements)
    )
    found = grid_channel(grid, Paths(gain, delay_s))
    literal = oracle.channel_of_delays(grid.frequency_hz, gain, delay_s)
    assert found.shape == (num_subcarriers, num_elements)
    # 60 GHz x 2 us are 7.5e5 rad, rounded to 1e-10 of a radian in either evaluation
    assert np.abs(found - literal).max() <= 1e-9 * np.abs(gain).sum()


@pytest.mark.parametrize("num_elements", [1, 5])
@pytest.mark.parametrize("boresight_rad", [0.0, 2.5, -1.0])
def test_plane_echoes_equal_eq_7(num_elements, boresight_rad):
    grid = OfdmGrid(10e9, 1.3e6, 37)
    array = UniformLinearArray(num_elements, 0.45 * grid.wavelength_m)
    tx = node("tx", (-20.0, 3.0), 0.0, array)
    rx = node("rx", (4.0, 30.0), boresight_rad, array)
    points_m = np.array([[10.0, -5.0], [-30.0, 40.0], [4.5, 29.0]])
    rcs_m2 = np.array([1.0, 0.2, 3.0])
    amplitude = [
        oracle.radar_amplitude(tx.pose.position_m, rx.pose.position_m, p, s, grid.wavelength_m)
        for p, s in zip(points_m, rcs_m2, strict=True)
    ]
    literal = oracle.echo_channel(
        tx.pose.position_m, rx.pose.position_m, boresight_rad, points_m, amplitude,
        grid.frequency_hz, num_elements, array.spacing_m,
    )  # fmt: skip
    found = scatterer_channel(grid, tx, rx, points_m, rcs_m2)
    assert found.shape == (37, num_elements)
    assert np.abs(found - literal).max() <= 1e-9 * np.abs(literal).max()


def two_node_scene(wavefront="plane", *, direct_path=True, pattern=OMNIDIRECTIONAL) -> Scene:
    array = UniformLinearArray(4, 0.015)
    nodes = (
        node("a", (-20.0, 3.0), 0.0, array, pattern),
        node("b", (4.0, 30.0), -2.0, array, pattern),
    )
    clutter_m = np.array([[0.0, 0.0], [25.0, -40.0], [-20.0, 3.0], [4.0, 30.0]])
    statistics = SceneStatistics(AREA_M, 2, direct_path=direct_path, wavefront=wavefront)
    rcs_m2 = np.array([0.7, 1.9, 5.0, 6.0])
    return Scene(1, nodes, np.array([12.0, -7.0]), clutter_m, rcs_m2, 2, statistics)


def test_target_channel_is_the_echo_of_the_target():
    scene, grid = two_node_scene(), OfdmGrid(10e9, 1e6, 20)
    found = target_channel(scene, grid, 0, 1, 2.0)
    amplitude = oracle.radar_amplitude(
        (-20.0, 3.0), (4.0, 30.0), (12.0, -7.0), 2.0, grid.wavelength_m
    )
    literal = oracle.echo_channel(
        (-20.0, 3.0), (4.0, 30.0), -2.0, [(12.0, -7.0)], [amplitude], grid.frequency_hz, 4, 0.015
    )
    assert np.abs(found - literal).max() <= 1e-9 * amplitude


def test_background_is_clutter_and_direct_path():
    grid = OfdmGrid(10e9, 1e6, 20)
    tx_m, rx_m = (-20.0, 3.0), (4.0, 30.0)
    clutter_m = [(0.0, 0.0), (25.0, -40.0)]  # not the two nodes, which are the link's own
    amplitude = [
        oracle.radar_amplitude(tx_m, rx_m, p, s, grid.wavelength_m)
        for p, s in zip(clutter_m, (0.7, 1.9), strict=True)
    ]
    clutter = oracle.echo_channel(
        tx_m, rx_m, -2.0, clutter_m, amplitude, grid.frequency_hz, 4, 0.015
    )
    # The direct path is an "echo" off the transmitter itself: no second leg, Friis' amplitude.
    friis = grid.wavelength_m / (4 * math.pi * math.dist(tx_m, rx_m))
    direct = oracle.echo_channel(tx_m, rx_m, -2.0, [tx_m], [friis], grid.frequency_hz, 4, 0.015)

    without = background_channel(two_node_scene(direct_path=False), grid, 0, 1)
    assert np.abs(without - clutter).max() <= 1e-9 * sum(amplitude)
    both = background_channel(two_node_scene(), grid, 0, 1)
    assert np.abs(both - clutter - direct).max() <= 1e-9 * friis


def test_nothing_audible_is_a_zero_background():
    # Receiver b at (4, 30) looks up (boresight 90 degrees): everything lies behind it.
    pattern = ElementPattern(front_to_back_db=math.inf)
    scene = two_node_scene(pattern=pattern)
    rx = node("b", (4.0, 30.0), math.pi / 2, scene.nodes[1].array, pattern)
    scene = Scene(
        1, (scene.nodes[0], rx), scene.target_m, scene.clutter_m, scene.clutter_rcs_m2, 2,
        scene.statistics,
    )  # fmt: skip
    found = background_channel(scene, OfdmGrid(10e9, 1e6, 20), 0, 1)
    np.testing.assert_array_equal(found, np.zeros((20, 4)))


@pytest.mark.parametrize("wavefront", ["plane", "spherical"])
def test_element_0_is_nearest_to_a_source_at_plus_90_degrees(wavefront):
    # Boresight along x: +90 degrees is straight up from the receiver at the origin. Element m
    # is at y = (1.5 - m) d, so the path from 10 m up is 10 m - y.
    spacing_m = 0.015
    rx = node("rx", (0.0, 0.0), 0.0, UniformLinearArray(4, spacing_m))
    source_m = np.array([[0.0, 10.0]])
    delay_s = element_path_delay_s(
        rx, source_m, np.array([10.0 / SPEED_OF_LIGHT_M_PER_S]), wavefront
    )
    expected_m = 10.0 - (1.5 - np.arange(4)) * spacing_m
    np.testing.assert_allclose(delay_s[0] * SPEED_OF_LIGHT_M_PER_S, expected_m, rtol=1e-12)


def element_positions_m(rx: Node) -> np.ndarray:
    """Element 0 towards +90 degrees of boresight, drawn by hand for the test below."""
    psi = rx.pose.boresight_rad
    along = np.array([-math.sin(psi), math.cos(psi)])
    half = (rx.array.num_elements - 1) / 2
    return np.array(
        [rx.pose.position + (half - m) * rx.array.spacing_m * along
         for m in range(rx.array.num_elements)]
    )  # fmt: skip


@given(
    source=st.tuples(st.floats(-50.0, 50.0), st.floats(-50.0, 50.0)),
    boresight=st.floats(-math.pi, math.pi),
)
def test_spherical_delays_are_distances_to_the_elements(source, boresight):
    rx = node("rx", (1.0, 2.0), boresight, UniformLinearArray(8, 0.015))
    first_leg_m = 33.0
    centre_s = (first_leg_m + math.dist(source, (1.0, 2.0))) / SPEED_OF_LIGHT_M_PER_S
    found_s = element_path_delay_s(rx, np.array([source]), np.array([centre_s]), "spherical")[0]
    expected_m = [first_leg_m + math.dist(source, p) for p in element_positions_m(rx)]
    np.testing.assert_allclose(found_s * SPEED_OF_LIGHT_M_PER_S, expected_m, rtol=1e-12)


@given(
    bearing=st.floats(-math.pi, math.pi),
    boresight=st.floats(-math.pi, math.pi),
    distance_m=st.floats(30.0, 1e6),
)
def test_spherical_tends_to_plane_far_away(bearing, boresight, distance_m):
    grid_wavelength_m = 0.03
    array = UniformLinearArray(32, grid_wavelength_m / 2)
    rx = node("rx", (0.0, 0.0), boresight, array)
    source_m = distance_m * np.array([[math.cos(bearing), math.sin(bearing)]])
    centre_s = np.array([distance_m / SPEED_OF_LIGHT_M_PER_S])
    difference_m = SPEED_OF_LIGHT_M_PER_S * (
        element_path_delay_s(rx, source_m, centre_s, "spherical")
        - element_path_delay_s(rx, source_m, centre_s, "plane")
    )
    edge_m = 15.5 * array.spacing_m
    # y^2 cos^2 / (2 R), plus the next order y^3 / (2 R^2) and rounding of 1e6 m
    allowed_m = edge_m**2 / (2 * distance_m) + edge_m**3 / (2 * distance_m**2) + 1e-9
    assert np.abs(difference_m).max() <= allowed_m


@pytest.mark.parametrize(
    ("distance_m", "phase_rad"),
    [
        # y = 15.5 * 15 mm = 0.2323 m; y^2 / (2 * 15) = 1.80 mm; * 2 pi / 30 mm = 0.377
        (15.0, 0.38),
        (100.0, 0.06),  # 0.0566
    ],
)
def test_phase_error_of_the_plane_model_at_the_edge_of_32_elements(distance_m, phase_rad):
    """The figures of PAPER-NOTES (\"A second look\"), broadside at 10 GHz."""
    grid = OfdmGrid(10e9, 15e3, 1)
    rx = node("rx", (0.0, 0.0), 0.0, UniformLinearArray(32, grid.wavelength_m / 2))
    source_m = np.array([[distance_m, 0.0]])
    centre_s = np.array([distance_m / SPEED_OF_LIGHT_M_PER_S])
    gain = np.ones(1)
    plane, spherical = (
        grid_channel(grid, Paths(gain, element_path_delay_s(rx, source_m, centre_s, wavefront)))[0]
        for wavefront in ("plane", "spherical")
    )
    phase = np.angle(plane * spherical.conj())
    assert phase[0] == pytest.approx(phase_rad, abs=0.005)
    assert phase[-1] == pytest.approx(phase[0], abs=1e-6)  # symmetric about broadside


@given(
    tx=st.tuples(st.floats(-50.0, 50.0), st.floats(-50.0, 50.0)),
    by_m=st.tuples(st.floats(-50.0, 50.0), st.floats(-50.0, 50.0)),
    wavefront=st.sampled_from(["plane", "spherical"]),
)
def test_moving_the_scene_keeps_the_channel(tx, by_m, wavefront):
    assume(math.dist(tx, (5.0, 20.0)) > 0.5)
    grid = OfdmGrid(10e9, 1e6, 6)
    array = UniformLinearArray(4, 0.015)
    shift = np.array(by_m)

    def channel(offset_m: np.ndarray) -> np.ndarray:
        def at(x_m: float, y_m: float) -> tuple[float, float]:
            return float(x_m + offset_m[0]), float(y_m + offset_m[1])

        link = node("tx", at(*tx), 0.0, array), node("rx", at(30.0, -8.0), 2.0, array)
        point_m = np.array([at(5.0, 20.0)])
        return scatterer_channel(grid, *link, point_m, np.ones(1), wavefront)

    before, after = channel(np.zeros(2)), channel(shift)
    # 1e-9: positions of 100 m are rounded to 1.4e-14 m, 3e-12 rad at 10 GHz, some times over
    assert np.abs(after - before).max() <= 1e-9 * np.abs(before).max()
