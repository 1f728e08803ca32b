"""`testbed schema`: JSON schemas of site files and of recordings."""

import click
import msgspec

from testbed.site import Site


@click.command("schema")
@click.option("--recording", is_flag=True, help="Of the isac namespace in recordings' metadata.")
def command(recording: bool) -> None:
    """Print the JSON schema of site files, for editors; or of what recordings hold."""
    from drivers.recording_json_schema import namespace_schema

    found = namespace_schema() if recording else msgspec.json.schema(Site)
    click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
