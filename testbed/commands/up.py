"""`testbed up`: all processes of a testbed on this machine."""

import asyncio
from pathlib import Path
from typing import Any

import click

from testbed.commands.service_options import (
    lab_of,
    lab_options,
    log_option,
    run_service,
    state_folder,
    state_option,
)


@click.command("up")
@lab_options
@click.option(
    "--agents",
    "num_agents",
    type=click.IntRange(1, 400),
    default=4,
    show_default=True,
    help="Over how many the nodes are spread, where the site lists none.",
)
@click.option(
    "--workers",
    "num_workers",
    type=click.IntRange(0, 100),
    default=2,
    show_default=True,
    help="Processes that make reports.",
)
@click.option("--local-workers", is_flag=True, help="Let agents make reports as well.")
@click.option(
    "--port",
    type=click.IntRange(1024, 65000),
    help="Of the coordinator; agents have those that follow.",
)
@state_option
@log_option
def command(
    site_path: Path, num_agents: int, num_workers: int, local_workers: bool, port: int | None,
    state_path: Path | None, log_folder: Path | None, **options: Any,
) -> None:  # fmt: skip
    """Start agents, workers and a coordinator on this machine, and keep them running.

    With --simulate every radio is replaced by a simulated one; at IQ one more process is their
    air. Ctrl-C ends all.
    """
    from testbed.services.layout import children, on_this_machine, write_site
    from testbed.services.supervisor import Supervisor

    lab = lab_of(site_path, keys_folder=None, **options)
    site = on_this_machine(
        lab.site, num_agents, port, simulate=options["simulate"], local_workers=local_workers
    )
    state = state_folder(state_path, site.name)
    written = state / "site.yaml"
    write_site(site, written)
    groups = children(site, written, lab.seed, lab.fidelity, state, num_workers)
    supervisor = Supervisor(groups)

    async def serve(stop: asyncio.Event) -> None:
        running = asyncio.create_task(supervisor.serve(stop))
        ready = asyncio.create_task(supervisor.ready.wait())
        await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
        if ready.done():
            names = ", ".join(child.name for child in supervisor.children())
            click.echo(f"{site.name} serves at {site.services.coordinator}: {names}")
            click.echo(f"try: testbed localize {site_path} --live{_port(port)}")
        ready.cancel()
        await running

    # Its children have three seconds, and it must see them end.
    run_service("up", log_folder, serve, grace_s=5.0)


def _port(port: int | None) -> str:
    return "" if port is None else f" --port {port}"
