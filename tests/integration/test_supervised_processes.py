"""A supervisor in a process of its own: what a terminal and a SIGKILL do to it and its children."""

import os
import select
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

PATIENCE_S = 30.0
PROMPT_S = 3.0

SERVE = """
import asyncio, sys
from testbed.services.lifetime import stopping
from testbed.services.logs import log_to

async def serve():
    async with stopping() as stop:
        print(sys.argv[1], "serves", flush=True)
        await stop.wait()

log_to(sys.argv[1])
asyncio.run(serve())
"""
SUPERVISE = """
import asyncio, signal, sys
from testbed.services.lifetime import stopping
from testbed.services.logs import log_to
from testbed.services.supervisor import ChildSpec, Supervisor

def child(name):
    return ChildSpec(name, (name,), f"{{name}} serves", (sys.executable, "-c", {serve!r}))

async def supervise():
    supervisor = Supervisor([[child("a"), child("b")], [child("c")]])
    async with stopping(4.5) as stop:
        serving = asyncio.create_task(supervisor.serve(stop))
        await supervisor.ready.wait()
        print(*(state.pid for state in supervisor.children()), flush=True)
        await serving

signal.signal(signal.SIGINT, signal.default_int_handler)
log_to("up")
asyncio.run(supervise())
"""


@pytest.fixture
def supervisor(tmp_path):
    """The process, in a session of its own, and pidfds of its children by process id."""
    log = (tmp_path / "log").open("w")
    process = subprocess.Popen(
        [sys.executable, "-c", SUPERVISE.format(serve=SERVE)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
        start_new_session=True,
    )  # fmt: skip
    children = {int(pid): os.pidfd_open(int(pid)) for pid in process.stdout.readline().split()}
    assert len(children) == 3, (tmp_path / "log").read_text()
    yield process, children
    for pidfd in children.values():
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        os.close(pidfd)
    process.kill()
    process.communicate()
    log.close()


def all_end(children, within_s):
    """Whether all of these are gone in time; a pidfd can be read when its process has ended."""
    deadline_s = time.monotonic() + within_s
    return all(
        select.select([pidfd], [], [], max(0.0, deadline_s - time.monotonic()))[0]
        for pidfd in children.values()
    )


def state_of(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def test_a_ctrl_c_reaches_the_supervisor_which_ends_all_in_order(supervisor, tmp_path):
    process, children = supervisor
    started_s = time.monotonic()
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(PATIENCE_S) == 0
    assert time.monotonic() - started_s < PROMPT_S
    assert all_end(children, 0.0)
    ends = [line.split() for line in (tmp_path / "log").read_text().splitlines() if "asked" in line]
    assert [(words[2], words[-1]) for words in ends[:2]] == [("up:", "SIGINT"), ("c:", "SIGTERM")]
    assert sorted((words[2], words[-1]) for words in ends[2:]) == [
        ("a:", "SIGTERM"),
        ("b:", "SIGTERM"),
    ]


def test_children_of_a_killed_supervisor_end(supervisor):
    process, children = supervisor
    stopped = next(iter(children))
    os.kill(stopped, signal.SIGSTOP)
    deadline_s = time.monotonic() + PATIENCE_S
    while state_of(stopped) != "T":
        assert time.monotonic() < deadline_s
    process.kill()
    assert all_end(children, PROMPT_S)
