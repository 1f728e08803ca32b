"""The `testbed` command: subcommands are imported when called, errors end in one line."""

import sys
from importlib import import_module

import click

_COMMANDS = {
    "air": "simulate the world of radios that several processes share, at IQ",
    "agent": "own the radios of one host",
    "bench": "measure the work of a sensing against its literal evaluation",
    "calibrate": "learn the background of every link into a dictionary",
    "coordinator": "command agents, fuse reports, plan what is next",
    "dictionary": "show a dictionary of backgrounds, export from it",
    "doctor": "say what a site's radios need, what is missing and how to get it",
    "emulate": "serve software Plutos and USRPs at the addresses of a site",
    "init": "write a commented site file",
    "keys": "make keys, and say whose this process takes",
    "localize": "find the target: sense, fuse, choose nodes, repeat",
    "radio": "list the kinds of radio, check a site's radios",
    "record": "find the target and keep every capture, as SigMF",
    "replay": "run a recording again",
    "schema": "print the JSON schema of site files",
    "status": "show a running testbed",
    "study": "run many seeded scenes and print their statistics",
    "target": "move the target of emulated radios",
    "up": "start all processes of a testbed on this machine",
    "worker": "turn captures into reports",
}


class _LazyGroup(click.Group):
    """A group that imports a subcommand's module only when the subcommand is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        command = import_module(f"testbed.commands.{cmd_name}").command
        if not isinstance(command, click.Command):
            msg = f"testbed.commands.{cmd_name}.command is no click command"
            raise TypeError(msg)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(sorted(_COMMANDS.items()))


@click.group(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="isac-testbed")
def cli() -> None:
    """Locate a target with several cooperating radio nodes.

    Site files say what a lab is: `testbed init` writes one, `testbed localize` runs it.
    """


def main() -> None:
    """Run the command line; bad input ends with one message and status 2."""
    try:
        _run()
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        sys.exit(130)


def _run() -> None:
    try:
        cli.main(standalone_mode=False)
    except click.exceptions.Exit as stop:
        sys.exit(stop.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except Exception as error:
        from testbed.errors import explain, user_errors

        if not isinstance(error, user_errors()):
            raise
        click.echo(f"error: {explain(error)}", err=True)
        sys.exit(2)


if __name__ == "__main__":
    main()
