"""What an entry says of itself, and that nobody can change what it says."""

import json
import socket
from pathlib import Path

import msgspec
import numpy as np
import pytest

from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import (
    NOTHING_KNOWN,
    SCHEMA,
    DictionaryError,
    EntryHeader,
    LearnedWith,
    RadioIdentity,
)
from tests.unit.calibration.crashing_writer import PROVENANCE, entry

LEARNED_WITH = LearnedWith(
    tx_id="n1",
    rx_id="n2",
    tx_radio=RadioIdentity("pluto", "1044"),
    rx_radio=None,
    carrier_hz=5.8e9,
    subcarrier_spacing_hz=30e3,
    noise_var=0.1 + 0.2,  # a number whose text is long
    own_noise_var=0.01,
)


@pytest.fixture
def dictionary(tmp_path) -> BackgroundDictionary:
    made = BackgroundDictionary(tmp_path / "d", PROVENANCE)
    made.put("a", "b", entry(1), 4, delay_var_s2=1e-22, learned_with=LEARNED_WITH)
    return made


def header_path(dictionary: BackgroundDictionary) -> Path:
    (path,) = dictionary.header_paths()
    return path


def changed(path: Path, place: str, value: object) -> None:
    """Write another value into a header, as an editor would."""
    content = json.loads(path.read_bytes())
    section, *rest = place.split(".")
    if rest:
        content[section][rest[0]] = value
    else:
        content[section] = value
    path.write_text(json.dumps(content))


def test_a_header_says_what_made_its_entry(dictionary):
    header = dictionary.get("a", "b").header
    assert header == dictionary.header(header_path(dictionary))
    assert header.learned_with == LEARNED_WITH
    assert (header.schema, header.shape, header.config_epoch) == (SCHEMA, (2048, 8), 4)
    assert (header.waveform_hash, header.num_captures) == ("waveform", 3)
    assert header.software.startswith("isac-testbed ")
    assert header.host == socket.gethostname()
    assert header.created.endswith("+00:00")


def test_what_nobody_could_tell_is_none_and_stands_there(dictionary):
    dictionary.put("b", "a", entry(1))
    assert dictionary.get("b", "a").header.learned_with == NOTHING_KNOWN
    for path in dictionary.header_paths():
        written = json.loads(path.read_bytes())
        assert set(written) == set(EntryHeader.__struct_fields__)
        assert set(written["learned_with"]) == set(LEARNED_WITH.__struct_fields__)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("config_epoch", 5),
        ("delay_var_s2", 1e-21),
        ("delay_is_absolute", False),
        ("software", "isac-testbed 99"),
        ("learned_with.noise_var", 0.3),
        ("learned_with.tx_id", "n3"),
        ("learned_with.rx_radio", {"kind": "pluto", "serial": "1"}),
        ("learned_with.carrier_hz", 5.81e9),
        ("provenance_hash", "0" * 32),
    ],
)
def test_a_changed_header_is_refused(dictionary, place, value):
    path = header_path(dictionary)
    changed(path, place, value)
    for read in (lambda: dictionary.get("a", "b"), lambda: dictionary.header(path)):
        with pytest.raises(DictionaryError, match="header of a -> b does not match its hash"):
            read()


@pytest.mark.parametrize("place", ["host", "created"])
def test_the_hash_is_not_of_when_and_where(dictionary, place):
    before = dictionary.get("a", "b").header
    changed(header_path(dictionary), place, "elsewhere")
    after = dictionary.get("a", "b").header
    assert getattr(after, place) == "elsewhere"
    assert after.provenance_hash == before.provenance_hash


def test_the_hash_of_equal_provenance_is_equal_in_two_dictionaries(dictionary, tmp_path):
    other = BackgroundDictionary(tmp_path / "other", PROVENANCE)
    other.put("a", "b", entry(1), 4, delay_var_s2=1e-22, learned_with=LEARNED_WITH)
    hashes = [d.get("a", "b").header.provenance_hash for d in (dictionary, other)]
    assert hashes[0] == hashes[1]
    other.put("a", "b", entry(2), 4, delay_var_s2=1e-22, learned_with=LEARNED_WITH)
    assert other.get("a", "b").header.provenance_hash != hashes[0]


def test_an_entry_of_another_campaign_is_refused(dictionary, tmp_path):
    """Both files copied from a dictionary of another waveform: whole, but not of this one."""
    other = msgspec.structs.replace(PROVENANCE, waveform_hash="another")
    foreign = BackgroundDictionary(tmp_path / "foreign", other)
    foreign.put("a", "b", entry(2))
    for path in foreign.root.glob("a--b*"):
        (dictionary.root / path.name).write_bytes(path.read_bytes())
    with pytest.raises(
        DictionaryError, match=r"a -> b is of another waveform \(waveform_hash: another, needed wav"
    ):
        dictionary.get("a", "b")


def test_a_header_under_another_name_is_named(dictionary):
    path = header_path(dictionary)
    renamed = path.with_name("c--d.00000000.entry.json")
    path.rename(renamed)
    with pytest.raises(DictionaryError, match="holds the entry a -> b, whose name is another"):
        dictionary.header(renamed)


@pytest.mark.parametrize("name", ["dictionary.json", "a--b"])
def test_what_schema_2_wrote_is_refused(dictionary, name):
    (path,) = (p for p in dictionary.root.glob("*.json") if p.name.startswith(name))
    content = json.loads(path.read_bytes())
    for field in ("learned_with", "provenance_hash", "host", "software", "num_captures"):
        if name == "a--b":
            del content[field]
    path.write_text(json.dumps({**content, "schema": 2}))
    with pytest.raises(DictionaryError, match=f"schema 2, this version reads {SCHEMA}; calibrate"):
        BackgroundDictionary(dictionary.root, PROVENANCE).get("a", "b")


def test_an_existing_dictionary_opens_without_its_provenance(dictionary, tmp_path):
    found = BackgroundDictionary.existing(dictionary.root)
    assert found.provenance == PROVENANCE
    np.testing.assert_array_equal(found.get("a", "b").channel, entry(1))
    (tmp_path / "empty").mkdir()
    for name, reason in (("none", "no such directory"), ("empty", "no dictionary")):
        with pytest.raises(DictionaryError, match=f"{name}: {reason}.*testbed calibrate makes one"):
            BackgroundDictionary.existing(tmp_path / name)
    assert list((tmp_path / "empty").iterdir()) == []
