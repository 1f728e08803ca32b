"""`testbed record`: a localization of which every capture is kept."""

import shutil
import time
from dataclasses import replace
from pathlib import Path

import click
import msgspec
from rich.console import Console
from threadpoolctl import threadpool_limits

from drivers.recording import RecordingWriter
from testbed.build import Overrides
from testbed.commands.options import resolve_site, shared_options
from testbed.commands.sensing import backgrounds, followed
from testbed.commands.tables import screen, sensing_table, verdict
from testbed.errors import written_to
from testbed.runs.backgrounds import BackgroundKind
from testbed.runs.drift import keep_drift
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization, result_object
from testbed.runs.recording import RecordingSource, describe_run, dictionary_of
from testbed.runs.setup import Fidelity, opened_setup


@click.command("record")
@shared_options
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="A new directory for the recording.",
)
@click.option(
    "--dictionary",
    "dictionary_path",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Start from a copy of these backgrounds.",
)
@click.option(
    "--sensing-only",
    is_flag=True,
    help="Keep what was learned as background, but not its captures.",
)
def command(
    site_path: Path,
    out: Path,
    seed: int,
    background: BackgroundKind,
    fidelity: Fidelity,
    as_json: bool,
    dictionary_path: Path | None,
    sensing_only: bool,
    **options: object,
) -> None:
    """Localize, and keep every capture, and every IQ block, as SigMF.

    Stopped or killed, the recording holds everything up to the last whole capture.
    """
    started_s = time.monotonic()
    replace_radios = bool(options.pop("simulate"))
    overrides = Overrides(**options)  # type: ignore[arg-type]
    site = resolve_site(site_path, overrides, simulate=replace_radios, fidelity=fidelity)
    processors = Processors(site)
    with (
        threadpool_limits(limits=1),
        Console(stderr=True).status("opening the radios") as status,
        opened_setup(site, seed, fidelity) as setup,
        written_to(out),
        RecordingWriter(out, describe_run(site, setup, background)) as writer,
    ):
        kept = dictionary_of(out)
        if dictionary_path is not None:
            shutil.copytree(dictionary_path, kept)
        source = RecordingSource(setup.source, writer, with_background=not sensing_only)
        recorded = replace(setup, source=source)
        has_entries = kept if background == "learned" else None
        with backgrounds(site, recorded, background, has_entries, status) as known:
            links = LocalLinks(site, source, known.background_of, processors, known.calibration)
            run = Localization(site, links, setup.planning_rng(), setup.target_m)
            records = list(followed(run, site, links, status.update))
    if dictionary_path is not None and background == "learned":
        # What was copied is evidence; what was learned anew is not there.
        keep_drift(dictionary_path, run.network, records)
    if as_json:
        result = result_object(site, records, setup, started_s)
        result["recording"] = {"path": str(out), "num_records": writer.num_records}
        click.echo(msgspec.json.format(msgspec.json.encode(result)).decode())
        return
    show = screen()
    show.print(sensing_table(site, records))
    show.print(verdict(site, records, setup), soft_wrap=True)
    show.print(f"recording: {out}, {writer.num_records} records", soft_wrap=True)
