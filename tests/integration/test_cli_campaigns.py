"""`testbed calibrate` with options: parts of a campaign, going on, spread over time, updates."""

import pytest

from calibration.dictionary import BackgroundDictionary
from testbed.commands.tables import progress_bar
from tests.unit.testbed.sites import call, contents, tiny, write_site


@pytest.fixture
def site(tmp_path):
    return write_site(tmp_path, tiny())


def refused(*arguments):
    outcome = call("calibrate", *arguments)
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    return outcome.err


def test_nodes_alone_are_calibrated_and_shown(site, tmp_path):
    for which, words in (
        ("array", ["gain (dB)", "phase (deg)", "delay (ps)", "left (dB)", "left (deg)"]),
        ("timing", ["ahead (ns)", "left (ns)"]),
        ("power", ["sent (dB)", "received (dB)", "power (dBm)", "noise figure (dB)"]),
    ):
        outcome = call("calibrate", site, "--out", tmp_path / "d", "--fidelity", "iq",
                       "--only", which)  # fmt: skip
        assert outcome.code == 0, outcome.err
        assert all(word in outcome.out for word in words), outcome.out
        rows = [line for line in outcome.out.splitlines() if line.startswith("│")]
        assert len(rows) == 4 * (2 if which == "array" else 1)
        assert [row.split()[1] for row in rows if row.split()[1] in "abcd"] == ["a", "b", "c", "d"]
    assert sorted(contents(tmp_path / "d")) == ["dictionary.json", "nodes.json", "report.html"]


def test_backgrounds_alone_leave_the_nodes(site, tmp_path):
    options = ("--out", tmp_path / "d", "--fidelity", "iq", "--only", "background")
    assert "12 learned now" in call("calibrate", site, *options).out
    assert not (tmp_path / "d" / "nodes.json").exists()


def test_resume_needs_a_campaign_to_go_on_with(site, tmp_path):
    for option in ("--resume", "--update"):
        assert "no such directory" in refused(site, "--out", tmp_path / "mistyped", option)
    assert not (tmp_path / "mistyped").exists()
    assert call("calibrate", site, "--out", tmp_path / "d").code == 0
    header = next((tmp_path / "d").glob("*.entry.json"))
    header.unlink()
    again = call("calibrate", site, "--out", tmp_path / "d", "--resume")
    assert "12 entries, 1 learned now, 11 kept" in again.out


def test_spread_over_time_and_updated(site, tmp_path):
    spread = call("calibrate", site, "--out", tmp_path / "d", "--spread", "10")
    assert spread.out == f"{tmp_path / 'd'}: 12 entries, 12 learned now, 0 kept\n"
    before = contents(tmp_path / "d")
    updated = call("calibrate", site, "--out", tmp_path / "d", "--update", "--spread", "10")
    assert updated.out == f"{tmp_path / 'd'}: 12 entries, 12 learned now, 0 kept\n"
    after = contents(tmp_path / "d")
    assert before.keys() & after.keys() == {
        "dictionary.json", "report.html", *(name for name in after if name.endswith(".entry.json"))
    }  # fmt: skip
    kept = {name for name in before.keys() & after.keys() if before[name] == after[name]}
    assert kept == {"dictionary.json"}
    assert len(BackgroundDictionary.existing(tmp_path / "d")) == 12


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--only", "array"), ["no radios to calibrate", "--fidelity iq", "--only background"]),
        (("--only", "arrays"), ["'arrays'", "'array'", "'background'"]),
        (("--only", "timing", "--update"), ["--update", "--only timing learns none"]),
        (("--only", "power", "--spread", "5"), ["--spread", "--only power learns none"]),
        (("--spread", "0"), ["--spread", "0.0", "x>0.0"]),
    ],
)
def test_options_that_do_not_fit_are_refused(site, tmp_path, options, words):
    message = refused(site, "--out", tmp_path / "d", *options)
    assert all(word in message for word in words), message
    assert not (tmp_path / "d").exists()


def test_the_time_left_is_known_where_entries_take_minutes():
    """It is told from the last hour, not from the last half minute."""
    bar, now_s = progress_bar(), 0.0
    bar.get_time = lambda: now_s
    task = bar.add_task("entries", total=100)
    for done in (0, 2, 4, 6, 8):
        bar.update(task, completed=done)
        now_s += 120.0
    assert bar.tasks[0].time_remaining == pytest.approx(92 * 60.0, rel=0.02)
