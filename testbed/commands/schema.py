"""`testbed schema`: the JSON schema of site files, for editors."""

import click
import msgspec

from testbed.site import Site


@click.command("schema")
def command() -> None:
    """Print the JSON schema of site files."""
    click.echo(msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Site))).decode())
