"""`testbed emulate`: software radios where a site's real ones would be."""

import asyncio
from pathlib import Path

import click
from threadpoolctl import threadpool_limits

from sim_backend.impairments import PRESETS
from testbed.build import Overrides
from testbed.commands.options import resolve_site
from testbed.commands.service_options import log_option, run_service
from testbed.services.ending import until


@click.command("emulate")
@click.argument("site_path", metavar="SITE.yaml", type=click.Path(path_type=Path))
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the scene that they are in.",
)
@click.option("--impairments", type=click.Choice(list(PRESETS)), help="What the radios do wrong.")
@click.option(
    "--target",
    type=click.Choice(["away", "present"]),
    default="away",
    show_default=True,
    help="Whether the target stands in the hall at first; `testbed target` changes that.",
)
@log_option
def command(
    site_path: Path, seed: int, impairments: str | None, target: str, log_folder: Path | None
) -> None:
    """Serve software Plutos and USRPs at the addresses of a site, until it is interrupted.

    Vendors' own clients take them for devices: they speak their protocols, in real time, in the
    scene of the site's simulation section.
    """
    from testbed.emulation import live_ether, software_radios
    from testbed.services.hall import Hall, bound, hall_address, serve

    site = resolve_site(site_path, Overrides(impairments=impairments), simulate=False)
    ether = live_ether(site, seed)
    ether.target_is_present = target == "present"
    hall = Hall(ether, software_radios(site, ether))

    async def run(stop: asyncio.Event) -> None:
        server = bound(hall_address(site.services))
        hall.start()
        try:
            click.echo(
                f"hall of {site.name}, seed {seed}: {len(site.nodes)} nodes, target {target}; "
                f"testbed target {site_path} present | away moves it"
            )
            await until(stop, serve(hall, server), server)
        finally:
            await asyncio.to_thread(hall.close)

    with threadpool_limits(limits=1):  # devices and their clients share the processors
        run_service("emulate", log_folder, run)
