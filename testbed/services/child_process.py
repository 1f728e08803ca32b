"""One process that was started: what it says, and how it ended."""

import asyncio
import os
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress

from testbed.services.lifetime import ENDS_WITH_STDIN

_NUM_LAST_LINES = 20
_READ_BYTES = 65_536
_LINE_BYTES = 8_192


class ChildProcess:
    """A process that serves once it has said so, and ends with the one that started it.

    It is in a process group of its own, so that a terminal's Ctrl-C passes it by, but in the same
    session, so that the system wakes it if it is stopped when its parent dies. What it leaves of
    its group is killed with it.

    Parameters
    ----------
    command
        Program and arguments.
    ready
        How the line begins that says that it serves.
    lifeline
        File descriptor whose end is the parent's end; its standard input.
    hear
        Called with every line that it writes.

    Attributes
    ----------
    settled
        Set when it serves, or has ended before it did.
    ended
        Set when it is gone; `code` is known then.
    code
        Exit status, or minus the number of the signal that ended it.
    last_lines
        What it wrote last.

    Raises
    ------
    OSError
        If it cannot be started.
    """

    def __init__(
        self, command: Sequence[str], ready: str, lifeline: int, hear: Callable[[str], None]
    ) -> None:
        self.settled = asyncio.Event()
        self.ended = asyncio.Event()
        self.serves = False
        self.code: int | None = None
        self.last_lines: deque[str] = deque(maxlen=_NUM_LAST_LINES)
        self._ready = ready
        self._hear = hear
        self._part = b""
        self._output, output_end = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  the command is not a peer's
                command,
                stdin=lifeline,
                stdout=output_end,
                stderr=subprocess.STDOUT,
                process_group=0,
                env={**os.environ, ENDS_WITH_STDIN: "1", "PYTHONUNBUFFERED": "1"},
            )
        except OSError:
            os.close(self._output)
            raise
        finally:
            os.close(output_end)
        self.pid = self._process.pid
        self._pidfd = os.pidfd_open(self.pid)
        os.set_blocking(self._output, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._output, self._read)
        self._loop.add_reader(self._pidfd, self._end)

    def ask_to_end(self) -> None:
        """Ask it to end, also if it is stopped."""
        self._send(signal.SIGTERM)
        self._send(signal.SIGCONT)

    def kill(self) -> None:
        """End it, whatever it is at."""
        self._send(signal.SIGKILL)

    def _send(self, number: signal.Signals) -> None:
        if not self.ended.is_set():
            with suppress(ProcessLookupError):  # it ends just now
                signal.pidfd_send_signal(self._pidfd, number)

    @property
    def fate(self) -> str:
        """Why it is gone."""
        if self.code is None:
            return "it runs"
        if self.code >= 0:
            return f"exit status {self.code}"
        with suppress(ValueError):
            return signal.Signals(-self.code).name
        return f"signal {-self.code}"

    def _read(self) -> bool:
        """Take what it has written; whether there may be more."""
        try:
            written = os.read(self._output, _READ_BYTES)
        except BlockingIOError:
            return False
        if not written:
            self._loop.remove_reader(self._output)
            return False
        *lines, self._part = (self._part + written).split(b"\n")
        if len(self._part) > _LINE_BYTES:
            lines, self._part = [*lines, self._part], b""
        for line in lines:
            self._take(line)
        return True

    def _take(self, line: bytes) -> None:
        text = line[:_LINE_BYTES].decode(errors="replace").rstrip("\r")
        self.last_lines.append(text)
        if not self.serves and text.startswith(self._ready):
            self.serves = True
            self.settled.set()
        self._hear(text)

    def _end(self) -> None:
        """It is gone: kill what it left, hear its last words, and take its status."""
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
        self._loop.remove_reader(self._pidfd)
        os.close(self._pidfd)
        while self._read():  # no more than the pipe holds: nobody is left to write
            pass
        if self._part:
            self._take(self._part)
        self._loop.remove_reader(self._output)
        os.close(self._output)
        self.code = self._process.wait()
        self.settled.set()
        self.ended.set()


async def all_ended(processes: Sequence[ChildProcess], within_s: float) -> bool:
    """Whether these are gone, or will be in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, within_s)):
            for process in processes:
                await process.ended.wait()
    return all(process.ended.is_set() for process in processes)
