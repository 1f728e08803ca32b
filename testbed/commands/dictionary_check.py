"""`testbed dictionary check`: whether a dictionary still holds."""

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.table import Table
from threadpoolctl import threadpool_limits

from calibration.entry_checks import EntryCheck
from testbed.build import Overrides
from testbed.commands.live_options import live_options
from testbed.commands.options import fidelity_options, resolve_site
from testbed.commands.tables import decibels, progress_bar, screen
from testbed.errors import written_to
from testbed.runs.dictionary_check import check_dictionary
from testbed.runs.setup import Fidelity, opened_setup
from testbed.site import Site
from testbed.units import metres


@click.command("check")
@click.argument("site_path", metavar="SITE.yaml", type=click.Path(path_type=Path))
@click.argument("root", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--captures", type=click.IntRange(min=1), default=3, show_default=True, help="Of each entry."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True,
    help="Of the simulated scene.",
)  # fmt: skip
@fidelity_options
@click.option(
    "--simulate", is_flag=True, help="Replace every radio of the site by a simulated one."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@live_options
def check(
    site_path: Path, root: Path, captures: int, seed: int, fidelity: Fidelity,
    impairments: str | None, simulate: bool, as_json: bool, live: bool, port: int | None,
    keys_folder: Path | None,
) -> None:  # fmt: skip
    """Compare every entry with a few captures of the hall, which must be free of targets.

    An entry is stale where most captures show an echo that it does not have: localize refuses it
    and does not plan with its link, until testbed calibrate has learned it again. Ends with
    status 1 if one is stale.
    """
    overrides = Overrides(impairments=impairments)
    site = resolve_site(site_path, overrides, simulate=simulate, fidelity=fidelity)
    found: Sequence[EntryCheck]
    if live:
        from testbed.commands.live import refuse_with_live

        refuse_with_live(simulate=simulate, fidelity=fidelity, impairments=impairments)
        found = _checked_live(site, root, captures, port, keys_folder)
    else:
        found = _checked(site, root, captures, seed, fidelity)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode({"entries": found})).decode())
    else:
        _print(root, found)
    if any(entry.state == "stale" for entry in found):
        sys.exit(1)


def _checked(
    site: Site, root: Path, captures: int, seed: int, fidelity: Fidelity
) -> list[EntryCheck]:
    with (
        threadpool_limits(limits=1), opened_setup(site, seed, fidelity) as setup,
        written_to(root), progress_bar() as progress,
    ):  # fmt: skip
        task = progress.add_task("calibrating the nodes", total=None)
        return check_dictionary(
            site, setup, root, captures,
            lambda now: progress.update(
                task, description=now.text, completed=now.done, total=now.total
            ),
        )  # fmt: skip


def _checked_live(
    site: Site, root: Path, captures: int, port: int | None, keys_folder: Path | None
) -> tuple[EntryCheck, ...]:
    from testbed.bus.job_messages import JobOptions
    from testbed.commands.live import given_seed, plain_name, run_counted

    folder = plain_name(root, "DIR")
    options = JobOptions(seed=given_seed(), folder=folder, num_captures=captures)
    return run_counted(site, "check", options, port, keys_folder).checks


def _print(root: Path, found: Sequence[EntryCheck]) -> None:
    counts = Counter(entry.state for entry in found)
    said = ", ".join(f"{counts[state]} {state}" for state in ("valid", "drifting", "stale"))
    table = Table(title=f"{root}: {said}", title_justify="left")
    for name in ("from", "to", "is", "changed in", "by", "at range", "noise", "why"):
        table.add_column(name, overflow="fold")
    for entry in found:
        if entry.state != "valid":
            table.add_row(
                *entry.link, entry.state, f"{entry.num_changed} of {entry.num_captures}",
                decibels(entry.change_snr_db), metres(entry.change_range_m),
                decibels(entry.noise_db), entry.reason or "",
            )  # fmt: skip
    if table.row_count:
        screen().print(table)
    else:
        click.echo(f"{root}: {said}")
