"""Localizations see what has changed in entries, and go on where that cannot be kept."""

from dataclasses import replace

import pytest

from calibration.entry_drift import EntryDrifts
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.calibrate import calibrate
from testbed.runs.drift import headers_of, keep_drift, noise_over_learned_db
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization
from testbed.runs.setup import planning_rng, simulate
from tests.paper.drifting_entries import drifting_entries
from tests.paper.stale_entries import STALE_FROM_DB, forklift_parked, hardly_changed
from tests.unit.testbed.sites import as_site, lab

SITE = as_site(lab())


@pytest.fixture
def run(tmp_path):
    """A localization with a dictionary, and its records."""
    setup = simulate(SITE, 3)
    root = tmp_path / "d"
    calibrate(SITE, setup, root)
    dictionary = open_dictionary(root, setup.source, SITE.calibration.num_captures)
    backgrounds = LearnedBackgrounds(setup.source, dictionary)
    links = LocalLinks(SITE, setup.source, backgrounds, Processors(SITE))
    localization = Localization(SITE, links, planning_rng(3), setup.target_m)
    return root, dictionary, localization.network, list(localization.run())


def test_every_capture_of_a_run_is_counted(run):
    root, dictionary, network, records = run
    keep_drift(root, network, records)
    headers = [dictionary.header(path) for path in dictionary.header_paths()]
    drifts = [drift for h in headers if (drift := EntryDrifts(root).of(h)) is not None]
    assert sum(drift.num_captures for drift in drifts) == sum(len(r.looks) for r in records)
    assert len(drifts) > 1
    assert max(abs(drift.noise_db) for drift in drifts) < 0.5
    assert all(drift.reason is None for drift in drifts)


def test_a_run_whose_drift_cannot_be_kept_says_so_once(run, caplog):
    root, _, network, records = run
    (root / "drift.lock").mkdir()
    keep_drift(root, network, records)
    assert len(caplog.messages) == 1
    assert "is not kept" in caplog.text
    assert "drift.lock" in caplog.text
    assert not (root / "drift.json").exists()


def test_a_drifting_entry_is_named_with_what_to_do(run, caplog):
    root, _, network, records = run
    for _ in range(8):
        keep_drift(root, network, records)
    assert not caplog.messages
    loud = _with_noise(records, 10.0)
    for _ in range(8):
        keep_drift(root, network, loud)
    assert "noise" in caplog.messages[-1]
    assert "testbed dictionary check" in caplog.messages[-1]


def _with_noise(records, factor):
    return [
        replace(
            record,
            looks=tuple(
                replace(look, report=replace(look.report, noise_var=factor * look.report.noise_var))
                for look in record.looks
            ),
        )
        for record in records
    ]


def test_noise_is_compared_with_that_of_learning_whatever_is_averaged(run):
    _, dictionary, _, records = run
    report = records[0].reports[0]
    header = next(
        header for header in headers_of(dictionary).values()
        if header.content_hash == report.background_hash
    )  # fmt: skip
    found_db = noise_over_learned_db(report, header)
    assert abs(found_db) < 0.5
    averaged = replace(report, noise_var=report.noise_var / 4.0, num_averaged=4)
    assert noise_over_learned_db(averaged, header) == pytest.approx(found_db)
    other = replace(report, background_hash="of another entry")
    assert noise_over_learned_db(other, header) is None
    assert noise_over_learned_db(report, None) is None


def test_a_forklift_that_parked_shows_and_a_hall_that_stays_does_not():
    parked = list(drifting_entries(SITE, 2, 8, forklift_parked))
    strong = [entry for entry in parked if entry.changed_db > STALE_FROM_DB]
    assert sum(entry.state == "drifting" for entry in strong) > 0.5 * len(strong) > 5
    assert all("no target explains" in e.drift.reason for e in parked if e.drift.reason)
    same = drifting_entries(SITE, 2, 8, hardly_changed)
    assert [entry.drift.reason for entry in same] == [None] * 30
