"""Studies on disk: whole chunks of one study, which a study that was stopped goes on with."""

import json
import math
import os
import struct

import pytest

from calibration.whole_files import temporary_path
from testbed.errors import UsageError
from testbed.runs.study import run_study
from testbed.runs.study_store import opened_store, study_identity
from testbed.runs.trial import TrialResult
from tests.unit.testbed.sites import as_site, changed, contents, lab

SITE = as_site(changed(lab(), {"waveform.num_subcarriers": 60, "sensing.max_sensings": 1}))
IDENTITY = study_identity(SITE, 3, "learned", "pilot")


def study(root, trials, **options):
    """Results of a study in a directory, and how many trials were computed now."""
    computed = []
    with opened_store(root, IDENTITY, trials) as store:
        results, elapsed_s = run_study(
            SITE, trials, 3, "learned", 1, computed.extend, finished=store, **options
        )
    assert elapsed_s > 0.0
    return results, len(computed)


def bits(results):
    return [
        (r.seed, r.converged, r.num_links, struct.pack(f"{len(r.error_m)}d", *r.error_m),
         struct.pack("2d", r.nees, r.peb_m))
        for r in results
    ]  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed():
    return run_study(SITE, 19, 3, "learned", 1)[0]


def test_a_chunk_is_read_as_it_was_written(tmp_path):
    odd = [
        TrialResult(2**64 - 1, (0.1 + 0.2, 5e-324, 1e308), True, 1 / 3, math.inf, 6),
        TrialResult(0, (-0.0,), False, math.nan, math.nextafter(1.0, 2.0), 0),
    ]
    with opened_store(tmp_path, IDENTITY, 10) as store:
        store.put(8, odd, 0.25)
    with opened_store(tmp_path, IDENTITY, 10) as store:
        assert bits(store.of_first(10)) == bits(odd)
        assert list(store.results) == [8, 9]
        assert store.took_s == {8: 0.25}


def test_a_study_goes_on_with_what_is_there(tmp_path, undisturbed):
    """More trials than before, fewer, and the same ones: nothing is computed twice."""
    for trials, computed in ((11, 11), (19, 8), (19, 0), (5, 0)):
        results, now = study(tmp_path, trials)
        assert bits(results) == bits(undisturbed[:trials])
        assert now == computed
    manifest = json.loads((tmp_path / "study.json").read_text())
    assert manifest["trials"] == 19  # the most that were asked for
    assert manifest["study"] == IDENTITY
    chunks = sorted(path.name for path in (tmp_path / "chunks").iterdir())
    assert chunks == [f"{first:07d}.trials" for first in (0, 8, 11, 16)]
    assert not (tmp_path / "study.lock").exists()


def test_chunks_are_on_disk_as_they_finish(tmp_path):
    seen = []
    with opened_store(tmp_path, IDENTITY, 12) as store:
        run_study(
            SITE, 12, 3, "learned", 1, finished=store,
            progress=lambda chunk: seen.append(len(list((tmp_path / "chunks").iterdir()))),
        )  # fmt: skip
    assert seen == [1, 2]


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-1],
        lambda content: b"",
        lambda content: content[:100] + bytes([content[100] ^ 1]) + content[101:],
    ],
)
def test_damaged_chunks_are_named_and_computed_again(tmp_path, undisturbed, damage):
    study(tmp_path, 19)
    before = contents(tmp_path / "chunks")
    path = tmp_path / "chunks" / "0000008.trials"
    path.write_bytes(damage(path.read_bytes()))
    with opened_store(tmp_path, IDENTITY, 19) as store:
        assert store.damaged == [path]
        assert not path.exists()
    results, now = study(tmp_path, 19)
    assert now == 8
    assert bits(results) == bits(undisturbed)
    after = contents(tmp_path / "chunks")
    assert {name for name in before if before[name] != after[name]} == {path.name}  # its seconds


def test_chunks_of_another_study_or_place_are_not_taken(tmp_path, undisturbed):
    other = study_identity(SITE, 4, "learned", "pilot")
    with opened_store(tmp_path / "other", other, 8) as store:
        store.put(0, undisturbed[11:19], 0.1)
    study(tmp_path / "this", 16)
    chunks = tmp_path / "this" / "chunks"
    (chunks / "0000008.trials").write_bytes((chunks / "0000000.trials").read_bytes())
    (tmp_path / "other" / "chunks" / "0000000.trials").rename(chunks / "0000000.trials")
    results, now = study(tmp_path / "this", 16)
    assert now == 16
    assert bits(results) == bits(undisturbed[:16])


def test_another_study_is_refused_with_what_differs(tmp_path):
    study(tmp_path, 8)
    before = contents(tmp_path)
    site = as_site(changed(lab(), {"waveform.num_subcarriers": 61, "sensing.max_sensings": 1}))
    identity = study_identity(site, 3, "none", "pilot")
    identity["software"] = {**identity["software"], "code": "another"}
    with pytest.raises(UsageError) as refused, opened_store(tmp_path, identity, 8):
        pass
    code = IDENTITY["software"]["code"]
    assert str(refused.value) == (
        f"{tmp_path}: of another study: background: learned, needed none; "
        "site.waveform.num_subcarriers: 60, needed 61; "
        f"software.code: {code}, needed another; ask for the same study, or name another directory"
    )
    assert contents(tmp_path) == before


def test_of_many_differences_the_first_are_named(tmp_path):
    study(tmp_path, 1)
    identity = {**IDENTITY, "site": {}}
    with (
        pytest.raises(UsageError, match=r" and \d+ more; ask"),
        opened_store(tmp_path, identity, 1),
    ):
        pass


def test_infinities_of_a_site_and_large_seeds_are_told_apart(tmp_path):
    place = "node_defaults.receive_pattern.front_to_back_db"
    for name, value, seed in (("a", math.inf, 0), ("b", 30.0, 10**30)):
        identity = study_identity(as_site(changed(lab(), {place: value})), seed, "none", "pilot")
        for _ in range(2):
            with opened_store(tmp_path / name, identity, 1):
                pass
        with (
            pytest.raises(UsageError, match="of another study"),
            opened_store(tmp_path / name, IDENTITY, 1),
        ):
            pass


def test_a_second_study_is_refused_while_the_first_runs(tmp_path):
    with (
        opened_store(tmp_path, IDENTITY, 1),
        pytest.raises(UsageError, match=f"process {os.getpid()} on host .* runs a study into it"),
        opened_store(tmp_path, IDENTITY, 1),
    ):
        pass


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty and no study"), opened_store(tmp_path, {}, 1):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_killed_studies_left_is_no_obstacle(tmp_path):
    (tmp_path / "study.lock").write_bytes(b"")
    temporary_path(tmp_path / "study.json").write_bytes(b"half")
    study(tmp_path, 3)
    temporary_path(tmp_path / "chunks" / "0000900.trials").write_bytes(b"half")
    study(tmp_path, 4)
    assert not list(tmp_path.rglob("*.tmp"))
    assert not (tmp_path / "study.lock").exists()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"schema": 2}, "schema 2, this version reads 1"),
        ({"study": {"seed": 4}}, "does not belong to its study_hash"),
        ({"more": 1}, "unknown field `more`"),
    ],
)
def test_a_manifest_that_is_not_as_written_is_refused(tmp_path, change, words):
    study(tmp_path, 1)
    path = tmp_path / "study.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(UsageError, match=words) as refused, opened_store(tmp_path, IDENTITY, 1):
        pass
    assert str(refused.value).startswith(f"{path}: cannot be used: ")


@pytest.mark.parametrize("content", [b"", b"[]", b"{", b"\xff"])
def test_a_damaged_manifest_is_refused(tmp_path, content):
    study(tmp_path, 1)
    (tmp_path / "study.json").write_bytes(content)
    with pytest.raises(UsageError, match="cannot be used"), opened_store(tmp_path, IDENTITY, 1):
        pass


def test_a_disk_that_takes_no_more_is_named(tmp_path, undisturbed):
    with opened_store(tmp_path, IDENTITY, 8) as store:
        (tmp_path / "chunks").rename(tmp_path / "gone")
        with pytest.raises(UsageError, match=f"{tmp_path / 'chunks'}: cannot be written: No such"):
            store.put(0, undisturbed[:8], 0.1)
    assert store.results == {}


def test_what_others_cannot_write_is_not_said_of_the_directory(tmp_path):
    with pytest.raises(ConnectionError), opened_store(tmp_path, IDENTITY, 8):
        raise ConnectionResetError
