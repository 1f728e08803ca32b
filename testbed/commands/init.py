"""`testbed init`: a commented site file to start from."""

import os
from importlib.resources import files
from pathlib import Path

import click

from testbed.errors import UsageError, written_to

_PRESETS = ("factory", "lab", "three_plutos", "usrp_array")


@click.command("init")
@click.argument("out", metavar="[FILE.yaml]", required=False, type=click.Path(path_type=Path))
@click.option(
    "--preset",
    type=click.Choice(_PRESETS),
    default="factory",
    show_default=True,
    help="factory: the paper's hall, nodes drawn at random; lab: six listed nodes; three_plutos, "
    "usrp_array: vendors' radios.",
)
@click.option("--force", is_flag=True, help="Overwrite a file that is there.")
def command(out: Path | None, preset: str, force: bool) -> None:
    """Write a commented site file from a preset."""
    path = out or Path(f"{preset}.yaml")
    if path.exists() and not (force and path.is_file()):
        remedy = ", or add --force" if path.is_file() else ""
        msg = f"{path}: is there already; name another file{remedy}"
        raise UsageError(msg)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    with written_to(path):
        try:
            temporary.write_text(preset_text(preset), encoding="utf-8")
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    click.echo(f"{path}: preset {preset!r}; run it with: testbed localize {path}")


def preset_text(preset: str) -> str:
    """The text of a preset."""
    return (files("testbed") / "presets" / f"{preset}.yaml").read_text(encoding="utf-8")
