"""What commands share that talk to a running testbed."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from testbed.site import Site

if TYPE_CHECKING:
    from testbed.bus.sockets import Caller

# Headers with a thousand records.
_MAX_FRAME_BYTES = 1 << 23

keys_option = click.option(
    "--keys", "keys_folder", metavar="DIR", type=click.Path(path_type=Path),
    help="Own keys, for a coordinator that asks for them.",
)  # fmt: skip
port_option = click.option(
    "--port", type=click.IntRange(1024, 65000), metavar="PORT",
    help="Of the coordinator on this machine; the site says where it is, if left out.",
)  # fmt: skip


_LIVE = (
    click.option("--live", is_flag=True, help="Let a running testbed do it (testbed up)."),
    port_option,
    keys_option,
)


def live_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of commands that can be done by a running testbed."""
    for decorate in reversed(_LIVE):
        function = decorate(function)
    return function


def coordinator_address(site: Site, port: int | None) -> str:
    """Where the coordinator listens."""
    return site.services.coordinator if port is None else f"tcp://127.0.0.1:{port}"


def call_coordinator(site: Site, port: int | None, keys_folder: Path | None) -> "Caller":
    """A connection to the coordinator."""
    from testbed.bus.keys import KeyRing
    from testbed.bus.sockets import Caller

    curve = None
    if keys_folder is not None:
        keys = KeyRing.load(keys_folder)
        curve = keys.client_curve(keys.public_key_of("coordinator"))
    address = coordinator_address(site, port)
    return Caller(address, max_frame_bytes=_MAX_FRAME_BYTES, curve=curve)
