"""One localization: it finds, repeats, stops, and copes with radios that fail."""

import math

import numpy as np
import pytest

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S
from drivers.waveform import pilot_symbols
from testbed.build import longest_delay_s
from testbed.runs.backgrounds import perfect_background
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import (
    Localization,
    result_object,
    throughput_loss_pct,
)
from testbed.runs.setup import simulate
from tests.unit.testbed.sites import as_site, changed, hall, lab

SITE = as_site(lab())
PROCESSORS = Processors(SITE)


def processors_of(site):
    return PROCESSORS if site == SITE else Processors(site)


def finished(site, seed):
    """All records of a run over perfect backgrounds, and its simulation."""
    simulation = simulate(site, seed)
    run = Localization(
        site,
        LocalLinks(
            site, simulation.source, perfect_background(simulation.source), processors_of(site)
        ),
        simulation.planning_rng(),
        simulation.target_m,
    )
    return list(run.run()), simulation


def test_nodes_drawn_at_random_find_the_target():
    """The tolerance of 0.25 m is 2.4 standard deviations; 0.5 m is beyond 4."""
    site = as_site(hall())
    ends = [finished(site, seed)[0][-1] for seed in range(4)]
    converged = [record for record in ends if record.estimate.status == "converged"]
    assert len(converged) >= 2
    assert all(record.error_m < 0.5 for record in converged)
    assert all(record.estimate.radius_95_m <= 0.25 for record in converged)


def test_a_run_follows_from_its_seed():
    first, _ = finished(SITE, 2)
    again, _ = finished(SITE, 2)
    other, _ = finished(SITE, 3)
    assert [r.config for r in first] == [r.config for r in again]
    positions = [r.estimate.position_m.tolist() for r in first]
    assert positions == [r.estimate.position_m.tolist() for r in again]
    assert positions != [r.estimate.position_m.tolist() for r in other]


def test_every_record_says_what_was_sensed():
    records, simulation = finished(as_site(changed(lab(), {"sensing.num_receivers": 3})), 1)
    for record in records:
        assert len(set(record.config.rx_ids) | {record.config.tx_id}) == 4
        assert [look.capture.rx_id for look in record.looks] == list(record.config.rx_ids)
        assert [r.rx_id for r in record.reports] == list(record.config.rx_ids)
        assert all(look.capture.tx_id == record.config.tx_id for look in record.looks)
        offset = record.estimate.position_m - simulation.target_m
        assert record.error_m == pytest.approx(math.hypot(*offset))
    assert [r.estimate.status for r in records[:-1]] == ["searching"] * (len(records) - 1)


def test_the_budget_is_kept():
    site = as_site(changed(lab(), {"sensing.max_sensings": 2, "sensing.tolerance_m": 1e-6}))
    records, _ = finished(site, 0)
    assert len(records) == 2
    assert records[-1].estimate.status == "unresolved"


def test_errors_are_unknown_where_the_truth_is():
    simulation = simulate(SITE, 1)
    run = Localization(
        SITE,
        LocalLinks(
            SITE, simulation.source, perfect_background(simulation.source), Processors(SITE)
        ),
        simulation.planning_rng(),
    )
    assert next(run.run()).error_m is None


def test_longest_delay_is_there_and_back_to_the_farthest_corner():
    """From (0.5, 0.5) to (30, 20): 35.362 m, twice."""
    assert longest_delay_s(SITE) * SPEED_OF_LIGHT_M_PER_S == pytest.approx(70.725, abs=1e-3)
    # Drawn nodes may stand in a corner: the diagonal of 36.056 m, twice.
    drawn = longest_delay_s(as_site(hall())) * SPEED_OF_LIGHT_M_PER_S
    assert drawn == pytest.approx(72.111, abs=1e-3)


def test_throughput_loss_is_the_share_of_a_frame_s_symbols():
    assert throughput_loss_pct(SITE, 7) == pytest.approx(2.5)  # of 280


def test_nodes_of_one_array_share_a_processor():
    site = as_site(changed(lab(), {"nodes.0.array": {"num_elements": 2}}))
    processors, nodes = Processors(site), simulate(site, 0).source.nodes
    assert processors.of(nodes[1]) is processors.of(nodes[2])
    assert processors.of(nodes[0]) is not processors.of(nodes[1])


def test_a_cancelled_static_channel_is_all_that_is_missing():
    cancelled, whole = simulate(SITE, 5, cancel_static=True), simulate(SITE, 5)
    assert cancelled.target_m.tolist() == whole.target_m.tolist()
    static = perfect_background(whole.source)("a", "b").channel
    static = static * pilot_symbols(whole.source.grid)[:, None]
    found = (
        whole.source.sense("a", ("b",), 0)[0].rx_pilots
        - cancelled.source.sense("a", ("b",), 0)[0].rx_pilots
    )
    assert np.allclose(found, static, rtol=0.0, atol=1e-5 * np.abs(static).max())


def test_the_result_is_that_of_the_last_record():
    records, simulation = finished(SITE, 4)
    result = result_object(SITE, records, simulation, started_s=0.0)
    last = records[-1].estimate
    assert result["estimate_m"] == last.position_m.tolist()
    assert result["covariance_m2"] == last.covariance_m2.tolist()
    assert result["truth_m"] == simulation.target_m.tolist()
    assert (result["status"], result["seed"]) == (last.status, 4)
    assert result["num_sensings"] == len(records)
    sensings = result["sensings"]
    assert isinstance(sensings, list)
    assert [s["peb_m"] for s in sensings] == [r.estimate.peb_m for r in records]
    assert [s["detected"] for s in sensings] == [
        [len(report.hypotheses) for report in r.reports] for r in records
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"node_defaults.tx_power_dbm": 200.0, "node_defaults.receive_pattern.gain_dbi": 200.0},
        {"node_defaults.tx_power_dbm": -200.0, "node_defaults.noise_figure_db": 200.0},
        {"sensing.mean_rcs_dbsm": 200.0, "simulation.mean_rcs_dbsm": -200.0},
        {"sensing.mean_rcs_dbsm": -200.0, "simulation.mean_rcs_dbsm": 200.0},
        {"node_defaults.survey": {"position_std_m": 1000.0, "boresight_std_deg": 360.0}},
        {"node_defaults.receive_pattern.field_of_view_deg": 1e-300},
        {"node_defaults.array": {"num_elements": 1}},
        {"node_defaults.array": {"num_elements": 2, "spacing_wavelengths": 0.01}},
        {"waveform.num_subcarriers": 16},
        {"simulation.target_m": [0.5, 0.61]},  # beside a node
        {"simulation.num_clutter": 0, "simulation.nodes_are_clutter": False},
        {"area_m": [0.0, 0.0, 30.0, 0.1]},
        {"area_m": [1000.0, 1000.0, 1030.0, 1020.0]},  # far from every node
        {"processing.false_alarm_probability": 5e-324},
        {"processing.num_angles": 3, "processing.max_hypotheses": 100},
        {"sensing.num_scene_samples": 1, "sensing.min_probability": 1e-300},
        {"sensing.initialization": "random", "sensing.stopping": "repeat"},
        {"sensing.initialization": "field_of_view", "sensing.bearing": "angle"},
        {"calibration.num_captures": 1},
    ],
)
def test_what_the_rules_allow_runs(changes):
    small = {"waveform.num_subcarriers": 64, "sensing.max_sensings": 3}
    records, _ = finished(as_site(changed(lab(), small | changes)), 1)
    assert 1 <= len(records) <= 3
    assert np.all(np.isfinite(records[-1].estimate.position_m))
    assert np.all(np.isfinite(records[-1].estimate.covariance_m2))
