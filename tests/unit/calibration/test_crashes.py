"""A writer that is killed leaves whole entries and a dictionary that can be used on."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from calibration.dictionary import BackgroundDictionary
from tests.unit.calibration.crashing_writer import LINKS, PROVENANCE, SHAPE, entry

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def writers() -> Iterator[subprocess.Popen]:
    command = [sys.executable, "-m", "tests.unit.calibration.crashing_writer"]
    with subprocess.Popen(
        command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(timeout=10) == 0


def order(writers: subprocess.Popen, *words: object) -> int:
    """Start a writer; its process id."""
    assert writers.stdin is not None
    writers.stdin.write(" ".join(map(str, words)) + "\n")
    writers.stdin.flush()
    return int(answer(writers))


def answer(writers: subprocess.Popen) -> str:
    assert writers.stdout is not None
    return writers.stdout.readline().strip()


def assert_usable(root: Path) -> int:
    """Every entry that is there is one that was written, and writing goes on; their number."""
    dictionary = BackgroundDictionary(root, PROVENANCE)
    present = [link for link in sorted(set(LINKS)) if link in dictionary]
    for link in present:
        channel = dictionary.get(*link).channel
        assert channel.shape == SHAPE
        np.testing.assert_array_equal(channel, channel[0, 0])
    extra = ("kept", "kept") in dictionary
    assert len(dictionary) == len(present) + extra
    if extra:
        np.testing.assert_array_equal(dictionary.get("kept", "kept").channel, entry(0))
    return len(present)


def test_killed_at_any_operation_on_files(writers, tmp_path):
    present = []
    for number in range(200):
        root = tmp_path / f"root{number:03d}"
        if number % 2:  # with and without a dictionary to start from
            BackgroundDictionary(root, PROVENANCE).put("kept", "kept", entry(0))
        order(writers, "at", number, root)
        end = answer(writers)
        present.append(assert_usable(root))
        # Writing on heals whatever was left.
        dictionary = BackgroundDictionary(root, PROVENANCE)
        for link in LINKS:
            dictionary.put(*link, entry(9))
        assert assert_usable(root) == len(set(LINKS))
        if end == "finished" and number % 2:
            break
    assert end == "finished"
    assert number > 16  # at least four operations for each of four entries
    assert set(present) == {0, 1, 2, 3}


def test_killed_at_random_moments(writers, tmp_path):
    root = tmp_path / "root"
    BackgroundDictionary(root, PROVENANCE).put("kept", "kept", entry(0))
    rng, before = np.random.default_rng(1), 0
    for _ in range(30):
        pid = order(writers, "on", root)
        started_s = time.perf_counter()
        for _ in range(num_puts := int(rng.integers(1, 6))):
            assert answer(writers) == "put"
        # Somewhere within the next two entries
        put_s = (time.perf_counter() - started_s) / num_puts
        deadline_s = time.perf_counter() + rng.uniform(0.0, 2.0) * put_s
        while time.perf_counter() < deadline_s:
            pass
        os.kill(pid, signal.SIGKILL)
        while (line := answer(writers)) == "put":
            pass
        assert line == "killed"
        # One that is written again is the old or the new one, never none.
        found = assert_usable(root)
        assert found >= max(before, 1)
        before = found
