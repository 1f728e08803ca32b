"""What the commands print and write when all is well."""

import math
import re
from importlib.metadata import version

import click
import numpy as np
import pytest

from testbed.cli import cli
from tests.unit.testbed.sites import EXAMPLES, ROOT, call, changed, contents, hall, lab, write_site

SENSING_KEYS = [
    "tx_id", "rx_ids", "detected", "problems", "absent", "estimate_m", "error_m", "peb_m",
]  # fmt: skip
RESULT_KEYS = {
    "estimate_m", "covariance_m2", "truth_m", "error_m", "status", "num_sensings",
    "throughput_loss_pct", "seed", "elapsed_s", "sensings",
}  # fmt: skip
STUDY_KEYS = {
    "rmse_m", "median_m", "p99_m", "percentiles_m", "wrong_fraction", "unresolved_fraction",
    "mean_num_sensings", "coverage_50", "coverage_95", "nees_median", "links_per_second", "trials",
    "seed",
}  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("site"), lab())


def localized(site, *options):
    """Result of ``localize --json``, without how long it took."""
    result = call("localize", site, "--json", *options).result
    assert result.pop("elapsed_s") > 0.0
    return result


@pytest.fixture(scope="module")
def result(site):
    return localized(site, "--seed", 3)


def test_help_names_every_command_and_option():
    outcome = call("--help")
    assert outcome.code == 0
    for name in ("calibrate", "init", "localize", "schema", "study"):
        assert name in outcome.out
    for command in (("localize",), ("study", "run")):
        text = call(*command, "--help").out
        for option in (
            "--seed", "--max-sensings", "--num-receivers", "--num-elements", "--fusion",
            "--background", "--fidelity", "--simulate", "--json",
        ):  # fmt: skip
            assert option in text
    assert call("--version").out.endswith(f", version {version('isac-testbed')}\n")


def test_commands_are_listed_as_they_exist():
    context = click.Context(cli)
    for name in cli.list_commands(context):
        assert cli.get_command(context, name).help


def test_json_has_the_keys_that_are_promised(result):
    assert set(result) | {"elapsed_s"} >= RESULT_KEYS
    assert result["status"] in ("converged", "unresolved")
    assert result["seed"] == 3
    assert result["num_sensings"] == len(result["sensings"]) >= 1
    for sensing in result["sensings"]:
        assert list(sensing) == SENSING_KEYS
        assert len(sensing["rx_ids"]) == len(sensing["detected"]) == 2
        assert sensing["tx_id"] not in sensing["rx_ids"]


def test_json_agrees_with_itself(result):
    offset = np.subtract(result["estimate_m"], result["truth_m"])
    assert result["error_m"] == pytest.approx(math.hypot(*offset))
    assert result["throughput_loss_pct"] == pytest.approx(100 * result["num_sensings"] / 280)
    covariance = np.array(result["covariance_m2"])
    assert np.allclose(covariance, covariance.T, rtol=1e-9)
    assert np.all(np.linalg.eigvalsh(covariance) > 0.0)
    last = result["sensings"][-1]
    assert last["estimate_m"] == result["estimate_m"]
    assert last["error_m"] == result["error_m"]
    x, y = result["truth_m"]
    assert 0.0 <= x <= 30.0
    assert 0.0 <= y <= 20.0


def test_text_shows_a_row_per_sensing_and_the_ellipse(site, result):
    outcome = call("localize", site, "--seed", 3)
    assert outcome.code == 0
    numbers = re.findall(r"^[│|] (\d+) +[│|]", outcome.out, flags=re.MULTILINE)
    assert numbers == [str(n) for n in range(1, result["num_sensings"] + 1)]
    x, y = result["estimate_m"]
    assert f"{result['status']}: x = {x:.4f} m, y = {y:.4f} m" in outcome.out
    assert re.search(r"95 % ellipse: semi-axes [\d.]+ m?m and [\d.]+ m?m", outcome.out)
    assert "truth: x = " in outcome.out


def test_names_are_shown_as_they_are(tmp_path):
    """Square brackets and colons are markup to the library that draws the tables."""
    names = {"name": "[/x] :smile: [red]", "nodes.0.node_id": "[/b]", "nodes.1.node_id": "[red]b"}
    path = write_site(tmp_path, changed(lab(), names | {"sensing.num_receivers": 5}), "[x].yaml")
    outcome = call("localize", path, "--max-sensings", 1)
    assert outcome.code == 0
    for name in names.values():
        assert name in outcome.out
    assert "[/x] :smile: [red]" in call("study", "run", path, "--trials", 1).out
    dictionary = tmp_path / "[/d]"
    assert f"{dictionary}: 30 entries" in call("calibrate", path, "--out", dictionary).out


def test_everything_follows_from_the_seed(site, result):
    assert localized(site, "--seed", 3) == result
    assert localized(site, "--seed", 4)["truth_m"] != result["truth_m"]
    large = localized(site, "--seed", 10**30, "--max-sensings", 1)
    assert large["seed"] == 10**30


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_localizes(path):
    options = ("--seed", 1, "--background", "perfect", "--max-sensings", 2, "--simulate")
    result = localized(path, *options)
    assert result["num_sensings"] <= 2
    assert result["site"] == path.stem


def test_options_take_the_place_of_the_site_s(site):
    one = localized(site, "--max-sensings", 1, "--background", "perfect")
    assert one["num_sensings"] == 1
    three = localized(site, "--max-sensings", 1, "--num-receivers", 3, "--background", "perfect")
    assert len(three["sensings"][0]["rx_ids"]) == 3
    loose = localized(site, "--seed", 3, "--tolerance", 20, "--background", "perfect")
    assert loose["status"] == "converged"
    strict = localized(site, "--tolerance", 1e-6, "--max-sensings", 2, "--background", "perfect")
    assert (strict["status"], strict["num_sensings"]) == ("unresolved", 2)


@pytest.mark.parametrize(
    "options",
    [
        ("--fusion", "latest"),
        ("--fusion", "accumulate"),
        ("--num-elements", 1),
        ("--num-elements", 7),
        ("--rcs-draw", "scene"),
        ("--background", "none"),
        ("--background", "learned"),
        ("--fidelity", "pilot"),
    ],
)
def test_options_run(site, options):
    assert localized(site, "--max-sensings", 2, *options)["num_sensings"] <= 2


def test_a_learned_dictionary_gives_the_same_result(site, result, tmp_path):
    dictionary = tmp_path / "deep" / "dictionary"
    outcome = call("calibrate", site, "--out", dictionary, "--seed", 3)
    assert outcome.code == 0
    assert outcome.out == f"{dictionary}: 30 entries, 30 learned now, 0 kept\n"
    before = contents(dictionary)
    assert len(before) == 2 + 2 * 30  # manifest and report; an array and a header each
    assert localized(site, "--seed", 3, "--dictionary", dictionary) == result
    assert before.items() <= contents(dictionary).items()  # and what localizations saw of it
    again = call("calibrate", site, "--out", dictionary, "--seed", 3)
    assert again.out == f"{dictionary}: 30 entries, 0 learned now, 30 kept\n"
    assert before.items() <= contents(dictionary).items()


def test_localize_adds_what_a_dictionary_lacks(site, result, tmp_path):
    dictionary = tmp_path / "dictionary"
    assert localized(site, "--seed", 3, "--dictionary", dictionary) == result
    sensed = {(s["tx_id"], rx_id) for s in result["sensings"] for rx_id in s["rx_ids"]}
    assert len(list(dictionary.glob("*.npy"))) == len(sensed)
    outcome = call("calibrate", site, "--out", dictionary, "--seed", 3)
    assert f"{30 - len(sensed)} learned now, {len(sensed)} kept" in outcome.out


def test_a_figure_is_written_and_nothing_else(site, tmp_path):
    path = tmp_path / "lab.PNG"
    options = ("--background", "perfect", "--max-sensings", 1, "--figure", path)
    outcome = call("localize", site, *options)
    assert outcome.code == 0
    assert f"figure: {path}" in outcome.out
    assert list(contents(tmp_path)) == ["lab.PNG"]
    assert path.read_bytes().startswith(b"\x89PNG")
    assert set(call("localize", site, *options, "--json").result) >= RESULT_KEYS


def test_hardware_sites_run_simulated(site, tmp_path):
    radios = {"node_defaults.radio": {"kind": "pluto", "address": "usb:1"}}
    radios |= {"nodes.0.radio": {"kind": "usrp"}}
    hardware = write_site(tmp_path, changed(lab(), radios))
    options = ("--max-sensings", 1, "--background", "perfect")
    assert localized(hardware, *options, "--simulate") == localized(site, *options)
    outcome = call("calibrate", hardware, "--out", tmp_path / "d", "--simulate")
    assert "30 learned now" in outcome.out


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study's site and its result."""
    small = {"waveform.num_subcarriers": 200, "sensing.max_sensings": 3}
    path = write_site(tmp_path_factory.mktemp("study"), changed(hall(), small))
    return path, call("study", "run", path, "--trials", 9, "--seed", 2, "--json").result


def test_study_json_has_the_keys_that_are_promised(study):
    _, found = study
    assert set(found) >= STUDY_KEYS
    assert len(found["rmse_m"]) == len(found["median_m"]) == len(found["p99_m"]) == 3
    assert list(found["percentiles_m"]) == ["25", "50", "75", "90", "95", "99"]
    assert list(found["percentiles_m"].values()) == sorted(found["percentiles_m"].values())
    assert found["percentiles_m"]["50"] == found["median_m"][-1]
    assert (found["trials"], found["seed"]) == (9, 2)
    assert 0.0 <= found["wrong_fraction"] <= 1.0
    assert 1.0 <= found["mean_num_sensings"] <= 3.0
    assert found["links_per_second"] > 0.0


def test_a_study_does_not_depend_on_jobs(study):
    path, found = study
    arguments = ("study", "run", path, "--trials", 9, "--seed", 2, "--json")
    together = call(*arguments, "--jobs", 2).result
    for timed in ("elapsed_s", "links_per_second"):
        assert together.pop(timed) > 0.0
    assert together == {key: found[key] for key in together}


def test_a_study_is_kept_and_goes_on(study, tmp_path):
    path, found = study
    root, rows = tmp_path / "study", tmp_path / "rows.csv"
    arguments = ("study", "run", path, "--seed", 2, "--json", "--out", root)
    first = call(*arguments, "--trials", 5)
    assert (first.result["trials"], "goes on" in first.err) == (5, False)
    call(*arguments, "--trials", 9)
    (chunk,) = root.glob("chunks/*5.trials")
    chunk.write_bytes(b"damaged")
    outcome = call(*arguments, "--trials", 9, "--trials-out", rows)
    assert f"{chunk}: damaged, removed; its trials are computed again\n" in outcome.err
    assert f"{root}: goes on with 6 of 9 trials\n" in outcome.err
    kept = outcome.result
    assert kept.pop("elapsed_s") > first.result["elapsed_s"]  # of all runs together
    assert kept.pop("links_per_second") > 0.0
    assert kept == {key: found[key] for key in kept}
    assert rows.read_bytes() == (root / "trials.csv").read_bytes()
    refused = call(*arguments, "--trials", 9, "--max-sensings", 1)
    assert refused.code == 2
    assert (
        f"error: {root}: of another study: site.sensing.max_sensings: 3, needed 1;" in refused.err
    )


def test_a_study_as_text_and_as_rows(study, tmp_path):
    path, found = study
    rows = tmp_path / "trials.csv"
    outcome = call("study", "run", path, "--trials", 9, "--seed", 2, "--trials-out", rows)
    assert outcome.code == 0
    assert len(re.findall(r"^[│|] +\d+ +[│|]", outcome.out, flags=re.MULTILINE)) == 3
    for words in ("wrong (converged, off by more than 5 m): ", "unresolved: ", "9 trials, seed 2"):
        assert words in outcome.out
    header, *trials = rows.read_text(encoding="utf-8").splitlines()
    assert header.startswith("seed,")
    errors = [float(row.split(",")[header.split(",").index("error_m")]) for row in trials]
    assert len(errors) == 9
    assert np.median(errors) == pytest.approx(found["median_m"][-1])


def test_readme_s_site_is_the_lab():
    assert "testbed init lab.yaml --preset lab" in (ROOT / "README.md").read_text(encoding="utf-8")
