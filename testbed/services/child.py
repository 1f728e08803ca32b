"""A child of the supervisor: it is started, and started again when it dies."""

import asyncio
import logging
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from testbed.errors import UsageError
from testbed.services.child_process import ChildProcess, all_ended
from testbed.services.logs import VERBATIM

TESTBED = (sys.executable, "-m", "testbed")
_BAD_INPUT = 2  # exit status of commands whose user has something to mend
_KILL_S = 1.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """What a child is.

    Attributes
    ----------
    name
        Another one for each child.
    arguments
        Of the program.
    ready
        How the line begins, on standard output or error, that says that it serves.
    program
        The `testbed` command, unless it is another one.
    """

    name: str
    arguments: tuple[str, ...]
    ready: str
    program: tuple[str, ...] = TESTBED


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a supervisor waits, in seconds.

    Attributes
    ----------
    start_s
        For a child that starts; some compile for half a minute, once on a machine.
    stop_s
        For all children that are to end, together.
    backoff_s, max_backoff_s
        Before a child is started again: at first; doubled each time up to the most.
    proven_s
        A child that ran for so long waits as at first.
    """

    start_s: float = 120.0
    stop_s: float = 3.0
    backoff_s: float = 0.2
    max_backoff_s: float = 5.0
    proven_s: float = 10.0

    def next_backoff_s(self, backoff_s: float, ran_s: float) -> float:
        """How long is waited after a child that ran for so long, where that was last waited."""
        if ran_s >= self.proven_s or not backoff_s:
            return self.backoff_s
        return min(2.0 * backoff_s, self.max_backoff_s)


State = Literal["waiting", "starting", "serving", "ended"]


@dataclass(frozen=True, slots=True)
class ChildState:
    """How a child is.

    Attributes
    ----------
    pid
        Its process, if there is one.
    state
        ``waiting``: it is not started yet, or it died and is started again in a while.
    restarts
        How often it was started again.
    since_s
        When the state began; seconds since the epoch.
    """

    name: str
    pid: int | None
    state: State
    restarts: int
    since_s: float


class StartError(UsageError):
    """A child that cannot be started; the message holds its last words."""


class Child:
    """A child, through all its processes.

    Attributes
    ----------
    ready
        Set while it serves.
    process
        The one that runs, or the last one.
    """

    def __init__(self, spec: ChildSpec, patience: Patience) -> None:
        self.spec = spec
        self.ready = asyncio.Event()
        self.process: ChildProcess | None = None
        self._patience = patience
        self._at_once = asyncio.Event()
        self._has_served = False
        self._restarts = 0
        self._become("waiting")

    def _become(self, state: State) -> None:
        self._state: State = state
        self._since_s = time.time()

    @property
    def state(self) -> ChildState:
        """How it is now."""
        process = self.process
        runs = process is not None and not process.ended.is_set()
        state: State = self._state if runs or self._state == "waiting" else "ended"
        pid = process.pid if process is not None and runs else None
        return ChildState(self.spec.name, pid, state, self._restarts, self._since_s)

    @property
    def last_words(self) -> str:
        """What it wrote last."""
        lines = [] if self.process is None else [line for line in self.process.last_lines if line]
        return "\n".join(lines) or "it wrote nothing"

    async def keep(self, lifeline: int) -> None:
        """Start it, and again when it dies, until cancelled.

        Parameters
        ----------
        lifeline
            See `ChildProcess`.

        Raises
        ------
        StartError
            If it cannot be started at all, or ends with status 2 before it has ever served.
        """
        backoff_s = 0.0
        while True:
            started_s = time.monotonic()
            fate = await self._live(lifeline)
            self.ready.clear()
            self._become("waiting")
            if self._at_once.is_set():
                _log.info("child %s ended as asked: %s", self.spec.name, fate)
            else:
                ran_s = time.monotonic() - started_s
                backoff_s = self._patience.next_backoff_s(backoff_s, ran_s)
                _log.warning(
                    "child %s died after %.1f s: %s; it starts again in %.3g s",
                    self.spec.name, ran_s, fate, backoff_s,
                )  # fmt: skip
                with suppress(TimeoutError):
                    async with asyncio.timeout(backoff_s):
                        await self._at_once.wait()
            self._at_once.clear()
            self._restarts += 1

    async def _live(self, lifeline: int) -> str:
        """Start it and wait for its end; why it ended."""
        command = (*self.spec.program, *self.spec.arguments)
        self._become("starting")
        try:
            process = self.process = ChildProcess(command, self.spec.ready, lifeline, _hear)
        except OSError as error:
            return self._refusal(str(error))
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience.start_s):
                await process.settled.wait()
        if process.serves:
            self._serves()
        elif not process.settled.is_set():
            _log.warning("child %s is killed: it does not get ready", self.spec.name)
            process.kill()
        await process.ended.wait()
        return self._refusal(self.last_words) if process.code == _BAD_INPUT else process.fate

    def _serves(self) -> None:
        self._has_served = True
        self._become("serving")
        if not self._at_once.is_set():
            self.ready.set()

    def _refusal(self, message: str) -> str:
        """Why it ended; not for one that has served: what was good once may be good again."""
        if not self._has_served:
            msg = f"{self.spec.name} cannot start: {message}"
            raise StartError(msg)
        return message

    async def restart(self) -> None:
        """End it, start it at once, and wait until it serves.

        Raises
        ------
        StartError
            If it does not get ready in time.
        """
        self.ready.clear()
        self._at_once.set()
        process = self.process
        if process is not None:
            process.ask_to_end()
            if not await all_ended([process], self._patience.stop_s):
                _log.warning("child %s is killed: it does not end", self.spec.name)
                process.kill()
                await all_ended([process], _KILL_S)
        try:
            async with asyncio.timeout(self._patience.start_s):
                await self.ready.wait()
        except TimeoutError:
            msg = f"{self.spec.name} does not get ready: {self.last_words}"
            raise StartError(msg) from None


def _hear(line: str) -> None:
    _log.info("%s", line, extra=VERBATIM)
