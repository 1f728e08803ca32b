"""`testbed coordinator`: command the agents, fuse what comes of it, plan what is next."""

from pathlib import Path
from typing import Any

import click

from testbed.commands.service_options import (
    bind_option,
    lab_of,
    log_option,
    run_service,
    service_options,
    state_folder,
    state_option,
)


@click.command("coordinator")
@service_options
@bind_option
@state_option
@log_option
def command(
    site_path: Path,
    bind: str | None,
    state_path: Path | None,
    log_folder: Path | None,
    **options: Any,
) -> None:
    """Hold the leases of all agents, and carry out what clients ask for (--live)."""
    from testbed.services.assembly import run_coordinator

    lab = lab_of(site_path, **options)
    address = bind or lab.site.services.coordinator
    folder = state_folder(state_path, lab.site.name)
    run_service("coordinator", log_folder, lambda stop: run_coordinator(lab, address, folder, stop))
