"""`testbed keys`: who may talk to whom beyond this machine."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import click

from testbed.bus.curve import ROLES, Role
from testbed.bus.keys import DEFAULT_FOLDER
from testbed.errors import UsageError

_ROLE = click.Choice(ROLES)


def _folder_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--keys", "folder", metavar="DIR", type=click.Path(path_type=Path),
        default=DEFAULT_FOLDER, show_default=True, help="Folder of this process's keys.",
    )(function)  # fmt: skip


@click.group("keys")
def command() -> None:
    """Keys: this process's own, and whose it takes.

    Every process beyond loopback has a folder of keys. `init` makes it and prints the line that
    others run to let this one in, or to connect to it.
    """


@command.command("init")
@click.option("--role", type=_ROLE, required=True, help="What the process is.")
@click.option("--name", required=True, help="What the others call it.")
@click.option("--force", is_flag=True, help="Replace a key that is there.")
@_folder_option
def init(role: Role, name: str, force: bool, folder: Path) -> None:
    """Make a pair of keys, and print the line that others must run."""
    from testbed.bus.own_key import OwnKey, keep_own_key
    from testbed.bus.sockets import new_key_pair

    public, secret = new_key_pair()
    keep_own_key(folder.expanduser(), OwnKey(role, name, public, secret), force=force)
    click.echo(f"testbed keys add {role} {name} '{public}'")


@command.command("add")
@click.argument("role", type=_ROLE)
@click.argument("name")
@click.argument("public_key", metavar="PUBLICKEY")
@_folder_option
def add(role: Role, name: str, public_key: str, folder: Path) -> None:
    """Put a public key on the list; it counts at once, for processes that run as well."""
    from testbed.bus.allowed import allow

    allow(folder.expanduser(), role, name, public_key)
    click.echo(f"added {role} {name}")


@command.command("revoke")
@click.argument("who", metavar="[ROLE] NAME", nargs=-1, required=True)
@_folder_option
def revoke(who: Sequence[str], folder: Path) -> None:
    """Take a public key off the list; it counts at once, for connections that stand as well."""
    from testbed.bus.allowed import revoke as take_off

    *role, name = who
    if len(role) > 1 or not set(role) <= set(ROLES):
        msg = f"revoke takes NAME or ROLE NAME with a role of {', '.join(ROLES)}; got {who}"
        raise UsageError(msg)
    taken = take_off(folder.expanduser(), name, cast("Role | None", role[0] if role else None))
    click.echo(f"revoked {taken} {name}")


@command.command("list")
@_folder_option
def list_keys(folder: Path) -> None:
    """List this process's own public key, and those that it takes."""
    from testbed.bus.allowed import read_allowed
    from testbed.bus.keys import KeyRing

    own = KeyRing.load(folder).own
    click.echo(f"{own.public}  {own.role} {own.name} (own)")
    for role, keys in read_allowed(folder.expanduser()).items():
        for name, key in keys.items():
            click.echo(f"{key}  {role} {name}")
