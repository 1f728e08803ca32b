"""Combinations of a sweep: every one is a site as a file would have given it, or is refused."""

import re
from pathlib import Path

import msgspec
import pytest

from testbed.site import SiteError, load_site
from testbed.sweeps.combinations import short_titles, swept_cases
from testbed.sweeps.parameters import with_values
from testbed.sweeps.sweep_file import SweepError, SweepFile, load_sweep
from tests.unit.testbed.sites import ROOT, as_site, changed, hall, lab

PATH = Path("sweep.yaml")
ELEMENTS, RECEIVERS = "node_defaults.array.num_elements", "sensing.num_receivers"
RCS = ["simulation.mean_rcs_dbsm", "sensing.mean_rcs_dbsm"]


def swept(*vary, **more):
    raw = {"schema": 1, "site": "site.yaml", "trials": 3, "vary": list(vary), **more}
    return msgspec.convert(raw, SweepFile)


def varied(parameter, *values):
    return {"parameter": parameter, "values": list(values)}


def refused(site, *vary, **more):
    with pytest.raises(SweepError) as caught:
        swept_cases(swept(*vary, **more), site, PATH)
    return caught.value.problems


def test_every_combination_is_the_site_with_these_values():
    cases = swept_cases(
        swept(varied(ELEMENTS, 2, 8), varied(RECEIVERS, 1, 3), policies=["proposed", "rsa"]),
        as_site(lab()), PATH,
    )  # fmt: skip
    assert [(*own.values, own.policy) for own in cases] == [
        (elements, receivers, policy)
        for elements in (2, 8) for receivers in (1, 3) for policy in ("proposed", "rsa")
    ]  # fmt: skip
    for own in cases:
        assert own.case.site == as_site(
            changed(lab(), {ELEMENTS: own.values[0], RECEIVERS: own.values[1]})
        )
        assert own.case.policy == own.policy
    assert cases[0].name == "num_elements=2,num_receivers=1,proposed"


def test_columns_to_the_letter_have_the_paper_s_loop():
    ours, literal = swept_cases(
        swept(varied(ELEMENTS, 4), literal=[False, True]), as_site(lab()), PATH
    )
    assert (ours.case.site.sensing.fusion, literal.case.site.sensing.fusion) == (
        "accumulate", "latest"
    )  # fmt: skip
    assert literal.name == f"{ours.name},literal"


def test_parameters_change_together():
    together = {"parameters": RCS, "label": "mean RCS (dBsm)", "values": [-10, 5.5]}
    sweep = swept(together)
    low, high = swept_cases(sweep, as_site(lab()), PATH)
    assert low.case.site.simulation.mean_rcs_dbsm == low.case.site.sensing.mean_rcs_dbsm == -10
    assert high.case.site.simulation.mean_rcs_dbsm == high.case.site.sensing.mean_rcs_dbsm == 5.5
    assert high.name == "mean_rcs_dbsm=5.5,proposed"
    assert short_titles(sweep) == ["mean RCS (dBsm)"]


def test_names_tell_parameters_apart_that_end_alike_and_are_names_of_directories():
    sweep = swept(*(varied(path, -10) for path in RCS), varied("simulation.rcs_draw", "scene"))
    (own,) = swept_cases(sweep, as_site(lab()), PATH)
    assert own.name == f"{RCS[0]}=-10,{RCS[1]}=-10,rcs_draw=scene,proposed"
    (odd,) = swept_cases(swept(varied("nodes.0.node_id", "../x,y=1")), as_site(lab()), PATH)
    assert odd.name == "node_id=..%2Fx%2Cy%3D1,proposed"


def test_a_value_that_breaks_a_rule_is_named_once_with_its_combination_and_place():
    assert refused(as_site(lab()), varied(ELEMENTS, 4, 0, 5000), varied(RECEIVERS, 1, 2, 6)) == [
        (
            f"{ELEMENTS} = 4, {RECEIVERS} = 6: $.sensing.num_receivers: must leave one of the 6 "
            "nodes to transmit, so at most 5, got 6"
        ),
        (
            f"{ELEMENTS} = 0, {RECEIVERS} = 1: $.node_defaults.array.num_elements: must be a whole "
            "number >= 1, got 0"
        ),
        (
            f"{ELEMENTS} = 5000, {RECEIVERS} = 1: $.node_defaults.array.num_elements: must be a "
            "whole number <= 1024, got 5000"
        ),
    ]


@pytest.mark.parametrize(
    ("parameter", "value", "problem"),
    [
        ("sensing.num_recievers", 1, "$.sensing: unknown key 'num_recievers'; did you mean"),
        ("sensin.num_receivers", 1, "$: unknown key 'sensin'; did you mean 'sensing'?"),
        ("node_defaults.array.zzz", 1, "known are num_elements, spacing_wavelengths"),
        ("sensing", 1, "$.sensing: must be a mapping of keys to values, got 1"),
        (
            "sensing.num_receivers.x",
            1,
            "$.sensing.num_receivers: must be a whole number, got a mapping",
        ),
        ("sensing.num_receivers", True, "must be a whole number, got true"),
        ("sensing.fusion", "newest", "$.sensing.fusion: must be accumulate or latest"),
        ("nodes.7.tx_power_dbm", 1, "'7' is to be a place in a list: * for all, or 0 to 5"),
        ("nodes.array.num_elements", 1, "'array' is to be a place in a list: * for all"),
        ("uniform_nodes.num_nodes", 9, "give either uniform_nodes or locations and nodes"),
        ("sensing..fusion", 1, "$.sensing: unknown key ''"),
    ],
)
def test_a_path_that_is_not_there_is_refused_with_what_is(parameter, value, problem):
    (found,) = refused(as_site(lab()), varied(parameter, value))
    assert problem in found


def test_nodes_that_are_drawn_are_in_no_list():
    (found,) = refused(as_site(hall()), varied("nodes.*.array.num_elements", 4))
    assert found.endswith("'*' is to be a place in a list: but it is empty")


def test_a_section_that_the_site_leaves_out_is_made():
    site = with_values(as_site(lab()), {"simulation.surfaces.margin_m": 2.0})
    assert site.simulation.surfaces.margin_m == 2.0


def test_numbers_of_a_list_are_places_in_it():
    site = with_values(as_site(lab()), {"area_m.2": 25.0, "nodes.1.boresight_deg": 80.0})
    assert site.area_m == (0.0, 0.0, 25.0, 20.0)
    assert [node.boresight_deg for node in site.nodes[:3]] == [45.0, 80.0, 135.0]


def test_a_node_takes_what_is_not_given_from_the_defaults_of_the_same_combination():
    spacing = "node_defaults.array.spacing_wavelengths"
    values = {"nodes.*.array.num_elements": 16, spacing: 0.4}
    site = with_values(as_site(lab()), values)
    assert {(node.array.num_elements, node.array.spacing_wavelengths) for node in site.nodes} == {
        (16, 0.4)
    }


def test_a_default_that_no_node_takes_is_refused():
    own = {f"nodes.{n}.array": {"num_elements": 2} for n in range(6)}
    (found,) = refused(as_site(changed(lab(), own)), varied(ELEMENTS, 4))
    assert "each node has its own array; give nodes.*.array.num_elements" in found
    del own["nodes.5.array"]
    assert with_values(as_site(changed(lab(), own)), {ELEMENTS: 4})


def test_cases_that_are_the_same_are_refused():
    # To the letter, the loop fuses the latest sensing only, whatever the site says.
    (found,) = refused(as_site(lab()), varied("sensing.fusion", "latest", "accumulate"),
                       literal=[True])  # fmt: skip
    assert found == (
        "fusion=accumulate,proposed,literal: the same as fusion=latest,proposed,literal: what "
        "differs has no effect"
    )


def test_the_example_and_what_the_documentation_shows_can_be_computed(tmp_path):
    example = ROOT / "examples" / "studies" / "sweep.yaml"
    sweep = load_sweep(example)
    assert len(swept_cases(sweep, load_site(example.parent / sweep.site), example)) == 12
    text = (ROOT / "docs" / "studies.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```yaml\n(.*?)```", text, flags=re.DOTALL)
    shown = tmp_path / "shown.yaml"
    shown.write_text(block, encoding="utf-8")
    sweep = load_sweep(shown)
    assert len(swept_cases(sweep, load_site(ROOT / "examples" / sweep.site), shown)) == 48


def test_radios_that_could_not_send_a_waveform_are_found_beforehand():
    rate = {"waveform.sample_rate_mhz": 1.0}
    assert with_values(as_site(lab()), rate)
    with pytest.raises(SiteError, match=r"\$\.waveform\.sample_rate_mhz"):
        with_values(as_site(lab()), rate, "iq")
