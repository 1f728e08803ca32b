"""`testbed dictionary`: what is shown and exported is what is there; what cannot be, says why."""

import csv
import json
import shutil

import numpy as np
import pytest

from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import SCHEMA
from calibration.entry_checks import EntryCheck, EntryChecks
from tests.unit.testbed.sites import call, changed, contents, tiny, write_site

LINK = ("south-west", "south")


@pytest.fixture(scope="module")
def learned(tmp_path_factory):
    """The dictionary of four nodes."""
    folder = tmp_path_factory.mktemp("learned")
    path = write_site(folder, tiny())
    assert call("calibrate", path, "--out", folder / "d").code == 0
    return folder / "d"


@pytest.fixture
def copied(learned, tmp_path):
    shutil.copytree(learned, tmp_path / "d")
    return tmp_path / "d"


def refused(*arguments):
    outcome = call("dictionary", *arguments)
    assert outcome.code == 2, outcome
    assert outcome.out == ""
    return outcome.err


def test_every_entry_is_shown(learned):
    before = contents(learned)
    shown = call("dictionary", "show", learned, "--json").result
    assert contents(learned) == before
    dictionary = BackgroundDictionary.existing(learned)
    assert shown["provenance"]["num_captures"] == 2
    assert shown["damaged"] == []
    assert len(shown["entries"]) == 12
    for row in shown["entries"]:
        entry = dictionary.get(row["tx_location"], row["rx_location"])
        assert (row["num_tones"], row["num_elements"]) == entry.channel.shape == (128, 2)
        power = np.mean(np.abs(entry.channel.astype(complex)) ** 2)
        assert row["mean_power_db"] == pytest.approx(10.0 * np.log10(power), abs=1e-5)
        noise_db = 10.0 * np.log10(entry.header.learned_with.noise_var)
        assert row["power_over_noise_db"] == pytest.approx(row["mean_power_db"] - noise_db)
        assert row["created"] == entry.header.created


def test_the_table_has_a_row_an_entry(learned):
    outcome = call("dictionary", "show", learned)
    assert outcome.code == 0
    assert f"dictionary: {learned}, schema {SCHEMA}" in outcome.out
    assert "captures: 2 an entry" in outcome.out
    assert outcome.out.count("128 x 2") == 12
    assert max(map(len, outcome.out.splitlines()[6:])) <= 80


def test_damaged_entries_are_named_and_end_with_status_1(copied):
    arrays, headers = sorted(copied.glob("*.npy")), sorted(copied.glob("*.entry.json"))
    arrays[0].write_bytes(arrays[0].read_bytes()[:-1])
    arrays[1].unlink()
    headers[2].write_bytes(b"{}")
    header = json.loads(headers[3].read_bytes())
    headers[3].write_text(json.dumps({**header, "config_epoch": 9}))
    outcome = call("dictionary", "show", copied)
    assert outcome.code == 1
    assert "8 entries, 4 damaged" in outcome.out
    reasons = [line for line in outcome.out.splitlines() if line.startswith("damaged: ")]
    words = ("cannot be read", "No such file", "schema", "match its hash")
    for path, reason, word in zip(headers[:4], reasons, words, strict=True):
        assert str(path) in reason
        assert word in reason
    as_json = call("dictionary", "show", copied, "--json")
    assert as_json.code == 1
    damaged = json.loads(as_json.out)["damaged"]
    assert [found["file"] for found in damaged] == [path.name for path in headers[:4]]
    table = copied.parent / "t.csv"
    exported = call("dictionary", "export", copied, "--csv", table)
    assert exported.code == 1
    assert exported.err.count("left out: ") == 4
    assert len(table.read_text().splitlines()) == 1 + 8


def test_an_entry_goes_to_numpy(learned, tmp_path):
    entry = BackgroundDictionary.existing(learned).get(*LINK)
    for name in ("h.npy", "h.npz"):
        outcome = call("dictionary", "export", learned, "--link", *LINK, "--to", tmp_path / name)
        assert outcome.code == 0, outcome.err
    np.testing.assert_array_equal(np.load(tmp_path / "h.npy"), entry.channel)
    with np.load(tmp_path / "h.npz", allow_pickle=False) as found:
        np.testing.assert_array_equal(found["channel"], entry.channel)
        offset_hz = found["frequency_offset_hz"]
        assert offset_hz.shape == (128,)
        assert offset_hz[0] == -offset_hz[-1] == -63.5 * 120e3
        assert found["carrier_hz"] == 5800e6
        assert found["tx_location"] == "south-west"
        assert found["content_hash"] == entry.header.content_hash
        assert found["noise_var"] == entry.header.learned_with.noise_var
        assert "tx_radio_serial" not in found  # a simulated one has none


def test_all_go_to_csv(learned, tmp_path):
    outcome = call("dictionary", "export", learned, "--csv", tmp_path / "t.csv")
    assert outcome.out == f"{tmp_path / 't.csv'}: 12 entries\n"
    with (tmp_path / "t.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    shown = call("dictionary", "show", learned, "--json").result["entries"]
    assert [row["content_hash"] for row in rows] == [row["content_hash"] for row in shown]
    assert [float(row["noise_db"]) for row in rows] == [row["noise_db"] for row in shown]
    assert {row["carrier_hz"] for row in rows} == {"5800000000.0"}
    assert {row["tx_radio_kind"] for row in rows} == {""}


@pytest.mark.parametrize("option", [("--link", *LINK, "--to", "x.npz"), ("--csv", "x.csv")])
def test_a_file_that_is_there_is_kept_without_force(learned, tmp_path, option):
    *option, name = option
    path = tmp_path / name
    path.write_bytes(b"precious")
    message = refused("export", learned, *option, path)
    assert message == f"error: {path}: is there already; name another file, or add --force\n"
    assert path.read_bytes() == b"precious"
    assert call("dictionary", "export", learned, *option, path, "--force").code == 0
    assert path.stat().st_size > 100
    assert list(contents(tmp_path)) == [name]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("show", "none"), ["none: no such directory"]),
        (("show", "file"), ["file: no such directory"]),
        (("show", "empty"), ["empty: no dictionary (dictionary.json is missing)"]),
        (("export", "empty", "--csv", "t.csv"), ["empty: no dictionary"]),
        (("export", "D"), ["nothing to export"]),
        (("export", "D", "--to", "x.npy"), ["--link", "go together"]),
        (("export", "D", "--link", *LINK), ["--to", "go together"]),
        (("export", "D", "--link", *LINK, "--to", "x.mat"), ["x.mat", ".npy or .npz", "'.mat'"]),
        (("export", "D", "--link", *LINK, "--to", "none/x.npy"), ["none/x.npy: cannot be written"]),
        (("export", "D", "--link", *LINK, "--to", "empty"), ["empty"]),
        (
            ("export", "D", "--link", "south-wst", "south", "--to", "x.npy"),
            ["D: no entry south-wst -> south; nearest of 12 are south-west -> south, "],
        ),
        (("export", "D", "--csv", "empty"), ["empty: is there already; name another file\n"]),
    ],
)
def test_what_cannot_be_done_says_why(learned, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(learned, tmp_path / "D")
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    before = contents(tmp_path)
    message = refused(*arguments)
    assert all(word in message for word in words), message
    assert contents(tmp_path) == before


def test_a_dictionary_with_few_or_no_entries_says_which(copied, tmp_path):
    headers = sorted(copied.glob("*.entry.json"))
    for path in headers[2:]:
        path.unlink()
    option = ("--link", "a", "b", "--to", tmp_path / "x.npy")
    message = refused("export", copied, *option)
    assert "there are north-east -> south-east, north-east -> south-west\n" in message
    for path in headers[:2]:
        path.unlink()
    assert "no entries yet" in refused("export", copied, *option)
    assert "no whole entry" in refused("export", copied, "--csv", tmp_path / "t.csv")
    assert "0 entries" in call("dictionary", "show", copied).out


def test_a_hall_that_has_not_changed_is_said_to_hold(copied, tmp_path):
    """And an entry that does not is named, until it is learned again; no number is made up."""
    site = write_site(tmp_path, tiny())
    fresh = call("dictionary", "check", site, copied, "--json").result["entries"]
    assert len(fresh) == 12
    assert {entry["state"] for entry in fresh} <= {"valid", "drifting"}
    kept = json.loads((copied / "checks.json").read_text())
    assert kept["checks"] == sorted(fresh, key=lambda e: (e["tx_location"], e["rx_location"]))

    kept["checks"][0] |= {"state": "stale"}
    stale = kept["checks"][0]
    (copied / "checks.json").write_text(json.dumps(kept))
    again = call("calibrate", site, "--out", copied)
    assert "12 entries, 1 learned now, 11 kept" in again.out
    left = json.loads((copied / "checks.json").read_text())["checks"]
    assert (stale["tx_location"], stale["rx_location"]) not in {
        (entry["tx_location"], entry["rx_location"]) for entry in left
    }


def test_checks_that_cannot_be_read_say_what_to_do(copied, tmp_path):
    site = write_site(tmp_path, tiny())
    (copied / "checks.json").write_text("{")
    said = refused("check", site, copied)
    assert "checks.json: cannot be read" in said
    assert "delete it" in said


def test_nodes_that_swap_places_are_localized_with_by_the_entries_of_their_places(tmp_path):
    radios = {"simulation.impairments": {"preset": "lab"}}
    site = write_site(tmp_path, changed(tiny(), radios))
    assert call("calibrate", site, "--out", tmp_path / "d", "--fidelity", "iq").code == 0
    swap = {
        "nodes.0.location_id": "south-east", "nodes.0.boresight_deg": 135.0,
        "nodes.2.location_id": "south-west", "nodes.2.boresight_deg": 45.0,
        "nodes.1.radio": {"kind": "sim", "options": {"unit": 9}},
    }  # fmt: skip
    (tmp_path / "later").mkdir()
    later = write_site(tmp_path / "later", changed(tiny(), radios | swap))
    before = contents(tmp_path / "d")
    options = ("--fidelity", "iq", "--dictionary", tmp_path / "d", "--json")
    outcome = call("localize", later, *options)
    assert outcome.code == 0, outcome.err
    assert "left out" not in outcome.err
    assert [sensing["problems"] for sensing in outcome.result["sensings"]] == [{}]
    arrays = {name: content for name, content in before.items() if name.endswith(".npy")}
    assert arrays.items() <= contents(tmp_path / "d").items()  # nothing was learned again
    assert call("calibrate", later, "--out", tmp_path / "d", "--fidelity", "iq").out.endswith(
        "12 entries, 0 learned now, 12 kept\n"
    )


def test_links_that_are_left_out_are_said(copied):
    path = write_site(copied.parent, tiny())
    dictionary = BackgroundDictionary.existing(copied)
    stale = EntryCheck(
        tx_location=LINK[0], rx_location=LINK[1],
        content_hash=dictionary.header_of(*LINK).content_hash, state="stale", num_captures=3,
        num_changed=3, change_snr_db=30.0, change_range_m=4.0, noise_db=0.0, reason=None,
        checked="2026-01-01T00:00:00+00:00",
    )  # fmt: skip
    EntryChecks(dictionary).put([stale])
    outcome = call("localize", path, "--dictionary", copied)
    assert outcome.code == 0, outcome.err
    assert "left out of planning: a -> b: stale" in outcome.err


def test_what_localizations_saw_of_entries_is_shown_until_they_are_learned_again(
    copied, tmp_path, caplog
):
    site = write_site(tmp_path, tiny())
    assert "seen since" not in call("dictionary", "show", copied).out
    assert call("localize", site, "--dictionary", copied).code == 0
    seen = rows_seen(copied)
    assert [row["captures_seen"] for row in seen] == [1, 1]
    assert max(abs(row["seen_noise_db"]) for row in seen) < 2.0
    # Captures of a recording count where its entries are from, and once.
    recording = tmp_path / "r"
    assert call("record", site, "--out", recording, "--dictionary", copied).code == 0
    assert [row["captures_seen"] for row in rows_seen(copied)] == [2, 2]
    before = contents(recording)
    assert call("replay", recording).code == 0
    assert contents(recording) == before
    outcome = call("dictionary", "show", copied)
    assert "seen since they were learned" in outcome.out
    assert "drifting" not in outcome.out
    assert max(map(len, outcome.out.splitlines()[6:])) <= 80

    kept = json.loads((copied / "drift.json").read_text())
    kept["drifts"][0] |= {"num_captures": 8, "noise_db": 3.0}
    (copied / "drift.json").write_text(json.dumps(kept))
    out = call("dictionary", "show", copied).out
    link = f"{kept['drifts'][0]['tx_location']} -> {kept['drifts'][0]['rx_location']}"
    assert f"drifting: {link}: noise 3.0 dB over what it was learned with\n" in out
    assert "testbed dictionary check says" in out
    said = call("localize", site, "--dictionary", copied)
    assert said.code == 0, "it is a hint, and refuses nothing"
    assert f"backgrounds that drift: {link}: noise" in caplog.text
    kept["drifts"][0]["content_hash"] = "of another one"
    (copied / "drift.json").write_text(json.dumps(kept))
    assert len(rows_seen(copied)) == 1


def rows_seen(folder):
    rows = call("dictionary", "show", folder, "--json").result["entries"]
    return [row for row in rows if row["captures_seen"] is not None]
