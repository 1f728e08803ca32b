"""`testbed agent`: own the radios of one host."""

from pathlib import Path
from typing import Any

import click
from msgspec.structs import replace

from testbed.commands.service_options import (
    bind_option,
    lab_of,
    log_option,
    run_service,
    service_options,
)


@click.command("agent")
@service_options
@click.option(
    "--node",
    "node_ids",
    multiple=True,
    required=True,
    metavar="ID",
    help="A node that this host drives; again for more.",
)
@click.option("--air", metavar="ADDRESS", help="The process that simulates the radios at IQ.")
@bind_option
@log_option
def command(
    site_path: Path, node_ids: tuple[str, ...], bind: str | None, air: str | None,
    log_folder: Path | None, **options: Any,
) -> None:  # fmt: skip
    """Own radios: do what the holder of the lease orders, and hand captures to workers.

    Where it listens, and whether it makes reports itself, the site says in services.agents.
    """
    from testbed.services.assembly import run_agent

    lab = lab_of(site_path, **options)
    section = replace(lab.agent_section(node_ids), node_ids=list(dict.fromkeys(node_ids)))
    address = bind or section.address
    run_service(
        section.agent_id, log_folder, lambda stop: run_agent(lab, section, address, air, stop)
    )
