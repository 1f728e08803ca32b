"""`testbed dictionary`: what is in a dictionary of backgrounds, and entries for other programs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from testbed.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from calibration.dictionary import BackgroundDictionary, Manifest
    from calibration.dictionary_survey import EntrySummary, Survey
    from calibration.entry_drift import EntryDrift

_ROOT = click.argument("root", metavar="DIR", type=click.Path(path_type=Path))


class _Group(click.Group):
    """A group whose check, which needs most of the testbed, is imported when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), "check"])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "check":
            from testbed.commands.dictionary_check import check

            return check
        return super().get_command(ctx, cmd_name)


@click.group("dictionary", cls=_Group)
def command() -> None:
    """Dictionaries of backgrounds, as testbed calibrate makes them."""


@command.command("show")
@_ROOT
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def show(root: Path, as_json: bool) -> None:
    """Read every entry, and say what it is and what it was learned with.

    Ends with status 1 if an entry is damaged.
    """
    import msgspec

    from calibration.dictionary import BackgroundDictionary, manifest_of
    from calibration.dictionary_survey import surveyed

    manifest = manifest_of(root)
    found = surveyed(BackgroundDictionary.existing(root))
    if as_json:
        described = msgspec.json.encode(_described(root, manifest, found))
        click.echo(msgspec.json.format(described).decode())
    else:
        _print(root, manifest, found)
    if found.damaged:
        sys.exit(1)


@command.command("export")
@_ROOT
@click.option("--link", nargs=2, metavar="TX_LOCATION RX_LOCATION", help="Which entry, with --to.")
@click.option(
    "--to",
    "entry_path",
    metavar="FILE.npy|.npz",
    type=click.Path(path_type=Path),
    help="The entry of --link: its channel (.npy), or with all that is known of it (.npz).",
)
@click.option(
    "--csv",
    "table_path",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="A row an entry, units in the names of columns.",
)
@click.option("--force", is_flag=True, help="Overwrite files that are there.")
def export(
    root: Path, link: tuple[str, str] | None, entry_path: Path | None, table_path: Path | None,
    force: bool,
) -> None:  # fmt: skip
    """Write an entry for NumPy, or a table of all.

    Ends with status 1 if the table leaves out an entry, because it is damaged.
    """
    from calibration.dictionary import BackgroundDictionary
    from testbed.runs.dictionary_export import entry_of, export_entry

    if (link is None) != (entry_path is None):
        raise UsageError("--link TX_LOCATION RX_LOCATION and --to FILE.npy|.npz go together")
    if entry_path is None and table_path is None:
        raise UsageError("nothing to export; give --link and --to, or --csv, or both")
    dictionary = BackgroundDictionary.existing(root)
    if link is not None and entry_path is not None:
        export_entry(entry_of(dictionary, *link), entry_path, force=force)
        click.echo(f"{entry_path}: {link[0]} -> {link[1]}")
    if table_path is not None:
        _export_table(dictionary, table_path, force=force)


@command.command("report")
@_ROOT
@click.option(
    "--out",
    "path",
    metavar="FILE.html",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write it; DIR/report.html if left out. Replaced if it is there.",
)
def report(root: Path, path: Path | None) -> None:
    """Draw how good a calibration is: one page of HTML with figures, from what lies in DIR.

    Coverage, noise, arrays, nodes, links without absolute delay, and what is suspicious.
    """
    from testbed.commands.tables import progress_bar
    from testbed.errors import written_to
    from testbed.report.writing import FILE_NAME, write_report

    place = root / FILE_NAME if path is None else path
    if place.suffix != ".html":
        msg = f"{place}: a report's name must end in .html, got {place.suffix!r}"
        raise UsageError(msg)
    with written_to(place), progress_bar() as progress:
        task = progress.add_task("entries", total=None)
        verdict = write_report(
            root, place, lambda done, total: progress.update(task, completed=done, total=total)
        )
    click.echo(f"{place}: {verdict}")


def _export_table(dictionary: "BackgroundDictionary", path: Path, *, force: bool) -> None:
    from calibration.dictionary_survey import surveyed
    from testbed.runs.dictionary_export import export_summaries

    found = surveyed(dictionary)
    export_summaries(found.entries, path, force=force)
    click.echo(f"{path}: {len(found.entries)} entries")
    for damaged in found.damaged:
        click.echo(f"left out: {damaged.reason}", err=True)
    if found.damaged:
        sys.exit(1)


def _described(root: Path, manifest: "Manifest", found: "Survey") -> dict[str, Any]:
    """For machines."""
    from testbed.runs.dictionary_export import summary_row

    return {
        "directory": str(root),
        "schema": manifest.schema,
        "provenance": manifest.provenance,
        "software": manifest.software,
        "created": manifest.created,
        "entries": [summary_row(entry) for entry in found.entries],
        "damaged": found.damaged,
    }


def _print(root: Path, manifest: "Manifest", found: "Survey") -> None:
    from testbed.commands.tables import screen

    out, provenance = screen(), manifest.provenance
    for name, text in (
        ("dictionary", f"{root}, schema {manifest.schema}"),
        ("made by", f"{manifest.software}, {manifest.created}"),
        ("origin", provenance.origin),
        ("waveform", provenance.waveform_hash),
        ("captures", f"{provenance.num_captures} an entry"),
    ):
        out.print(f"{name}: {text}", soft_wrap=True)
    out.print(_table(found))
    _print_seen(found)
    for damaged in found.damaged:
        out.print(f"damaged: {damaged.reason}", soft_wrap=True)


def _print_seen(found: "Survey") -> None:
    """What captures showed since, where there were any."""
    from testbed.commands.tables import screen

    seen = [entry.drift for entry in found.entries if entry.drift is not None]
    if not seen:
        return
    out = screen()
    out.print(_seen_table(seen))
    drifting = [drift for drift in seen if drift.reason]
    for drift in drifting:
        out.print(f"drifting: {' -> '.join(drift.link)}: {drift.reason}", soft_wrap=True)
    if drifting:
        out.print("testbed dictionary check says, without a target, whether they still hold")


def _seen_table(seen: list["EntryDrift"]) -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from testbed.commands.tables import decibels

    table = Table(
        title="seen since they were learned", title_justify="left", box=SIMPLE_HEAD, padding=0,
        collapse_padding=True,
    )  # fmt: skip
    for name in ("from", "to"):
        table.add_column(name, overflow="fold", min_width=4)
    for name in ("captures", "noise", "outside", "last (UTC)"):
        table.add_column(name, justify="right")
    for drift in seen:
        table.add_row(
            *drift.link, str(drift.num_captures), decibels(drift.noise_db),
            decibels(drift.outside_db), drift.last[:16].replace("T", " "),
        )  # fmt: skip
    return table


def _table(found: "Survey") -> "Table":
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    damaged = f", {len(found.damaged)} damaged" if found.damaged else ""
    count = len(found.entries)
    table = Table(
        title=f"{count} {'entry' if count == 1 else 'entries'}{damaged}", title_justify="left",
        box=SIMPLE_HEAD, padding=0, collapse_padding=True,
    )  # fmt: skip
    for name in ("from", "to"):
        table.add_column(name, overflow="fold", min_width=4)
    for name in ("tones x elements", "power", "noise below", "delays", "epoch"):
        table.add_column(name, justify="right")
    table.add_column("learned (UTC)", min_width=10)
    for entry in found.entries:
        table.add_row(*_cells(entry))
    return table


def _cells(entry: "EntrySummary") -> tuple[str, ...]:
    from testbed.commands.tables import decibels

    header = entry.header
    return (
        header.tx_location,
        header.rx_location,
        f"{header.shape[0]} x {header.shape[1]}",
        decibels(entry.mean_power_db),
        decibels(entry.power_over_noise_db),
        "absolute" if header.delay_is_absolute else "relative",
        str(header.config_epoch),
        header.created[:16].replace("T", " "),
    )
