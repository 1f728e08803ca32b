"""Arrays of two boards whose phases and times are their own: as sure as they say."""

from pathlib import Path

import pytest
import yaml

from tests.unit.testbed.sites import call, changed

SITE = Path(__file__).parents[1] / "vendor" / "two_boards.yaml"
ONE_BOARD = Path(__file__).parents[2] / "examples" / "usrp_array.yaml"


def test_the_site_is_the_example_with_two_boards_a_node():
    one, two = (yaml.safe_load(path.read_text(encoding="utf-8")) for path in (ONE_BOARD, SITE))
    for node in two["nodes"]:
        assert node["radio"]["address"].count("addr") == 2
    own = {"name": two["name"], "services": two["services"], "nodes": two["nodes"]}
    as_two = changed(one, {"node_defaults.array.num_elements": 4})
    assert as_two | own == two


@pytest.mark.timeout(180)
def test_what_is_stated_of_positions_holds():
    """Without regard to boards' times one ellipse of three held the truth, half a metre off."""
    asked = "--simulate", "--fidelity", "iq", "--trials", 16, "--jobs", 1, "--json"
    found = call("study", "run", SITE, *asked).result
    assert found["coverage_95"] >= 14 / 16
    assert found["percentiles_m"]["50"] < 0.15
    assert found["unresolved_fraction"] == 0.0
