"""Children of a supervisor: real processes that serve, crash, hang, and refuse to start or end."""

import asyncio
import logging
import os
import select
import signal
import sys
from contextlib import asynccontextmanager

import pytest

from testbed.services.supervisor import ChildSpec, Patience, StartError, Supervisor

PATIENCE_S = 30.0
QUICK = Patience(start_s=20.0, stop_s=10.0, backoff_s=0.01, max_backoff_s=0.04)

SERVE = """
import asyncio, sys
from testbed.services.lifetime import stopping

async def serve():
    async with stopping() as stop:
        print(sys.argv[1], "serves", flush=True)
        await stop.wait()
        print(sys.argv[1], "ends", flush=True)

asyncio.run(serve())
"""
STUBBORN = """
import signal, sys, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(sys.argv[1], "serves", flush=True)
threading.Event().wait()
"""
CRASH = "import sys; print(sys.argv[1], 'serves'); sys.exit(7)"
REFUSE = "import sys; print('error: port 1 is taken', end='', file=sys.stderr); sys.exit(2)"
DAWDLE = "import threading; print('compiling'); threading.Event().wait()"
PARENT = """
import subprocess, sys, threading
other = subprocess.Popen([sys.executable, "-c", "import threading; threading.Event().wait()"])
print("a started", other.pid, flush=True)
print("a serves", flush=True)
threading.Event().wait()
"""


def child(name, program=SERVE):
    return ChildSpec(name, (name,), f"{name} serves", (sys.executable, "-c", program))


class Heard(logging.Handler):
    """What the supervisor says, and its children."""

    def __init__(self):
        super().__init__()
        self.records = []
        self._more = asyncio.Event()

    def emit(self, record):
        self.records.append(record)
        self._more.set()

    @property
    def lines(self):
        return [record.getMessage() for record in self.records]

    async def until(self, text, count=1):
        async with asyncio.timeout(PATIENCE_S):
            while sum(text in line for line in self.lines) < count:
                self._more.clear()
                await self._more.wait()
        return next(line for line in self.lines if text in line)


@pytest.fixture
def heard():
    handler = Heard()
    log = logging.getLogger("testbed.services")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield handler
    log.removeHandler(handler)
    log.setLevel(level)


@asynccontextmanager
async def running(*groups, patience=QUICK):
    """A supervisor whose children serve; stopped at the end."""
    supervisor, stop = Supervisor(groups, patience), asyncio.Event()
    serving = asyncio.create_task(supervisor.serve(stop))
    try:
        ready = asyncio.create_task(supervisor.ready.wait())
        await asyncio.wait(
            {serving, ready}, timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED
        )
        ready.cancel()
        if supervisor.ready.is_set():
            yield supervisor
        else:
            pytest.fail("it has ended")
    finally:
        stop.set()
        await serving


def only(supervisor):
    [state] = supervisor.children()
    return state


def is_gone(pid):
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    ended, _, _ = select.select([pidfd], [], [], PATIENCE_S)
    os.close(pidfd)
    return bool(ended)


def test_groups_start_in_order_and_stop_in_reverse(heard):
    async def run():
        async with running([child("a"), child("b")], [child("c")], [child("d")]) as supervisor:
            states = supervisor.children()
            assert [state.name for state in states] == ["a", "b", "c", "d"]
            assert [state.restarts for state in states] == [0, 0, 0, 0]
            for state in states:
                assert os.getpgid(state.pid) == state.pid  # out of reach of a terminal's Ctrl-C
                assert os.getsid(state.pid) == os.getsid(0)
        assert [state.state for state in supervisor.children()] == 4 * ["ended"]
        assert [state.pid for state in supervisor.children()] == 4 * [None]
        assert all(is_gone(state.pid) for state in states)

    asyncio.run(run())
    said = [line for line in heard.lines if line.endswith((" serves", " ends"))]
    assert sorted(said[:2]) == ["a serves", "b serves"]
    assert said[2:6] == ["c serves", "d serves", "d ends", "c ends"]
    assert sorted(said[6:]) == ["a ends", "b ends"]


def test_a_child_that_is_killed_starts_again(heard):
    async def run():
        async with running([child("a")]) as supervisor:
            before = only(supervisor)
            os.kill(before.pid, signal.SIGKILL)
            await heard.until("a serves", 2)
            after = only(supervisor)
            assert (after.state, after.restarts) == ("serving", 1)
            assert after.pid != before.pid
            assert after.since_s >= before.since_s

    asyncio.run(run())
    assert sum("child a died after" in line and "SIGKILL" in line for line in heard.lines) == 1


def test_a_child_that_keeps_dying_waits_longer_each_time(heard):
    async def run():
        supervisor, stop = Supervisor([[child("b", CRASH)]], QUICK), asyncio.Event()
        serving = asyncio.create_task(supervisor.serve(stop))
        await heard.until("child b died", 4)
        stop.set()
        await serving
        assert only(supervisor).restarts >= 3

    asyncio.run(run())
    deaths = [record for record in heard.records if "child b died" in record.getMessage()]
    assert [record.args[3] for record in deaths[:4]] == [0.01, 0.02, 0.04, 0.04]
    assert {record.args[2] for record in deaths} == {"exit status 7"}


def test_waiting_by_hand():
    patience = Patience()
    assert (patience.stop_s, patience.backoff_s, patience.max_backoff_s) == (3.0, 0.2, 5.0)
    waited_s, found = 0.0, []
    for ran_s in (0.1, 0.1, 9.9, 1.0, 1.0, 1.0, 1.0, 10.0, 1.0):
        waited_s = patience.next_backoff_s(waited_s, ran_s)
        found.append(waited_s)
    assert found == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 0.2, 0.4]


def test_a_child_that_cannot_start_ends_all_with_its_message(heard):
    async def run():
        with pytest.raises(StartError, match=r"^b cannot start: error: port 1 is taken$"):
            async with running([child("a")], [child("b", REFUSE)]):
                pytest.fail("b serves")

    asyncio.run(run())
    assert heard.lines[-1] == "a ends"


def test_a_program_that_is_not_there_ends_all(tmp_path):
    async def run():
        missing = ChildSpec("a", (), "a serves", (str(tmp_path / "missing"),))
        with pytest.raises(StartError, match=r"a cannot start: .*No such file.*missing"):
            async with running([missing]):
                pytest.fail("a serves")

    asyncio.run(run())


def test_a_child_that_does_not_get_ready_is_named_with_its_last_words():
    async def run():
        with pytest.raises(StartError, match="a does not serve 3 s after its start: compiling"):
            async with running([child("a", DAWDLE)], patience=Patience(start_s=3.0)):
                pytest.fail("a serves")

    asyncio.run(run())


def test_it_can_be_stopped_while_it_starts(heard):
    async def run():
        supervisor, stop = Supervisor([[child("a", DAWDLE)], [child("b")]]), asyncio.Event()
        serving = asyncio.create_task(supervisor.serve(stop))
        await heard.until("compiling")
        stop.set()
        async with asyncio.timeout(PATIENCE_S):
            await serving
        assert [state.state for state in supervisor.children()] == ["ended", "waiting"]

    asyncio.run(run())
    assert "b serves" not in heard.lines


def test_a_stubborn_child_is_killed_and_the_others_end_in_order(heard):
    async def run():
        groups = [child("a")], [child("b", STUBBORN), child("c")], [child("d", STUBBORN)]
        async with running(*groups, patience=Patience()) as supervisor:
            pids = [state.pid for state in supervisor.children()]
            os.kill(pids[3], signal.SIGSTOP)
        assert all(map(is_gone, pids))

    asyncio.run(run())
    assert {"a ends", "c ends"} <= set(heard.lines)
    killed = [line for line in heard.lines if "killed" in line]
    assert killed == [f"child {name} is killed: it has not ended within 3 s" for name in "bd"]


def test_a_stopped_child_ends_in_order(heard):
    async def run():
        async with running([child("a")]) as supervisor:
            os.kill(only(supervisor).pid, signal.SIGSTOP)
            os.waitpid(only(supervisor).pid, os.WUNTRACED)  # until it is

    asyncio.run(run())
    assert heard.lines[-1] == "a ends"


def test_what_a_dead_child_leaves_is_killed(heard):
    async def run():
        async with running([child("a", PARENT)]) as supervisor:
            other = int((await heard.until("a started")).split()[-1])
            os.kill(only(supervisor).pid, signal.SIGKILL)
            await heard.until("a serves", 2)
            assert is_gone(other)
            others = [int(line.split()[-1]) for line in heard.lines if "a started" in line]
        assert all(map(is_gone, others))

    asyncio.run(run())


def test_a_child_can_be_restarted_at_once(heard):
    patience = Patience(backoff_s=1e6, max_backoff_s=1e6)

    async def run():
        async with running([child("a")], [child("b")], patience=patience) as supervisor:
            before = supervisor.children()
            await supervisor.restart("a")
            after = supervisor.children()
            assert after[0].pid != before[0].pid
            assert (after[0].state, after[0].restarts) == ("serving", 1)
            assert after[1] == before[1]
            os.kill(after[1].pid, signal.SIGKILL)
            await heard.until("child b died")
            await supervisor.restart("b")  # which would wait for long
            assert supervisor.children()[1].state == "serving"
            with pytest.raises(StartError, match=r"no child 'x' runs here; there are a, b"):
                await supervisor.restart("x")

    asyncio.run(run())
    assert "a ends" in heard.lines


def test_a_child_that_does_not_get_ready_again_is_killed_and_started_again(heard, tmp_path):
    """Whose second process hangs before it serves."""
    program = f"""
import pathlib, threading
marks = pathlib.Path({str(tmp_path)!r})
num = len(list(marks.iterdir()))
(marks / str(num)).touch()
print("a starts", num, flush=True)
if num != 1:
    print("a serves", flush=True)
threading.Event().wait()
"""

    async def run():
        patience = Patience(start_s=3.0, backoff_s=0.01)
        async with running([child("a", program)], patience=patience) as supervisor:
            os.kill(only(supervisor).pid, signal.SIGKILL)
            await heard.until("child a is killed: it does not get ready")
            await heard.until("a starts 2")
            await heard.until("a serves", 2)

    asyncio.run(run())


def test_lines_without_end_are_cut(heard):
    long = "import sys; sys.stdout.write('x' * 100_000 + '\\na serves\\n'); sys.stdin.read()"

    async def run():
        async with running([child("a", long)]):
            pass

    asyncio.run(run())
    pieces = [line for line in heard.lines if line.startswith("x")]
    assert len(pieces) > 1
    assert max(map(len, pieces)) <= 8_192
