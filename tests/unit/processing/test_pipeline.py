"""From a simulated capture to a report."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from drivers.array import ElementPattern
from drivers.capture import Capture
from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    Pose,
    arrival_angle_rad,
    bistatic_delay_s,
    delay_limits_s,
)
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.waveform import pilot_symbols
from processing.pipeline import LinkProcessor
from processing.search import ProcessingSettings
from processing.suppression import Background
from sim_backend.scene import SceneStatistics, draw_scene
from sim_backend.source import SimulatedSource
from tests.unit.processing.echoes import (
    CELL_S,
    GRID,
    MAX_DELAY_S,
    echo,
    half_wavelength_array,
    unit_noise,
)

AREA_M = (0.0, 0.0, 200.0, 200.0)
TX_M, RX_M = (60.0, 20.0), (150.0, 90.0)


def simulated(num_elements: int, seed: int, **statistics) -> tuple[SimulatedSource, list[Node]]:
    array = half_wavelength_array(num_elements)
    nodes = [
        Node("tx", "tx", Pose(TX_M, 0.0), array),
        # looks along +135 degrees into the area
        Node("rx", "rx", Pose(RX_M, math.radians(135.0)), array),
    ]
    scene = draw_scene(seed, nodes, SceneStatistics(AREA_M, **statistics))
    return SimulatedSource(scene, nodes, GRID), nodes


def processor(num_elements: int, **settings) -> LinkProcessor:
    return LinkProcessor(
        GRID, half_wavelength_array(num_elements), MAX_DELAY_S, ProcessingSettings(**settings)
    )


def capture_of(residual: np.ndarray) -> Capture:
    pilots = pilot_symbols(GRID)[:, None]
    return Capture("tx", "rx", (pilots * residual).astype(np.complex64), 1, GRID.waveform_hash)


def report_of(link: LinkProcessor, capture: Capture, background: Background | None = None):
    return link.report(capture, background, sensing_index=0, delay_limits_s=(0.0, MAX_DELAY_S))


@pytest.mark.parametrize("num_elements", [1, 4, 32])
def test_a_target_is_found_where_it_is(num_elements):
    # 1000 m^2: 38 dB for one element at the mean RCS, and this scene draws 11 dB less
    target_m = (90.0, 110.0)
    source, nodes = simulated(
        num_elements, 5, target_m=target_m, mean_rcs_m2=1000.0, rcs_draw="scene"
    )
    background = Background(source.static_channel(0, 1), "entry-1")
    report = processor(num_elements).report(
        source.sense("tx", ("rx",), 3)[0], background,
        sensing_index=3, delay_limits_s=delay_limits_s(np.array(TX_M), np.array(RX_M), AREA_M),
    )  # fmt: skip
    assert (report.tx_id, report.rx_id, report.sensing_index) == ("tx", "rx", 3)
    assert report.background_hash == "entry-1"
    assert report.config_epoch == 0
    assert report.delay_is_absolute
    # 1000 M entries of exponential power, one in eight of them used: 99.9 % at one element
    assert report.noise_var == pytest.approx(channel_noise_var(nodes[0], nodes[1], GRID), rel=0.35)

    assert len(report.hypotheses) == 1
    found = report.hypotheses[0]
    true_delay_s = float(bistatic_delay_s(TX_M, RX_M, target_m))
    assert abs(found.delay_s - true_delay_s) < 4 * math.sqrt(found.delay_var_s2)
    if num_elements == 1:
        assert found.sine is None
        assert found.sine_var is None
    else:
        true_sine = math.sin(float(arrival_angle_rad(nodes[1].pose, target_m)))
        assert found.sine is not None
        assert found.sine_var is not None
        assert abs(found.sine - true_sine) < 4 * math.sqrt(found.sine_var)


def test_without_suppression_the_direct_path_is_the_strongest():
    # PAPER-NOTES row 7: 51 dB over the echo at 100 m. The receiver must look at the transmitter,
    # which bears -142 degrees: with an omnidirectional element it does.
    array = half_wavelength_array(4)
    pattern = ElementPattern(kind="omnidirectional")
    nodes = [
        Node("tx", "tx", Pose(TX_M, 0.0), array, pattern),
        Node("rx", "rx", Pose(RX_M, math.radians(135.0)), array, pattern),
    ]
    source = SimulatedSource(draw_scene(5, nodes, SceneStatistics(AREA_M)), nodes, GRID)
    report = report_of(processor(4), source.sense("tx", ("rx",), 0)[0])
    assert report.background_hash is None
    direct_s = math.dist(TX_M, RX_M) / SPEED_OF_LIGHT_M_PER_S
    assert report.hypotheses[0].delay_s == pytest.approx(direct_s, abs=0.1 * CELL_S)


@pytest.mark.parametrize("num_elements", [1, 4, 32])
def test_noise_alone_is_usually_an_empty_report(num_elements):
    # 1e-6 per cell and 190 x 181 cells: 0.034 expected where cells are independent
    link = processor(num_elements)
    rng = np.random.default_rng(num_elements)
    num_captures = 60
    num_empty = sum(
        not report_of(
            link, capture_of(unit_noise(rng, half_wavelength_array(num_elements)))
        ).hypotheses
        for _ in range(num_captures)
    )
    # 95 % Clopper-Pearson: 0.95 for 60 of 60, 0.87 for 56
    assert stats.beta.ppf(0.05, num_empty, num_captures - num_empty + 1) > 0.87


def test_hypotheses_come_best_first_and_no_more_than_asked():
    array = half_wavelength_array(4)
    residual = unit_noise(np.random.default_rng(8), array)
    for delay_cells, sine, snr_db in ((30.3, -0.5, 25.0), (80.1, 0.5, 35.0), (120.4, 0.0, 30.0)):
        residual = residual + echo(delay_cells * CELL_S, sine, array, snr_db)
    found = report_of(processor(4), capture_of(residual)).hypotheses
    assert [round(h.delay_s / CELL_S, 1) for h in found] == [80.1, 120.4, 30.3]
    assert [h.snr for h in found] == sorted((h.snr for h in found), reverse=True)
    found = report_of(processor(4, max_hypotheses=2), capture_of(residual)).hypotheses
    assert [round(h.delay_s / CELL_S, 1) for h in found] == [80.1, 120.4]


@pytest.mark.parametrize("snr_db", [25.0, 45.0])
def test_reported_snr_is_unbiased(snr_db):
    link = processor(4)
    array = half_wavelength_array(4)
    rng = np.random.default_rng(9)
    ratios = []
    for _ in range(150):
        residual = unit_noise(rng, array) + echo(
            rng.uniform(10.0, 170.0) * CELL_S, rng.uniform(-0.9, 0.9), array, snr_db
        )
        strongest = report_of(link, capture_of(residual)).hypotheses[0]
        ratios.append(strongest.snr / 10 ** (snr_db / 10))
    # One look: deviation sqrt(2 / snr) from the echo's own noise and 7 % from the floor (some
    # 400 independent cells); the floor's reciprocal is 0.5 % high. Refinement follows the noise
    # by two parameters, which is 1 / snr: 0.3 % at 25 dB.
    halfwidth = 3.29 * np.std(ratios, ddof=1) / math.sqrt(len(ratios))  # 99.9 %
    assert halfwidth < 0.05
    assert abs(np.mean(ratios) - 1.0) < halfwidth + 0.01


@pytest.mark.parametrize("num_elements", [4, 32])
def test_half_of_the_echoes_at_the_reported_threshold_are_detected(num_elements):
    """`detection_snr` is where detection sets in for echoes anywhere between the bins."""
    link = processor(num_elements)
    array = half_wavelength_array(num_elements)
    rng = np.random.default_rng(10)
    num_draws = 120
    num_detected = 0
    for _ in range(num_draws):
        delay_s, sine = rng.uniform(30.0, 160.0) * CELL_S, rng.uniform(-0.8, 0.8)
        snr_db = 10 * math.log10(link.detection_snr)
        residual = unit_noise(rng, array) + echo(delay_s, sine, array, snr_db)
        hypotheses = report_of(link, capture_of(residual)).hypotheses
        num_detected += any(abs(h.delay_s - delay_s) < CELL_S for h in hypotheses)
    # A little over half: the best of the cells around the echo counts, not one chosen before.
    low = stats.beta.ppf(0.025, num_detected, num_draws - num_detected + 1)
    high = stats.beta.ppf(0.975, num_detected + 1, num_draws - num_detected)
    assert low < 0.6, num_detected
    assert high > 0.45, num_detected


def test_background_of_another_array_is_refused_by_shape():
    link = processor(4)
    residual = unit_noise(np.random.default_rng(1), half_wavelength_array(4))
    background = Background(np.zeros((1000, 32), dtype=np.complex64), "entry-2")
    with pytest.raises(ValueError, match=r"\(1000, 32\).*\(1000, 4\)"):
        report_of(link, capture_of(residual), background)


@pytest.mark.parametrize("fault", ["one NaN", "all zero"])
def test_a_capture_without_signal_is_refused_not_reported_as_a_miss(fault):
    residual = unit_noise(np.random.default_rng(1), half_wavelength_array(4))
    if fault == "one NaN":
        residual[3, 1] = np.nan
    else:
        residual[:] = 0.0
    with pytest.raises(ValueError, match="holds no signal"):
        report_of(processor(4), capture_of(residual))


def test_delay_limits_golden():
    # Nodes 6 m apart: not under 6 m / c. Furthest corner of 10 m x 10 m from (0, 0) and (6, 0) is
    # (10, 10): sqrt(200) + sqrt(116) = 24.912 464 m.
    shortest_s, longest_s = delay_limits_s(
        np.array([0.0, 0.0]), np.array([6.0, 0.0]), (0.0, 0.0, 10.0, 10.0)
    )
    assert shortest_s * SPEED_OF_LIGHT_M_PER_S == pytest.approx(6.0)
    assert longest_s * SPEED_OF_LIGHT_M_PER_S == pytest.approx(24.912464)


inside_m = st.floats(-30.0, 70.0)


@given(tx=st.tuples(inside_m, inside_m), rx=st.tuples(inside_m, inside_m), data=st.data())
def test_delay_limits_hold_for_every_point_of_the_area(tx, rx, data):
    area_m = (-10.0, 0.0, 50.0, 20.0)
    point = data.draw(st.floats(-10.0, 50.0)), data.draw(st.floats(0.0, 20.0))
    shortest_s, longest_s = delay_limits_s(np.array(tx), np.array(rx), area_m)
    delay_s = float(bistatic_delay_s(tx, rx, point))
    assert shortest_s * (1 - 1e-12) <= delay_s <= longest_s * (1 + 1e-12)
