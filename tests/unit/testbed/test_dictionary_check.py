"""Entries that do not hold any more: found, refused, not planned with, learned again."""

from dataclasses import replace

import msgspec
import numpy as np
import pytest

from calibration.entry_checks import EntryChecks
from drivers.capture import CaptureRefusedError
from sim_backend.source import SimulatedSource
from testbed.build import build_grid
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.calibrate import calibrate
from testbed.runs.dictionary_check import check_entries
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.setup import simulate
from tests.paper.stale_entries import (
    STALE_FROM_DB,
    VALID_TO_DB,
    checked_entries,
    forklift_parked,
    hardly_changed,
    share_called,
)
from tests.unit.testbed.sites import as_site, changed, lab, tiny

SITE = as_site(lab())


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """A dictionary, and captures of the hall after a machine was moved by a metre."""
    root = tmp_path_factory.mktemp("checks") / "d"
    setup = simulate(SITE, 3)
    calibrate(SITE, setup, root)
    scene = setup.source.scene
    clutter_m = scene.clutter_m.copy()
    clutter_m[0] += (1.0, 0.0)
    source = SimulatedSource(
        replace(scene, clutter_m=clutter_m), setup.source.nodes, build_grid(SITE)
    )
    return open_dictionary(root, setup.source, SITE.calibration.num_captures), setup, source


def test_entries_that_hold_are_valid(learned):
    dictionary, setup, _ = learned
    found = check_entries(SITE, setup.source, dictionary, None, 3)
    assert len(found) == 30
    assert sum(check.state == "stale" for check in found) == 0
    assert sum(check.state == "valid" for check in found) >= 28
    assert max(abs(check.noise_db) for check in found) < 1.0


def test_stale_entries_are_refused_and_not_planned_with_until_they_are_learned_again(learned):
    dictionary, setup, source = learned
    seen = []
    found = check_entries(SITE, source, dictionary, None, 3, lambda *done: seen.append(done))
    assert seen == [(done, 30) for done in range(0, 31, 5)]
    stale = [check for check in found if check.state == "stale"]
    assert len(stale) > 20
    assert all(check.num_changed == check.num_captures == 3 for check in stale[:5])
    backgrounds = LearnedBackgrounds(source, dictionary)
    assert len(backgrounds.stale) == len(stale)
    tx_id, rx_id = sorted(backgrounds.stale)[0]
    with pytest.raises(CaptureRefusedError, match=f"{tx_id} -> {rx_id} is stale.*testbed cal"):
        backgrounds(tx_id, rx_id)
    assert backgrounds.known(tx_id, rx_id) is None
    network = LocalLinks(SITE, source, backgrounds, Processors(SITE)).network
    i, j = network.index[tx_id], network.index[rx_id]
    snr = network.snr(np.array([[15.0, 10.0]]), np.ones(1))[0]
    assert snr[i, j] == 0.0
    assert (snr > 0.0).any() or len(stale) == 30

    # Learned again, of the hall as it is now: the same files, and nothing stale.
    now = replace(setup, source=source)
    assert calibrate_again(now, dictionary) == len(stale)
    assert not LearnedBackgrounds(source, dictionary).stale
    assert all(check.state != "stale" for check in check_entries(SITE, source, dictionary, None, 3))


def calibrate_again(setup, dictionary) -> int:
    """Learn what is stale, whatever the origin of the dictionary says of the scene."""
    backgrounds = LearnedBackgrounds(setup.source, dictionary)
    stale = sorted(backgrounds.stale)
    for tx_id, rx_id in stale:
        backgrounds.learn(tx_id, rx_id)
    return len(stale)


def test_a_campaign_learns_what_is_stale(tmp_path):
    setup = simulate(SITE, 3)
    calibrate(SITE, setup, tmp_path / "d")
    dictionary = open_dictionary(tmp_path / "d", setup.source, SITE.calibration.num_captures)
    found = check_entries(SITE, setup.source, dictionary, None, 1)
    EntryChecks(dictionary).put(
        msgspec.structs.replace(check, state="stale") for check in found[:4]
    )
    assert calibrate(SITE, setup, tmp_path / "d") == (4, 30)
    assert not LearnedBackgrounds(setup.source, dictionary).stale
    assert calibrate(SITE, setup, tmp_path / "d") == (0, 30)


def test_a_moved_thing_makes_entries_stale_by_what_it_changes():
    entries = [entry for seed in range(3) for entry in checked_entries(SITE, seed, "pilot")]
    strong = [entry for entry in entries if entry.changed_db > STALE_FROM_DB]
    weak = [entry for entry in entries if entry.changed_db < VALID_TO_DB]
    assert share_called(strong)[2][1] >= 0.95
    assert share_called(weak)[2][0] <= 0.02
    assert len(strong) + len(weak) > 30


def test_a_forklift_that_parked_makes_entries_stale():
    strong = [
        entry
        for entry in checked_entries(SITE, 2, "pilot", forklift_parked)
        if entry.changed_db > STALE_FROM_DB
    ]
    assert [entry.state for entry in strong] == ["stale"] * len(strong)
    assert len(strong) > 10


class Retuned:
    """Captures after the radios were tuned again: of another epoch, with other phases."""

    def __init__(self, source, *, needs_alignment):
        self._source, self._needs_alignment = source, needs_alignment

    def __getattr__(self, name):
        return getattr(self._source, name)

    def sense_background(self, tx_id, rx_ids, index, *, brief=False):
        captures = self._source.sense_background(tx_id, rx_ids, index, brief=brief)
        return tuple(
            replace(
                capture,
                rx_pilots=capture.rx_pilots * np.complex64(np.exp(2.0j)),
                config_epoch=7,
                needs_alignment=self._needs_alignment,
            )
            for capture in captures
        )


@pytest.mark.parametrize("needs_alignment", [True, False])
def test_a_retuned_radio_is_a_change_only_where_captures_are_not_aligned(tmp_path, needs_alignment):
    setup = simulate(SITE, 3)
    calibrate(SITE, setup, tmp_path / "d")
    dictionary = open_dictionary(tmp_path / "d", setup.source, SITE.calibration.num_captures)
    retuned = Retuned(setup.source, needs_alignment=needs_alignment)
    found = check_entries(SITE, retuned, dictionary, None, 3)
    assert len(found) == 30
    if needs_alignment:
        assert sum(check.state == "stale" for check in found) == 0
        assert all(check.reason is None for check in found)
    else:
        assert {check.state for check in found} == {"stale"}
        assert all("the radio was retuned" in check.reason for check in found)
        assert all(check.num_captures == 0 and check.noise_db is None for check in found)


def test_radios_in_another_session_see_a_forklift_and_nothing_else():
    site = as_site(changed(tiny(), {"calibration.num_captures": 5}))
    parked = [
        entry
        for entry in checked_entries(site, 0, "iq", forklift_parked)
        if entry.left_db > STALE_FROM_DB
    ]
    assert [entry.state for entry in parked] == ["stale"] * len(parked)
    assert len(parked) > 8
    same = [entry.state for entry in checked_entries(site, 0, "iq", hardly_changed)]
    assert len(same) == 12
    assert same.count("valid") >= 10
    assert "stale" not in same
