"""Campaigns spread over time, visitors that walk in meanwhile, and updates."""

import shutil
from collections import namedtuple
from dataclasses import replace

import numpy as np
import pytest

from calibration.background import MOST_PARTS
from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import DictionaryError
from calibration.entry_checks import EntryChecks
from drivers.link_budget import channel_noise_var
from sim_backend.source import SimulatedSource, median_var_ratio
from testbed.build import build_grid
from testbed.errors import UsageError
from testbed.runs.backgrounds import LearnedBackgrounds
from testbed.runs.calibrate import calibrate
from testbed.runs.campaign_state import CampaignPlan
from testbed.runs.dictionary_check import check_entries
from testbed.runs.links import Processors
from testbed.runs.setup import simulate
from tests.paper.walked_in import Visited, held_db, median_only, visited
from tests.unit.testbed.sites import as_site, changed, lab, tiny


def four_nodes(num_captures):
    raw = lab()
    del raw["nodes"][4:]
    return as_site(changed(raw, {"calibration.num_captures": num_captures}))


SITE = four_nodes(14)
SPREAD = CampaignPlan(spread_s=600.0)


@pytest.fixture(scope="module")
def processors():
    """Planned once, as that takes longer than these campaigns."""
    return Processors(SITE)


@pytest.fixture(autouse=True)
def planned(monkeypatch, processors):
    monkeypatch.setattr("testbed.runs.moved.Processors", lambda _site: processors)


def arrays(root):
    return {path.name: path.read_bytes() for path in root.glob("*.npy")}


def dictionary_at(root):
    return BackgroundDictionary.existing(root)


def headers(root):
    dictionary = dictionary_at(root)
    return [dictionary.header(path) for path in dictionary.header_paths()]


def test_rounds_are_spread_over_the_time_and_nothing_is_left_of_them(tmp_path):
    setup, seen, pauses = simulate(SITE, 3), [], []
    setup = replace(setup, pause=pauses.append)
    assert calibrate(SITE, setup, tmp_path / "d", seen.append, SPREAD) == (12, 12)
    assert pauses == pytest.approx([100.0] * (MOST_PARTS - 1), abs=20.0)
    assert all(pause <= 100.0 for pause in pauses)
    entries = [now for now in seen if now.stage == "entries"]
    assert {(now.round, now.num_rounds, now.total) for now in entries} == {
        (number, 7, 84) for number in range(1, 8)
    }
    assert [now.done for now in entries] == sorted(now.done for now in entries)
    assert entries[-1].done == 84
    waiting = [now.text for now in entries if now.pause_s]
    assert waiting[0].startswith("entries, round 2 of 7 begins in 1.")
    assert len(waiting) == 6
    assert not (tmp_path / "d" / "rounds").exists()
    assert len(list((tmp_path / "d").iterdir())) == 1 + 2 * 12
    assert {header.num_captures for header in headers(tmp_path / "d")} == {14}


def test_rounds_use_the_captures_that_one_campaign_does(tmp_path):
    """With as many rounds as captures the median of rounds is the median."""
    site = four_nodes(5)
    calibrate(site, simulate(site, 3), tmp_path / "one")
    calibrate(site, simulate(site, 3), tmp_path / "spread", plan=SPREAD)
    for said in headers(tmp_path / "one"):
        one, spread = (
            dictionary_at(tmp_path / name).get(said.tx_location, said.rx_location).channel
            for name in ("one", "spread")
        )
        np.testing.assert_allclose(spread, one, atol=1e-6 * np.abs(one).max())
    for one, spread in zip(headers(tmp_path / "one"), headers(tmp_path / "spread"), strict=True):
        assert spread.learned_with.noise_var == pytest.approx(one.learned_with.noise_var, rel=1e-4)


def test_a_median_of_medians_has_the_noise_that_is_stated_of_it(tmp_path):
    """Seven medians of two: a mean of two each, so half of the noise of a median of seven."""
    setup = simulate(SITE, 3)
    calibrate(SITE, setup, tmp_path / "d", plan=SPREAD)
    dictionary, source, ratios, own = dictionary_at(tmp_path / "d"), setup.source, [], []
    for i, tx in enumerate(source.nodes):
        for j, rx in enumerate(source.nodes):
            if i != j:
                entry = dictionary.get(tx.location_id, rx.location_id)
                off = entry.channel - source.static_channel(i, j)
                noise_var = channel_noise_var(tx, rx, source.grid)
                ratios.append(np.mean(np.abs(off) ** 2) / noise_var)
                said = entry.header.learned_with
                assert said.noise_var == pytest.approx(noise_var, rel=0.1)
                own.append(np.mean(np.abs(off) ** 2) / said.own_noise_var)
    assert np.mean(ratios) == pytest.approx(median_var_ratio(7) / 2.0, rel=0.02)
    assert np.mean(own) == pytest.approx(1.0, abs=0.05)


class StoppedError(Exception):
    """The campaign was interrupted."""


def test_a_campaign_that_was_stopped_between_rounds_goes_on_there(tmp_path):
    calibrate(SITE, simulate(SITE, 3), tmp_path / "whole", plan=SPREAD)
    pauses = []

    def stop(pause_s):
        pauses.append(pause_s)
        if len(pauses) == 3:
            raise StoppedError

    counted = []
    with pytest.raises(StoppedError):
        calibrate(SITE, replace(simulate(SITE, 3), pause=stop), tmp_path / "d", plan=SPREAD)
    assert not arrays(tmp_path / "d")
    assert len(list((tmp_path / "d" / "rounds").glob("*/*-of-7/*.npy"))) == 3 * 12
    (tmp_path / "d" / "rounds").joinpath("south--west.0").mkdir()  # of nothing that is wanted
    damaged = sorted((tmp_path / "d" / "rounds").glob("*/2-of-7/*.npy"))[4]
    damaged.write_bytes(damaged.read_bytes()[:-7])
    setup = simulate(SITE, 3)
    setup = replace(setup, source=Counting(setup.source, counted), pause=pauses.append)
    assert calibrate(SITE, setup, tmp_path / "d", plan=SPREAD) == (12, 12)
    assert len(counted) == 4 * 4 * 2 + 2  # bursts: four rounds of two, and a damaged one again
    assert arrays(tmp_path / "d") == arrays(tmp_path / "whole")
    assert not (tmp_path / "d" / "rounds").exists()


class Counting:
    """A source whose bursts are counted."""

    def __init__(self, source, counted) -> None:
        self._source, self._counted = source, counted
        self.nodes, self.grid, self.origin = source.nodes, source.grid, source.origin

    def sense_background(self, tx_id, rx_ids, index, *, brief=False):
        self._counted.append((tx_id, index))
        return self._source.sense_background(tx_id, rx_ids, index, brief=brief)


def test_what_rounds_keep_must_fit_the_disk(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(DictionaryError, match=r"0\.0016 GB are needed .* 7 rounds .* 0\.001 GB"):
        calibrate(SITE, simulate(SITE, 3), tmp_path / "d", plan=SPREAD)
    assert calibrate(SITE, simulate(SITE, 3), tmp_path / "d") == (12, 12)  # needs no more room


def test_one_capture_cannot_be_spread(tmp_path):
    site = as_site(changed(tiny(), {"calibration.num_captures": 1}))
    with pytest.raises(UsageError, match="more captures than one"):
        calibrate(site, simulate(site, 3), tmp_path / "d", plan=SPREAD)
    assert not (tmp_path / "d").exists()


@pytest.mark.parametrize("plan", [CampaignPlan(), SPREAD], ids=["at once", "spread"])
def test_a_visitor_for_a_part_of_the_time_is_left_out_and_named(tmp_path, plan):
    setup, seen = simulate(SITE, 3), []
    source = visited(SITE, setup, 0.3)
    calibrate(SITE, replace(setup, source=source), tmp_path / "d", seen.append, plan)
    moved = seen[-1].moved
    assert len(moved) >= 11
    assert set(moved.values()) <= {(1, 7), (2, 7), (3, 7)}
    assert f"something moved in {len(moved)}" in seen[-1].text
    (remark,) = seen[-1].remarks
    assert remark.startswith(f"{len(moved)} entries were disturbed while they were learned")
    assert "more links" in remark
    # What is left is noise: some 11 dB in the strongest of all cells, less that of the median.
    assert np.median(held_db(setup, dictionary_at(tmp_path / "d"))) < 2.0
    checks = EntryChecks(dictionary_at(tmp_path / "d"))._of
    assert len(checks) == len(moved)
    assert {check.state for check in checks.values()} == {"drifting"}
    backgrounds = LearnedBackgrounds(setup.source, dictionary_at(tmp_path / "d"))
    assert not backgrounds.stale
    found = check_entries(SITE, setup.source, dictionary_at(tmp_path / "d"), None, 3)
    assert sum(check.state == "stale" for check in found) <= 1

    # Learned again, one is not disturbed any more.
    (tx_id, rx_id), *_ = moved
    backgrounds.learn(tx_id, rx_id)
    node = {n.node_id: n.location_id for n in setup.source.nodes}
    assert (node[tx_id], node[rx_id]) not in EntryChecks(dictionary_at(tmp_path / "d"))._of


def test_the_median_alone_holds_some_of_a_visitor(tmp_path):
    setup = simulate(SITE, 3)
    source = visited(SITE, setup, 0.3)
    with median_only():
        calibrate(SITE, replace(setup, source=source), tmp_path / "d")
    assert np.median(held_db(setup, dictionary_at(tmp_path / "d"))) > 10.0


def test_a_visitor_for_most_of_the_time_is_named_and_found_by_a_check(tmp_path):
    setup, seen = simulate(SITE, 3), []
    source = visited(SITE, setup, 0.65)
    calibrate(SITE, replace(setup, source=source), tmp_path / "d", seen.append)
    assert len(seen[-1].moved) >= 11
    found = check_entries(SITE, setup.source, dictionary_at(tmp_path / "d"), None, 3)
    stale = [check for check in found if check.state == "stale"]
    assert len(stale) >= 10
    assert calibrate(SITE, setup, tmp_path / "d") == (len(stale), 12)
    checked = EntryChecks(dictionary_at(tmp_path / "d"))._of
    assert checked.keys() == {check.link for check in found} - {check.link for check in stale}


def test_nothing_is_said_of_an_empty_hall(tmp_path):
    seen = []
    for seed in range(2):
        calibrate(SITE, simulate(SITE, seed), tmp_path / f"{seed}", seen.append)
        assert not seen[-1].moved
        assert not seen[-1].remarks
        assert not (tmp_path / f"{seed}" / "checks.json").exists()


def test_updates_are_of_fresh_captures_and_have_less_noise(tmp_path):
    setup, root, off_dbs = simulate(SITE, 3), tmp_path / "d", []
    calibrate(SITE, setup, root)
    before = arrays(root)
    for _ in range(2):
        off_dbs.append(np.mean(10.0 ** (np.array(held_db(setup, dictionary_at(root))) / 10.0)))
        assert calibrate(SITE, setup, root, plan=CampaignPlan(update=True)) == (12, 12)
    assert before.keys().isdisjoint(arrays(root))
    # v, v/2: means of what is independent. Of the strongest cell, so about.
    assert off_dbs[1] / off_dbs[0] == pytest.approx(0.5, rel=0.2)
    assert {header.num_captures for header in headers(root)} == {14}


def shifted_hall(setup, by_m):
    """The hall with its machines elsewhere."""
    scene = setup.source.scene
    scene = replace(scene, clutter_m=scene.clutter_m + np.array([by_m, 0.0]))
    return SimulatedSource(scene, setup.source.nodes, build_grid(SITE))


class Called(Visited):
    """A source under the name of another."""

    def __init__(self, source, origin) -> None:
        super().__init__(source, source, range(0))
        self.origin = origin


def test_an_update_leaves_entries_alone_whose_hall_is_another(tmp_path):
    setup, seen, root = simulate(SITE, 3), [], tmp_path / "d"
    calibrate(SITE, setup, root)
    before = arrays(root)
    now = replace(setup, source=Called(shifted_hall(setup, 0.5), setup.source.origin))
    learned, total = calibrate(SITE, now, root, seen.append, CampaignPlan(update=True))
    unlike = seen[-1].unlike
    assert len(unlike) == total - learned > 8
    assert any("left as they were" in remark and "an echo" in remark for remark in seen[-1].remarks)
    node = {n.node_id: n.location_id for n in setup.source.nodes}
    kept = {dictionary_at(root).header_of(node[tx], node[rx]).content_hash for tx, rx in unlike}
    assert len(kept) == len(unlike)
    assert sum(content == before[name] for name, content in arrays(root).items()) == len(unlike)

    # What is stale is learned anew, and then blended as any other.
    checks = check_entries(SITE, now.source, dictionary_at(root), None, 3)
    stale = {c.link for c in checks if c.state == "stale"}
    assert len(stale) > 8
    calibrate(SITE, now, root, seen.append, CampaignPlan(update=True))
    assert not {(node[a], node[b]) for a, b in seen[-1].unlike} & stale


def test_an_update_follows_a_slow_drift(tmp_path):
    setup, seen, root = simulate(SITE, 3), [], tmp_path / "d"
    calibrate(SITE, setup, root)
    for step in (1, 2):
        source = Called(shifted_hall(setup, 2e-5 * step), setup.source.origin)
        now = replace(setup, source=source)
        assert calibrate(SITE, now, root, seen.append, CampaignPlan(update=True)) == (12, 12)


def test_an_update_leaves_entries_alone_while_somebody_walks_in(tmp_path):
    setup, seen, root = simulate(SITE, 3), [], tmp_path / "d"
    calibrate(SITE, setup, root)
    before = arrays(root)
    source = Visiting(visited(SITE, setup, 0.3), 14)
    now = replace(setup, source=source)
    learned, _ = calibrate(SITE, now, root, seen.append, CampaignPlan(update=True))
    unlike = seen[-1].unlike
    assert learned == 12 - len(unlike) < 3
    assert all("something moved in" in why for why in unlike.values())
    assert sum(content == before[name] for name, content in arrays(root).items()) == len(unlike)
    assert not EntryChecks(dictionary_at(root))._of


class Visiting(Called):
    """A visited source whose captures count from the first that is asked for."""

    def __init__(self, source, num_captures) -> None:
        super().__init__(source, source.origin)
        self._num_captures, self._first = num_captures, None

    def sense_background(self, tx_id, rx_ids, index, *, brief=False):
        if self._first is None:
            self._first = index
        return self._source.sense_background(tx_id, rx_ids, index - self._first, brief=brief)


def test_backgrounds_or_nodes_alone(tmp_path):
    setup, seen = simulate(SITE, 3), []
    backgrounds = CampaignPlan(only="backgrounds")
    assert calibrate(SITE, setup, tmp_path / "d", seen.append, backgrounds) == (12, 12)
    assert {now.stage for now in seen} == {"entries"}
    with pytest.raises(UsageError, match="no radios to calibrate; add --fidelity iq"):
        calibrate(SITE, setup, tmp_path / "n", plan=CampaignPlan(only="nodes"))


def test_an_entry_of_another_tuning_is_not_blended(tmp_path):
    setup, seen, root = simulate(SITE, 3), [], tmp_path / "d"
    calibrate(SITE, setup, root)
    retuned = replace(setup, source=Retuned(setup.source, setup.source.origin))
    plan = CampaignPlan(update=True)
    assert calibrate(SITE, retuned, root, seen.append, plan) == (0, 12)
    assert set(seen[-1].unlike.values()) == {"the radios were tuned anew since config epoch 0"}


class Retuned(Called):
    """A source whose radios have been tuned again."""

    def sense_background(self, tx_id, rx_ids, index, *, brief=False):
        captures = super().sense_background(tx_id, rx_ids, index, brief=brief)
        return tuple(replace(capture, config_epoch=1) for capture in captures)
