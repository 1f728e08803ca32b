"""A policy in a package of its own is found, senses, and stands beside the built-in ones."""

import csv
import json
import os

import pytest

from tests.contract.packages import ROOT, installed, run_testbed

PACKAGE = ROOT / "examples" / "round_robin"
STUDY = (
    "study", "run", ROOT / "examples" / "lab.yaml", "--trials", 2, "--max-sensings", 3, "--json",
)  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory) -> dict[str, str]:
    """One in which the example package is installed."""
    return installed(
        PACKAGE, tmp_path_factory.mktemp("site-packages"), tmp_path_factory.mktemp("source")
    )


def test_it_is_listed_beside_the_built_in_ones(environment):
    listed = run_testbed(environment, "study", "policies").stdout.splitlines()
    line = "round_robin: Each node sends in turn, and the ones after it listen. (from round-robin)"
    assert listed[-1] == line
    assert listed[0].startswith("proposed: ")


def test_its_results_are_of_the_same_form(environment, tmp_path):
    """In processes of their own, which find it as well."""
    rows = tmp_path / "trials.csv"
    outcome = run_testbed(
        environment, *STUDY, "--policy", "round_robin", "--jobs", 2, "--trials-out", rows
    )
    assert outcome.returncode == 0, outcome.stderr
    found = json.loads(outcome.stdout)
    assert (found["policy"], found["knows_truth"]) == ("round_robin", False)
    assert found["mean_num_sensings"] == 3.0
    assert found["conditional_bound_median_m"] > 0.0
    proposed = json.loads(run_testbed(environment, *STUDY).stdout)
    assert (proposed["policy"], found.keys()) == ("proposed", proposed.keys())
    with rows.open(encoding="utf-8", newline="") as stream:
        assert [row["policy"] for row in csv.DictReader(stream)] == ["round_robin"] * 2


def test_without_the_package_the_name_is_unknown():
    outcome = run_testbed(dict(os.environ), *STUDY, "--policy", "round_robin")
    assert outcome.returncode == 2
    assert "no installed package provides a policy 'round_robin'; known" in outcome.stderr
