"""`testbed localize`: one target in one scene."""

import time
from pathlib import Path

import click
import msgspec
from rich.console import Console
from threadpoolctl import threadpool_limits

from testbed.build import Overrides
from testbed.commands.options import check_figure, resolve_site, shared_options
from testbed.commands.sensing import backgrounds, followed
from testbed.commands.tables import screen, sensing_table, verdict
from testbed.errors import UsageError
from testbed.figure_files import save_figure
from testbed.runs.backgrounds import BackgroundKind
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization, result_object
from testbed.runs.setup import Fidelity, opened_setup


@click.command("localize")
@shared_options
@click.option(
    "--dictionary",
    "dictionary_path",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Take backgrounds from here; links not yet learned are added.",
)
@click.option(
    "--figure",
    "figure_path",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Draw floor plan and maps (.png, .svg, .pdf).",
)
def command(
    site_path: Path, seed: int, background: BackgroundKind, fidelity: Fidelity, as_json: bool,
    dictionary_path: Path | None, figure_path: Path | None, **options: object,
) -> None:  # fmt: skip
    """Find the target: sense, fuse, choose the next nodes, until the position is sure."""
    started_s = time.monotonic()
    replace_radios = bool(options.pop("simulate"))
    overrides = Overrides(**options)  # type: ignore[arg-type]
    site = resolve_site(site_path, overrides, simulate=replace_radios, fidelity=fidelity)
    if dictionary_path is not None and background != "learned":
        msg = f"--dictionary needs --background learned, got --background {background}"
        raise UsageError(msg)
    if figure_path is not None:
        check_figure(figure_path)
    processors = Processors(site)
    console = Console(stderr=True)
    with (
        threadpool_limits(limits=1),
        console.status("opening the radios") as status,
        opened_setup(site, seed, fidelity) as setup,
        backgrounds(site, setup, background, dictionary_path, status) as known,
    ):
        links = LocalLinks(site, setup.source, known.background_of, processors, known.calibration)
        run = Localization(site, links, setup.planning_rng(), setup.target_m)
        records = list(followed(run, site, links, status.update))
        if figure_path is not None:
            from testbed.figures import localization_figure

            status.update("drawing the figure")
            figure = localization_figure(site, run, records, setup, processors)
            save_figure(figure, figure_path)
    if as_json:
        result = result_object(site, records, setup, started_s)
        click.echo(msgspec.json.format(msgspec.json.encode(result)).decode())
        return
    out = screen()
    out.print(sensing_table(site, records))
    out.print(verdict(site, records, setup), soft_wrap=True)
    if figure_path is not None:
        out.print(f"figure: {figure_path}", soft_wrap=True)
