"""`testbed radio`: which radios there are, and whether a site's radios keep the contract."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from testbed.build import Overrides
from testbed.commands.options import chosen_nodes, resolve_site
from testbed.commands.tables import screen
from testbed.runs.radio_check import RadioReport, check_radios


@click.group("radio")
def command() -> None:
    """Radios: what is installed, and whether it keeps the contract."""


@command.command("list")
def list_kinds() -> None:
    """List the kinds of radio that a site file can name."""
    from drivers.entry_points import package_of
    from drivers.registry import installed_kinds

    out = screen()
    out.print("sim: simulated, part of testbed", soft_wrap=True)
    for kind, entry in sorted(installed_kinds().items()):
        out.print(f"{kind}: {entry.value}, from {package_of(entry)}", soft_wrap=True)


@command.command("check")
@click.argument("site_path", metavar="SITE.yaml", type=click.Path(path_type=Path))
@click.option("--node", "node_ids", metavar="ID", multiple=True, help="Only this node; repeatable.")
@click.option("--simulate", is_flag=True, help="Check simulated radios in place of the site's.")
@click.option(
    "--impairments",
    type=click.Choice(["ideal", "lab", "pluto"]),
    help="What simulated radios do wrong.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def check(
    site_path: Path, node_ids: Sequence[str], simulate: bool, impairments: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Run the contract suite against the site's radios and say what each of them breaks.

    Transmits short, quiet bursts where this host's transmit configuration allows it. Ends with
    status 1 if a radio breaks the contract.
    """
    overrides = Overrides(impairments=impairments)
    site = resolve_site(site_path, overrides, simulate=simulate, fidelity="iq")
    chosen = chosen_nodes(site, node_ids)
    with Console(stderr=True).status("opening the radios") as status:
        reports = list(check_radios(site, chosen, lambda node: status.update(f"checking {node}")))
    if as_json:
        found = {"site": site.name, "radios": reports}
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        for report in reports:
            _print(report)
    if any(report.broken for report in reports):
        sys.exit(1)


def _print(report: RadioReport) -> None:
    out = screen()
    if report.error is not None:
        out.print(f"{report.node_id}: cannot be checked: {report.error}", soft_wrap=True)
        return
    table = Table(
        title=f"{report.node_id}: {report.kind}, serial {report.serial}, {report.software}",
        title_justify="left",
    )
    for name in ("check", "outcome", "reason"):
        table.add_column(name, overflow="fold")
    for verdict in report.verdicts:
        table.add_row(verdict.check, verdict.outcome, verdict.reason)
    out.print(table)
    passed = sum(verdict.outcome == "passed" for verdict in report.verdicts)
    out.print(
        f"{report.node_id}: {passed} passed, {report.broken} broken, "
        f"{len(report.verdicts) - passed - report.broken} not applicable"
    )
