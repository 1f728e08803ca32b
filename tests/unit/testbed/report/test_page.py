"""The page: one file that is whole, stands alone, escapes what it is told, and says what is so."""

import json

import msgspec
import numpy as np
import pytest

from calibration.dictionary import BackgroundDictionary, Provenance
from calibration.dictionary_entry import NOTHING_KNOWN
from calibration.entry_checks import EntryCheck, EntryChecks
from testbed.report.html import Html, tag
from testbed.report.page import page_of
from testbed.report.report import report_of
from tests.unit.testbed.pages import Reader
from tests.unit.testbed.report.halls import copied, hall, replaced
from tests.unit.testbed.sites import header_of

HOSTILE = '</style><script>alert("x")</script>&amp;$\\frac{'
SECTIONS = (
    "Coverage", "Suspicious links", "Links without absolute delay", "Noise", "Stability", "Arrays",
    "Times, powers and poses of nodes",
)  # fmt: skip


def read(root) -> Reader:
    return Reader(page_of(report_of(root)))


def simple(root, names, num_elements=2, **options):
    """A dictionary of noise between places, without nodes."""
    dictionary = BackgroundDictionary(root, Provenance("0" * 16, "simulated seed 7", 5))
    rng = np.random.default_rng(0)
    for tx in names:
        for rx in names:
            if tx != rx:
                parts = rng.standard_normal((16, num_elements, 2))
                known = msgspec.structs.replace(
                    NOTHING_KNOWN, tx_id=f"at {tx}", rx_id=f"at {rx}", noise_var=1e-2
                )
                dictionary.put(
                    tx, rx, parts[..., 0] + 1j * parts[..., 1], learned_with=known, **options
                )
    return dictionary


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    root = tmp_path_factory.mktemp("lab") / "d"
    hall(root, 0)
    return root


def test_the_page_has_all_sections_and_nothing_from_elsewhere(lab):
    found = read(lab)
    assert tuple(found.headings) == SECTIONS
    assert found.tags.count("svg") == 3  # coverage, noise, elements: nothing was checked
    assert not {"script", "link", "iframe", "img"} & set(found.tags)
    for name, value in found.attributes:
        if name in ("src", "href", "xlink:href"):
            assert value.startswith(("#", "data:image/png;base64,")), value
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert "30 of 30 entries; nothing suspicious, none checked since" in found.words
    assert "5,800 MHz carrier, 600 tones of 30 kHz" in found.words
    assert "power over nominal (dB)" in found.words
    assert "position found (m) off survey (cm)" in found.words
    assert "None: delays of all entries count from transmission" in found.words


def test_the_same_dictionary_gives_the_same_page(tmp_path):
    simple(tmp_path / "d", ["a", "b"])
    assert page_of(report_of(tmp_path / "d")) == page_of(report_of(tmp_path / "d"))


def test_names_are_text_and_nothing_else(tmp_path):
    root, turned = tmp_path / "d", "\N{RIGHT-TO-LEFT OVERRIDE}\x00房"
    simple(root, ["a", turned, HOSTILE])
    (root / "checks.json").write_text(HOSTILE)
    replaced(root, (HOSTILE, "a"), lambda channel: channel, delay_is_absolute=False)
    replaced(root, (turned, "a"), lambda channel: channel, delay_is_absolute=False)
    found = read(root)
    assert "script" not in found.tags
    assert "6 of 6 entries" in found.words
    assert "checks.json" in found.words
    assert (
        f"to a from {HOSTILE}, \N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}房." in found.words
    )


def test_pieces_are_escaped_unless_they_are_html_already():
    assert tag("p", "a < b", Html("<br>"), class_='"') == '<p class="&quot;">a &lt; b<br></p>'
    assert (
        tag("p", "a\x1b[0m\ud800")
        == "<p>a\N{REPLACEMENT CHARACTER}[0m\N{REPLACEMENT CHARACTER}</p>"
    )


def test_an_empty_dictionary_has_a_page(tmp_path):
    simple(tmp_path / "d", [])
    found = read(tmp_path / "d")
    assert "0 of 0 entries; nothing to judge" in found.words
    assert "There is no entry yet." in found.words
    assert tuple(found.headings) == SECTIONS


def test_damaged_and_missing_entries_are_named(tmp_path):
    root = tmp_path / "d"
    simple(root, ["a", "b", "c"])
    arrays = sorted(root.glob("*.npy"))
    arrays[0].write_bytes(b"")  # a -> b
    header_of(arrays[1]).unlink()  # a -> c
    header_of(arrays[2]).write_bytes(b"{}")  # b -> a
    found = read(root)
    assert "3 of 6 entries; 2 damaged" in found.words
    assert "Missing: to a from b; to c from a." in found.words
    for path in (arrays[0], arrays[2]):
        assert str(header_of(path)) in found.words
    assert "damaged (1)" in found.words  # the other one does not say what it is of
    assert "missing (2)" in found.words


def test_nodes_without_any_entry_are_missing(lab, tmp_path):
    for path in lab.glob("*"):
        if "north-west" not in path.name:
            (tmp_path / path.name).write_bytes(path.read_bytes())
    found = read(tmp_path)
    assert "20 of 30 entries" in found.words
    assert "to node f from north, north-east, south, south-east, south-west" in found.words


@pytest.mark.parametrize(
    "change", [{"nodes": 3}, {"covariance": [[1.0]]}, {"covariance": [[], [1.0]]}]
)
def test_nodes_that_cannot_be_read_are_left_out_and_named(lab, tmp_path, change):
    root = copied(lab, tmp_path)
    path = root / "nodes.json"
    path.write_text(json.dumps({**json.loads(path.read_bytes()), **change}))
    found = report_of(root).facts
    assert found.nodes is None
    assert len(found.notes) == 1
    assert len(found.entries) == 30


def test_entries_that_are_not_numbers_are_no_reason_to_fail(lab, tmp_path):
    root = copied(lab, tmp_path)
    replaced(root, ("south", "north"), lambda channel: channel * np.nan)
    replaced(root, ("south", "south-west"), lambda channel: channel * 0.0)
    assert "30 of 30 entries" in read(root).words


def test_checks_are_told_of_the_entries_that_they_were_of(tmp_path):
    root = tmp_path / "d"
    dictionary = simple(root, ["a", "b", "c"])
    states = {("a", "b"): "stale", ("b", "a"): "drifting", ("a", "c"): "valid", ("b", "c"): "stale"}
    EntryChecks(dictionary).put(
        EntryCheck(
            *link, dictionary.header_of(*link).content_hash, state, 3, 2, 21.5, 13.25, 0.5,
            "was <late>", "2026-11-29T20:00:00+00:00",
        )
        for link, state in states.items()
    )  # fmt: skip
    simple(root, ["b", "c"], 3)  # learned again
    found = read(root)
    assert "6 of 6 entries; 1 stale, 1 drifting, 3 not checked since" in found.words
    said = (
        "changed in 2 of 3 captures, by 21.5 dB at 13.2 m; noise +0.5 dB over expected; was <late>"
    )
    assert f"a b stale {said}" in found.words
    assert f"b a drifting {said}" in found.words
    assert "3 entries were checked since they were learned; 2 of them are stale or drifting" in (
        found.words
    )
    assert found.tags.count("svg") == 4
    assert "stale (1)" in found.words


def test_links_without_absolute_delay_are_listed_with_the_reason(lab, tmp_path):
    simple(tmp_path / "d", ["a", "b"], 1, delay_is_absolute=False)
    found = read(tmp_path / "d")
    assert "2 links without absolute delay" in found.words
    assert "not known, as nodes were not sounded: to a from b; to b from a." in found.words
    assert "All receivers have a single antenna" in found.words

    root = copied(lab, tmp_path)
    replaced(root, ("south", "north"), lambda channel: channel, delay_is_absolute=False)
    replaced(root, ("north", "south"), np.random.default_rng(0).permutation,
             delay_is_absolute=False)  # fmt: skip
    found = read(root)
    assert "1 link without absolute delay" in found.words
    assert "from their direct path instead, which stands out: to north from south." in found.words
    assert "No usable direct path either, so that they give angles only: to south from north." in (
        found.words
    )


def test_locations_are_in_the_order_in_which_people_count(tmp_path):
    simple(tmp_path / "d", ["hall 10", "hall 9", "hall 1b", "desk"], 1)
    found = report_of(tmp_path / "d").facts
    assert found.locations == ("desk", "hall 1b", "hall 9", "hall 10")
    assert list(found.of_receiver) == list(found.locations)
