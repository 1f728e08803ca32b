"""A study whose process is killed leaves no worker computing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Event

import pytest

LAB = Path(__file__).resolve().parents[2] / "examples" / "lab.yaml"


def processes_of_group(group: int) -> list[int]:
    """Living processes of a process group (zombies are dead)."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, _, pgrp = entry.joinpath("stat").read_text().rpartition(")")[2].split()[:3]
        except OSError:
            continue  # ended while we looked
        if int(pgrp) == group and state != "Z":
            found.append(int(entry.name))
    return found


def wait_until(condition, timeout_s: float) -> bool:
    """Whether a condition comes true in time; /proc offers nothing to wait on but looking."""
    nothing = Event()
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        nothing.wait(0.1)
    return True


@pytest.mark.timeout(180)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_workers_end_with_a_killed_study(tmp_path, how):
    rows = tmp_path / "trials.csv"
    study = subprocess.Popen(
        [
            sys.executable, "-m", "testbed.cli", "study", "run", str(LAB), "--trials", "100000",
            "--jobs", "2", "--trials-out", str(rows),
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        written = wait_until(lambda: rows.exists() and rows.read_text().count("\n") > 1, 90.0)
        assert written, "no trial finished in time"
        study.send_signal(how)
        study.wait(timeout=30)
        assert wait_until(lambda: not processes_of_group(study.pid), 30.0)
    finally:
        for pid in processes_of_group(study.pid):
            os.kill(pid, signal.SIGKILL)
