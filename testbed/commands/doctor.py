"""`testbed doctor`: what is missing for the radios of a site, and how to get it."""

import sys
from collections.abc import Sequence
from pathlib import Path

import click
import msgspec
from rich.table import Table

from testbed.commands.options import chosen_nodes
from testbed.commands.tables import screen
from testbed.doctor.examination import examine
from testbed.doctor.finding import Finding
from testbed.site import load_site


@click.command("doctor")
@click.argument("site_path", metavar="SITE.yaml", type=click.Path(path_type=Path))
@click.option("--node", "node_ids", metavar="ID", multiple=True, help="Only this node; repeatable.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(site_path: Path, node_ids: Sequence[str], as_json: bool) -> None:
    """Say what the site's radios need on this host, what is missing and how to get it.

    Looks for vendors' software, asks every device whether it is there, and reads this host's
    transmit configuration. Opens no radio and sends nothing. Ends with status 1 if anything
    that is needed is missing.
    """
    site = load_site(site_path)
    findings = examine(site, chosen_nodes(site, node_ids))
    num_missing = sum(finding.state == "missing" for finding in findings)
    if as_json:
        found = {"site": site.name, "ready": num_missing == 0, "findings": findings}
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        _print(site.name, findings, num_missing)
    if num_missing:
        sys.exit(1)


def _print(name: str, findings: Sequence[Finding], num_missing: int) -> None:
    table = Table(title=f"{name}: {num_missing or 'nothing'} missing", title_justify="left")
    for column in ("of", "what", "state", "found"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        table.add_row(finding.subject, finding.check, finding.state, finding.found)
    out = screen()
    out.print(table)
    for finding in findings:  # below the table, where a line to type stays one line
        if finding.remedy is not None:
            out.print(f"{finding.subject}, {finding.check}: {finding.remedy}", soft_wrap=True)
