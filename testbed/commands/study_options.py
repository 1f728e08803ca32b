"""What the studies' commands share: what computes them, what they refuse, how they go on."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from testbed.build import radio_kinds
from testbed.commands.tables import progress_bar
from testbed.errors import UsageError
from testbed.runs.cases import Case, Finished, opened_cases, run_cases
from testbed.runs.trial import TrialResult
from testbed.site import Site

_POOL = (
    click.option("--jobs", type=click.IntRange(min=1),
                 help="Processes, 1 if left out; the result does not depend on it."),
    click.option("--scheduler", metavar="tcp://HOST:PORT",
                 help="Compute on the Dask cluster of this scheduler; the result does not "
                 "depend on it."),
)  # fmt: skip


def pool_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what computes; see `check_pool`."""
    for decorate in reversed(_POOL):
        function = decorate(function)
    return function


def check_pool(jobs: int | None, scheduler: str | None) -> None:
    """Refuse two answers to what computes."""
    if jobs is not None and scheduler is not None:
        msg = "--jobs says how many processes of this machine compute: leave it out, or --scheduler"
        raise UsageError(msg)


def refuse_hardware(site: Site, site_path: Path) -> None:
    """Refuse a site whose radios are not simulated."""
    hardware = radio_kinds(site) - {"sim"}
    if hardware:
        msg = (
            f"{site_path}: a study simulates, but its radios are of kind "
            f"{', '.join(sorted(hardware))}; add --simulate to replace every radio"
        )
        raise UsageError(msg)


@contextmanager
def going_on(root: Path, count_kept: Callable[[], int], trials: int) -> Iterator[None]:
    """Say what is there already in a directory, and how to go on where it is interrupted."""
    kept = count_kept()
    if kept:
        click.echo(f"{root}: goes on with {kept} of {trials} trials", err=True)
    try:
        yield
    except KeyboardInterrupt:
        click.echo(
            f"{root}: {count_kept()} of {trials} trials are kept; the same command goes on from "
            "there",
            err=True,
        )
        raise


def computed_cases(
    root: Path,
    cases: Mapping[str, Case],
    trials: int,
    seed: int,
    jobs: int | None,
    scheduler: str | None,
) -> dict[str, Finished]:
    """So many trials of each case by its name, computed where they are not in the directory yet."""

    def say(text: str) -> None:
        click.echo(text, err=True)

    with opened_cases(root, cases, trials, seed, say) as finished:

        def count_kept() -> int:
            return sum(len(known.of_first(trials)) for known in finished)

        total = trials * len(cases)
        with going_on(root, count_kept, total), progress_bar() as progress:
            task = progress.add_task("trials", total=total, completed=count_kept())

            def note(chunk: Sequence[TrialResult]) -> None:
                progress.advance(task, len(chunk))

            run_cases(list(cases.values()), finished, trials, seed, jobs or 1, note, scheduler)
        return dict(zip(cases, finished, strict=True))
