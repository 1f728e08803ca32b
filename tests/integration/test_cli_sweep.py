"""`testbed study sweep`: table, figure and page of all combinations; it goes on, and says no."""

import csv
import json
import sys

import pytest
import yaml

from tests.unit.testbed.sites import ROOT, call, changed, contents, lab, tiny, write_site

ELEMENTS, RECEIVERS = "node_defaults.array.num_elements", "sensing.num_receivers"
SWEEP = {
    "schema": 1,
    "site": "sites/site.yaml",
    "trials": 10,
    "seed": 2,
    "vary": [
        {"parameter": ELEMENTS, "values": [2, 4]},
        {"parameter": RECEIVERS, "values": [1, 2], "label": "ears"},
    ],
}
NAMES = {"sweep.csv", "sweep.html", "sweep.png", "sweep.svg"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("sweep")
    (found / "sites").mkdir()
    small = {"waveform.num_subcarriers": 200, "sensing.max_sensings": 3}
    write_site(found / "sites", changed(lab(), small))
    return found


@pytest.fixture
def sweep(folder):
    """The path of a sweep file with changes."""

    def written(changes=None):
        path = folder / "sweep.yaml"
        path.write_text(yaml.safe_dump(changed(SWEEP, changes or {})), encoding="utf-8")
        return path

    return written


@pytest.fixture(scope="module")
def swept(folder):
    """Where the sweep was written to, and what was printed."""
    path = folder / "first.yaml"
    path.write_text(yaml.safe_dump(SWEEP), encoding="utf-8")
    return folder / "out", call("study", "sweep", path, "--out", folder / "out", "--json").result


def rows_of(root):
    with (root / "sweep.csv").open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_every_case_is_what_a_study_of_its_own_finds(swept, folder):
    root, found = swept
    assert {path.name for path in root.iterdir()} == {*NAMES, "cases"}
    assert [(case[ELEMENTS], case[RECEIVERS]) for case in found["cases"]] == [
        (2, 1), (2, 2), (4, 1), (4, 2)
    ]  # fmt: skip
    alone = call(
        "study", "run", folder / "sites" / "site.yaml", "--trials", 10, "--seed", 2,
        "--num-elements", 2, "--num-receivers", 2, "--json",
    ).result  # fmt: skip
    case = found["cases"][1]
    assert case["rmse_m"] == alone["rmse_m"][-1]
    assert case["median_m"] == alone["median_m"][-1]
    for name in ("unresolved_fraction", "conditional_bound_median_m", "coverage_95"):
        assert case[name] == alone[name]
    assert case["rmse_low_m"] < case["rmse_m"] < case["rmse_high_m"]
    assert case["p95_high_m"] is None  # ten trials say nothing about it
    rows = rows_of(root)
    assert [float(row["rmse_m"]) for row in rows] == [own["rmse_m"] for own in found["cases"]]
    assert rows[1]["p95_high_m"] == "inf"


def test_the_page_stands_alone(swept):
    root, _ = swept
    page = (root / "sweep.html").read_text(encoding="utf-8")
    svg = (root / "sweep.svg").read_text(encoding="utf-8").strip()
    assert svg in page
    assert f"({RECEIVERS})" in page
    assert "http" not in page.replace(svg, "")
    assert (root / "sweep.png").read_bytes().startswith(b"\x89PNG")


def test_more_trials_go_on_and_come_to_the_same_as_at_once(sweep, folder):
    parts, whole = folder / "parts", folder / "whole"
    assert call("study", "sweep", sweep(), "--out", parts, "--trials", 3).code == 0
    more = call("study", "sweep", sweep(), "--out", parts)
    assert f"{parts}: goes on with 12 of 40 trials" in more.err
    again = call("study", "sweep", sweep(), "--out", parts)
    assert f"{parts}: goes on with 40 of 40 trials" in again.err
    assert call("study", "sweep", sweep(), "--out", whole, "--jobs", 1).code == 0
    for name in NAMES - {"sweep.png"}:
        assert (parts / name).read_bytes() == (whole / name).read_bytes()


def test_values_that_are_added_leave_those_there_alone(sweep, swept):
    root, found = swept
    more = call("study", "sweep", sweep({"vary.0.values": [2, 3, 4]}), "--out", root, "--json")
    assert f"{root}: goes on with 40 of 60 trials" in more.err
    assert [case for case in more.result["cases"] if case[ELEMENTS] != 3] == found["cases"]


def test_the_table_on_the_screen_names_what_varies(sweep, folder):
    more = {"policies": ["obs_peb", "proposed"], "literal": [True], "vary.1.values": [1]}
    outcome = call("study", "sweep", sweep(more), "--out", folder / "screen", "--trials", 2)
    assert outcome.code == 0
    head = outcome.out.splitlines()[2]
    assert [word.strip() for word in head.strip("┃").split("┃")][:4] == [
        "num_elements", "ears", "policy", "median"
    ]  # fmt: skip
    assert outcome.out.rstrip().endswith("sweep.csv, sweep.html, sweep.png, sweep.svg")


def test_a_parameter_without_effect_is_named(sweep, folder):
    only = {"vary": [{"parameter": "sensing.max_sensings", "values": [10, 11]}]}
    outcome = call("study", "sweep", sweep(only), "--out", folder / "idle", "--trials", 1)
    assert "sensing.max_sensings: changed nothing, all its values came to the same" in outcome.err


def test_nuisances_of_simulated_radios_are_swept(folder):
    path = write_site(folder, tiny(), "tiny.yaml")
    vary = [{"parameter": "simulation.impairments.preset", "values": ["ideal", "lab"]}]
    path.with_name("iq.yaml").write_text(
        yaml.safe_dump({**SWEEP, "site": path.name, "fidelity": "iq", "trials": 1, "vary": vary}),
        encoding="utf-8",
    )
    found = call("study", "sweep", path.with_name("iq.yaml"), "--out", folder / "iq", "--json")
    ideal, lab_radios = found.result["cases"]
    assert ideal["rmse_m"] != lab_radios["rmse_m"]


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"vary.1.parameter": "sensing.num_reciever"}, "did you mean 'num_receivers'?"),
        ({"vary.1.values": [1, 6]}, f"{ELEMENTS} = 2, {RECEIVERS} = 6: $.sensing.num_receivers: "),
        ({"trails": 4}, "$: unknown key 'trails'; did you mean 'trials'?"),
        ({"site": "sites/none.yaml"}, "sites/none.yaml: No such file or directory"),
        ({"vary": [{"parameter": "node_defaults.radio.kind", "values": ["pluto"]}]},
         "sites/site.yaml: a study simulates, but its radios are of kind pluto"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused_before_anything_is(sweep, folder, changes, problem):
    path = sweep(changes)
    before = contents(folder)
    outcome = call("study", "sweep", path, "--out", folder / "refused")
    assert outcome.code == 2
    assert problem in outcome.err
    assert contents(folder) == before


def test_hardware_is_replaced_where_that_is_asked_for(sweep, folder):
    plutos = {"site": str(ROOT / "examples" / "three_plutos.yaml"), "vary.1.values": [1]}
    arguments = ("study", "sweep", sweep(plutos), "--out", folder / "plutos", "--trials", 1)
    refused = call(*arguments)
    assert refused.code == 2
    assert "add --simulate to replace every radio" in refused.err
    assert call(*arguments, "--simulate").code == 0


def test_another_sweep_s_directory_is_refused(sweep, swept):
    root, _ = swept
    outcome = call("study", "sweep", sweep(), "--out", root, "--seed", 3)
    assert outcome.code == 2
    assert "of another study: seed: 2, needed 3" in outcome.err


def test_without_matplotlib_there_are_numbers_and_the_way_to_a_figure(sweep, folder, monkeypatch):
    for name in [name for name in sys.modules if name.startswith("testbed.figures.s")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    root = folder / "plain"
    outcome = call("study", "sweep", sweep(), "--out", root, "--trials", 2)
    assert outcome.code == 0
    assert "a figure needs matplotlib: pip install 'isac-testbed[figures]'" in outcome.err
    assert {path.name for path in root.iterdir()} == {"cases", "sweep.csv", "sweep.html"}
    assert len(rows_of(root)) == 4


def test_one_answer_to_what_computes(sweep, folder):
    arguments = ("--out", folder / "no", "--jobs", 2, "--scheduler", "tcp://localhost:1")
    assert "leave it out, or --scheduler" in call("study", "sweep", sweep(), *arguments).err


def test_a_case_is_a_study_on_disk(swept):
    root, _ = swept
    case = root / "cases" / "num_elements=2,num_receivers=1,proposed"
    manifest = json.loads((case / "study.json").read_text(encoding="utf-8"))
    assert manifest["study"]["site"]["sensing"]["num_receivers"] == 1
