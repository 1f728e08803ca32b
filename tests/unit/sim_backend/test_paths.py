"""Images in walls and floor against specular points found by search, and what must not change."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, Pose
from drivers.node import Node
from sim_backend.paths import (
    Paths,
    Surfaces,
    direct_paths,
    element_positions_m,
    scatterer_paths,
)

WAVELENGTH_M = 0.03
HALL_M = (-50.0, -40.0, 70.0, 60.0)
WALLS = ("x_min", "y_min", "x_max", "y_max")
EVERY_WAY = ElementPattern(kind="omnidirectional")
NARROW = ElementPattern(kind="3gpp_38901")  # another gain in every direction

inside = st.tuples(st.floats(-49.0, 69.0), st.floats(-39.0, 59.0))
angles = st.floats(-math.pi, math.pi)


def node(position_m, boresight_rad=0.0, num_elements=1, pattern=EVERY_WAY) -> Node:
    array = UniformLinearArray(num_elements, WAVELENGTH_M / 2.0)
    return Node("n", "n", Pose(position_m, boresight_rad), array, pattern, pattern)


def only_walls(loss_db: float = 6.0) -> Surfaces:
    return Surfaces(HALL_M, wall_loss_db=loss_db, floor_loss_db=math.inf)


def specular_point(wall: str, from_m, to_m) -> tuple[float, float]:
    """Where on a wall the way from one point to another is shortest (Fermat), by search."""
    axis, at_m = "xy".index(wall[0]), HALL_M[WALLS.index(wall)]

    def point(along_m: float) -> tuple[float, float]:
        return (at_m, along_m) if axis == 0 else (along_m, at_m)

    def length_m(along_m: float) -> float:
        return math.dist(from_m, point(along_m)) + math.dist(point(along_m), to_m)

    # Convex in `along`, and shortest between the two ends' feet.
    limits = sorted((from_m[1 - axis], to_m[1 - axis]))
    found = minimize_scalar(length_m, (limits[0] - 1.0, limits[1] + 1.0), tol=1e-13)
    return point(float(found.x))


def metres(paths: Paths) -> np.ndarray:
    """Path lengths to the array's centre."""
    return paths.delay_s.mean(axis=1) * SPEED_OF_LIGHT_M_PER_S


def matched(paths: Paths, length_m: float, gain: float) -> bool:
    """Whether one of the paths has this length and this amplitude."""
    near = np.abs(metres(paths) - length_m) < 1e-9 * length_m  # lengths are flat at the minimum
    return bool(np.any(near & (np.abs(paths.gain - gain) < 1e-6 * abs(gain))))


def amplitude(node_: Node, towards_m) -> float:
    """Square root of a node's gain towards a point."""
    x_m, y_m = node_.pose.position_m
    bearing = math.atan2(towards_m[1] - y_m, towards_m[0] - x_m) - node_.pose.boresight_rad
    return math.sqrt(float(NARROW.power_gain(bearing)))


@settings(max_examples=40)
@given(tx_m=inside, rx_m=inside, psi=angles, phi=angles)
def test_wall_reflections_of_the_direct_path_are_the_shortest_ways(tx_m, rx_m, psi, phi):
    assume(math.dist(tx_m, rx_m) > 1.0)
    tx, rx = node(tx_m, psi, 1, NARROW), node(rx_m, phi, 1, NARROW)
    found = direct_paths(tx, rx, WAVELENGTH_M, surfaces=only_walls())
    assert len(found.gain) == 5
    for wall in WALLS:
        bounce_m = specular_point(wall, tx_m, rx_m)
        length_m = math.dist(tx_m, bounce_m) + math.dist(bounce_m, rx_m)
        # Friis over the unfolded way with the gains towards the specular point, half the field
        # (6 dB) lost, and turned over.
        gain = WAVELENGTH_M / (4.0 * math.pi * length_m) * -(10.0 ** (-6.0 / 20.0))
        gain *= amplitude(tx, bounce_m) * amplitude(rx, bounce_m)
        assert matched(found, length_m, gain), wall


@settings(max_examples=40)
@given(tx_m=inside, rx_m=inside, point_m=inside, psi=angles, phi=angles)
def test_wall_reflections_of_an_echo_are_the_shortest_ways(tx_m, rx_m, point_m, psi, phi):
    assume(min(math.dist(point_m, tx_m), math.dist(point_m, rx_m)) > 1.0)
    tx, rx = node(tx_m, psi, 1, NARROW), node(rx_m, phi, 1, NARROW)
    found = scatterer_paths(
        tx, rx, np.array([point_m]), np.array([2.5]), WAVELENGTH_M, surfaces=only_walls()
    )
    assert len(found.gain) == 1 + 4 + 4
    # Bistatic radar equation over the unfolded legs
    constant = WAVELENGTH_M * math.sqrt(2.5 / (4.0 * math.pi) ** 3)
    ways = [((tx_m, point_m), (point_m, rx_m), 1.0)]
    for wall in WALLS:
        out_m = specular_point(wall, tx_m, point_m)
        in_m = specular_point(wall, point_m, rx_m)
        turned = -(10.0 ** (-6.0 / 20.0))
        ways.append(((tx_m, out_m, point_m), (point_m, rx_m), turned))
        ways.append(((tx_m, point_m), (point_m, in_m, rx_m), turned))
    for way_out, way_in, loss in ways:
        legs_m = [sum(math.dist(*ends) for ends in pairwise(way)) for way in (way_out, way_in)]
        gain = constant / math.prod(legs_m) * loss
        gain *= amplitude(tx, way_out[1]) * amplitude(rx, way_in[-2])
        assert matched(found, sum(legs_m), gain), (way_out, way_in)


@settings(max_examples=40)
@given(tx_m=inside, rx_m=inside, phi=angles)
def test_wall_reflections_arrive_from_the_specular_point(tx_m, rx_m, phi):
    assume(math.dist(tx_m, rx_m) > 1.0)
    rx = node(rx_m, phi, 2)
    found = direct_paths(node(tx_m), rx, WAVELENGTH_M, surfaces=only_walls())
    slope_m = np.diff(found.delay_s, axis=1)[:, 0] * SPEED_OF_LIGHT_M_PER_S
    for wall in WALLS:
        bounce_m = specular_point(wall, tx_m, rx_m)
        length_m = math.dist(tx_m, bounce_m) + math.dist(bounce_m, rx_m)
        bearing = math.atan2(bounce_m[1] - rx_m[1], bounce_m[0] - rx_m[0])
        # Eq. (6): later by d sin(angle) from element to element
        expected_m = WAVELENGTH_M / 2.0 * math.sin(bearing - phi)
        near = np.abs(metres(found) - length_m) < 1e-9 * length_m
        # The specular point's place is found to the root of the tolerance of the length.
        assert np.any(np.abs(slope_m[near] - expected_m) < 1e-6 * WAVELENGTH_M)


@pytest.mark.parametrize("height_m", [0.5, 3.0, 20.0])
def test_floor_reflection_is_the_shortest_way_and_its_sine_is_scaled(height_m):
    surfaces = Surfaces(HALL_M, math.inf, 6.0, height_m)
    tx_m, rx = (-30.0, 12.0), node((25.0, -8.0), 2.0, 8)
    found = direct_paths(node(tx_m), rx, WAVELENGTH_M, surfaces=surfaces)
    assert len(found.gain) == 2
    ends = [np.array([*p, height_m]) for p in (tx_m, rx.pose.position_m)]

    def bounce_m(share: float) -> np.ndarray:
        return (ends[0] + share * (ends[1] - ends[0])) * [1.0, 1.0, 0.0]

    def length_m(share: float) -> float:
        return math.dist(ends[0], bounce_m(share)) + math.dist(bounce_m(share), ends[1])

    shortest = minimize_scalar(length_m, (0.1, 0.9), tol=1e-12)
    assert metres(found)[1] == pytest.approx(shortest.fun, rel=1e-12)
    friis = WAVELENGTH_M / (4.0 * math.pi * shortest.fun)
    assert found.gain[1] == pytest.approx(-friis * 10.0 ** (-6.0 / 20.0), rel=1e-12)
    # In space, an element's delay is the projection of the arriving direction on the array.
    arriving = (bounce_m(shortest.x) - ends[1]) / math.dist(bounce_m(shortest.x), ends[1])
    slope_m = np.diff(found.delay_s[1]) * SPEED_OF_LIGHT_M_PER_S
    towards_element_0 = np.array([math.cos(2.0 + math.pi / 2), math.sin(2.0 + math.pi / 2), 0.0])
    expected_m = WAVELENGTH_M / 2.0 * float(arriving @ towards_element_0)
    np.testing.assert_allclose(slope_m, expected_m, atol=1e-8 * WAVELENGTH_M)


def test_floor_reflections_of_an_echo_climb_on_one_leg_each():
    # Legs of 30 m and 60 m, one of them over the image of the floor, twice the height below;
    # 60 m along and 80 m down are 100 m.
    tx, rx, point_m = node((0.0, 0.0)), node((30.0, 60.0), 1.0), np.array([[30.0, 0.0]])
    for height_m, lengths_m, squares in (
        (20.0, (90.0, 50.0 + 60.0, 30.0 + math.hypot(60.0, 40.0)), None),
        (40.0, (90.0, math.hypot(30.0, 80.0) + 60.0, 30.0 + 100.0), (30 * 60, None, 30 * 100)),
    ):
        surfaces = Surfaces(HALL_M, math.inf, 20.0, height_m)
        found = scatterer_paths(tx, rx, point_m, np.ones(1), WAVELENGTH_M, surfaces=surfaces)
        np.testing.assert_allclose(metres(found), lengths_m, rtol=1e-12)
        if squares:
            constant = WAVELENGTH_M / math.sqrt((4.0 * math.pi) ** 3)
            assert found.gain[0] == pytest.approx(constant / squares[0])
            assert found.gain[2] == pytest.approx(-0.1 * constant / squares[2])


def both_kinds(tx: Node, rx: Node, points_m, wavefront="plane", surfaces=None) -> Paths:
    rcs_m2 = np.linspace(0.5, 2.0, len(points_m))
    form = wavefront, surfaces
    return scatterer_paths(
        tx, rx, np.asarray(points_m), rcs_m2, WAVELENGTH_M, *form
    ) + direct_paths(tx, rx, WAVELENGTH_M, *form)


def in_order(paths: Paths) -> np.ndarray:
    """Lengths and amplitudes, shape ``(S, 1 + M)``, whatever order the paths came in."""
    found = np.column_stack((paths.gain * 1e6, paths.delay_s * SPEED_OF_LIGHT_M_PER_S))
    return found[np.lexsort((found[:, 0], np.round(found[:, 1], 6)))]


@given(tx_m=inside, rx_m=inside, point_m=inside, height_m=st.floats(0.5, 20.0))
def test_swapping_transmitter_and_receiver_leaves_lengths_and_gains(tx_m, rx_m, point_m, height_m):
    assume(min(math.dist(*p) for p in ((tx_m, rx_m), (tx_m, point_m), (rx_m, point_m))) > 1.0)
    surfaces = Surfaces(HALL_M, 6.0, 9.0, height_m)
    tx, rx = node(tx_m, 0.4, 1, NARROW), node(rx_m, -2.0, 1, NARROW)
    there = both_kinds(tx, rx, [point_m], surfaces=surfaces)
    back = both_kinds(rx, tx, [point_m], surfaces=surfaces)
    assert len(there.gain) == (1 + 5 + 5) + (1 + 5)
    np.testing.assert_allclose(in_order(there), in_order(back), rtol=1e-9)


@pytest.mark.parametrize("wavefront", ["plane", "spherical"])
def test_surfaces_that_reflect_nothing_are_open_space(wavefront):
    link = node((-20.0, 3.0)), node((40.0, 30.0), -2.0, 5)
    points_m = [(10.0, -5.0), (-30.0, 40.0)]
    silent = Surfaces(HALL_M, wall_loss_db=math.inf, floor_loss_db=math.inf)
    found = both_kinds(*link, points_m, wavefront, silent)
    open_space = both_kinds(*link, points_m, wavefront)
    np.testing.assert_array_equal(found.gain, open_space.gain)
    np.testing.assert_array_equal(found.delay_s, open_space.delay_s)
    nearly = both_kinds(*link, points_m, wavefront, Surfaces(HALL_M, 400.0, 400.0))
    assert len(nearly.gain) == 11 * 2 + 6
    assert np.sum(np.abs(nearly.gain) > 1e-20) == len(open_space.gain)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_turning_the_whole_hall_changes_nothing(quarter_turns):
    angle = quarter_turns * math.pi / 2.0

    def turned(point_m):
        for _ in range(quarter_turns):
            point_m = (-point_m[1], point_m[0])
        return point_m

    ends = turned(HALL_M[:2]), turned(HALL_M[2:])
    walls_m = (*np.min(ends, axis=0), *np.max(ends, axis=0))
    points_m = [(10.0, -5.0), (-30.0, 40.0)]
    before = both_kinds(
        node((-20.0, 3.0), 1.0, 1, NARROW), node((40.0, 30.0), -2.0, 4, NARROW), points_m,
        "spherical", Surfaces(HALL_M, 5.0, 7.0, 4.0),
    )  # fmt: skip
    after = both_kinds(
        node(turned((-20.0, 3.0)), 1.0 + angle, 1, NARROW),
        node(turned((40.0, 30.0)), -2.0 + angle, 4, NARROW),
        [turned(p) for p in points_m], "spherical", Surfaces(walls_m, 5.0, 7.0, 4.0),
    )  # fmt: skip
    np.testing.assert_allclose(in_order(after), in_order(before), rtol=1e-9)


@pytest.mark.parametrize("size_m", [1e3, 1e4, 1e5])
def test_spherical_tends_to_plane_far_away_from_surfaces_too(size_m):
    surfaces = Surfaces((-size_m, -size_m, 2 * size_m, size_m), 6.0, 6.0, size_m / 3.0)
    link = node((-0.5 * size_m, 0.3 * size_m)), node((0.4 * size_m, 0.1 * size_m), 1.1, 32)
    points_m = [(1.5 * size_m, -0.7 * size_m)]
    plane, spherical = (both_kinds(*link, points_m, w, surfaces) for w in ("plane", "spherical"))
    np.testing.assert_array_equal(plane.gain, spherical.gain)
    difference_m = np.abs(plane.delay_s - spherical.delay_s).max() * SPEED_OF_LIGHT_M_PER_S
    edge_m, nearest_m = 15.5 * WAVELENGTH_M / 2.0, 0.6 * size_m  # floor, (2/3)^2 off the plane
    assert difference_m <= edge_m**2 / (2.0 * nearest_m) + 1e-15 * 4.0 * size_m * 10.0
    assert difference_m > 0.0


def test_spherical_delays_are_distances_from_the_images():
    surfaces = Surfaces(HALL_M, math.inf, 6.0, 2.0)
    rx = node((20.0, 5.0), 0.7, 4)
    found = direct_paths(node((-10.0, 9.0)), rx, WAVELENGTH_M, "spherical", surfaces)
    for element, (x_m, y_m) in enumerate(element_positions_m(rx)):
        for path, below_m in enumerate((0.0, 4.0)):
            expected_m = math.dist((-10.0, 9.0, -below_m), (x_m, y_m, 0.0))
            length_m = found.delay_s[path, element] * SPEED_OF_LIGHT_M_PER_S
            assert length_m == pytest.approx(expected_m, rel=1e-13)


def test_what_an_array_cannot_hear_is_no_path():
    # Looking along +x from x = 0: only the wall at x_max and what lies in front are heard.
    deaf = ElementPattern(kind="sector", field_of_view_rad=math.pi, front_to_back_db=math.inf)
    rx = Node("rx", "rx", Pose((0.0, 0.0), 0.0), UniformLinearArray(1, 0.015), deaf)
    found = direct_paths(node((-10.0, 1.0)), rx, WAVELENGTH_M, surfaces=only_walls())
    # The image in x_max = 70 m is at (150, 1).
    np.testing.assert_allclose(metres(found), [math.hypot(150.0, 1.0)])
