"""`testbed localize`: one target in one scene."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import click
import msgspec
from rich.console import Console
from rich.markup import escape
from rich.status import Status
from threadpoolctl import threadpool_limits

from testbed.build import Overrides
from testbed.commands.options import resolve_site, shared_options
from testbed.commands.tables import screen, sensing_table, verdict
from testbed.errors import UsageError, written_to
from testbed.runs.backgrounds import (
    BackgroundKind,
    BackgroundOf,
    LearnedBackgrounds,
    no_background,
    open_dictionary,
    perfect_background,
)
from testbed.runs.localize import (
    Localization,
    Processors,
    SensingRecord,
    Simulation,
    result_object,
    simulate,
)
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
def command(
    site_path: Path, seed: int, background: BackgroundKind, fidelity: str, as_json: bool,
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
        _check_figure(figure_path)
    simulation = simulate(site, seed)
    processors = Processors(site)
    console = Console(stderr=True)
    with (
        threadpool_limits(limits=1),
        console.status("simulating the scene") as status,
        _backgrounds(site, simulation, background, dictionary_path, status) as background_of,
    ):
        run = Localization(
            site, simulation.source, background_of, processors,
            simulation.planning_rng(), simulation.target_m,
        )  # fmt: skip
        records = list(_followed(run, site, status.update))
        if figure_path is not None:
            from testbed.figures import localization_figure, save_figure

            status.update("drawing the figure")
            figure = localization_figure(site, run, records, simulation, processors)
            save_figure(figure, figure_path)
    if as_json:
        result = result_object(site, records, simulation, started_s)
        click.echo(msgspec.json.format(msgspec.json.encode(result)).decode())
        return
    out = screen()
    out.print(sensing_table(site, records))
    out.print(verdict(site, records, simulation), soft_wrap=True)
    if figure_path is not None:
        out.print(f"figure: {figure_path}", soft_wrap=True)


def _check_figure(path: Path) -> None:
    """Refuse, before a long run, a figure that could not be drawn or written after it."""
    try:
        from testbed.figures import check_figure_path
    except ModuleNotFoundError as error:
        msg = f"--figure needs {error.name}: pip install 'isac-testbed[figures]'"
        raise UsageError(msg) from error
    try:
        check_figure_path(path)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _followed(
    run: Localization, site: Site, show: Callable[[str], None]
) -> Iterator[SensingRecord]:
    """The run's records, with progress shown while the next one is sensed."""
    show(f"sensing 1 of at most {site.sensing.max_sensings}")
    for number, record in enumerate(run.run(), start=1):
        yield record
        estimate = record.estimate
        show(
            f"sensing {number + 1} of at most {site.sensing.max_sensings}; "
            f"95 % radius so far {estimate.radius_95_m:.3g} m"
        )


@contextmanager
def _backgrounds(
    site: Site,
    simulation: Simulation,
    kind: BackgroundKind,
    dictionary_path: Path | None,
    status: Status,
) -> Iterator[BackgroundOf]:
    if kind == "none":
        yield no_background
        return
    if kind == "perfect":
        yield perfect_background(simulation.source)
        return
    num_captures = site.calibration.num_captures

    def announce(tx_id: str, rx_id: str) -> None:
        link = escape(f"{tx_id} -> {rx_id}")
        status.update(f"learning the background of {link}, {num_captures} captures")

    with TemporaryDirectory(prefix="testbed-") as scratch:
        root = dictionary_path or Path(scratch) / "dictionary"
        with written_to(root):
            dictionary = open_dictionary(root, simulation.source, num_captures)
            yield LearnedBackgrounds(simulation.source, dictionary, announce)
