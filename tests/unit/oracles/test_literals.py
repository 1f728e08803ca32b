"""The literal evaluations that speed is measured against: the loops' results, and the package's."""

import math

import numpy as np
import pytest

from calibration.background import BackgroundLearner
from drivers.array import UniformLinearArray
from drivers.geometry import Pose, arrival_angle_rad
from drivers.node import Node
from drivers.waveform import OfdmGrid, pilot_symbols
from fusion.initialization import field_of_view_plan
from fusion.measurement import Measurement, bearing_range_points
from fusion.network import Network
from fusion.planning import best_configuration
from fusion.wls import WlsProblem
from processing.detect import detect, plan_cfar
from processing.power_map import PowerMap, plan_power_map, power_map
from processing.refine import refine
from sim_backend.channel import scatterer_channel
from tests.oracles import (
    cfar,
    channel,
    literal_background,
    literal_detection,
    literal_fusion,
    literal_map,
)
from tests.oracles import power_map as oracle_map
from tests.unit.fusion.halls import HALF_PLANE, hypothesis_at, make_node, random_nodes

GRID = OfdmGrid(carrier_hz=10e9, subcarrier_spacing_hz=240e3, num_subcarriers=64)
ARRAY = UniformLinearArray(4, GRID.wavelength_m / 2)
RNG = np.random.default_rng(20)


def noise(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape) + 1j * RNG.standard_normal(shape)


def wave(delay_s: float, sine: float, grid: OfdmGrid = GRID, array: UniformLinearArray = ARRAY):
    late_s = delay_s + array.element_delay_s(sine)
    return np.exp(-2j * np.pi * grid.frequency_hz[:, None] * late_s)


def test_map_is_the_loops():
    residual, angles = noise(64, 4), np.linspace(-1.5, 1.5, 7)
    place = GRID.frequency_hz, ARRAY.spacing_m, angles, 72
    expected = oracle_map.power_map(residual, *place)
    np.testing.assert_allclose(literal_map.power_map(residual, *place), expected, rtol=1e-9)
    kept = literal_map.all_steering(GRID.frequency_hz, angles, 4, ARRAY.spacing_m)
    found = literal_map.power_map_with(residual, kept, 72)
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())


def test_alignment_takes_gain_and_delay_back():
    background = noise(64, 4)
    delay_s = 3.3 / GRID.bandwidth_hz
    turn = np.exp(-2j * np.pi * GRID.offset_hz * delay_s)[:, None]
    found = literal_map.aligned(
        (0.3 - 0.4j) * turn * background, background, GRID.subcarrier_spacing_hz
    )
    np.testing.assert_allclose(found, background, atol=2e-3 * np.abs(background).max())


def test_training_mean_is_the_loops():
    power = RNG.standard_exponential((9, 30))
    np.testing.assert_allclose(
        literal_detection.training_mean(power, 2, 5, 2), cfar.training_mean(power, 2, 5, 2)
    )


@pytest.mark.parametrize("seed", range(5))
def test_the_same_cells_are_detected(seed):
    rng = np.random.default_rng(seed)
    grid = OfdmGrid(carrier_hz=10e9, subcarrier_spacing_hz=15e3, num_subcarriers=1200)
    array = UniformLinearArray(8, grid.wavelength_m / 2)
    plan = plan_power_map(grid, array, 8e-6, num_angles=41)
    limits = plan_cfar(plan, 1e-3)
    residual = (rng.standard_normal((1200, 8, 2)) @ (1, 1j)) / math.sqrt(2)
    for _ in range(3):
        late_s, sine, amplitude = rng.uniform(5e-7, 7e-6), rng.uniform(-1, 1), rng.uniform(0.2, 2.0)
        residual = residual + amplitude * wave(late_s, sine, grid, array)
    found: PowerMap = power_map(residual.astype(np.complex64), plan)
    least_s, most_s = 1e-6, 6e-6
    expected = detect(found, limits, min_delay_s=least_s, max_delay_s=most_s, max_candidates=4)
    cells = literal_detection.detect(
        found.power, found.noise_power, limits.threshold,
        (limits.guard, limits.train, limits.angle_halfwidth), plan.angle_grid_rad,
        plan.delay_grid_s, (least_s, most_s), grid.bandwidth_hz, (8, 0.5), 4,
    )  # fmt: skip
    assert expected
    assert cells == expected


def test_refinement_finds_the_echo_as_the_package_does():
    grid = OfdmGrid(carrier_hz=10e9, subcarrier_spacing_hz=15e3, num_subcarriers=660)
    array = UniformLinearArray(8, grid.wavelength_m / 2)
    residual = wave(3.21e-6, 0.314, grid, array) + 0.1 * noise(660, 8)
    start = 3.25e-6, math.asin(0.3)
    delay_s, sine, matched = literal_detection.refine(
        residual, grid.frequency_hz, array.spacing_m, *start
    )
    echo = refine(residual.astype(np.complex64), grid, array, *start)
    assert delay_s == pytest.approx(echo.delay_s, abs=0.01 / grid.bandwidth_hz)
    assert sine == pytest.approx(echo.sine, abs=0.01 * 2 / 8)
    assert matched == pytest.approx(echo.matched_power, rel=1e-2)


def test_median_is_the_package_s_bit_by_bit():
    captures = noise(6, 40, 3).astype(np.complex64)
    learner = BackgroundLearner(6)
    for capture in captures:
        learner.add(capture)
    np.testing.assert_array_equal(literal_background.complex_median(captures), learner.entry())


def test_channel_is_the_loops_and_the_package_s():
    points = np.array([(30.0, 12.0), (20.0, -15.0), (-8.0, 3.0)])
    rcs = np.array([1.0, 0.3, 2.0])
    node = make_node("rx", (2.0, 1.0), 0.2)
    rx = Node("rx", "rx", node.pose, ARRAY, HALF_PLANE)
    tx = Node("tx", "tx", Pose((-5.0, 40.0), 0.0), ARRAY, HALF_PLANE)
    found = literal_background.half_plane_channel(
        tx.pose.position, rx.pose.position, 0.2, points, rcs, GRID.frequency_hz, 4, ARRAY.spacing_m
    )
    amplitude = [
        channel.radar_amplitude(tx.pose.position, rx.pose.position, p, r, GRID.wavelength_m)
        for p, r in zip(points[:2], rcs[:2], strict=True)
    ]  # the third lies behind the array
    loops = channel.echo_channel(
        tx.pose.position, rx.pose.position, 0.2, points[:2], amplitude, GRID.frequency_hz, 4,
        ARRAY.spacing_m,
    )  # fmt: skip
    np.testing.assert_allclose(found, loops, atol=1e-9 * np.abs(loops).max())
    package = scatterer_channel(GRID, tx, rx, points, rcs)
    np.testing.assert_allclose(found, package, atol=1e-9 * np.abs(loops).max())


def test_planning_chooses_what_the_package_does():
    nodes = random_nodes(4, 7)
    network = Network(nodes, GRID)
    point = np.array([[120.0, 60.0]])
    information = network.information(point, network.snr(point, np.ones(1)))[0]
    tx, receivers, bound_m = literal_fusion.best_configuration(information, np.zeros(3), 2)
    plan = best_configuration(network, information, np.zeros(3), 2)
    assert (nodes[tx].node_id, {nodes[n].node_id for n in receivers}) == (
        plan.config.tx_id,
        set(plan.config.rx_ids),
    )
    assert bound_m == pytest.approx(plan.peb_m, rel=1e-6)


def test_initialization_chooses_what_the_package_does():
    nodes = random_nodes(5, 7)
    network = Network(nodes, GRID)
    points = np.random.default_rng(0).uniform(0.0, 200.0, (40, 2))
    in_view = np.array(
        [n.receive_pattern.in_view(arrival_angle_rad(n.pose, points)) for n in nodes]
    )
    information = network.information(points, network.snr(points, np.ones(len(points))))
    tx, receivers = literal_fusion.field_of_view_choice(in_view, information, 2)
    config = field_of_view_plan(network, points, 1.0, 2).config
    assert nodes[tx].node_id == config.tx_id
    assert {nodes[n].node_id for n in receivers} == set(config.rx_ids)


def test_position_is_p1_s_minimum():
    rng = np.random.default_rng(8)
    target_m = np.array([90.0, 70.0])
    tx, *receivers = random_nodes(1, 4)
    measurements = [
        Measurement(tx, rx, hypothesis_at(tx, rx, target_m, 1e3, rng), 2.0) for rx in receivers
    ]
    starts = bearing_range_points(measurements[0])
    links = [
        (m.tx.pose.position, m.rx.pose.position, m.rx.pose.boresight_rad) for m in measurements
    ]
    delays = [(m.hypothesis.delay_s, m.hypothesis.delay_var_s2) for m in measurements]
    sines = [(m.hypothesis.sine, m.hypothesis.sine_var) for m in measurements]
    found_m, cost = literal_fusion.position(links, delays, sines, starts)
    solved = min((WlsProblem(measurements).solve(s) for s in starts), key=lambda s: s.cost)
    assert cost == pytest.approx(solved.cost, rel=1e-4)
    assert solved.distance2(found_m) < 1e-4


def test_pilots_have_unit_modulus():
    """So that the literal division is the package's multiplication."""
    np.testing.assert_allclose(np.abs(pilot_symbols(GRID)), 1.0, rtol=1e-6)
