"""`testbed calibrate`: the background of every link, into a dictionary on disk."""

from pathlib import Path

import click
from threadpoolctl import threadpool_limits

from testbed.build import Overrides
from testbed.commands.options import fidelity_options, resolve_site
from testbed.commands.tables import progress_bar
from testbed.errors import written_to
from testbed.runs.calibrate import calibrate
from testbed.runs.setup import Fidelity, opened_setup


@click.command("calibrate")
@click.argument("site_path", metavar="SITE.yaml", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The dictionary; entries already there are kept.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the simulated scene.",
)
@click.option("--num-elements", type=click.IntRange(min=1), help="Elements M of every array.")
@fidelity_options
@click.option(
    "--simulate", is_flag=True, help="Replace every radio of the site by a simulated one."
)
def command(
    site_path: Path, out: Path, seed: int, num_elements: int | None, simulate: bool,
    fidelity: Fidelity, impairments: str | None,
) -> None:  # fmt: skip
    """Learn the background of every ordered pair of nodes; stopped, it goes on where it was."""
    overrides = Overrides(num_elements=num_elements, impairments=impairments)
    site = resolve_site(site_path, overrides, simulate=simulate, fidelity=fidelity)
    with (
        threadpool_limits(limits=1), opened_setup(site, seed, fidelity) as setup,
        written_to(out), progress_bar() as progress,
    ):  # fmt: skip
        task = progress.add_task("entries", total=None)
        learned, total = calibrate(
            site, setup, out,
            lambda done, links: progress.update(task, completed=done, total=links),
        )  # fmt: skip
    click.echo(f"{out}: {total} entries, {learned} learned now, {total - learned} kept")
