"""The dictionary on disk: what went in comes out, or the reason why not."""

import hashlib
import json
import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibration.dictionary import SCHEMA, BackgroundDictionary, DictionaryError, Provenance

PROVENANCE = Provenance(
    waveform_hash="0123456789abcdef",
    origin="simulated seed 7",
    num_captures=70,
)
MANIFEST = "dictionary.json"


def channel(seed: int = 0, shape=(32, 3)) -> np.ndarray:
    parts = np.random.default_rng(seed).standard_normal((*shape, 2), dtype=np.float32)
    return np.ascontiguousarray(parts[..., 0] + 1j * parts[..., 1]).astype(np.complex64)


def made(root: Path) -> BackgroundDictionary:
    return BackgroundDictionary(root, PROVENANCE)


def files_of(root: Path, suffix: str) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.name.endswith(suffix))


def only_file(root: Path, suffix: str) -> Path:
    (path,) = files_of(root, suffix)
    return path


def test_what_went_in_comes_out_bit_for_bit(tmp_path):
    dictionary = made(tmp_path / "d")
    entry = channel()
    # Numbers that a text or a rounding format would lose
    entry[0, 0] = np.float32(1e-45) + 1j * np.nextafter(np.float32(1), np.float32(2))
    entry[1, 0] = complex(-0.0, np.finfo(np.float32).max)
    content_hash = dictionary.put("a", "b", entry, config_epoch=4)
    for opened in (dictionary, made(tmp_path / "d")):
        found = opened.get("a", "b")
        assert found.channel.dtype == np.complex64
        assert found.channel.shape == (32, 3)
        assert found.channel.tobytes() == entry.tobytes()
        assert found.header.content_hash == content_hash
        assert found.header.config_epoch == 4
    found.channel[:] = 0.0  # a copy: what is on disk stays
    assert opened.get("a", "b").channel.tobytes() == entry.tobytes()


@given(st.integers(1, 40), st.integers(1, 5), st.booleans(), st.integers(0, 1000))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
def test_any_shape_and_layout_comes_out(tmp_path, num_tones, num_elements, transposed, seed):
    dictionary = made(tmp_path / "d")
    entry = channel(seed, (num_elements, num_tones)).T if transposed else channel(
        seed, (num_tones, num_elements)
    )  # fmt: skip
    dictionary.put("a", "b", entry)
    np.testing.assert_array_equal(dictionary.get("a", "b").channel, entry)


def test_links_are_ordered_pairs(tmp_path):
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    assert ("a", "b") in dictionary
    assert ("b", "a") not in dictionary
    with pytest.raises(KeyError, match="b -> a"):
        dictionary.get("b", "a")
    dictionary.put("b", "a", channel(2))
    np.testing.assert_array_equal(dictionary.get("a", "b").channel, channel(1))
    np.testing.assert_array_equal(dictionary.get("b", "a").channel, channel(2))
    assert len(dictionary) == 2


def test_hash_follows_content_and_shape(tmp_path):
    dictionary = made(tmp_path / "d")
    entry = channel(1)
    changed = entry.copy()
    changed[3, 1] = np.nextafter(changed[3, 1].real, np.float32(9)) + 1j * changed[3, 1].imag
    hashes = [
        dictionary.put("a", "b", entry),
        dictionary.put("c", "d", entry),
        dictionary.put("a", "b", changed),
        dictionary.put("a", "b", entry.reshape(16, 6)),
    ]
    assert hashes[0] == hashes[1]
    assert len(set(hashes)) == 3


def test_learning_again_replaces_the_entry(tmp_path):
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    dictionary.put("a", "b", channel(2))
    assert len(dictionary) == 1
    np.testing.assert_array_equal(dictionary.get("a", "b").channel, channel(2))
    assert len(files_of(tmp_path / "d", "")) == 3  # manifest, array, header


def test_manifest_says_what_made_it(tmp_path):
    made(tmp_path / "d")
    manifest = json.loads((tmp_path / "d" / MANIFEST).read_text())
    assert manifest["schema"] == SCHEMA
    assert manifest["provenance"] == msgspec.to_builtins(PROVENANCE)
    assert manifest["software"].startswith("isac-testbed ")
    assert manifest["created"].endswith("+00:00")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"waveform_hash": "aaaa"}, "another waveform.*0123456789abcdef.*needed aaaa"),
        ({"origin": "simulated seed 8"}, "another origin.*seed 7.*needed simulated seed 8"),
        ({"num_captures": 24}, "another number of captures.*70.*needed 24"),
        ({"waveform_hash": "aaaa", "num_captures": 24}, "another waveform.*and another number"),
    ],
)
def test_another_provenance_is_refused_with_the_reason(tmp_path, changed, reason):
    root = tmp_path / "d"
    made(root).put("a", "b", channel())
    with pytest.raises(DictionaryError, match=reason) as caught:
        BackgroundDictionary(root, msgspec.structs.replace(PROVENANCE, **changed))
    assert str(root) in str(caught.value)
    assert "calibrate again" in str(caught.value)
    assert len(made(root)) == 1  # and nothing was touched


def test_a_directory_of_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DictionaryError, match=r"no dictionary \(dictionary.json is missing\)"):
        made(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_file_is_no_directory(tmp_path):
    (tmp_path / "d").write_text("mine")
    with pytest.raises(OSError, match="d"):
        made(tmp_path / "d")


def test_an_empty_directory_and_missing_parents_are_made(tmp_path):
    (tmp_path / "empty").mkdir()
    assert len(made(tmp_path / "empty")) == 0
    assert len(made(tmp_path / "far" / "down" / "d")) == 0
    assert (tmp_path / "far" / "down" / "d" / MANIFEST).is_file()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe\x00",
        b'{"schema": 1}',
        b'{"schema": 0}',
        b'{"software": "\xff"}',
    ],
)
def test_a_damaged_manifest_is_refused(tmp_path, content):
    made(tmp_path / "d")
    (tmp_path / "d" / MANIFEST).write_bytes(content)
    with pytest.raises(DictionaryError, match="not a dictionary manifest"):
        made(tmp_path / "d")


def test_another_schema_is_refused(tmp_path):
    made(tmp_path / "d")
    path = tmp_path / "d" / MANIFEST
    path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', '"schema": 99'))
    with pytest.raises(DictionaryError, match=f"schema 99, this version reads {SCHEMA}"):
        made(tmp_path / "d")


def test_a_tampered_array_is_refused(tmp_path):
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    path = only_file(tmp_path / "d", ".npy")
    content = bytearray(path.read_bytes())
    for offset in (len(content) - 1, len(content) // 2, 130):
        spoilt = bytearray(content)
        spoilt[offset] ^= 1
        path.write_bytes(spoilt)
        with pytest.raises(DictionaryError, match="does not match its hash"):
            dictionary.get("a", "b")
    path.write_bytes(content)
    np.testing.assert_array_equal(dictionary.get("a", "b").channel, channel(1))


def test_an_array_of_another_type_or_shape_with_the_same_bytes_is_refused(tmp_path):
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    path = only_file(tmp_path / "d", ".npy")
    for other in (channel(1).reshape(16, 6), channel(1).view(np.float64), channel(1).T):
        np.save(path, other)
        with pytest.raises(DictionaryError, match="does not match its hash"):
            dictionary.get("a", "b")


@pytest.mark.parametrize("suffix", [".npy", ".entry.json"])
@pytest.mark.parametrize("kept", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_is_refused(tmp_path, suffix, kept):
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    path = only_file(tmp_path / "d", suffix)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(DictionaryError, match="a -> b cannot be read"):
        dictionary.get("a", "b")


def npy_header(shape: tuple[int, ...], descr: str) -> bytes:
    text = f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}"
    text = text.ljust(118 - 1) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04 no zip",
        b"no array at all",
        npy_header((10**13, 4), "<c8"),  # 320 TB, which must not be allocated to find out
        npy_header((2, 2), "|O") + b"cos\nsystem\n(S'true'\ntR.",  # a pickle is never read
        npy_header((2, 2), "<c8").replace(b"}", b"\0"),
    ],
    ids=["zip", "text", "huge", "pickle", "broken"],
)
def test_a_file_that_is_no_array_is_refused(tmp_path, content):
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    only_file(tmp_path / "d", ".npy").write_bytes(content)
    with pytest.raises(DictionaryError, match="a -> b cannot be read"):
        dictionary.get("a", "b")


def test_an_array_whose_header_may_be_of_any_length_is_not_read(tmp_path):
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    only_file(tmp_path / "d", ".npy").write_bytes(b"\x93NUMPY\x03\x00\xff\xff\xff\x7f{")
    with pytest.raises(
        DictionaryError, match=r"cannot be read: .*npy is no array as it was written"
    ):
        dictionary.get("a", "b")


def test_a_missing_array_is_refused(tmp_path):
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    only_file(tmp_path / "d", ".npy").unlink()
    with pytest.raises(DictionaryError, match="a -> b cannot be read"):
        dictionary.get("a", "b")


def test_an_array_without_header_is_no_entry(tmp_path):
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    only_file(tmp_path / "d", ".entry.json").unlink()
    assert ("a", "b") not in dictionary
    assert len(dictionary) == 0
    with pytest.raises(KeyError):
        dictionary.get("a", "b")


def test_an_entry_under_another_link_s_name_is_refused(tmp_path):
    """Both files renamed: hash and array belong together, but not to this link."""
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    stolen = {s: only_file(tmp_path / "d", s).read_bytes() for s in (".npy", ".entry.json")}
    dictionary.put("c", "d", channel(2))
    for suffix, content in stolen.items():
        for path in files_of(tmp_path / "d", suffix):
            path.write_bytes(content)
    with pytest.raises(DictionaryError, match="holds the entry a -> b, needed c -> d"):
        dictionary.get("c", "d")
    np.testing.assert_array_equal(dictionary.get("a", "b").channel, channel(1))


def test_an_entry_of_another_schema_is_refused(tmp_path):
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    path = only_file(tmp_path / "d", ".entry.json")
    header = json.loads(path.read_text())
    path.write_text(json.dumps({**header, "schema": 99}))
    with pytest.raises(DictionaryError, match=f"schema 99, this version reads {SCHEMA}"):
        dictionary.get("a", "b")
    path.write_text(json.dumps({**header, "surprise": 1}))
    with pytest.raises(DictionaryError, match="surprise"):
        dictionary.get("a", "b")


ODD_NAMES = [
    "a/b", "../x", "/etc/passwd", "..", ".", "", "a", "A", "a b", "a_b", "a--b", "b--c", "ä",
    "a\u0308", "漢字", "\u202eright", "con", "a\nb", "a\0b", "'; rm -rf", "$HOME", "*",
    "x" * 64, "漢" * 64, "x" * 300, "dictionary", "dictionary.json", ".hidden", "a.npy", "emoji 🛰",
]  # fmt: skip


def test_odd_names_neither_escape_nor_collide(tmp_path):
    root = tmp_path / "outer" / "d"
    dictionary = made(root)
    links = [(tx, rx) for tx in ODD_NAMES for rx in ODD_NAMES if tx != rx][::3]
    # Pairs that run together where a separator is all that parts them
    links += [
        ("a--b", "c"),
        ("a", "b--c"),
        ("a/b", "c"),
        ("a", "b/c"),
        ("", "a--b"),
        ("a-", "b"),
        ("a", "-b"),
    ]
    links = sorted(set(links))
    for n, link in enumerate(links):
        dictionary.put(*link, np.full((2, 1), n + 1j, dtype=np.complex64))
    for n, link in enumerate(links):
        assert link in dictionary
        assert dictionary.get(*link).channel[0, 0] == n + 1j
    assert len(made(root)) == len(links)
    # All there, flat, in the directory itself
    assert [path.name for path in tmp_path.iterdir()] == ["outer"]
    assert [path.name for path in (tmp_path / "outer").iterdir()] == ["d"]
    paths = list(root.iterdir())
    assert len(paths) == 2 * len(links) + 1
    assert all(path.is_file() for path in paths)
    assert all(path.name.isascii() and len(path.name) < 200 for path in paths)
    # And told apart where upper and lower case are not
    assert len({path.name.lower() for path in paths}) == len(paths)


@given(tx=st.text(max_size=64), rx=st.text(max_size=64))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
def test_any_name_is_a_key(tmp_path, tx, rx):
    root = tmp_path / hashlib.sha256(repr((tx, rx)).encode()).hexdigest()[:16]
    dictionary = made(root)
    dictionary.put(tx, rx, channel(1))
    np.testing.assert_array_equal(dictionary.get(tx, rx).channel, channel(1))
    assert len(files_of(root, "")) == 3


def test_a_disk_that_cannot_be_written_leaves_no_entry_and_no_litter(tmp_path):
    dictionary = made(tmp_path / "d")
    dictionary.put("a", "b", channel(1))
    # The header's final name is taken by a directory: the last rename fails.
    header = only_file(tmp_path / "d", ".entry.json")
    header.unlink()
    header.mkdir()
    (header / "occupied").touch()
    with pytest.raises(OSError, match=r"entry\.json"):
        dictionary.put("a", "b", channel(2))
    assert files_of(tmp_path / "d", ".tmp") == []


def test_leftovers_of_a_killed_maker_are_no_obstacle(tmp_path):
    root = tmp_path / "d"
    root.mkdir()
    (root / f"{MANIFEST}.{os.getpid()}.tmp").write_bytes(b'{"sche')
    made(root).put("a", "b", channel(1))
    assert len(made(root)) == 1
