"""`testbed replay`: a recorded run again, through the same pipeline."""

import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec
from rich.console import Console
from threadpoolctl import threadpool_limits

from drivers.radio_errors import EndOfRecordingError
from drivers.recording import Recording
from testbed.build import build_nodes
from testbed.commands.sensing import backgrounds, followed
from testbed.commands.tables import screen, sensing_table, verdict
from testbed.errors import UsageError
from testbed.figure_files import save_figure
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization, SensingRecord, result_object
from testbed.runs.recording import (
    RecordedSource,
    dictionary_of,
    recorded_radios,
    recorded_site,
    recorded_target_m,
)
from testbed.runs.setup import Setup


@click.command("replay")
@click.argument("root", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--figure",
    "figure_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Draw floor plan and maps (.png, .svg, .pdf).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(root: Path, figure_path: Path | None, as_json: bool) -> None:
    """Run a recording again: captures are made from its IQ blocks, and must come out the same.

    Ends with status 1 if a capture differs from the recorded one.
    """
    started_s = time.monotonic()
    recording = Recording(root)
    site, background = recorded_site(recording), recording.description["background"]
    seed = int(recording.description["seed"])
    source = RecordedSource(recording, build_nodes(site, seed))
    radios = recorded_radios(recording)
    setup = Setup(source, seed, recorded_target_m(recording), radios=radios)
    processors = Processors(site)
    if background == "perfect":
        msg = f"{root}: recorded with --background perfect, which only its simulator knew"
        raise UsageError(msg)
    has_entries = dictionary_of(root) if background == "learned" else None
    with (
        threadpool_limits(limits=1),
        Console(stderr=True).status("replaying") as status,
        backgrounds(site, setup, background, has_entries, status) as known,
    ):
        links = LocalLinks(site, source, known.background_of, processors, known.calibration)
        run = Localization(site, links, setup.planning_rng(), setup.target_m)
        records, end = _until_the_end(followed(run, site, links, status.update))
        if figure_path is not None:
            from testbed.figures import localization_figure

            save_figure(localization_figure(site, run, records, setup, processors), figure_path)
    if as_json:
        result = result_object(site, records, setup, started_s)
        result["remade"] = {"from_iq": source.num_remade, "differing": source.differing}
        click.echo(msgspec.json.format(msgspec.json.encode(result)).decode())
    else:
        show = screen()
        show.print(sensing_table(site, records))
        show.print(verdict(site, records, setup), soft_wrap=True)
        show.print(_remade(source, recording), soft_wrap=True)
        if end is not None:
            show.print(f"the recording ends here: {end}", soft_wrap=True)
    if source.differing:
        raise SystemExit(1)


def _until_the_end(
    run: Iterator[SensingRecord],
) -> tuple[list[SensingRecord], EndOfRecordingError | None]:
    """What a recording holds of its run, and why no more; raises if that is nothing at all."""
    records: list[SensingRecord] = []
    try:
        for record in run:
            records.append(record)  # noqa: PERF402  what came before the end is kept
    except EndOfRecordingError as end:
        if not records:
            raise
        return records, end
    return records, None


def _remade(source: RecordedSource, recording: Recording) -> str:
    lines = []
    if source.num_remade:
        same = source.num_remade - len(source.differing)
        lines.append(
            f"{source.num_remade} captures made again from IQ, {same} of them bit-identical to "
            "the recorded ones"
        )
    lines += [f"differs from its recording: {link}" for link in source.differing]
    if recording.num_incomplete:
        lines.append(f"{recording.num_incomplete} records were cut off and are left out")
    return "\n".join(lines) or "captures as recorded; no IQ blocks were kept"
