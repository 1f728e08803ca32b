"""`testbed study`: which policies there are, and what is printed of one."""

import csv
import json

import pytest

from tests.unit.testbed.sites import call, changed, hall, write_site


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The arguments of a study."""
    small = {"waveform.num_subcarriers": 200, "sensing.max_sensings": 3}
    path = write_site(tmp_path_factory.mktemp("policies"), changed(hall(), small))
    return "study", "run", path, "--trials", 9, "--seed", 2


def test_policies_are_listed_with_a_line_each():
    lines = call("study", "policies").out.splitlines()
    assert [line.partition(": ")[0] for line in lines][:4] == [
        "proposed", "without_sfi", "rsa", "fis"
    ]  # fmt: skip
    assert all(line.partition(": ")[2] for line in lines)
    listed = json.loads(call("study", "policies", "--json").out)["policies"]
    assert [policy["name"] for policy in listed] == [line.partition(": ")[0] for line in lines]


def test_a_study_says_whose_it_is_and_how_far_from_possible(study, tmp_path):
    rows = tmp_path / "trials.csv"
    found = call(*study, "--policy", "obs", "--json", "--trials-out", rows).result
    assert (found["policy"], found["knows_truth"], found["paper_literal"]) == ("obs", True, False)
    assert found["mean_num_sensings"] == 1.0
    assert found["throughput_loss_pct"] == pytest.approx(100 * 3 / 280)
    bounds = {f"{name}_bound_median_m" for name in ("conditional", "mean_rcs", "oracle")}
    assert all(found[name] > 0.0 for name in bounds)
    # One look of the best configuration is what the oracle of the bounds does as well.
    assert found["oracle_bound_median_m"] == pytest.approx(found["conditional_bound_median_m"])
    with rows.open(encoding="utf-8", newline="") as stream:
        trials = list(csv.DictReader(stream))
    assert {(row["policy"], row["num_symbols"]) for row in trials} == {("obs", "3")}
    assert all(float(row["conditional_bound_m"]) > 0.0 for row in trials)


def test_the_same_as_text(study):
    out = call(*study, "--policy", "obs", "--literal").out
    assert out.startswith("lab: obs, as the paper says, told where the target is\n")
    assert "median bound of what was sensed" in out
    assert "RMSE over the first, of trials that converged: " in out


def test_a_bound_is_its_own_error(study):
    found = call(*study, "--policy", "sfi_peb", "--json").result
    assert found["peb_median_m"] == found["median_m"][-1] > 0.0
    assert found["conditional_bound_median_m"] is found["nees_median"] is None
    assert "no bound of what was sensed: nothing was" in call(*study, "--policy", "sfi_peb").out


def test_the_paper_s_settings_change_what_is_found(study):
    ours, literal = (call(*study, "--json", *more).result for more in ((), ("--literal",)))
    assert (ours["paper_literal"], literal["paper_literal"]) == (False, True)
    assert ours["rmse_m"] != literal["rmse_m"]


def test_an_unknown_policy_is_refused_before_anything_is_done(study, tmp_path):
    rows = tmp_path / "trials.csv"
    outcome = call(*study, "--policy", "ob", "--trials-out", rows)
    assert outcome.code == 2
    assert "no installed package provides a policy 'ob'; known policies: fis, obs" in outcome.err
    assert not rows.exists()
