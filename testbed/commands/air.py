"""`testbed air`: the world of radios that are simulated at IQ, for processes that share it."""

import asyncio
from pathlib import Path

import click

from sim_backend.impairments import PRESETS
from testbed.build import Overrides
from testbed.commands.options import resolve_site
from testbed.commands.service_options import log_option, run_service
from testbed.services.air import Air, bound, serve
from testbed.services.ending import until


@click.command("air")
@click.argument("site_path", metavar="SITE.yaml", type=click.Path(path_type=Path))
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the simulated scene.",
)
@click.option(
    "--impairments", type=click.Choice(list(PRESETS)), help="What simulated radios do wrong."
)
@click.option("--num-elements", type=click.IntRange(min=1), help="Elements M of every array.")
@click.option(
    "--bind",
    metavar="ADDRESS",
    default="tcp://127.0.0.1:*",
    show_default=True,
    help="Where to listen, on this machine; port * takes a free one.",
)
@log_option
def command(
    site_path: Path, seed: int, impairments: str | None, num_elements: int | None, bind: str,
    log_folder: Path | None,
) -> None:  # fmt: skip
    """Own scene and virtual time of radios that are simulated at IQ, until it is interrupted."""
    overrides = Overrides(num_elements=num_elements, impairments=impairments)
    site = resolve_site(site_path, overrides, simulate=True, fidelity="iq")
    air = Air(site, seed)

    async def run(stop: asyncio.Event) -> None:
        server = bound(bind)
        click.echo(f"air of {site.name}, seed {seed}: {server.address}")
        await until(stop, serve(air, server), server)

    run_service("air", log_folder, run)
