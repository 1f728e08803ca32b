"""`testbed air`: the world of radios that are simulated at IQ, for processes that share it."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import click
from threadpoolctl import threadpool_limits

from sim_backend.impairments import PRESETS
from testbed.build import Overrides
from testbed.commands.options import resolve_site
from testbed.services.air import Air, bound, serve


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
def command(
    site_path: Path, seed: int, impairments: str | None, num_elements: int | None, bind: str
) -> None:
    """Own scene and virtual time of radios that are simulated at IQ, until it is interrupted."""
    overrides = Overrides(num_elements=num_elements, impairments=impairments)
    site = resolve_site(site_path, overrides, simulate=True, fidelity="iq")
    with threadpool_limits(limits=1):
        asyncio.run(_run(Air(site, seed), bind, f"air of {site.name}, seed {seed}"))


async def _run(air: Air, address: str, name: str) -> None:
    server = bound(address)
    try:
        serving = asyncio.create_task(serve(air, server))
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, serving.cancel)
        click.echo(f"{name}: {server.address}")
        with suppress(asyncio.CancelledError):
            await serving
    finally:
        server.close()
