"""What it costs to keep a study's trials, and what two processes or two Dask workers gain.

``python -m tests.benchmarks.study_scale`` runs one study of a site in four ways, in turns: on this
process, the same into a directory, on two processes, on two workers of a Dask cluster on this
machine (where `distributed` is installed). Rates are those after the first chunks, when everything
has started and is compiled; the median of the turns is printed, with the seconds that keeping a
chunk took. All four ways must give the same.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from testbed.runs.study import run_study
from testbed.runs.study_store import StudyStore, opened_store, study_identity
from testbed.runs.trial import TrialResult
from testbed.site import Site, load_site
from tests.integration.dask_cluster import dask_cluster

SEED = 1
WARM_CHUNKS = 4


class Stopwatch:
    """How long a store takes to keep chunks, in seconds each."""

    def __init__(self, store: StudyStore) -> None:
        self.took_s: list[float] = []
        self._put, self._store = store.put, store
        store.put = self._timed  # type: ignore[method-assign]

    def _timed(self, first: int, chunk: Sequence[TrialResult], took_s: float) -> None:
        began_s = time.perf_counter()
        self._put(first, chunk, took_s)
        self.took_s.append(time.perf_counter() - began_s)


def rate(site: Site, trials: int, jobs: int, **options: Any) -> tuple[list[TrialResult], float]:
    """Results, and trials a second after the first chunks."""
    finished: list[tuple[float, int]] = []
    results, _ = run_study(
        site, trials, SEED, "learned", jobs,
        lambda chunk: finished.append((time.perf_counter(), len(chunk))), **options,
    )  # fmt: skip
    began_s = finished[WARM_CHUNKS - 1][0]
    return results, sum(n for _, n in finished[WARM_CHUNKS:]) / (finished[-1][0] - began_s)


def into_a_directory(
    site: Site, trials: int, kept_s: list[float]
) -> tuple[list[TrialResult], float]:
    """The same on this process with every chunk kept."""
    with (
        tempfile.TemporaryDirectory() as root,
        opened_store(
            Path(root) / "study", study_identity(site, SEED, "learned", "pilot"), trials
        ) as store,
    ):
        watch = Stopwatch(store)
        found = rate(site, trials, 1, finished=store)
        kept_s += watch.took_s
        return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("site", type=Path, nargs="?", default=Path("examples/factory.yaml"))
    parser.add_argument("--trials", type=int, default=96)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    site, trials = load_site(options.site), options.trials
    kept_s: list[float] = []
    ways = {
        "one process": lambda: rate(site, trials, 1),
        "one process, kept": lambda: into_a_directory(site, trials, kept_s),
        "two processes": lambda: rate(site, trials, 2),
    }
    rates: dict[str, list[float]] = {}
    with ExitStack() as stack:
        if find_spec("distributed"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            cluster = stack.enter_context(dask_cluster(folder, 2))
            ways["two Dask workers"] = lambda: rate(site, trials, 1, scheduler=cluster.address)
        expected = ways["one process"]()[0]
        for _ in range(options.turns):
            for name, way in ways.items():
                results, found = way()
                if results != expected:
                    sys.stdout.write(f"{name}: other results\n")
                    return 1
                rates.setdefault(name, []).append(found)
    alone = np.median(rates["one process"])
    for name, found in rates.items():
        median = np.median(found)
        sys.stdout.write(f"{name}: {median:.1f} trials/s, {median / alone:.2f} times one process\n")
    sys.stdout.write(f"keeping a chunk: {1e3 * np.median(kept_s):.2f} ms (median)\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
