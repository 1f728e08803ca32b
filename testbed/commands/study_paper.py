"""`testbed study paper`: the paper's figures and table, what is published beside what is ours."""

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from testbed.bench.workload import paper_hall
from testbed.commands.study_options import check_pool, computed_cases, pool_options
from testbed.errors import UsageError, written_to
from testbed.paper.cases import PARTS, Part, paper_cases
from testbed.paper.study import measured_runtimes, reproduction_of
from testbed.runs.policies import new_policy


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
@pool_options
@click.option(
    "--out",
    "root",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="Trials, tables, figures and the page; the same command goes on where one was stopped.",
)
def paper(
    parts: tuple[Part, ...], trials: int, seed: int, policies: tuple[str, ...], jobs: int | None,
    scheduler: str | None, root: Path,
) -> None:  # fmt: skip
    """Reproduce the paper's figures and table, and set ours and the bounds beside them."""
    check_pool(jobs, scheduler)
    try:
        from testbed.paper.writing import write_report
    except ModuleNotFoundError as error:
        msg = f"the page needs {error.name}: pip install 'isac-testbed[figures]'"
        raise UsageError(msg) from error
    for policy in policies:
        new_policy(policy)  # or it fails in each process
    wanted, hall = parts or PARTS, paper_hall()
    if policies and "fig2" not in wanted:
        msg = "--policy shows a policy in figure 2: leave --only out, or add --only fig2"
        raise UsageError(msg)
    cases = {case.name: case for case in paper_cases(wanted, policies, hall)}
    finished = computed_cases(
        root, {name: own.case for name, own in cases.items()}, trials, seed, jobs, scheduler
    )
    results = {own: finished[name].of_first(trials) for name, own in cases.items()}
    elapsed_s = sum(known.elapsed_s(trials) for known in finished.values())
    found = reproduction_of(
        results, _command(parts, trials, seed, policies), trials, seed, elapsed_s
    )
    if "fig3" in wanted:
        click.echo("runtimes: measured on this machine, now", err=True)
        found = replace(found, runtimes=list(measured_runtimes(hall, found.endings, seed)))
    with written_to(root):
        page, verdict = write_report(root, found)
    click.echo(f"{page}: {verdict}")


def _command(parts: Sequence[str], trials: int, seed: int, policies: Sequence[str]) -> str:
    """What gives the same again."""
    said = ["testbed", "study", "paper", "--trials", str(trials), "--seed", str(seed)]
    for option, values in (("--only", parts), ("--policy", policies)):
        for value in values:
            said += [option, value]
    return shlex.join([*said, "--jobs", "2", "--out", "DIR"])
