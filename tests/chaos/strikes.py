"""What befalls the processes of a testbed: killed, stopped for a while, or told to end."""

import os
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tests.chaos.small_lab import PROCESSES, SmallLab

Kind = Literal["killed", "stopped", "restarted"]
KINDS: tuple[Kind, ...] = ("killed", "stopped", "restarted")
EVERY_S = 1.0, 4.0
STOPPED_S = 0.5, 4.0
_SIGNALS = {"killed": signal.SIGKILL, "stopped": signal.SIGSTOP, "restarted": signal.SIGTERM}


@dataclass
class Strike:
    """One of them, on the monotonic clock; one that is stopped goes on at `until_s`."""

    at_s: float
    name: str
    pid: int
    kind: Kind
    until_s: float


class Striker(threading.Thread):
    """Strikes a random process every one to four seconds, for so long or until it is ended.

    What is drawn depends on the seed alone; a process that is not there just then is passed over.
    """

    def __init__(self, lab: SmallLab, seed: int, duration_s: float) -> None:
        super().__init__(name="striker", daemon=True)
        self.strikes: list[Strike] = []
        self._lab = lab
        self._rng = np.random.default_rng(seed)
        self._duration_s = duration_s
        self._ended = threading.Event()
        self._stopped: dict[int, Strike] = {}

    def run(self) -> None:
        next_s = time.monotonic()
        until_s = next_s + self._duration_s
        while not self._ended.is_set() and next_s < until_s:
            next_s += self._rng.uniform(*EVERY_S)
            name = PROCESSES[self._rng.integers(len(PROCESSES))]
            kind = KINDS[self._rng.integers(len(KINDS))]
            duration_s = self._rng.uniform(*STOPPED_S)
            self._wait_until(next_s)
            if not self._ended.is_set():
                self._strike(name, kind, duration_s)
        self._let_go_on(float("inf"))

    def end(self) -> None:
        """Strike no more, and let all go on that are stopped."""
        self._ended.set()
        self.join()

    def _wait_until(self, time_s: float) -> None:
        """Wait, and meanwhile let those go on that were stopped for long enough."""
        while (now_s := time.monotonic()) < time_s and not self._ended.is_set():
            soonest_s = min([time_s, *(strike.until_s for strike in self._stopped.values())])
            self._ended.wait(max(0.0, soonest_s - now_s))
            self._let_go_on(time.monotonic())

    def _let_go_on(self, now_s: float) -> None:
        for strike in [s for s in self._stopped.values() if s.until_s <= now_s]:
            del self._stopped[strike.pid]
            with suppress(ProcessLookupError):
                os.kill(strike.pid, signal.SIGCONT)
            strike.until_s = time.monotonic()

    def _strike(self, name: str, kind: Kind, duration_s: float) -> None:
        pid = self._lab.pids().get(name)
        if pid is None or pid in self._stopped:
            return
        now_s = time.monotonic()
        strike = Strike(now_s, name, pid, kind, now_s)
        with suppress(ProcessLookupError):
            os.kill(pid, _SIGNALS[kind])
            if kind == "stopped":
                strike.until_s += duration_s
                self._stopped[pid] = strike
            self.strikes.append(strike)

    def counts(self) -> dict[str, Counter[Kind]]:
        """How often what befell whom."""
        table: dict[str, Counter[Kind]] = {name: Counter() for name in PROCESSES}
        for strike in self.strikes:
            table[strike.name][strike.kind] += 1
        return table
