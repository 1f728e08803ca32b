"""`testbed study paper`: the paper's figures and table, what is published beside what is ours."""

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from testbed.bench.workload import paper_hall
from testbed.commands.tables import progress_bar
from testbed.errors import UsageError, written_to
from testbed.paper.cases import PARTS, Part
from testbed.paper.results import endings
from testbed.runs.policies import new_policy
from testbed.runs.trial import TrialResult


@click.command("paper")
@click.option(
    "--only",
    "parts",
    type=click.Choice(PARTS),
    multiple=True,
    help="Only this part of the results; may be given again.",
)
@click.option(
    "--trials",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    help="Seeded scenes of each case.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True,
    help="Everything random follows from it.",
)  # fmt: skip
@click.option(
    "--policy",
    "policies",
    metavar="NAME",
    multiple=True,
    help="Show this policy in figure 2 as well, of whatever package; may be given again.",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Processes, 1 if left out; the result does not depend on it.",
)
@click.option(
    "--scheduler",
    metavar="tcp://HOST:PORT",
    help="Compute on the Dask cluster of this scheduler; the result does not depend on it.",
)
@click.option(
    "--out",
    "root",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="Trials, tables, figures and the page; the same command goes on where one was stopped.",
)
def command(
    parts: tuple[Part, ...], trials: int, seed: int, policies: tuple[str, ...], jobs: int | None,
    scheduler: str | None, root: Path,
) -> None:  # fmt: skip
    """Reproduce the paper's figures and table, and set ours and the bounds beside them."""
    if jobs is not None and scheduler is not None:
        msg = "--jobs says how many processes of this machine compute: leave it out, or --scheduler"
        raise UsageError(msg)
    try:
        from testbed.paper.writing import write_report
    except ModuleNotFoundError as error:
        msg = f"the page needs {error.name}: pip install 'isac-testbed[figures]'"
        raise UsageError(msg) from error
    from testbed.paper.study import measured_runtimes, reproduction_of, run_paper

    for policy in policies:
        new_policy(policy)  # or it fails in each process
    wanted, hall = parts or PARTS, paper_hall()
    with progress_bar() as progress:

        def begin(total: int, kept: int) -> Callable[[Sequence[TrialResult]], None]:
            if kept:
                click.echo(f"{root}: goes on with {kept} of {total} trials", err=True)
            task = progress.add_task("trials", total=total, completed=kept)
            return lambda chunk: progress.advance(task, len(chunk))

        try:
            results, elapsed_s = run_paper(
                root, hall, wanted, policies, trials, seed, jobs or 1, scheduler, begin,
                lambda said: click.echo(said, err=True),
            )  # fmt: skip
        except KeyboardInterrupt:
            said = f"{root}: what is finished is kept; the same command goes on from there"
            click.echo(said, err=True)
            raise
        runtimes = []
        if "fig3" in wanted:
            task = progress.add_task("runtimes", total=None)
            runtimes = list(measured_runtimes(hall, endings(results), seed))
            progress.remove_task(task)
    again = _command(parts, trials, seed, policies)
    with written_to(root):
        found = reproduction_of(results, runtimes, again, trials, seed, elapsed_s)
        page = write_report(root, found)
    click.echo(f"{page}: {found.verdict}")


def _command(parts: Sequence[str], trials: int, seed: int, policies: Sequence[str]) -> str:
    """What gives the same again."""
    said = ["testbed", "study", "paper", "--trials", str(trials), "--seed", str(seed)]
    for option, values in (("--only", parts), ("--policy", policies)):
        for value in values:
            said += [option, value]
    return shlex.join([*said, "--jobs", "2", "--out", "DIR"])
