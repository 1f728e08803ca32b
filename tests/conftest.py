"""Rules that hold for every test: reproducible draws, nothing left running, slow ones first."""

import multiprocessing
import os
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("testbed", deadline=None, derandomize=True, database=None)
settings.load_profile("testbed")

# What is being closed when a test returns may take this long, in all, to be gone.
GRACE_S = 2.0

# multiprocessing starts these once and keeps them until the interpreter ends.
HELPERS = ("multiprocessing.resource_tracker", "multiprocessing.forkserver")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes long begins first, or the other of two processes waits for it at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


@pytest.fixture(autouse=True)
def _leaves_nothing_running() -> Iterator[None]:
    """Fail a test that leaves a non-daemon thread or a child process behind.

    What fixtures of a wider scope started is there before the test, and so allowed.
    """
    threads_before = set(threading.enumerate())
    children_before = _child_pids()
    yield
    deadline_s = time.monotonic() + GRACE_S
    threads = [t for t in threading.enumerate() if t not in threads_before and not t.daemon]
    left = [f"thread {t.name}" for t in threads if _is_alive_at(t, deadline_s)]
    for pid in _child_pids() - children_before:
        command = _command_of(pid)
        if _is_running_at(pid, deadline_s):
            left.append(f"process {pid}: {command}")
    if left:
        pytest.fail("left running: " + "; ".join(left), pytrace=False)


def _is_alive_at(thread: threading.Thread, deadline_s: float) -> bool:
    thread.join(max(0.0, deadline_s - time.monotonic()))
    return thread.is_alive()


def _is_running_at(pid: int, deadline_s: float) -> bool:
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:  # a pidfd becomes readable when its process ends
        ended, _, _ = select.select([pidfd], [], [], max(0.0, deadline_s - time.monotonic()))
    finally:
        os.close(pidfd)
    return not ended


def _child_pids() -> set[int]:
    """Process ids of the running children, without those that multiprocessing keeps for itself."""
    # Children of the fork server are not our own in /proc, but multiprocessing knows them.
    pids = {child.pid for child in multiprocessing.active_children() if child.pid is not None}
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # no child at all, so /proc (some milliseconds) need not be read
        return pids
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # "pid (command, which may hold anything) state parent ..."
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
        except (FileNotFoundError, ProcessLookupError):
            continue
        pid = int(stat.parent.name)
        if int(parent) == os.getpid() and state not in "ZX" and not _is_helper(pid):
            pids.add(pid)
    return pids


def _is_helper(pid: int) -> bool:
    return any(helper in _command_of(pid) for helper in HELPERS)


def _command_of(pid: int) -> str:
    try:
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return arguments.replace(b"\0", b" ").decode(errors="replace").strip()
