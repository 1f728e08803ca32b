"""`testbed calibrate`: the background of every link, into a dictionary on disk."""

from functools import partial
from pathlib import Path

import click
from threadpoolctl import threadpool_limits

from testbed.build import Overrides
from testbed.commands.live_options import live_options
from testbed.commands.options import fidelity_options, resolve_site
from testbed.commands.tables import progress_bar
from testbed.errors import written_to
from testbed.report.writing import reported
from testbed.runs.calibrate import calibrate
from testbed.runs.setup import Fidelity, opened_setup
from testbed.site import Site


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
@click.option(
    "--relearn",
    is_flag=True,
    help="Also learn entries again of links that have changed: nodes moved, other arrays.",
)
@live_options
def command(
    site_path: Path, out: Path, seed: int, num_elements: int | None, simulate: bool,
    fidelity: Fidelity, impairments: str | None, relearn: bool, live: bool, port: int | None,
    keys_folder: Path | None,
) -> None:  # fmt: skip
    """Learn the background of every ordered pair of nodes; stopped, it goes on where it was."""
    overrides = Overrides(num_elements=num_elements, impairments=impairments)
    site = resolve_site(site_path, overrides, simulate=simulate, fidelity=fidelity)
    if live:
        from testbed.commands.live import refuse_with_live

        refuse_with_live(
            simulate=simulate, fidelity=fidelity, impairments=impairments, num_elements=num_elements
        )
        place, total, learned = _calibrated_live(site, out, port, keys_folder, relearn=relearn)
    else:
        place = str(out)
        learned, total = _calibrated(site, out, seed, fidelity, relearn=relearn)
    click.echo(f"{place}: {total} entries, {learned} learned now, {total - learned} kept")


def _calibrated(
    site: Site, out: Path, seed: int, fidelity: Fidelity, *, relearn: bool
) -> tuple[int, int]:
    with (
        reported(out, partial(click.echo, err=True)), threadpool_limits(limits=1),
        opened_setup(site, seed, fidelity) as setup, written_to(out), progress_bar() as progress,
    ):  # fmt: skip
        task = progress.add_task("calibrating the nodes", total=None)
        return calibrate(
            site, setup, out,
            lambda now: progress.update(
                task, description=now.text, completed=now.done, total=now.total
            ),
            relearn=relearn,
        )  # fmt: skip


def _calibrated_live(
    site: Site, out: Path, port: int | None, keys_folder: Path | None, *, relearn: bool
) -> tuple[str, int, int]:
    from testbed.bus.job_messages import JobOptions
    from testbed.commands.live import given_seed, plain_name, run_counted

    options = JobOptions(seed=given_seed(), folder=plain_name(out, "--out"), relearn=relearn)
    end = run_counted(site, "calibrate", options, port, keys_folder)
    return end.result or (str(out), 0, 0)
