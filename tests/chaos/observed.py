"""What a testbed tells of itself, asked again and again beside what is done with it."""

import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from testbed.bus.job_messages import TestbedState
from testbed.bus.parts import ProcessState
from tests.chaos.small_lab import SmallLab, state_of
from tests.chaos.strikes import Strike

_EVERY_S = 0.2


@dataclass(frozen=True)
class Stall:
    """A time for which a loop was not served.

    Attributes
    ----------
    own_s
        Of it, what was not for want of a processor: no thread of its process waited for one.
    """

    took_s: float
    own_s: float


@dataclass(frozen=True)
class _Told:
    """What a coordinator told of its worst stall, and for how long its threads had waited."""

    at_s: float
    pid: int
    stall_s: float
    waited_s: dict[str, float]


class Observer(threading.Thread):
    """Asks for the state five times a second, and keeps the last word of every process."""

    def __init__(self, lab: SmallLab) -> None:
        super().__init__(name="observer", daemon=True)
        self._lab = lab
        self._ended = threading.Event()
        self._last: dict[tuple[str, str], ProcessState] = {}
        self._told: list[_Told] = []

    def run(self) -> None:
        with self._lab.client() as client:
            while not self._ended.wait(_EVERY_S):
                state = state_of(client)
                if state is not None:
                    self._take(state)

    def end(self) -> None:
        """Ask no more."""
        self._ended.set()
        self.join()

    def _take(self, state: TestbedState) -> None:
        for process in processes_of(state):
            self._last[process.name, process.instance] = process
        pid = state.process.pid
        told = _Told(time.monotonic(), pid, state.process.stall_s, _waited_s(pid))
        self._told.append(told)

    def counts(self) -> dict[str, Counter[str]]:
        """What all instances counted, by kind of process."""
        total: dict[str, Counter[str]] = {}
        for (name, _), process in self._last.items():
            total.setdefault(name.partition("-")[0], Counter()).update(process.counts)
        return total

    def stalls(self, strikes: Iterable[Strike]) -> list[Stall]:
        """Whenever a coordinator's loop was not served for longer than ever before.

        A process counts the time for which it was stopped as a stall, so of each the longest such
        time before is taken off.
        """
        stops = [s for s in strikes if s.name == "coordinator" and s.kind == "stopped"]
        last: dict[int, _Told] = {}
        stalls: list[Stall] = []
        for told in self._told:
            before = last.get(told.pid, _Told(0.0, told.pid, 0.0, {}))
            if told.stall_s > before.stall_s:
                took_s = told.stall_s - max(
                    (s.until_s - s.at_s for s in stops if s.pid == told.pid and s.at_s < told.at_s),
                    default=0.0,
                )
                waited_s = [s - before.waited_s.get(n, 0.0) for n, s in told.waited_s.items()]
                stalls.append(Stall(took_s, took_s - max(waited_s, default=0.0)))
            last[told.pid] = told
        return stalls


def _waited_s(pid: int) -> dict[str, float]:
    """For how long each thread of a process was ready and had no processor."""
    waited_s = {}
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            _, waited_ns, _ = (thread / "schedstat").read_text().split()
            waited_s[thread.name] = int(waited_ns) / 1e9
    return waited_s


def processes_of(state: TestbedState) -> Iterable[ProcessState]:
    """All that the coordinator knows, and itself."""
    yield state.process
    yield from (agent.state.process for agent in state.agents if agent.state is not None)
    yield from (worker.state for worker in state.workers)
