"""Rules of a site file: each names the place, the rule and the value, and holds at its limit."""

import math

import pytest

from testbed.site import SiteError
from testbed.site_checks import num_nodes, site_problems
from tests.unit.testbed.sites import DELETED, as_site, changed, hall, lab, loaded

NAN, INF = math.nan, math.inf
DEFAULTS, SPACING = "node_defaults.", "waveform.subcarrier_spacing_khz"

# A change of the lab, and the words of the one problem that comes of it.
REFUSED = [
    # unknown and missing keys
    ({"seeed": 3}, ["$: ", "unknown key 'seeed'", "known are schema, name"]),
    ({"waveform.carier_mhz": 1.0}, ["$.waveform: ", "'carier_mhz'", "did you mean 'carrier_mhz'"]),
    ({"nodes.2.node_idd": "x"}, ["$.nodes[2]: ", "'node_idd'", "did you mean 'node_id'"]),
    ({"nodes.1.radio": {"port": 5}}, ["$.nodes[1].radio: ", "'port'", "known are kind, address"]),
    ({"schema": DELETED}, ["$: ", "'schema' is missing"]),
    ({"waveform": DELETED}, ["$: ", "'waveform' is missing"]),
    ({"waveform.num_subcarriers": DELETED}, ["$.waveform: ", "'num_subcarriers' is missing"]),
    ({"nodes.3.boresight_deg": DELETED}, ["$.nodes[3]: ", "'boresight_deg' is missing"]),
    # the schema's number
    ({"schema": 2}, ["$.schema: ", "must be 1", "got 2"]),
    ({"schema": "1"}, ["$.schema: ", "must be 1", "got '1'"]),
    # another kind of value
    ({"name": None}, ["$.name: ", "must be text", "got nothing"]),
    ({"name": 5}, ["$.name: ", "must be text", "got 5", "quotes"]),
    ({"nodes.0.node_id": False}, ["$.nodes[0].node_id: ", "text", "got false", "quotes"]),
    ({"name": ""}, ["$.name: ", "length >= 1", "got ''"]),
    ({"name": "x" * 65}, ["$.name: ", "length <= 64", "xxx"]),
    ({"name": "two\nlines"}, ["$.name: ", "one line", r"'two\nlines'"]),
    ({"nodes.1.node_id": "\x1b[2J"}, ["$.nodes[1].node_id: ", "printable", r"\x1b"]),
    ({"waveform.carrier_mhz": "5.8 GHz"}, ["$.waveform.carrier_mhz: ", "number", "'5.8 GHz'"]),
    ({"waveform.carrier_mhz": True}, ["$.waveform.carrier_mhz: ", "a number", "got true"]),
    ({"waveform.carrier_mhz": 10**400}, ["$.waveform.carrier_mhz: ", "out of range", "got 1000"]),
    ({"waveform.num_subcarriers": 600.5}, ["$.waveform.num_subcarriers: ", "whole", "600.5"]),
    ({"sensing": [1]}, ["$.sensing: ", "mapping", "got a list of 1"]),
    ({"nodes": None}, ["$.nodes: ", "a list", "got nothing"]),
    ({"nodes.0": 3}, ["$.nodes[0]: ", "mapping", "got 3"]),
    ({"nodes.0.array": 3}, ["$.nodes[0].array: ", "mapping", "got 3"]),
    ({"area_m": {"x": 3}}, ["$.area_m: ", "a list", "got a mapping"]),
    ({"area_m": [0, 0, 30]}, ["$.area_m: ", "length 4", "got a list of 3"]),
    ({"simulation.target_m": [1, 2, 3]}, ["$.simulation.target_m: ", "length 2", "list of 3"]),
    ({"sensing.fusion": "newest"}, ["$.sensing.fusion: ", "accumulate or latest", "'newest'"]),
    ({"sensing.fusion": 3}, ["$.sensing.fusion: ", "accumulate or latest", "got 3"]),
    ({"nodes.0.radio": {"kind": 5}}, ["$.nodes[0].radio.kind: ", "text", "got 5"]),
    # signs and ranges
    ({"waveform.carrier_mhz": -5800.0}, ["$.waveform.carrier_mhz: ", "> 0.0", "got -5800.0"]),
    ({"waveform.num_subcarriers": 15}, ["$.waveform.num_subcarriers: ", ">= 16", "got 15"]),
    ({"sensing.num_receivers": 0}, ["$.sensing.num_receivers: ", ">= 1", "got 0"]),
    ({"sensing.tolerance_m": 0}, ["$.sensing.tolerance_m: ", "> 0.0", "got 0"]),
    ({DEFAULTS + "noise_figure_db": -7}, ["$.node_defaults.noise_figure_db: ", ">= 0.0", "-7"]),
    ({DEFAULTS + "tx_power_dbm": 1e4}, ["$.node_defaults.tx_power_dbm: ", "<= 200", "10000"]),
    ({DEFAULTS + "survey.position_std_m": -1}, ["survey.position_std_m: ", ">= 0.0", "got -1"]),
    ({"uniform_nodes": {"num_nodes": 401}}, ["$.uniform_nodes.num_nodes: ", "<= 400", "got 401"]),
    ({DEFAULTS + "array.spacing_wavelengths": 0}, ["spacing_wavelengths: ", ">= 0.01", "got 0"]),
    ({DEFAULTS + "array.num_elements": 0}, ["array.num_elements: ", ">= 1", "got 0"]),
    ({"nodes.0.boresight_deg": 1e3}, ["$.nodes[0].boresight_deg: ", "<= 360", "got 1000"]),
    ({"calibration.num_captures": 0}, ["$.calibration.num_captures: ", ">= 1", "got 0"]),
    ({"simulation.num_clutter": -1}, ["$.simulation.num_clutter: ", ">= 0", "got -1"]),
    ({"simulation.mean_rcs_dbsm": 4e3}, ["$.simulation.mean_rcs_dbsm: ", "<= 200", "4000"]),
    ({"processing.num_angles": 2}, ["$.processing.num_angles: ", ">= 3", "got 2"]),
    # not a number
    ({"waveform.carrier_mhz": NAN}, ["$.waveform.carrier_mhz: ", "> 0.0", "got nan"]),
    ({"area_m": [0, 0, NAN, 20]}, ["$.area_m[2]: ", "number", "got nan"]),
    ({"locations.1.position_m": [NAN, 0]}, ["$.locations[1].position_m[0]: ", "got nan"]),
    ({"sensing.tolerance_m": INF}, ["$.sensing.tolerance_m: ", "finite", "got inf"]),
    ({DEFAULTS + "receive_pattern.front_to_back_db": NAN}, ["front_to_back_db: ", "got nan"]),
    ({DEFAULTS + "receive_pattern.front_to_back_db": -INF}, ["front_to_back_db: ", "got -inf"]),
    # a grid that no radio could send
    ({"waveform.num_subcarriers": 131_073}, ["$.waveform.num_subcarriers: ", "131072", "131073"]),
    ({"waveform.carrier_mhz": 5.8}, ["$.waveform: ", "above 0 Hz", "18 MHz", "5.8 MHz", "in GHz"]),
    ({"waveform.carrier_mhz": 5.8e9}, ["$.waveform.carrier_mhz: ", "300000 MHz", "5.8e+09", "Hz"]),
    ({SPACING: 0.03}, [f"$.{SPACING}: ", "at least 0.1 kHz", "got 0.03", "in MHz?"]),
    ({SPACING: 9000.0}, [f"$.{SPACING}: ", "9000 kHz", "33.31 m", "70.72 m", "in Hz"]),
    # the area
    ({"area_m": [0, 0, -30, 20]}, ["$.area_m: ", "x_min < x_max", "-30.0"]),
    ({"area_m": [0, 20, 30, 20]}, ["$.area_m: ", "y_min < y_max", "20.0"]),
    ({"area_m": [0, 0, 30, 0.05]}, ["$.area_m: ", "at least 0.1 m", "0.05"]),
    ({"area_m": [0, 0, 30_000, 20]}, [f"$.{SPACING}: ", "9993 m", "6e+04 m", "in metres"]),
    ({"locations.0.position_m": [0, 1e6]}, [f"$.{SPACING}: ", "9993 m", "2e+06 m", "in metres"]),
    ({"locations.0.position_m": [0, 1e9]}, ["$.locations[0].position_m[1]: ", "got 1000000000"]),
    ({"simulation.target_m": [31, 2]}, ["$.simulation.target_m: ", "inside area_m", "[31.0, 2.0]"]),
    ({"simulation.target_m": [0.5, 0.55]}, ["$.simulation.target_m: ", "0.1 m", "'south-west'"]),
    # nodes and locations
    ({"nodes.1.node_id": "a"}, ["$.nodes: ", "node_id must be unique", "'a' is given 2 times"]),
    (
        {"nodes.1.location_id": "south-west"},
        ["$.nodes: ", "location_id must be unique", "'south-west' is given 2 times"],
    ),
    ({"nodes.1.location_id": "moon"}, ["$.nodes[1].location_id: ", "$.locations", "'moon'"]),
    (
        {"locations.1.position_m": [0.5, 0.505]},
        ["$.locations[1].position_m: ", "'south' and 'south-west'", "one place", "0.505"],
    ),
    ({"nodes": []}, ["$.nodes: ", "at least two nodes", "got 0", "uniform_nodes"]),
    ({"uniform_nodes": {"num_nodes": 5}}, ["$: ", "either uniform_nodes or", "not both"]),
    ({"uniform_nodes": {"num_nodes": 1}}, ["$.uniform_nodes.num_nodes: ", ">= 2", "got 1"]),
    (
        {DEFAULTS + "array.spacing_wavelengths": 0.6},
        ["$.node_defaults.array.spacing_wavelengths: ", "at most 0.5", "grating", "got 0.6"],
    ),
    (
        {"nodes.2.array": {"spacing_wavelengths": 0.51}},
        ["$.nodes[2].array.spacing_wavelengths: ", "at most 0.5", "got 0.51"],
    ),
    ({"sensing.num_receivers": 6}, ["$.sensing.num_receivers: ", "6 nodes", "at most 5", "got 6"]),
]


@pytest.mark.parametrize(("changes", "words"), REFUSED)
def test_broken_rule_names_place_rule_and_value(tmp_path, changes, words):
    with pytest.raises(SiteError) as refused:
        loaded(tmp_path, changed(lab(), changes))
    (problem,) = refused.value.problems
    assert all(word in problem for word in words), problem
    assert str(refused.value) == f"{tmp_path / 'site.yaml'}: {problem}"


@pytest.mark.parametrize(
    "changes",
    [
        {"sensing.num_receivers": 5},
        {"area_m": [0.0, 0.0, 30.0, 0.1]},
        {DEFAULTS + "array.spacing_wavelengths": 0.5},
        {DEFAULTS + "array": {"num_elements": 1, "spacing_wavelengths": 4.0}},
        {"simulation.target_m": [30.0, 20.0]},
        {"simulation.target_m": [0.0, 0.0]},
        {"simulation.target_m": [0.5, 0.61]},
        {"locations.1.position_m": [0.5, 0.51]},
        {"waveform.num_subcarriers": 131_072},
        {"waveform.num_subcarriers": 16},
        {SPACING: 0.1},
        {"name": "x" * 64},
        {"name": "Halle Süd, 3. Stock"},
        {DEFAULTS + "tx_power_dbm": -200.0, DEFAULTS + "noise_figure_db": 200.0},
        {"nodes.0.boresight_deg": -360.0},
    ],
)
def test_a_rule_holds_at_its_limit(tmp_path, changes):
    assert site_problems(loaded(tmp_path, changed(lab(), changes))) == []


def test_echoes_may_just_reach_the_first_alias():
    """Two paths that differ by ``c / spacing`` look alike: 299.79 m at 1 MHz."""
    raw = changed(hall(), {SPACING: 1000.0, "area_m": [0.0, 0.0, 149.89, 1.0]})
    assert site_problems(as_site(raw)) == []
    (problem,) = site_problems(as_site(changed(raw, {"area_m": [0.0, 0.0, 149.9, 1.0]})))
    assert "299.8 m" in problem


def test_every_broken_rule_is_listed_at_once(tmp_path):
    raw = changed(
        lab(),
        {
            "nodes.1.node_id": "a",
            "sensing.num_receivers": 9,
            "simulation.target_m": [99.0, 99.0],
            "locations.3.position_m": [0.5, 0.5],
        },
    )
    with pytest.raises(SiteError) as refused:
        loaded(tmp_path, raw)
    assert len(refused.value.problems) == 4
    assert len(str(refused.value).splitlines()) == 4


def test_three_nodes_at_one_place_are_all_named():
    at_one_place = {f"locations.{n}.position_m": [1.0, 1.0] for n in range(3)}
    problems = site_problems(as_site(changed(lab(), at_one_place)))
    assert len(problems) == 3
    assert all("one place" in problem for problem in problems)


def test_nodes_are_counted_drawn_or_listed():
    assert num_nodes(as_site(lab())) == 6
    assert num_nodes(as_site(hall())) == 8
