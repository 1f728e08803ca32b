"""Decoders take what is broken without breaking, and the fuzzer that says so can find fault."""

import re
import subprocess
import sys
from pathlib import Path

import pytest


def fuzzed(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the fuzzer in a folder."""
    command = [sys.executable, "-m", "tests.fuzz.decoders", "--out", folder, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=55, check=False)


def test_no_decoder_breaks(tmp_path):
    outcome = fuzzed(tmp_path, "--inputs", "20000")
    assert outcome.returncode == 0, outcome.stderr
    counts = [int(count) for count in re.findall(r"(\d+) inputs", outcome.stdout)]
    assert counts[-1] == sum(counts[:-1]) > 19_900
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "sign"),
    [
        ("undeclared", "KeyError: 'no such key'"),
        ("crashing", "SIGABRT"),
        ("slow", "took 1.1 s"),
        ("hanging", "no end after 3 s"),
        ("allocating", "MemoryError"),
    ],
)
def test_a_decoder_that_breaks_is_found_with_its_input(tmp_path, name, sign):
    faulty = ("--registry", "tests.fuzz.faulty", "--only", name)
    outcome = fuzzed(tmp_path, *faulty, "--inputs", "100", "--hang", "3")
    assert outcome.returncode == 1
    assert sign in outcome.stderr
    (kept,) = tmp_path.iterdir()
    assert str(kept) in outcome.stderr
    if name == "undeclared":
        again = fuzzed(tmp_path, *faulty, "--reproduce", str(kept))
        assert sign in again.stderr


def test_a_decoder_that_only_refuses_is_sound(tmp_path):
    outcome = fuzzed(
        tmp_path, "--registry", "tests.fuzz.faulty", "--only", "sound", "--inputs", "1000"
    )
    assert outcome.returncode == 0
    assert "ValueError" in outcome.stdout
