"""`testbed target`: move the target of a hall of software radios."""

from pathlib import Path

import click
import msgspec

from testbed.errors import UsageError
from testbed.site import load_site


@click.command("target")
@click.argument("site_path", metavar="SITE.yaml", type=click.Path(path_type=Path))
@click.argument("state", type=click.Choice(["present", "away"]), required=False)
@click.option("--at", "target_m", type=(float, float), metavar="X Y", help="Where, in metres.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(
    site_path: Path, state: str | None, target_m: tuple[float, float] | None, as_json: bool
) -> None:
    """Let the target step into the hall of a running `testbed emulate`, or out of it.

    Without a state: say where it is.
    """
    from testbed.services.hall import ask_hall, hall_address

    site = load_site(site_path)
    present = None if state is None else state == "present"
    found = ask_hall(hall_address(site.services), target_is_present=present, target_m=target_m)
    if found.problem is not None:
        raise UsageError(found.problem)
    if as_json:
        click.echo(msgspec.json.encode(found).decode())
        return
    x, y = found.target_m
    where = "stands" if found.target_is_present else "is away; it would stand"
    click.echo(f"the target {where} at x = {x:.4f} m, y = {y:.4f} m")
