"""When a service ends: asked by a signal or by its parent's end, and then within seconds."""

import asyncio
import ctypes
import logging
import os
import select
import signal
import sys
import traceback
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from threading import Event, Thread, main_thread
from threading import enumerate as all_threads
from typing import NoReturn

GRACE_S = 2.0
"""What a service has for its end: less than its supervisor waits, so that it can say what hung."""

ENDS_WITH_STDIN = "TESTBED_ENDS_WITH_STDIN"
"""Where this is 1, the end of standard input (a pipe of the parent, or of ssh) ends the process."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_REPORT_S = 0.8
_PR_SET_PDEATHSIG = 1  # linux/prctl.h

_log = logging.getLogger(__name__)


@asynccontextmanager
async def stopping(grace_s: float = GRACE_S) -> AsyncIterator[asyncio.Event]:
    """What is set once this process is to end; from then on it has a few seconds to be gone.

    It is set by SIGINT, SIGTERM and SIGHUP, unless they are ignored already, and by the end of
    standard input where ``TESTBED_ENDS_WITH_STDIN`` is 1. For the main thread, once a process,
    and before it says that it serves. A process that is still there `grace_s` after it was asked
    to end, whatever holds it and even if this context was left, ends with status 1 and says in the
    log what it was at; or by SIGALRM, where Python cannot say anything any more.
    """
    wake, wake_end = os.pipe()
    os.set_blocking(wake_end, False)
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, lambda _number, _frame: None)
    # The system's handler itself writes there, whatever Python is at.
    wakeup_before = signal.set_wakeup_fd(wake_end, warn_on_full_buffer=False)
    watch = _Watch(asyncio.get_running_loop(), wake, _parent(), grace_s)
    watch.start()
    try:
        yield watch.stop
    finally:
        if not watch.stop.is_set():
            signal.set_wakeup_fd(wakeup_before)
            for number, handler in before.items():
                signal.signal(number, handler)
            os.close(wake_end)  # ends the watch


def _parent() -> int | None:
    """File descriptor that ends with the parent; not for what this process starts in turn."""
    if os.environ.pop(ENDS_WITH_STDIN, "") != "1":
        return None
    # One that is stopped when its parent is killed must go on to see that.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGCONT)
    return 0


def leave() -> NoReturn:
    """End this process well, once its threads have; whoever hangs is seen to by `stopping`.

    To take the interpreter and what was compiled apart takes half a second of processor time each;
    the processes of a testbed end together, on few cores, and within seconds.
    """
    for thread in all_threads():
        if not thread.daemon and thread is not main_thread():
            thread.join()
    logging.shutdown()
    sys.stdout.flush()
    os._exit(0)


class _Watch(Thread):
    """A thread that no stalled loop holds up: it passes the request on, and sees to it."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, wake: int, parent: int | None, grace_s: float
    ) -> None:
        super().__init__(name="lifetime", daemon=True)
        self.stop = asyncio.Event()
        self._loop = loop
        self._wake = wake
        self._parent = parent
        self._grace_s = grace_s

    def run(self) -> None:
        reason = self._reason()
        if reason is None:
            os.close(self._wake)
            return
        # For an interpreter that hangs while it is taken apart, when this thread runs no more;
        # so before anybody hears of the end.
        signal.setitimer(signal.ITIMER_REAL, self._grace_s + 2.0 * _REPORT_S)
        with suppress(RuntimeError):  # the loop is closed: it ends already
            self._loop.call_soon_threadsafe(self._ask_to_end, reason)
        Event().wait(self._grace_s)  # the end of the process is the end of this thread
        report = Thread(target=self._report, args=(reason,), daemon=True)
        report.start()
        report.join(_REPORT_S)  # what hangs may be the log
        os._exit(1)

    def _ask_to_end(self, reason: str) -> None:
        self.stop.set()
        _log.info("asked to end by %s", reason)

    def _reason(self) -> str | None:
        poll = select.poll()
        poll.register(self._wake, select.POLLIN)
        if self._parent is not None:
            poll.register(self._parent, select.POLLIN)
        while True:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._parent in ready and not _read(self._parent):
                return "the end of its parent"
            if self._wake in ready:
                numbers = _read(self._wake)
                if not numbers:
                    return None
                if asked := [number.name for number in _SIGNALS if number in numbers]:
                    return asked[0]

    def _report(self, reason: str) -> None:
        main = sys._current_frames().get(main_thread().ident or 0)
        stack = [] if main is None else traceback.extract_stack(main, limit=8)
        threads = [t.name for t in all_threads() if not t.daemon and t is not main_thread()]
        _log.critical(
            "not gone %.1f s after %s, so it ends hard; its main thread was at %s; threads: %s; "
            "tasks: %s",
            self._grace_s,
            reason,
            " > ".join(_place(f.filename, f.lineno, f.name) for f in stack),
            ", ".join(threads) or "none",
            ", ".join(map(_task_place, asyncio.all_tasks(self._loop))) or "none",
        )
        logging.shutdown()


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except OSError:  # nothing can come from there
        return b""


def _task_place(task: asyncio.Task[object]) -> str:
    frames = task.get_stack(limit=1)
    places = [_place(f.f_code.co_filename, f.f_lineno, f.f_code.co_name) for f in frames]
    return " at ".join([task.get_name(), *places])


def _place(file_name: str, line: int | None, function: str) -> str:
    return f"{Path(file_name).name}:{line} {function}"
