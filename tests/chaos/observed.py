"""What a testbed tells of itself, asked again and again beside what is done with it."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from testbed.bus.job_messages import TestbedState
from testbed.bus.parts import ProcessState
from tests.chaos.small_lab import SmallLab, state_of
from tests.chaos.strikes import Strike

_EVERY_S = 0.2
_IDLE_S = 0.02


@dataclass(frozen=True)
class Stall:
    """A time for which a loop was not served; it ended between two points of time."""

    after_s: float
    before_s: float
    took_s: float


class Observer(threading.Thread):
    """Asks for the state five times a second, and keeps the last word of every process."""

    def __init__(self, lab: SmallLab) -> None:
        super().__init__(name="observer", daemon=True)
        self._lab = lab
        self._ended = threading.Event()
        self._last: dict[tuple[str, str], ProcessState] = {}
        self._stalls: list[tuple[float, int, float]] = []

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
        self._stalls.append((time.monotonic(), state.process.pid, state.process.stall_s))

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
        stalls: list[Stall] = []
        known: dict[int, float] = {}
        last_s = 0.0
        for at_s, pid, worst_s in self._stalls:
            if worst_s > known.get(pid, 0.0):
                before = [s.until_s - s.at_s for s in stops if s.pid == pid and s.at_s < at_s]
                known[pid] = worst_s
                stalls.append(Stall(last_s, at_s, worst_s - max(before, default=0.0)))
            last_s = at_s
        return stalls


class IdleLoop(threading.Thread):
    """An event loop that does nothing: when the machine alone holds one up, and for how long."""

    def __init__(self) -> None:
        super().__init__(name="idle loop", daemon=True)
        self._ended = threading.Event()
        self._stalls: list[tuple[float, float]] = []

    def run(self) -> None:
        asyncio.run(self._measure())

    async def _measure(self) -> None:
        while not self._ended.is_set():
            asleep_s = time.monotonic()
            await asyncio.sleep(_IDLE_S)
            now_s = time.monotonic()
            if now_s - asleep_s > 2.0 * _IDLE_S:
                self._stalls.append((now_s, now_s - asleep_s - _IDLE_S))

    def end(self) -> None:
        """Measure no more."""
        self._ended.set()
        self.join()

    def worst_s(self, after_s: float = 0.0, before_s: float = float("inf")) -> float:
        """Longest time that it was not served, of those that ended in a while."""
        return max((took for at, took in self._stalls if after_s <= at <= before_s), default=0.0)


def processes_of(state: TestbedState) -> Iterable[ProcessState]:
    """All that the coordinator knows, and itself."""
    yield state.process
    yield from (agent.state.process for agent in state.agents if agent.state is not None)
    yield from (worker.state for worker in state.workers)
