"""`testbed worker`: turn captures into reports."""

import os
import socket
from pathlib import Path
from typing import Any

import click

from testbed.commands.service_options import lab_of, log_option, run_service, service_options


@click.command("worker")
@service_options
@click.option("--name", metavar="NAME", help="Of this worker; its host and number, if left out.")
@log_option
def command(site_path: Path, name: str | None, log_folder: Path | None, **options: Any) -> None:
    """Turn captures into reports; any number of workers, on any host that reaches all agents."""
    from testbed.services.assembly import run_worker

    lab = lab_of(site_path, **options)
    own = name or f"{socket.gethostname()}-{os.getpid()}"
    run_service(own, log_folder, lambda stop: run_worker(lab, own, stop))
