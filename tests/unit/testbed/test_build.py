"""What is built from a site has the site's values, in SI units."""

import math

import numpy as np
import pytest

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S
from testbed.build import (
    Overrides,
    assumed_rcs_m2,
    build_fusion,
    build_grid,
    build_nodes,
    build_processing,
    build_scene,
    overridden,
    radio_kinds,
    simulated,
)
from testbed.site import SiteError
from tests.unit.testbed.sites import as_site, changed, hall, lab


def test_grid_is_in_hertz():
    grid = build_grid(as_site(lab()))
    assert (grid.carrier_hz, grid.subcarrier_spacing_hz) == (5.8e9, 30e3)
    assert grid.num_subcarriers == 600


def test_listed_nodes_stand_where_the_site_says():
    nodes = build_nodes(as_site(lab()), seed=4)
    assert [node.node_id for node in nodes] == ["a", "b", "c", "d", "e", "f"]
    south = nodes[1]
    assert south.location_id == "south"
    assert south.pose.position_m == (15.0, 0.5)
    assert south.pose.boresight_rad == pytest.approx(math.pi / 2)
    assert south.array.num_elements == 4
    assert south.array.spacing_m == pytest.approx(0.5 * SPEED_OF_LIGHT_M_PER_S / 5.8e9)
    assert south.tx_power_dbm == 10.0
    assert south.noise_figure_db == 7.0
    assert south.receive_pattern.field_of_view_rad == pytest.approx(math.pi)
    assert south.receive_pattern.front_to_back_db == 30.0
    assert south.transmit_pattern.kind == "omnidirectional"
    assert south.survey.position_std_m == 0.005
    assert south.survey.boresight_std_rad == pytest.approx(math.radians(0.2))
    assert build_nodes(as_site(lab()), seed=5) == nodes


def test_a_node_s_own_section_goes_before_the_defaults():
    own = {
        "nodes.2.tx_power_dbm": -3.0,
        "nodes.2.noise_figure_db": 0.0,  # not to be taken for absent
        "nodes.2.array": {"num_elements": 2, "spacing_wavelengths": 0.25},
        "nodes.2.survey": {},
    }
    nodes = build_nodes(as_site(changed(lab(), own)), seed=0)
    assert nodes[2].tx_power_dbm == -3.0
    assert nodes[2].noise_figure_db == 0.0
    assert nodes[2].array.num_elements == 2
    assert nodes[2].array.spacing_m == pytest.approx(nodes[1].array.spacing_m / 2)
    assert nodes[2].survey.position_std_m == 0.0
    others = build_nodes(as_site(lab()), seed=0)
    assert [n for i, n in enumerate(nodes) if i != 2] == [n for i, n in enumerate(others) if i != 2]


def test_drawn_nodes_follow_from_the_seed_and_lie_in_the_area():
    site = as_site(hall())
    nodes = build_nodes(site, seed=1)
    assert len({node.node_id for node in nodes}) == len({node.location_id for node in nodes}) == 8
    positions = np.array([node.pose.position_m for node in nodes])
    assert np.all((positions >= (0.0, 0.0)) & (positions <= (30.0, 20.0)))
    assert build_nodes(site, seed=1) == nodes
    assert build_nodes(site, seed=2) != nodes


def test_scene_has_the_simulation_s_statistics():
    raw = changed(lab(), {"simulation.mean_rcs_dbsm": -10.0, "simulation.target_m": [7.0, 8.0]})
    site = as_site(raw)
    scene = build_scene(site, build_nodes(site, 3), seed=3)
    assert scene.target_m.tolist() == [7.0, 8.0]
    assert scene.num_dedicated == 6
    assert len(scene.clutter_m) == 6 + 6  # nodes are clutter
    assert scene.statistics.mean_rcs_m2 == pytest.approx(0.1)
    assert scene.statistics.wavefront == "spherical"
    without = as_site(changed(raw, {"simulation.nodes_are_clutter": False}))
    assert len(build_scene(without, build_nodes(without, 3), seed=3).clutter_m) == 6


def test_surveyed_and_true_poses_differ_by_the_survey_error():
    site = as_site(lab())
    nodes = build_nodes(site, seed=0)
    true = build_scene(site, nodes, seed=0).nodes
    offsets = np.array(
        [t.pose.position - n.pose.position for t, n in zip(true, nodes, strict=True)]
    )
    # Twelve Gaussian draws: their sum of squares over the variance is chi-squared, 99.9 % of the
    # time between 2.2 and 36.1.
    assert 2.2 < np.sum(offsets**2) / 0.005**2 < 36.1


def test_settings_are_handed_on():
    raw = changed(
        lab(), {"processing.num_angles": 91, "sensing.fusion": "latest", "sensing.mean_rcs_dbsm": 3}
    )
    site = as_site(raw)
    assert build_processing(site).num_angles == 91
    assert build_processing(site).false_alarm_probability == 1e-6
    fusion = build_fusion(site)
    assert (fusion.fusion, fusion.num_receivers, fusion.tolerance_m) == ("latest", 2, 0.25)
    assert assumed_rcs_m2(site) == pytest.approx(1.99526, rel=1e-5)


def test_overrides_leave_the_rest_as_it_is():
    site = as_site(lab())
    assert overridden(site, Overrides()) == site
    found = overridden(
        site,
        Overrides(
            num_receivers=3, max_sensings=2, num_elements=6, fusion="latest", tolerance_m=1.5,
            rcs_draw="scene",
        ),
    )  # fmt: skip
    assert found.sensing.num_receivers == 3
    assert found.sensing.max_sensings == 2
    assert found.sensing.fusion == "latest"
    assert found.sensing.tolerance_m == 1.5
    assert found.node_defaults.array.num_elements == 6
    assert found.simulation.rcs_draw == "scene"
    assert found.waveform == site.waveform
    assert found.nodes == site.nodes


def test_elements_are_overridden_in_a_node_s_own_array_as_well():
    raw = changed(lab(), {"nodes.0.array": {"num_elements": 16, "spacing_wavelengths": 0.3}})
    found = overridden(as_site(raw), Overrides(num_elements=2))
    assert {node.array.num_elements for node in build_nodes(found, 0)} == {2}
    own = found.nodes[0].array
    assert own is not None
    assert own.spacing_wavelengths == 0.3


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (Overrides(num_receivers=6), ["$.sensing.num_receivers", "at most 5", "got 6"]),
        (Overrides(num_elements=5000), ["array.num_elements", "<= 1024", "got 5000"]),
        (Overrides(num_elements=10**30), ["array.num_elements", "<= 1024", "got 1000"]),
        (Overrides(max_sensings=0), ["$.sensing.max_sensings", ">= 1", "got 0"]),
        (Overrides(tolerance_m=math.nan), ["$.sensing.tolerance_m", "> 0.0", "got nan"]),
        (Overrides(tolerance_m=math.inf), ["$.sensing.tolerance_m", "finite", "got inf"]),
    ],
)
def test_overrides_are_checked_like_the_file(overrides, words):
    with pytest.raises(SiteError) as refused:
        overridden(as_site(lab()), overrides)
    assert str(refused.value).startswith("command line: $")
    assert all(word in str(refused.value) for word in words)


def test_wider_arrays_meet_the_rule_on_spacing():
    """One element may stand anywhere; two must be half a wavelength apart."""
    raw = changed(lab(), {"node_defaults.array": {"num_elements": 1, "spacing_wavelengths": 2.0}})
    with pytest.raises(SiteError, match=r"spacing_wavelengths: at most 0\.5.*got 2"):
        overridden(as_site(raw), Overrides(num_elements=2))


def test_radio_kinds_of_listed_and_drawn_nodes():
    assert radio_kinds(as_site(lab())) == {"sim"}
    mixed = changed(lab(), {"nodes.0.radio": {"kind": "usrp"}, "nodes.1.radio": {"kind": "pluto"}})
    assert radio_kinds(as_site(mixed)) == {"sim", "usrp", "pluto"}
    drawn = changed(hall(), {"node_defaults.radio": {"kind": "replay"}})
    assert radio_kinds(as_site(drawn)) == {"replay"}


def test_simulated_radios_have_as_many_boards_as_those_they_replace():
    raw = changed(
        lab(),
        {
            "nodes.0.radio": {"kind": "usrp", "address": "addr0=10.0.0.2,addr1=10.0.0.3"},
            "nodes.1.radio": {"kind": "usrp", "address": "addr=10.0.0.4"},
            "nodes.2.radio": {"kind": "pluto", "address": "ip:10.0.0.5:30431"},
            "nodes.3.radio": {"kind": "sim", "options": {"unit": 7}},
        },
    )
    radios = [node.radio for node in simulated(as_site(raw)).nodes[:4]]
    assert {radio.kind for radio in radios} == {"sim"}
    assert [radio.options for radio in radios] == [{"boards": 2}, {}, {}, {"unit": 7}]
