"""`testbed localize`: one target in one scene."""

import time
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from threadpoolctl import threadpool_limits

from testbed.build import Overrides
from testbed.commands.live_options import live_options
from testbed.commands.options import check_figure, resolve_site, shared_options
from testbed.commands.sensing import backgrounds, followed
from testbed.commands.tables import screen, sensing_table, verdict
from testbed.errors import UsageError
from testbed.figure_files import save_figure
from testbed.runs.backgrounds import BackgroundKind
from testbed.runs.drift import keep_drift
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization, Scene, SensingRecord, result_object
from testbed.runs.setup import Fidelity, opened_setup
from testbed.site import Site


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
@live_options
def command(
    site_path: Path, seed: int, background: BackgroundKind, fidelity: Fidelity, as_json: bool,
    dictionary_path: Path | None, figure_path: Path | None, live: bool, port: int | None,
    keys_folder: Path | None, **options: object,
) -> None:  # fmt: skip
    """Find the target: sense, fuse, choose the next nodes, until the position is sure."""
    started_s = time.monotonic()
    records: list[SensingRecord]
    scene: Scene
    replace_radios = bool(options.pop("simulate"))
    overrides = Overrides(**options)  # type: ignore[arg-type]
    site = resolve_site(site_path, overrides, simulate=replace_radios, fidelity=fidelity)
    if dictionary_path is not None and background != "learned":
        msg = f"--dictionary needs --background learned, got --background {background}"
        raise UsageError(msg)
    if live:
        from testbed.bus.job_messages import JobOptions
        from testbed.commands.live import given_seed, plain_name, refuse_with_live, run_live
        from testbed.commands.live_figure import save_live_figure

        refuse_with_live(
            simulate=replace_radios, fidelity=fidelity, impairments=overrides.impairments,
            num_elements=overrides.num_elements, rcs_draw=overrides.rcs_draw,
        )  # fmt: skip
        if figure_path is not None:
            check_figure(figure_path)
        folder = plain_name(dictionary_path, "--dictionary")
        chosen = JobOptions(
            seed=given_seed(), background=background, folder=folder,
            num_receivers=overrides.num_receivers, max_sensings=overrides.max_sensings,
            fusion=overrides.fusion, tolerance_m=overrides.tolerance_m,
        )  # fmt: skip
        with Console(stderr=True).status("asking the coordinator") as status:
            records, scene, end = run_live(
                site, "localize", chosen, port, keys_folder,
                lambda state: status.update(escape(state.progress)), status.update,
            )  # fmt: skip
            if figure_path is not None:
                status.update("drawing the figure")
                save_live_figure(site, records, scene, end, figure_path)
    else:
        records, scene = _localized(site, seed, fidelity, background, dictionary_path, figure_path)
    if as_json:
        result = result_object(site, records, scene, started_s)
        click.echo(msgspec.json.format(msgspec.json.encode(result)).decode())
        return
    out = screen()
    out.print(sensing_table(site, records))
    out.print(verdict(site, records, scene), soft_wrap=True)
    if figure_path is not None:
        out.print(f"figure: {figure_path}", soft_wrap=True)


def _localized(
    site: Site, seed: int, fidelity: Fidelity, background: BackgroundKind,
    dictionary_path: Path | None, figure_path: Path | None,
) -> tuple[list[SensingRecord], Scene]:  # fmt: skip
    if figure_path is not None:
        check_figure(figure_path)
    processors = Processors(site)
    with (
        threadpool_limits(limits=1),
        Console(stderr=True).status("opening the radios") as status,
        opened_setup(site, seed, fidelity) as setup,
        backgrounds(site, setup, background, dictionary_path, status) as known,
    ):
        links = LocalLinks(site, setup.source, known.background_of, processors, known.calibration)
        run = Localization(site, links, setup.planning_rng(), setup.target_m)
        records = list(followed(run, site, links, status.update))
        if dictionary_path is not None:
            keep_drift(dictionary_path, run.network, records)
        if figure_path is not None:
            from testbed.figures import localization_figure

            status.update("drawing the figure")
            figure = localization_figure(site, run, records, setup, processors)
            save_figure(figure, figure_path)
    return records, setup
