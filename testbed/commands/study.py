"""`testbed study run`: many seeded scenes of one site."""

import csv
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import msgspec
from rich.table import Table

from testbed.build import Overrides
from testbed.commands.options import resolve_site, shared_options
from testbed.commands.study_options import check_pool, going_on, pool_options, refuse_hardware
from testbed.commands.study_paper import paper
from testbed.commands.study_sweep import sweep
from testbed.commands.tables import progress_bar, screen
from testbed.errors import UsageError, written_to
from testbed.runs.backgrounds import BackgroundKind
from testbed.runs.paper_literal import paper_literal
from testbed.runs.policies import PROPOSED, described_policies, new_policy
from testbed.runs.setup import Fidelity
from testbed.runs.study import TRIAL_COLUMNS, run_study, study_object, trial_row
from testbed.runs.study_finished import FinishedTrials
from testbed.runs.study_store import TABLE_NAME, opened_store, study_identity
from testbed.runs.trial import TrialResult
from testbed.units import metres


@click.group("study")
def command() -> None:
    """Monte Carlo studies of a site."""


command.add_command(paper)
command.add_command(sweep)


@command.command("policies")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def list_policies(as_json: bool) -> None:
    """List the ways to sense that `study run --policy` takes, those of other packages too."""
    found = list(described_policies())
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"policies": found})).decode())
        return
    for policy in found:
        origin = "" if policy.package is None else f" (from {policy.package})"
        screen().print(f"{policy.name}: {policy.summary}{origin}", soft_wrap=True)


@command.command("run")
@shared_options
@click.option("--trials", type=click.IntRange(1, 1_000_000), required=True, help="Seeded scenes.")
@click.option(
    "--policy",
    metavar="NAME",
    default=PROPOSED,
    show_default=True,
    help="What senses; `testbed study policies` lists them.",
)
@click.option(
    "--literal", is_flag=True, help="Fuse, initialize and stop as the paper says, to the letter."
)
@pool_options
@click.option(
    "--out",
    "root",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Keep finished trials here; the same command goes on where one was stopped.",
)
@click.option(
    "--trials-out",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="Write a row per trial, as they finish: to compare runs of one seed in pairs; "
    f"with --out, {TABLE_NAME} in there if left out.",
)
def run(
    site_path: Path, seed: int, background: BackgroundKind, fidelity: Fidelity, as_json: bool,
    trials: int, policy: str, literal: bool, jobs: int | None, scheduler: str | None,
    root: Path | None, trials_out: Path | None, **options: object,
) -> None:  # fmt: skip
    """Run seeded scenes with the site's statistics and print what came of them."""
    check_pool(jobs, scheduler)
    replace_radios = bool(options.pop("simulate"))
    overrides = Overrides(**options)  # type: ignore[arg-type]
    site = resolve_site(site_path, overrides, simulate=replace_radios, fidelity=fidelity)
    site = paper_literal(site) if literal else site
    new_policy(policy)  # or it fails in each process
    refuse_hardware(site, site_path)
    if fidelity == "iq" and background == "perfect":
        msg = "--background perfect needs --fidelity pilot: radios' captures are never perfect"
        raise UsageError(msg)
    identity = study_identity(site, seed, background, fidelity, policy)
    rows = trials_out if trials_out or root is None else root / TABLE_NAME
    with (
        _finished_trials(root, identity, trials) as finished,
        _trial_writer(rows, finished.results, trials) as write_rows,
        progress_bar() as progress,
    ):
        write_rows()
        kept = len(finished.of_first(trials))
        task = progress.add_task("trials", total=trials, completed=kept)

        def note(chunk: Sequence[TrialResult]) -> None:
            write_rows()
            progress.advance(task, len(chunk))

        results, elapsed_s = run_study(
            site, trials, seed, background, jobs or 1, note, fidelity, policy,
            finished=finished, scheduler=scheduler,
        )  # fmt: skip
    found = study_object(site, results, seed, elapsed_s)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    out = screen()
    out.print(_headline(found), soft_wrap=True)
    out.print(_sensing_table(found))
    for line in _summary(found):
        out.print(line, soft_wrap=True)


@contextmanager
def _finished_trials(
    root: Path | None, identity: Mapping[str, Any], trials: int
) -> Iterator[FinishedTrials[TrialResult]]:
    """What is there already of a study; says so, and how to go on where it is interrupted."""
    if root is None:
        yield FinishedTrials()
        return
    with opened_store(root, identity, trials) as store:
        for path in store.damaged:
            click.echo(f"{path}: damaged, removed; its trials are computed again", err=True)
        with going_on(root, lambda: len(store.of_first(trials)), trials):
            yield store


@contextmanager
def _trial_writer(
    path: Path | None, results: Mapping[int, TrialResult], trials: int
) -> Iterator[Callable[[], None]]:
    """Append finished trials to a CSV file; what is written stays when the study is stopped.

    Rows come in the order of trials: one that finished early waits for those before it.
    """
    if path is None:
        yield lambda: None
        return
    with written_to(path), path.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream)
        writer.writerow(TRIAL_COLUMNS)
        left = deque(range(trials))

        def write() -> None:
            while left and left[0] in results:
                writer.writerow(trial_row(results[left.popleft()]))
            stream.flush()

        yield write


def _headline(found: dict[str, Any]) -> str:
    named = [f"{found['site']}: {found['policy']}"]
    if found["paper_literal"]:
        named.append("as the paper says")
    if found["knows_truth"]:
        named.append("told where the target is")
    return ", ".join(named)


def _sensing_table(found: dict[str, Any]) -> Table:
    table = Table(title="error after each sensing", title_justify="left")
    for name in ("sensing", "RMSE", "median", "99 %"):
        table.add_column(name, justify="right")
    rows = zip(found["rmse_m"], found["median_m"], found["p99_m"], strict=True)
    for number, row in enumerate(rows, start=1):
        table.add_row(str(number), *(metres(value) for value in row))
    return table


def _summary(found: dict[str, Any]) -> list[str]:
    percentiles = ", ".join(f"{p} %: {metres(e)}" for p, e in found["percentiles_m"].items())
    coverage = "no trial converged"
    if found["nees_median"] is not None:
        coverage = (
            f"truth inside the 50 % ellipse in {100 * found['coverage_50']:.1f} %, inside the "
            f"95 % ellipse in {100 * found['coverage_95']:.1f} %; median normalized squared error "
            f"{found['nees_median']:.3f} (1.386 is ideal)"
        )
    return [
        f"final error {percentiles}; bound stated, median {metres(found['peb_median_m'])}",
        f"wrong (converged, off by more than 5 m): {_fraction(found, 'wrong')}",
        f"unresolved: {_fraction(found, 'unresolved')}",
        (
            f"sensings: {found['mean_num_sensings']:.2f} on average, "
            f"{found['throughput_loss_pct']:.2f} % of a frame's symbols"
        ),
        coverage,
        _bounds(found),
        (
            f"{found['trials']} trials, seed {found['seed']}, {found['elapsed_s']:.1f} s, "
            f"{found['links_per_second']:.1f} links sensed per second"
        ),
    ]


def _bounds(found: dict[str, Any]) -> str:
    if found["conditional_bound_median_m"] is None:
        return "no bound of what was sensed: nothing was"
    ratio = found["rmse_over_conditional_bound"]
    return (
        f"median bound of what was sensed {metres(found['conditional_bound_median_m'])} for the "
        f"echoes drawn, {metres(found['mean_rcs_bound_median_m'])} for the mean RCS, of an oracle "
        f"{metres(found['oracle_bound_median_m'])}; RMSE over the first, of trials that "
        f"converged: {'-' if ratio is None else f'{ratio:.2f}'}"
    )


def _fraction(found: dict[str, Any], name: str) -> str:
    low, high = found[f"{name}_interval"]
    value = found[f"{name}_fraction"]
    return f"{100 * value:.2f} % (95 % interval {100 * low:.2f} to {100 * high:.2f} %)"
