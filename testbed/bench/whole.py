"""Cases of the whole: the loop in one process, and the start of the command line."""

import subprocess
import sys
import time
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from testbed.bench.case import Counts, Work
from testbed.bench.receiving import map_counts
from testbed.bench.workload import Workload

_NUM_STARTS = 7


def loop(load: Workload) -> Work:
    """From a capture that is ready to the next configuration; making captures is left out."""
    return Work(
        run=lambda: sensing_times_s(load, 1, load.seed),
        counts=map_counts(load),
        times_s=lambda: _all_times_s(load),
    )


@lru_cache(maxsize=1)  # both percentiles are of the same sensings
def _all_times_s(load: Workload) -> Sequence[float]:
    return sensing_times_s(load, load.sizes.num_sensings, load.seed)


def sensing_times_s(load: Workload, count: int, seed: int) -> list[float]:
    """Seconds of so many sensings, over as many scenes as they take."""
    times_s: list[float] = []
    while len(times_s) < count:
        run, simulation = load.localization(seed)
        source, controller = simulation.source, run.controller
        config = controller.next_config()
        while config is not None and len(times_s) < count:
            index = controller.num_sensings
            ready = [
                (capture, run.background_of(capture))
                for capture in source.sense(config.tx_id, config.rx_ids, index)
            ]
            started_s = time.perf_counter()
            looks = [run.look(capture, background, index) for capture, background in ready]
            controller.update([look.report for look in looks])
            config = controller.next_config()
            times_s.append(time.perf_counter() - started_s)
        seed += 1
    return times_s


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
