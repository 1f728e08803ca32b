"""`testbed dictionary report`, and the one that a campaign ends with."""

import json
import shutil
import sys

import pytest

from tests.unit.testbed.sites import call, changed, contents, tiny, write_site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    return write_site(tmp_path_factory.mktemp("site"), tiny())


@pytest.fixture(scope="module")
def learned(site, tmp_path_factory):
    root = tmp_path_factory.mktemp("learned") / "d"
    outcome = call("calibrate", site, "--out", root)
    assert outcome.code == 0
    verdict = "12 of 12 entries; nothing suspicious, none checked since"
    assert f"report: {root / 'report.html'}: {verdict}\n" in outcome.err
    assert outcome.out == f"{root}: 12 entries, 12 learned now, 0 kept\n"
    return root


@pytest.fixture
def no_matplotlib(monkeypatch):
    for name in list(sys.modules):
        if name.startswith(("matplotlib", "testbed.figures", "testbed.report.page")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "matplotlib", None)


def test_a_campaign_ends_with_a_report_that_disturbs_nothing(learned, site, tmp_path):
    page = (learned / "report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>")
    assert "12 of 12 entries; nothing suspicious" in page
    root = shutil.copytree(learned, tmp_path / "d")
    again = call("calibrate", site, "--out", root)
    assert again.code == 0
    assert again.out.endswith("12 entries, 0 learned now, 12 kept\n")
    assert contents(root) == contents(learned) | {"report.html": contents(root)["report.html"]}
    assert len(call("dictionary", "show", root, "--json").result["entries"]) == 12


def test_a_report_is_made_at_any_time_of_what_is_there(learned, tmp_path):
    before = contents(learned)
    path = tmp_path / "night.html"
    outcome = call("dictionary", "report", learned, "--out", path)
    assert outcome.out == f"{path}: 12 of 12 entries; nothing suspicious, none checked since\n"
    assert path.read_bytes() == before["report.html"]
    assert contents(learned) == before
    root = shutil.copytree(learned, tmp_path / "d")
    header = sorted(root.glob("*.entry.json"))[0]
    header.write_text(json.dumps({**json.loads(header.read_bytes()), "config_epoch": 9}))
    outcome = call("dictionary", "report", root)
    assert outcome.code == 0
    said = "11 of 12 entries; 1 damaged, none checked since"
    assert outcome.out == f"{root / 'report.html'}: {said}\n"
    assert header.name in (root / "report.html").read_text(encoding="utf-8")


def test_a_campaign_whose_entries_failed_has_a_report_as_well(tmp_path):
    """Pluto's clocks need two symbols a burst, of which the site has one."""
    site = write_site(tmp_path, changed(tiny(), {"node_defaults.array.num_elements": 1}))
    root = tmp_path / "d"
    outcome = call(
        "calibrate", site, "--out", root, "--fidelity", "iq", "--impairments", "pluto"
    )  # fmt: skip
    assert outcome.code == 2
    assert "12 of 12 entries could not be learned" in outcome.err
    assert f"report: {root / 'report.html'}: 0 of 12 entries; nothing to judge" in outcome.err
    assert "node a" in (root / "report.html").read_text(encoding="utf-8")


def test_without_matplotlib_a_campaign_says_how_to_get_it(learned, site, tmp_path, no_matplotlib):
    root = shutil.copytree(learned, tmp_path / "d")
    (root / "report.html").unlink()
    outcome = call("calibrate", site, "--out", root)
    needed = "a report needs matplotlib: pip install 'isac-testbed[figures]'"
    assert outcome.code == 0
    assert f"no report: {needed}\n" in outcome.err
    assert not (root / "report.html").exists()
    outcome = call("dictionary", "report", root)
    assert outcome.code == 2
    assert outcome.err.endswith(f"error: {needed}\n")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("none",), "none: no such directory"),
        (("empty",), "empty: no dictionary"),
        (("D", "--out", "D/a.npy"), "a report's name must end in .html, got '.npy'"),
        (("D", "--out", "none/x.html"), "none/x.html: cannot be written: No such file"),
    ],
)
def test_what_cannot_be_reported_says_why(learned, tmp_path, monkeypatch, arguments, word):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(learned, tmp_path / "D")
    (tmp_path / "empty").mkdir()
    before = contents(tmp_path)
    outcome = call("dictionary", "report", *arguments)
    assert outcome.code == 2
    assert word in outcome.err
    assert contents(tmp_path) == before
