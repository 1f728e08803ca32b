"""Jobs whose results are known beforehand, done again and again."""

import itertools
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from testbed.bus.job_messages import JobOptions, JobState, SensingTimes
from tests.chaos.small_lab import SmallLab

# Of other sensings, and of other numbers of them; so fine a tolerance is never reached.
LOCALIZATIONS = tuple(
    {"num_receivers": n, "max_sensings": most, "tolerance_m": 1e-3}
    for n, most in ((1, 6), (2, 4), (2, 8), (3, 5))
)
LEARNED = "dictionary"
Task = Literal["localize", "calibrate"]


class OverdueError(Exception):
    """A job that takes longer than whatever befell it explains."""


@dataclass
class Done:
    """Jobs that ended, and what was wrong with them.

    Attributes
    ----------
    took_s
        By task.
    problems
        One line each.
    """

    took_s: dict[Task, list[float]] = field(
        default_factory=lambda: {"localize": [], "calibrate": []}
    )
    num_records: int = 0
    problems: list[str] = field(default_factory=list)


class KnownJobs:
    """Runs jobs and compares what they bring with what they brought undisturbed.

    Parameters
    ----------
    lab
        Who runs them; nothing may befall it until the jobs are known.
    allowed_s
        How long a job may take that began at a time, as things are now.
    """

    def __init__(self, lab: SmallLab, allowed_s: Callable[[float], float]) -> None:
        self._lab = lab
        self._allowed_s = allowed_s
        self._began_s, self._progress = time.monotonic(), "nothing yet"
        self._turns = itertools.count()
        self.done = Done()

    @contextmanager
    def known(self) -> Iterator["KnownJobs"]:
        """Learn what the jobs bring, and be a client until the end of the block.

        One client for all: who has never been answered does not wait for a coordinator.
        """
        with self._lab.client(patience_s=600.0, waiting=self._check) as self._client:
            self._run("calibrate", JobOptions(folder=LEARNED))
            self._entries = entries(self._lab.state_folder / LEARNED)
            self._expected = [self._records(n) for n in range(len(LOCALIZATIONS))]
            yield self

    def one(self) -> None:
        """The next job: three localizations for each calibration."""
        if next(self._turns) % 4:
            self.localize()
        else:
            self._timed("calibrate", self._calibrated)

    def localize(self) -> None:
        """A localization, each time another one."""
        self._timed("localize", self._localized)

    def _timed(self, task: Task, act: Callable[[int], str | None]) -> None:
        took_s = self.done.took_s[task]
        number, began_s = len(took_s), time.monotonic()
        try:
            problem = act(number)
        except Exception as error:  # noqa: BLE001  one job that fails is not the end of the test
            problem = f"{type(error).__name__}: {error}"
        took_s.append(time.monotonic() - began_s)
        if problem is not None:
            line = f"{task} {number}, after {took_s[-1]:.0f} s: {problem[:2000]}"
            self.done.problems.append(line)
            sys.stderr.write(f"{line}\n")

    def _calibrated(self, number: int) -> str | None:
        folder = f"again-{number}"
        self._run("calibrate", JobOptions(folder=folder))
        found = entries(self._lab.state_folder / folder)
        other = [n for n in self._entries | found if self._entries.get(n) != found.get(n)]
        return f"entries are others: {', '.join(other)}" if other else None

    def _localized(self, number: int) -> str | None:
        kind = number % len(LOCALIZATIONS)
        found, expected = self._records(kind), self._expected[kind]
        self.done.num_records += len(found)
        if len(found) != len(expected):
            return f"{len(found)} records, not {len(expected)}"
        for n, (one, other) in enumerate(zip(found, expected, strict=True)):
            if one != other:
                return f"record {n} is another: {one!r}, not {other!r}"
        return None

    def _records(self, kind: int) -> list[bytes]:
        records: list[bytes] = []

        def follow(state: JobState) -> None:
            for record in state.records:
                timeless = msgspec.structs.replace(record, times=SensingTimes())
                records.append(msgspec.json.encode(timeless))

        self._run("localize", JobOptions(folder=LEARNED, **LOCALIZATIONS[kind]), follow)
        return records

    def _run(
        self, task: Task, options: JobOptions, follow: Callable[[JobState], None] = lambda _s: None
    ) -> None:
        self._began_s, self._progress = time.monotonic(), "nothing yet"

        def take(state: JobState) -> None:
            self._progress = f"{state.status}, {state.progress}"
            self._check()
            follow(state)

        self._client.run(task, options, take)

    def _check(self, _text: str = "") -> None:
        if time.monotonic() - self._began_s > self._allowed_s(self._began_s):
            msg = f"it hangs at: {self._progress}"
            raise OverdueError(msg)


def entries(folder: Path) -> dict[str, bytes]:
    """Files of a dictionary by name, without when they were made, and without its report."""
    found = {}
    for path in folder.iterdir():
        if path.suffix == ".html":
            continue
        content = path.read_bytes()
        if path.suffix == ".json":
            described = {k: v for k, v in json.loads(content).items() if k != "created"}
            content = json.dumps(described, sort_keys=True).encode()
        found[path.name] = content
    return found
