"""Cases of the whole: the loop in one process, and the start of the command line."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import islice

import numpy as np

from fusion.controller import Controller
from testbed.bench.case import Counts, Work
from testbed.bench.measuring import timed
from testbed.bench.receiving import map_counts
from testbed.bench.workload import Workload
from testbed.runs.links import Look

_NUM_STARTS = 7
# Sensings of other scenes that are done before any is measured: all code has run by then.
_NUM_WARM_UP, _OTHER_SCENES = 12, 1000


def loop(load: Workload) -> Work:
    """From a capture that is ready to the next configuration; making captures is left out."""
    return _loop(load, aligned=False)


def aligned_loop(load: Workload) -> Work:
    """The same where captures are to be aligned to backgrounds that are ready for it."""
    return _loop(load, aligned=True)


def _loop(load: Workload, *, aligned: bool) -> Work:
    pending = [next(ready_sensings(load, load.seed + n, aligned=aligned)) for n in range(2)]

    def run() -> None:
        none_left = not pending
        sensing = (
            next(ready_sensings(load, load.seed, aligned=aligned)) if none_left else pending.pop()
        )
        sensing()

    return Work(run=run, counts=map_counts(load), times_s=lambda: _all_times_s(load, aligned))


@lru_cache(maxsize=2)  # both percentiles are of the same sensings
def _all_times_s(load: Workload, aligned: bool) -> Sequence[float]:
    times_s: list[float] = []
    for sensing in warm_sensings(load, aligned=aligned):
        time_s, goes_on = timed(sensing)
        if goes_on:
            times_s.append(time_s)
        if len(times_s) == load.sizes.num_sensings:
            break
    return times_s


@dataclass(frozen=True, slots=True)
class ReadySensing:
    """What is left to do of one sensing once its captures and backgrounds are there.

    Attributes
    ----------
    looks
        One a receiver: from its capture to its report.
    controller
        Of the run that it is of.
    """

    looks: Sequence[Callable[[], Look]]
    controller: Controller

    def conclude(self, looks: Sequence[Look]) -> bool:
        """Fuse what was found; whether there is a next configuration."""
        self.controller.update([look.report for look in looks])
        return self.controller.next_config() is not None

    def __call__(self) -> bool:
        """All of it, one receiver after the other."""
        return self.conclude([look() for look in self.looks])


def ready_sensings(load: Workload, seed: int, *, aligned: bool = False) -> Iterator[ReadySensing]:
    """Sensings of scene after scene, each to be done before the next one is taken."""
    while True:
        run, links, simulation = load.localization(seed, aligned=aligned)
        source, controller = simulation.source, run.controller
        while (config := controller.next_config()) is not None:
            index = controller.num_sensings
            captures = source.sense(config.tx_id, config.rx_ids, index)
            if aligned:
                captures = tuple(load.moved(capture) for capture in captures)
            ready = [(capture, links.background_of(capture)) for capture in captures]
            for _, background in ready:
                if aligned and background is not None:
                    load.processor.prepared(background, ())
            look = links.reporter.look
            yield ReadySensing([partial(look, *parts, index) for parts in ready], controller)
        seed += 1


def warm_sensings(load: Workload, *, aligned: bool = False) -> Iterator[ReadySensing]:
    """Those of the workload's own scenes, after some of others have been done."""
    other = ready_sensings(load, load.seed + _OTHER_SCENES, aligned=aligned)
    for sensing in islice(other, _NUM_WARM_UP):
        sensing()
    return ready_sensings(load, load.seed, aligned=aligned)


def help_text(_load: Workload) -> Work:
    """A fresh process that prints the help of the command line."""

    def start(*arguments: str) -> float:
        started_s = time.perf_counter()
        subprocess.run(  # noqa: S603  this interpreter
            [sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL
        )
        return time.perf_counter() - started_s

    def times_s() -> list[float]:
        return [start("-m", "testbed", "--help") for _ in range(_NUM_STARTS)]

    bare_s = float(np.median([start("-c", "import click") for _ in range(_NUM_STARTS)]))
    return Work(
        run=lambda: start("-m", "testbed", "--help"),
        counts=Counts(constant_s=bare_s),
        times_s=times_s,
    )
