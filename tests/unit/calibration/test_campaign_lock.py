"""One campaign at a time in a directory; whatever ends it, the next one can begin."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calibration.campaign_lock import campaign_lock
from calibration.dictionary import BackgroundDictionary, DictionaryError
from calibration.dictionary_directory import LOCK_NAME
from tests.unit.calibration.crashing_writer import PROVENANCE, entry

ROOT = Path(__file__).parents[3]
HOLDER = """
import sys
from pathlib import Path
from calibration.campaign_lock import campaign_lock
with campaign_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(root: Path) -> Iterator[subprocess.Popen]:
    """A process that holds the lock, until the end of the block at the latest."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(root)], cwd=ROOT, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            assert process.stdout.readline() == "held\n"
            yield process
        finally:
            process.stdin.close()
            process.wait(timeout=10)


def test_a_second_campaign_is_refused_and_told_who_is_there(tmp_path):
    root = tmp_path / "d"
    with held_by_another(root) as holder:
        with pytest.raises(DictionaryError) as refused, campaign_lock(root):
            pass
        assert str(refused.value) == (
            f"{root}: process {holder.pid} on host {socket.gethostname()} is calibrating into it; "
            "wait until it has ended, end it, or name another directory"
        )
        assert (root / LOCK_NAME).exists()  # and who was refused took nothing away
    with campaign_lock(root):
        pass


def test_readers_are_not_refused(tmp_path):
    root = tmp_path / "d"
    BackgroundDictionary(root, PROVENANCE).put("a", "b", entry(1))
    with held_by_another(root):
        assert BackgroundDictionary(root, PROVENANCE).get("a", "b").channel[0, 0] == 1 - 1j


def test_a_killed_campaign_holds_nothing(tmp_path):
    root = tmp_path / "d"
    with held_by_another(root) as holder:
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=10)
        assert (root / LOCK_NAME).exists()
        with campaign_lock(root):
            pass
    assert list(root.iterdir()) == []


def test_two_campaigns_of_one_process_are_refused_as_well(tmp_path):
    with (
        campaign_lock(tmp_path),
        pytest.raises(DictionaryError, match=f"process {os.getpid()} on host"),
        campaign_lock(tmp_path),
    ):
        pass


def test_who_has_not_written_down_who_it_is_refuses_nevertheless(tmp_path):
    with campaign_lock(tmp_path):
        os.truncate(tmp_path / LOCK_NAME, 0)
        with pytest.raises(DictionaryError, match="another process is"), campaign_lock(tmp_path):
            pass


def test_what_failed_campaigns_left_is_removed_and_nothing_else(tmp_path):
    root = tmp_path / "d"
    BackgroundDictionary(root, PROVENANCE).put("a", "b", entry(1))
    kept = {path.name for path in root.iterdir()}
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    with held_by_another(tmp_path / "other") as running:
        for pid in (gone.pid, os.getpid(), running.pid):
            (root / f"a--b.{pid:d}.npy.{pid:d}.tmp").write_bytes(b"half")
        (root / "mine.tmp").write_bytes(b"a name that nobody here gives")
        with campaign_lock(root):
            left = {path.name for path in root.iterdir()} - kept
    assert left == {LOCK_NAME, "mine.tmp", f"a--b.{running.pid}.npy.{running.pid}.tmp"}


def test_a_directory_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DictionaryError, match="no dictionary"), campaign_lock(tmp_path):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_campaign_killed_before_its_first_word_is_no_obstacle(tmp_path):
    (tmp_path / LOCK_NAME).write_bytes(b"")
    with campaign_lock(tmp_path):
        BackgroundDictionary(tmp_path, PROVENANCE).put("a", "b", entry(1))
    assert not (tmp_path / LOCK_NAME).exists()
