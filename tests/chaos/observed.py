"""What a testbed tells of itself, asked again and again beside what is done with it."""

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress

from testbed.bus.job_messages import TestbedState
from testbed.bus.parts import ProcessState
from testbed.services.stall import StallMeter
from tests.chaos.small_lab import SmallLab, state_of
from tests.chaos.strikes import Strike

_EVERY_S = 0.2


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

    def worst_stall_s(self, strikes: Iterable[Strike]) -> tuple[float, int]:
        """Longest time that a coordinator's loop was not served, and in how many processes.

        A process counts the time for which it was stopped as a stall, so of its longest one the
        longest such time before is taken off.
        """
        stops = [s for s in strikes if s.name == "coordinator" and s.kind == "stopped"]
        worst_s = 0.0
        for at_s, pid, stall_s in self._stalls:
            before = [s.until_s - s.at_s for s in stops if s.pid == pid and s.at_s < at_s]
            worst_s = max(worst_s, stall_s - max(before, default=0.0))
        return worst_s, len({pid for _, pid, _ in self._stalls})


class IdleLoop(threading.Thread):
    """An event loop that does nothing: how long the machine alone holds one up."""

    def __init__(self) -> None:
        super().__init__(name="idle loop", daemon=True)
        self._meter = StallMeter()
        self._loop = asyncio.new_event_loop()
        self._measuring = self._loop.create_task(self._meter.run())

    def run(self) -> None:
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._measuring)
        self._loop.close()

    def end(self) -> float:
        """Longest time that it was not served, in seconds."""
        self._loop.call_soon_threadsafe(self._measuring.cancel)
        self.join()
        return self._meter.worst_s


def processes_of(state: TestbedState) -> Iterable[ProcessState]:
    """All that the coordinator knows, and itself."""
    yield state.process
    yield from (agent.state.process for agent in state.agents if agent.state is not None)
    yield from (worker.state for worker in state.workers)
