"""Backgrounds: what is subtracted, and that entries of another campaign are refused."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import DictionaryError, RadioIdentity
from drivers.capture import CaptureRefusedError
from drivers.link_budget import channel_noise_var
from drivers.waveform import pilot_symbols
from testbed.runs.backgrounds import (
    LearnedBackgrounds,
    no_background,
    open_dictionary,
    perfect_background,
    provenance_of,
)
from testbed.runs.calibrate import calibrate
from testbed.runs.setup import simulate
from tests.unit.testbed.sites import as_site, changed, lab

SITE = as_site(lab())
NUM_CAPTURES = SITE.calibration.num_captures


@pytest.fixture(scope="module")
def source():
    return simulate(SITE, 3).source


def dictionary_of(source, root, num_captures=NUM_CAPTURES):
    return open_dictionary(root, source, num_captures)


def test_no_background_is_none():
    assert no_background("a", "b") is None


def test_a_perfect_background_leaves_target_and_noise_only(source):
    index = {node.node_id: n for n, node in enumerate(source.nodes)}
    tx, rx = source.nodes[index["b"]], source.nodes[index["e"]]
    capture = source.sense_background("b", ("e",), 0)[0]
    pilots = pilot_symbols(source.grid).conj()[:, None]
    residual = capture.rx_pilots * pilots - perfect_background(source)("b", "e").channel
    # Real and imaginary parts are independent Gaussians: chi-squared with 2 K M degrees.
    energy = 2.0 * np.sum(np.abs(residual) ** 2) / channel_noise_var(tx, rx, source.grid)
    assert 1e-4 < stats.chi2.cdf(energy, 2 * residual.size) < 1.0 - 1e-4


def test_an_entry_is_learned_once_and_then_read(source, tmp_path):
    told = []
    dictionary = dictionary_of(source, tmp_path / "d")
    backgrounds = LearnedBackgrounds(source, dictionary, lambda *link: told.append(link))
    first = backgrounds("a", "b")
    again = backgrounds("a", "b")
    assert told == [("a", "b")]
    assert np.array_equal(first.channel, again.channel)
    assert first.content_hash == again.content_hash
    assert ("south-west", "south") in dictionary  # kept by location, not by node
    backgrounds("b", "a")
    assert told == [("a", "b"), ("b", "a")]  # the ordered pair


def test_entries_do_not_depend_on_the_order_in_which_they_are_learned(source, tmp_path):
    forward = LearnedBackgrounds(source, dictionary_of(source, tmp_path / "forward"))
    backward = LearnedBackgrounds(simulate(SITE, 3).source, dictionary_of(source, tmp_path / "b"))
    links = [("a", "b"), ("c", "a"), ("b", "c")]
    expected = {link: forward(*link).content_hash for link in links}
    assert {link: backward(*link).content_hash for link in reversed(links)} == expected


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"waveform.num_subcarriers": 601}, "another waveform"),
        ({"waveform.carrier_mhz": 5801.0}, "another waveform"),
        ({"waveform.subcarrier_spacing_khz": 30.1}, "another waveform"),
        ({"node_defaults.array.num_elements": 5}, "other node poses or arrays"),
        ({"locations.0.position_m": [0.6, 0.5]}, "another origin"),
        ({"nodes.4.boresight_deg": 269.0}, "another origin"),
        ({"node_defaults.receive_pattern.gain_dbi": 1.0}, "other node poses or arrays"),
        ({"simulation.num_clutter": 7}, "another origin"),
        ({"simulation.mean_rcs_dbsm": 1.0}, "another origin"),
        ({"simulation.wavefront": "plane"}, "another origin"),
        ({"simulation.direct_path": False}, "another origin"),
        ({"simulation.nodes_are_clutter": False}, "another origin"),
        ({"node_defaults.survey.position_std_m": 0.5}, "another origin"),
        ({"area_m": [0.0, 0.0, 31.0, 20.0]}, "another origin"),
    ],
)
def test_a_dictionary_of_another_site_is_refused(source, tmp_path, changes, reason):
    root = tmp_path / "d"
    LearnedBackgrounds(source, dictionary_of(source, root)).learn("a", "b")
    other = simulate(as_site(changed(lab(), changes)), 3).source
    with pytest.raises(DictionaryError) as refused:
        dictionary_of(other, root)
    assert str(refused.value).startswith(f"{root}: learned with ")
    assert all(words in str(refused.value) for words in (reason, "calibrate again"))


def test_a_dictionary_of_another_seed_or_effort_is_refused(source, tmp_path):
    root = tmp_path / "d"
    dictionary_of(source, root)
    with pytest.raises(DictionaryError, match=r"simulated seed 3,.*needed simulated seed 4,"):
        dictionary_of(simulate(SITE, 4).source, root)
    with pytest.raises(DictionaryError, match="num_captures: 5, needed 6"):
        dictionary_of(source, root, num_captures=6)
    assert dictionary_of(source, root).provenance.num_captures == 5


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "other"},
        {"node_defaults.tx_power_dbm": 3.0, "node_defaults.noise_figure_db": 1.0},
        {"simulation.target_m": [3.0, 4.0], "simulation.rcs_draw": "scene"},
        {"sensing.num_receivers": 1, "sensing.mean_rcs_dbsm": -3.0},
        {"processing": {"num_angles": 91}},
    ],
)
def test_provenance_does_not_depend_on_what_entries_do_not(source, changes):
    """The channel without a target stays as it is."""
    other = simulate(as_site(changed(lab(), changes)), 3).source
    assert provenance_of(other, 5) == provenance_of(source, 5)


def test_a_campaign_learns_every_ordered_pair_once(tmp_path):
    seen = []
    learned, total = calibrate(SITE, simulate(SITE, 3), tmp_path / "d", seen.append)
    assert (learned, total) == (30, 30)
    entries = [(now.done, now.total) for now in seen if now.stage == "entries"]
    assert sorted(set(entries)) == [(done, 30) for done in range(0, 31, 5)]
    assert entries == sorted(entries)
    assert calibrate(SITE, simulate(SITE, 3), tmp_path / "d") == (0, 30)


def test_receivers_listen_at_once_as_far_as_memory_goes(source, tmp_path, monkeypatch):
    """However many do, entries are the same."""
    entry_bytes = 8 * 5 * source.grid.num_subcarriers * max(
        node.array.num_elements for node in source.nodes
    )  # fmt: skip
    calibrate(SITE, simulate(SITE, 3), tmp_path / "five")
    monkeypatch.setattr("testbed.runs.campaign._MOST_BYTES", 2 * entry_bytes)
    seen = []
    calibrate(SITE, simulate(SITE, 3), tmp_path / "two", seen.append)
    assert {now.done for now in seen if now.done <= 10} == {0, 2, 4, 5, 7, 9, 10}
    five, two = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*.npy")}
        for name in ("five", "two")
    )
    assert len(five) == 30
    assert five == two


class Losing:
    """A source of which one receiver loses its first captures, or all of them."""

    def __init__(self, source, rx_id: str, num_lost: float) -> None:
        self._source, self._rx_id, self._num_lost = source, rx_id, num_lost
        self.nodes, self.grid, self.origin = source.nodes, source.grid, source.origin

    def sense_background(self, tx_id, rx_ids, index, *, brief=False):
        captures = []
        for capture in self._source.sense_background(tx_id, rx_ids, index, brief=brief):
            lost = capture.rx_id == self._rx_id and self._num_lost > 0
            self._num_lost -= lost
            quality = replace(capture.quality, overflow=lost)
            captures.append(replace(capture, quality=quality))
        return tuple(captures)


def test_lost_captures_are_counted_and_taken_again(tmp_path):
    setup, seen = simulate(SITE, 3), []
    losing = replace(setup, source=Losing(setup.source, "c", 3))
    assert calibrate(SITE, losing, tmp_path / "d", seen.append) == (30, 30)
    assert sum(seen[-1].lost.values()) == 3
    assert seen[-1].text == (
        "entries, captures taken again: 3 because samples were lost (overflow)"
    )
    calibrate(SITE, simulate(SITE, 3), tmp_path / "whole")
    for path in (tmp_path / "whole").glob("*.npy"):
        assert (tmp_path / "d" / path.name).read_bytes() == path.read_bytes()


def test_a_receiver_that_hears_nothing_costs_its_own_entries_only(tmp_path):
    setup = simulate(SITE, 3)
    deaf = replace(setup, source=Losing(setup.source, "c", math.inf))
    with pytest.raises(
        CaptureRefusedError,
        match=r"^5 of 30 .*: a -> c, b -> c, d -> c and 2 more links: a capture is not",
    ):
        calibrate(SITE, deaf, tmp_path / "d")
    assert calibrate(SITE, simulate(SITE, 3), tmp_path / "d") == (5, 30)


def test_a_campaign_goes_on_after_what_was_learned_on_the_way(source, tmp_path):
    root = tmp_path / "d"
    LearnedBackgrounds(source, dictionary_of(source, root))("d", "a")
    before = {path.name: path.read_bytes() for path in root.iterdir()}
    assert calibrate(SITE, simulate(SITE, 3), root) == (29, 30)
    assert all((root / name).read_bytes() == content for name, content in before.items())


def test_entries_say_who_learned_them_and_how_noisy_it_was(tmp_path):
    setup = replace(simulate(SITE, 3), radios={"a": RadioIdentity("pluto", "1044")})
    calibrate(SITE, setup, tmp_path / "d")
    nodes = {node.node_id: node for node in setup.source.nodes}
    grid, stated = setup.source.grid, []
    for path in (dictionary := BackgroundDictionary.existing(tmp_path / "d")).header_paths():
        said = dictionary.header(path).learned_with
        tx, rx = nodes[said.tx_id], nodes[said.rx_id]
        assert path.name.startswith(f"{tx.location_id}--{rx.location_id}.")
        assert (said.carrier_hz, said.subcarrier_spacing_hz) == (5800e6, grid.subcarrier_spacing_hz)
        assert (said.tx_radio is not None) == (tx.node_id == "a")
        assert (said.rx_radio is not None) == (rx.node_id == "a")
        stated.append(said.noise_var / channel_noise_var(tx, rx, grid))
    # Each is a mean over 600 tones and four elements.
    assert len(stated) == 30
    np.testing.assert_allclose(stated, 1.0, atol=0.02 + 4.0 / np.sqrt(2400))
