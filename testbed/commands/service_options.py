"""Options of the commands that start a testbed's processes, and how they run."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from threadpoolctl import threadpool_limits

from sim_backend.impairments import PRESETS
from testbed.build import Overrides, radio_kinds
from testbed.commands.options import resolve_site
from testbed.errors import UsageError
from testbed.runs.setup import Fidelity

if TYPE_CHECKING:
    from testbed.services.assembly import Lab

_OPTIONS = (
    click.argument("site_path", metavar="SITE.yaml", type=click.Path(path_type=Path)),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                 help="Of drawn nodes and of the simulated scene."),
    click.option("--simulate", is_flag=True,
                 help="Replace every radio of the site by a simulated one."),
    click.option("--fidelity", type=click.Choice(["pilot", "iq"]), default="pilot",
                 show_default=True, help="Of simulated radios."),
    click.option("--impairments", type=click.Choice(list(PRESETS)),
                 help="What simulated radios do wrong, with --fidelity iq."),
    click.option("--num-elements", type=click.IntRange(min=1), help="Elements M of every array."),
)  # fmt: skip
_KEYS = click.option(
    "--keys", "keys_folder", metavar="DIR", type=click.Path(path_type=Path),
    help="Keys of this process; without them everything stays on this machine.",
)  # fmt: skip


def lab_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the site and what all processes of one testbed must be started with alike."""
    for decorate in reversed(_OPTIONS):
        function = decorate(function)
    return function


def service_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same and the keys of the process."""
    return lab_options(_KEYS(function))


def lab_of(
    site_path: Path,
    seed: int,
    fidelity: Fidelity,
    keys_folder: Path | None,
    *,
    simulate: bool,
    impairments: str | None,
    num_elements: int | None,
) -> "Lab":
    """What the options say.

    Raises
    ------
    UsageError
        If simulated and real radios are mixed.
    """
    from testbed.bus.keys import KeyRing
    from testbed.services.assembly import Lab

    overrides = Overrides(num_elements=num_elements, impairments=impairments)
    site = resolve_site(site_path, overrides, simulate=simulate, fidelity=fidelity)
    kinds = radio_kinds(site)
    if "sim" in kinds and kinds != {"sim"}:
        others = ", ".join(sorted(kinds - {"sim"}))
        msg = f"{site.name}: simulated radios cannot hear those of kind {others}; add --simulate"
        raise UsageError(msg)
    keys = None if keys_folder is None else KeyRing.load(keys_folder)
    return Lab(site, seed, fidelity if kinds == {"sim"} else None, keys)


bind_option = click.option(
    "--bind", metavar="ADDRESS",
    help="Where to listen, if that is not the site's address: tcp://0.0.0.0:PORT, say.",
)  # fmt: skip
log_option = click.option(
    "--log", "log_folder", metavar="DIR", type=click.Path(path_type=Path),
    help="Keep a log there as well.",
)  # fmt: skip
state_option = click.option(
    "--state", "state_path", metavar="DIR", type=click.Path(path_type=Path),
    help="Jobs and dictionaries; ~/.local/state/isac-testbed/SITE, if left out.",
)  # fmt: skip


def state_folder(given: Path | None, site_name: str) -> Path:
    """Where a coordinator keeps what outlives it; made if it is not there."""
    if given is None:
        named = "".join(c if c.isalnum() or c in "-_" else "_" for c in site_name)
        base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
        given = Path(base) / "isac-testbed" / named
    given.mkdir(parents=True, exist_ok=True, mode=0o700)
    return given


def run_service(
    name: str,
    log_folder: Path | None,
    serve: Callable[[asyncio.Event], Awaitable[None]],
    grace_s: float | None = None,
) -> NoReturn:
    """Run a service in an event loop of its own until it is told to stop, and end the process.

    Parameters
    ----------
    grace_s
        What it has for its end; as usual, if left out.
    """
    from testbed.services.lifetime import GRACE_S, leave, stopping
    from testbed.services.logs import log_to

    log_to(name, log_folder)

    async def run() -> None:
        async with stopping(grace_s or GRACE_S) as stop:
            await serve(stop)

    with threadpool_limits(limits=1):
        asyncio.run(run())
    leave()
