"""Healthy halls are hardly suspicious; each planted fault is named, and it alone."""

import re
from dataclasses import replace

import msgspec
import numpy as np
import pytest

from calibration.direct_path import direct_path_channel
from sim_backend.source import SimulatedSource
from testbed.build import build_grid
from testbed.report.report import report_of
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.setup import simulate
from tests.unit.testbed.report.halls import SITE, Surveyed, copied, hall, kinds, learn, replaced

LINK = ("south", "north-west")
BACK = ("north-west", "south")
GRID = build_grid(SITE)
NUM_HALLS = 3


@pytest.fixture(scope="module")
def halls(tmp_path_factory):
    folder = tmp_path_factory.mktemp("halls")
    for seed in range(NUM_HALLS):
        hall(folder / str(seed), seed)
    return folder


@pytest.fixture
def root(halls, tmp_path):
    return copied(halls / "0", tmp_path)


def test_healthy_halls_are_hardly_suspicious(halls):
    reports = [report_of(halls / str(seed)) for seed in range(NUM_HALLS)]
    assert not reports[0].suspicions  # in which faults are planted below
    count = sum(len(report.suspicious_links) for report in reports)
    assert count <= 0.02 * 30 * NUM_HALLS
    assert not any(report.weak_elements or report.noise.noisy_receivers for report in reports)
    assert reports[0].verdict == "30 of 30 entries; nothing suspicious, none checked since"
    # Most of them have a direct path whose length was judged at all.
    judged = [e.path for report in reports for e in report.facts.entries.values()]
    assert sum(path is not None and path.range_off_m is not None for path in judged) > 70


def test_an_element_that_is_dead_in_one_entry_is_named(root):
    def without_element(channel):
        return channel * np.array([1.0, 1.0, 0.05, 1.0], dtype=np.complex64)

    replaced(root, LINK, without_element)
    report = report_of(root)
    assert "element" in kinds(report)[LINK]
    (said,) = (found.said for found in report.suspicions if found.kind == "element")
    assert "element 2 is 2" in said
    assert said.endswith("threshold 10 dB")
    assert set(kinds(report)) == {LINK}


def test_an_element_that_is_dead_in_all_entries_is_named_by_its_receiver(root):
    def without_element(channel):
        return channel * np.array([0.0, 1.0, 1.0, 1.0], dtype=np.complex64)

    for entry in report_of(root).facts.of_receiver["south"]:
        replaced(root, entry.link, without_element)
    report = report_of(root)
    assert set(report.weak_elements) == {"south"}
    assert list(report.weak_elements["south"]) == [0]
    assert "weak elements at 1 receiver" in report.verdict


def test_something_that_moved_while_an_entry_was_learned_is_named(root):
    """A machine that goes to and fro: each capture finds it in another place."""
    scene = simulate(SITE, 0).source

    class Moving(Surveyed):
        def sense_background(self, tx_id, rx_ids, index, **options):
            clutter_m = scene.scene.clutter_m + np.array((0.4 * index, 0.0))
            moved = replace(scene.scene, clutter_m=clutter_m)
            return SimulatedSource(moved, scene.nodes, GRID).sense_background(
                tx_id, rx_ids, index, **options
            )

    dictionary = open_dictionary(root, scene, SITE.calibration.num_captures)
    LearnedBackgrounds(Moving(scene, {}), dictionary).learn("b", "f")
    found = kinds(report_of(root))
    assert "noise" in found[LINK]
    assert set(found) == {LINK}


def test_a_wrong_location_in_the_file_is_named_by_its_links(tmp_path):
    """The file has one node half a metre from where it stands."""
    source = Surveyed(simulate(SITE, 0).source, {"b": (0.0, 0.5)})
    learn(tmp_path / "d", source)
    found = kinds(report_of(tmp_path / "d"))
    wrong = {link for link, of_link in found.items() if "length" in of_link}
    assert len(wrong) >= 2
    assert all("south" in link for link in wrong)


def test_an_entry_whose_direct_path_is_hidden_is_named(root):
    tx, rx = (node for node in simulate(SITE, 0).source.nodes if node.node_id in "bf")

    replaced(root, LINK, lambda channel: channel - 0.97 * direct_path_channel(tx, rx, GRID))
    found = kinds(report_of(root))
    assert "weak path" in found[LINK]
    assert set(found) == {LINK}


def test_paths_that_differ_there_and_back_are_named(root):
    def later(channel):
        turn = np.exp(-2j * np.pi * GRID.offset_hz * 4e-9)[:, None]
        return (channel * turn).astype(np.complex64)

    replaced(root, LINK, later)
    report = report_of(root)
    assert kinds(report) == {BACK: {"reciprocity"}}  # of either pair once
    assert re.search(r"\+0\.0\d m there and \+1\.[12]\d m back", report.suspicions[0].said)
    # Not where the clocks themselves are known to a metre only.
    replaced(root, LINK, lambda channel: channel, delay_var_s2=(1.0 / 3e8) ** 2)
    assert not report_of(root).suspicions


def test_a_path_from_elsewhere_is_named(root):
    def turned(channel):
        slope = np.exp(2j * np.pi * 0.1 * np.arange(4))
        return (channel * slope).astype(np.complex64)

    replaced(root, LINK, turned)
    report = report_of(root)
    assert kinds(report)[LINK] == {"direction"}
    (said,) = (found.said for found in report.suspicions)
    assert abs(float(said.split()[3].rstrip(";"))) == pytest.approx(0.2, abs=0.04)


def test_a_receiver_that_is_noisy_in_all_entries_is_named_as_such(root):
    for entry in report_of(root).facts.of_receiver["north"]:
        ends = entry.header.learned_with
        louder = msgspec.structs.replace(ends, noise_var=4.0 * ends.noise_var)
        replaced(root, entry.link, lambda channel: channel, learned_with=louder)
    report = report_of(root)
    assert report.noise.noisy_receivers == {"north": pytest.approx(6.0, abs=0.5)}
    assert not report.suspicions


def test_without_calibrated_nodes_noise_and_elements_are_judged(root):
    (root / "nodes.json").unlink()
    report = report_of(root)
    assert not report.suspicions
    assert all(entry.path is None for entry in report.facts.entries.values())
    ends = report.facts.entries[LINK].header.learned_with
    louder = msgspec.structs.replace(ends, noise_var=4.0 * ends.noise_var)
    replaced(root, LINK, lambda channel: channel * np.float32([1, 0, 1, 1]), learned_with=louder)
    assert kinds(report_of(root)) == {LINK: {"noise", "element"}}
