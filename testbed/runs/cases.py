"""Studies of many cases: what senses where, and all their trials in one run."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import msgspec
import numpy as np
from threadpoolctl import threadpool_limits

from testbed.runs.backgrounds import BackgroundKind
from testbed.runs.links import Processors
from testbed.runs.policies import PROPOSED
from testbed.runs.setup import Fidelity
from testbed.runs.study_dask import on_cluster
from testbed.runs.study_finished import FinishedTrials
from testbed.runs.study_pool import on_processes
from testbed.runs.study_store import opened_store, study_identity
from testbed.runs.trial import TrialResult, run_trial
from testbed.site import Site

_CHUNK = 8
_FOLDER = "cases"


@dataclass(frozen=True, slots=True)
class Case:
    """What is tried, trial after trial.

    Attributes
    ----------
    site
        With all that was changed of it.
    background
        What is subtracted from captures.
    fidelity
        Of the simulated captures.
    policy
        What senses, see `testbed.runs.policies`.
    """

    site: Site
    background: BackgroundKind = "learned"
    fidelity: Fidelity = "pilot"
    policy: str = PROPOSED


Finished = FinishedTrials[TrialResult]


def trial_seeds(seed: int, trials: int) -> list[int]:
    """Scene seeds of a study: they follow from its seed and the trial's number alone."""
    return [
        int(np.random.SeedSequence(entropy=seed, spawn_key=(n,)).generate_state(1, np.uint64)[0])
        for n in range(trials)
    ]


def run_cases(
    cases: Sequence[Case],
    finished: Sequence[Finished],
    trials: int,
    seed: int,
    jobs: int,
    progress: Callable[[Sequence[TrialResult]], None] = lambda _chunk: None,
    scheduler: str | None = None,
) -> None:
    """Compute what is missing of so many trials of each case; all see the same scenes.

    Parameters
    ----------
    finished
        Of each case: trials that need not be computed; those that are, are added.
    jobs
        Processes on this machine.
    progress
        Called with the trials just finished, whichever are.
    scheduler
        Address of a Dask cluster that computes in place of this machine.
    """
    seeds = trial_seeds(seed, trials)
    work: list[tuple[Case, list[int]]] = []
    places: list[tuple[Finished, int]] = []
    for case, known in zip(cases, finished, strict=True):
        for numbers in known.missing(trials, _CHUNK if case.fidelity == "pilot" else 1):
            work.append((case, seeds[numbers.start : numbers.stop]))
            places.append((known, numbers.start))
    computed = (
        on_processes(_run_chunk, work, jobs)
        if scheduler is None
        else on_cluster(_run_chunk, work, scheduler)
    )
    before_s = time.monotonic()
    with closing(computed):
        for number, chunk in computed:
            known, start = places[number]
            now_s = time.monotonic()
            known.put(start, chunk, now_s - before_s)
            before_s = now_s
            progress(chunk)


def _run_chunk(work: tuple[Case, Sequence[int]]) -> list[TrialResult]:
    case, seeds = work
    # One thread a process: processes do not fight, and sums do not depend on how many there are.
    with threadpool_limits(limits=1):
        processors = _processors(msgspec.msgpack.encode(case.site))
        return [
            run_trial(case.site, seed, case.background, processors, case.fidelity, case.policy)
            for seed in seeds
        ]


@lru_cache(maxsize=1)
def _processors(encoded_site: bytes) -> Processors:
    """Processors of a site, planned once for all its trials that follow each other."""
    return Processors(msgspec.msgpack.decode(encoded_site, type=Site))


@contextmanager
def opened_cases(
    root: Path, cases: Mapping[str, Case], trials: int, seed: int, say: Callable[[str], object]
) -> Iterator[list[Finished]]:
    """The directories of cases by name, each as that of a study; says what was found damaged.

    Raises
    ------
    UsageError
        As `testbed.runs.study_store.opened_store`.
    """
    with ExitStack() as stack:
        stores: list[Finished] = []
        for name, case in cases.items():
            identity = study_identity(case.site, seed, case.background, case.fidelity, case.policy)
            store = stack.enter_context(opened_store(root / _FOLDER / name, identity, trials))
            for path in store.damaged:
                say(f"{path}: damaged, removed; its trials are computed again")
            stores.append(store)
        yield stores
