"""Arrays of two boards whose phases and times are their own: as sure as they say."""

from pathlib import Path

import pytest
import yaml

from tests.unit.testbed.sites import call, changed, write_site

SITE = Path(__file__).parents[2] / "examples" / "usrp_array.yaml"


@pytest.mark.timeout(180)
def test_what_is_stated_of_positions_holds(tmp_path):
    """Without regard to boards' times one ellipse of three held the truth, half a metre off."""
    boards = {
        f"nodes.{n}.radio.address": f"addr0=127.0.0.{2 * n + 2},addr1=127.0.0.{2 * n + 3}"
        for n in range(3)
    }
    raw = yaml.safe_load(SITE.read_text(encoding="utf-8"))
    site = write_site(tmp_path, changed(raw, {"node_defaults.array.num_elements": 4, **boards}))
    found = call(
        "study",
        "run",
        site,
        "--simulate",
        "--fidelity",
        "iq",
        "--trials",
        16,
        "--jobs",
        1,
        "--json",
    ).result
    assert found["coverage_95"] >= 14 / 16
    assert found["percentiles_m"]["50"] < 0.15
    assert found["unresolved_fraction"] == 0.0
