"""What ends a process, and what cannot keep it from ending; with real processes."""

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from testbed.services.lifetime import ENDS_WITH_STDIN, stopping

PATIENCE_S = 30.0
SERVICE = """
import asyncio, logging, signal, sys, threading
from testbed.services.lifetime import leave, stopping

def hang():
    threading.Event().wait()

class HangsLate:
    def __del__(self, pause=signal.pause):
        while True:
            pause()

async def serve():
    {before}
    async with stopping(0.3) as stop:
        print("serves", flush=True)
        {serving}
    {after}

logging.basicConfig(level=logging.INFO)
asyncio.run(serve())
"""


@pytest.fixture
def start():
    started = []

    def start_with(serving="await stop.wait()", before="", after="", **options):
        program = SERVICE.format(before=before, serving=serving, after=after)
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            **{"stdin": subprocess.DEVNULL, **options},
        )
        started.append(process)
        assert process.stdout.readline() == "serves\n"
        return process

    yield start_with
    for process in started:
        with suppress(ProcessLookupError):
            process.kill()
        process.communicate()


def ended(process):
    """Exit status and log."""
    _, log = process.communicate(timeout=PATIENCE_S)
    return process.returncode, log


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_in_order(start, number):
    process = start(before=f"signal.signal({number:d}, signal.SIG_DFL)")
    process.send_signal(number)
    code, log = ended(process)
    assert code == 0
    assert f"asked to end by {number.name}" in log


def test_an_ignored_signal_is_still_ignored(start):
    process = start(before="signal.signal(signal.SIGHUP, signal.SIG_IGN)")
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    code, log = ended(process)
    assert code == 0
    assert "asked to end by SIGTERM" in log
    assert "SIGHUP" not in log


def test_the_end_of_its_parent_ends_it_in_order(start):
    process = start(stdin=subprocess.PIPE, env={**os.environ, ENDS_WITH_STDIN: "1"})
    process.stdin.close()
    process.stdin = None
    code, log = ended(process)
    assert code == 0
    assert "asked to end by the end of its parent" in log


def test_without_a_parent_the_end_of_its_input_means_nothing(start):
    process = start()  # whose input is /dev/null, at its end from the beginning
    process.send_signal(signal.SIGTERM)
    assert "asked to end by SIGTERM" in ended(process)[1]


def test_what_it_starts_does_not_take_the_parent_for_its_own(start):
    look = f"import os; print({ENDS_WITH_STDIN!r} in os.environ, flush=True)"
    run = f"import subprocess; subprocess.run([sys.executable, '-c', {look!r}]); await stop.wait()"
    process = start(run, stdin=subprocess.PIPE, env={**os.environ, ENDS_WITH_STDIN: "1"})
    assert process.stdout.readline() == "False\n"


@pytest.mark.parametrize(
    ("serving", "after", "place"),
    [
        ("hang()", "", "<string>:17 serve > <string>:6 hang"),
        ("await stop.wait()", "await asyncio.Event().wait()", "Task-1 at <string>:18 serve"),
        (
            "threading.Thread(target=hang, name='radio a').start(); await stop.wait()",
            "",
            "threads: radio a;",
        ),
    ],
    ids=["loop", "task", "thread"],
)
def test_what_hangs_is_named_and_ended(start, serving, after, place):
    process = start(serving, after=after)
    process.send_signal(signal.SIGTERM)
    code, log = ended(process)
    assert code == 1
    assert "not gone 0.3 s after SIGTERM, so it ends hard" in log
    assert place in log


def test_an_interpreter_that_hangs_while_it_is_taken_apart_is_ended(start):
    process = start(after="sys.hangs_late = HangsLate()")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == -signal.SIGALRM


def test_who_leaves_has_written_all(start):
    """And takes nothing apart, which would hang."""
    process = start(after="sys.hangs_late = HangsLate(); print('last', end=''); leave()")
    process.send_signal(signal.SIGTERM)
    words, _ = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, words) == (0, "last")


def test_a_log_that_nobody_reads_cannot_hold_it(start):
    process = start("while True: logging.info('x' * 100)")
    process.send_signal(signal.SIGTERM)
    assert process.wait(PATIENCE_S) == 1


def test_who_is_not_asked_to_end_leaves_no_trace():
    async def pass_through():
        async with stopping(0.3) as stop:
            assert signal.getsignal(signal.SIGTERM) is not before
        assert not stop.is_set()

    before = signal.getsignal(signal.SIGTERM)
    asyncio.run(pass_through())
    assert signal.getsignal(signal.SIGTERM) is before
    assert signal.set_wakeup_fd(-1) == -1
