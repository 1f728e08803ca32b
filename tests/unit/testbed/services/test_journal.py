"""The journal of a job: whatever a crash leaves of it, whole entries are read and others go on."""

import resource
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fusion.sensing import SensingConfig
from processing.report import Hypothesis, LinkReport
from testbed.bus.job_messages import SensedFields
from testbed.errors import UsageError
from testbed.services.journal import Journal, whole_entries
from tests.contract.messages import drawn


def sensed(index: int) -> SensedFields:
    """What a sensing brought that is somewhat different each time."""
    found = tuple(Hypothesis(1e-7 * n, 1e-18, 0.1, None, float("inf")) for n in range(index % 3))
    report = LinkReport("a", "b", index, found, 3.0, 1e-9, True, 0, None)
    return SensedFields(
        index=index, absent=["f"] * (index % 2), config=SensingConfig("a", ("b", "c")),
        reports=[report], problems={"c": "it is gone"},
    )  # fmt: skip


def written(path: Path, num_entries: int) -> bytes:
    """A journal's content."""
    with closing(Journal(path)) as journal:
        for index in range(num_entries):
            journal.add(sensed(index))
    return path.read_bytes()


def reopened(path: Path) -> list[SensedFields]:
    with closing(Journal(path)) as journal:
        return journal.entries


def test_what_was_kept_is_there_again(tmp_path):
    written(tmp_path / "journal", 5)
    assert reopened(tmp_path / "journal") == [sensed(n) for n in range(5)]


def test_an_entry_is_in_the_file_as_soon_as_it_is_added(tmp_path):
    with closing(Journal(tmp_path / "journal")) as journal:
        for index in range(3):
            journal.add(sensed(index))
            assert len(whole_entries((tmp_path / "journal").read_bytes())[0]) == index + 1


def test_a_writer_that_was_killed_at_any_byte_loses_no_whole_entry(tmp_path):
    path, parts = tmp_path / "journal", tmp_path / "part"
    content = written(path, 3)
    ends = [len(written(tmp_path / f"of-{n}", n)) for n in range(4)]
    for length in range(len(content) + 1):
        parts.write_bytes(content[:length])
        num_whole = sum(end <= length for end in ends[1:])
        with closing(Journal(parts)) as journal:
            assert journal.entries == [sensed(n) for n in range(num_whole)]
            for index in range(num_whole, 3):
                journal.add(sensed(index))
        assert parts.read_bytes() == content


def test_what_is_damaged_ends_the_journal_there(tmp_path):
    path = tmp_path / "journal"
    content = written(path, 3)
    ends = [len(written(tmp_path / f"of-{n}", n)) for n in range(4)]
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x41
        path.write_bytes(damaged)
        whole = sum(end <= place for end in ends[1:])
        assert reopened(path) == [sensed(n) for n in range(whole)]
        assert path.stat().st_size == ends[whole]


@given(st.binary(max_size=200))
def test_whatever_stands_behind_is_cut_off(rubbish):
    with_rubbish, size = whole_entries(rubbish)
    assert (with_rubbish, size) == ([], 0)


def test_entries_that_do_not_follow_each_other_are_not_taken(tmp_path):
    path = tmp_path / "journal"
    with closing(Journal(path)) as journal:
        for index in (0, 1, 3, 2):
            journal.add(sensed(index))
    assert [entry.index for entry in reopened(path)] == [0, 1]


@given(st.lists(drawn(SensedFields), max_size=4))
@settings(max_examples=30)
def test_everything_that_a_sensing_may_bring_comes_back(tmp_path_factory, entries):
    path = tmp_path_factory.mktemp("journal") / "journal"
    kept = [msgspec.structs.replace(entry, index=n) for n, entry in enumerate(entries)]
    with closing(Journal(path)) as journal:
        for entry in kept:
            journal.add(entry)
    assert reopened(path) == kept


@contextmanager
def files_no_larger_than(num_bytes: int) -> Iterator[None]:
    """As on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_disk_that_is_full_is_named_and_costs_no_entry_before(tmp_path):
    path = tmp_path / "journal"
    size = len(written(path, 2))
    with (
        closing(Journal(path)) as journal,
        files_no_larger_than(size + 20),
        pytest.raises(UsageError, match="journal: cannot be written"),
    ):
        journal.add(sensed(2))
    assert reopened(path) == [sensed(0), sensed(1)]
