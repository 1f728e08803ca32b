"""`testbed study paper`: what it writes, that it goes on, and what it refuses."""

import csv
import shlex
import shutil

import pytest

from testbed.commands import study_paper
from testbed.paper import cases as paper_cases
from testbed.runs import cases as runs
from testbed.runs.policies import BUILT_IN
from tests.unit.testbed.pages import Reader
from tests.unit.testbed.sites import as_site, call, changed, contents, hall

SMALL = {
    "uniform_nodes.num_nodes": 5, "waveform.num_subcarriers": 32,
    "waveform.subcarrier_spacing_khz": 240.0, "simulation.num_clutter": 3,
}  # fmt: skip
MOST_SENSINGS = 2
ONLY = ("--only", "fig2", "--only", "worth", "--trials", 2)
SHOWN = {
    "cases", "curves.csv", "endings.csv", "index.html",
    *(
        f"{name}.{kind}"
        for name in ("fig2_rmse", "fig2_rmse_best_99", "fig2_median", "worth")
        for kind in ("png", "svg")
    ),
}  # fmt: skip


def paper(*arguments):
    return call("study", "paper", *arguments)


@pytest.fixture(scope="module", autouse=True)
def small_hall():
    """In place of the paper's, which takes minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(study_paper, "paper_hall", lambda: as_site(changed(hall(), SMALL)))
        patch.setattr(paper_cases, "FIG2_ELEMENTS", 2)
        patch.setattr(paper_cases, "MOST_SENSINGS", MOST_SENSINGS)
        yield


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Where the study is, and what was said."""
    root = tmp_path_factory.mktemp("paper") / "out"
    return root, paper(*ONLY, "--out", root)


@pytest.fixture
def idle(monkeypatch):
    """Nothing may be computed."""

    def computed(*arguments, **options):
        pytest.fail("a trial was computed")

    monkeypatch.setattr(runs, "run_trial", computed)


def rows_of(root, name):
    with (root / name).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def test_it_writes_what_it_says(made):
    root, outcome = made
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f"{root / 'index.html'}: 2 elements, N_r = 1: RMSE ")
    assert {path.name for path in root.iterdir()} == SHOWN
    iterative, single, columns = 5, 4, 2
    cases = columns * (iterative + single * MOST_SENSINGS) + 10
    assert len(list((root / "cases").iterdir())) == cases
    assert len(rows_of(root, "endings.csv")) == cases
    rows = rows_of(root, "curves.csv")
    rmse = [row for row in rows if row["statistic"] == "rmse"]
    assert len(rmse) == columns * (iterative + single) * MOST_SENSINGS
    assert {row["trials"] for row in rows} == {"2"}
    assert all(float(row["low_m"]) <= float(row["value_m"]) for row in rows)


def test_numbers_are_those_of_the_study_of_a_case(made):
    root, _ = made
    (end,) = (
        row for row in rows_of(root, "endings.csv")
        if (row["part"], row["scheme"], row["column"]) == ("fig2", "rsa", "literal")
    )  # fmt: skip
    (last,) = (
        row for row in rows_of(root, "curves.csv")
        if (row["scheme"], row["column"], row["statistic"]) == ("rsa", "literal", "rmse")
        and int(row["num_symbols"]) == MOST_SENSINGS
    )  # fmt: skip
    assert end["rmse_m"] == last["value_m"]
    site = as_site(changed(hall(), SMALL))
    (case,) = (
        own.case for own in paper_cases.paper_cases(["fig2"], hall=site)
        if (own.scheme, own.column) == ("rsa", "literal")
    )  # fmt: skip
    finished = runs.Finished()
    runs.run_cases([case], [finished], 2, 1, 1)
    errors_m = [trial.error_m[-1] for trial in finished.of_first(2)]
    assert float(end["rmse_m"]) == pytest.approx((sum(e**2 for e in errors_m) / 2) ** 0.5)


def test_the_page_says_how_it_was_made(made):
    root, _ = made
    found = Reader((root / "index.html").read_text(encoding="utf-8"))
    (command,) = (text for text in found.text if text.startswith("testbed study paper"))
    assert shlex.split(command)[3:-4] == [
        "--trials", "2", "--seed", "1", "--only", "fig2", "--only", "worth"
    ]  # fmt: skip
    assert [heading.partition(":")[0].partition(" (")[0] for heading in found.headings] == [
        "Accuracy over the budget", "What the paper concludes, and what is seen here",
        "What is new, and what it is worth", "Notes", "How this page was made",
    ]  # fmt: skip
    assert found.tags.count("svg") == 4


def test_the_same_again_computes_nothing_and_comes_to_the_same(made, idle):
    root, first = made
    before = contents(root)
    again = paper(*ONLY, "--out", root)
    assert again.code == 0
    assert f"{root}: goes on with 72 of 72 trials" in again.err
    assert again.out == first.out
    after = contents(root)
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} <= {
        "fig2_rmse.png", "fig2_median.png", "worth.png"
    }  # fmt: skip


def test_another_policy_adds_its_own_cases(made, monkeypatch, tmp_path):
    root = shutil.copytree(made[0], tmp_path / "out")
    monkeypatch.setitem(BUILT_IN, "mine", BUILT_IN["rsa"])
    outcome = paper("--only", "fig2", "--trials", 2, "--policy", "mine", "--out", root)
    assert outcome.code == 0
    assert f"{root}: goes on with 52 of 56 trials" in outcome.err
    rows = rows_of(root, "curves.csv")
    found = {name: [r["value_m"] for r in rows if r["scheme"] == name] for name in ("mine", "rsa")}
    assert found["mine"] == found["rsa"]
    assert "--policy mine" in (root / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--seed", 2), "of another study: seed: 1, needed 2"),
        (("--policy", "nosuch"), "no installed package provides a policy 'nosuch'; known policies"),
        (("--policy", "rsaa"), "did you mean 'rsa'?"),
        (("--jobs", 2, "--scheduler", "tcp://localhost:1"), "leave it out, or --scheduler"),
        (("--only", "fig9"), "'fig9' is not one of"),
        (("--trials", 0), "--trials"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_refused(made, idle, arguments, problem):
    root, _ = made
    before = contents(root)
    outcome = paper(*ONLY, *arguments, "--out", root)
    assert outcome.code == 2
    assert problem in outcome.err
    assert contents(root) == before


def test_a_place_that_cannot_be_written_is_named(tmp_path, idle):
    taken = tmp_path / "taken"
    taken.write_text("")
    outcome = paper(*ONLY, "--out", taken / "out")
    assert outcome.code == 2
    assert str(taken / "out") in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_report_that_cannot_be_written_is_named(made, idle, tmp_path):
    """All trials are there; a directory is where the page goes."""
    root = shutil.copytree(made[0], tmp_path / "out")
    (root / "index.html").unlink()
    (root / "index.html").mkdir()
    outcome = paper("--only", "worth", "--trials", 2, "--out", root)
    assert outcome.code == 2
    assert f"{root}: cannot be written: Is a directory" in outcome.err
