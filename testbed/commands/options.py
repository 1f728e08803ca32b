"""Options that several subcommands share, and the site that they result in."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from sim_backend.impairments import PRESETS
from testbed.build import Overrides, build_nodes, overridden, simulated
from testbed.errors import UsageError
from testbed.figure_files import check_figure_path
from testbed.site import Site, load_site

_AT_LEAST_ONE = click.IntRange(min=1)

_SHARED = (
    click.argument("site_path", metavar="SITE.yaml", type=click.Path(path_type=Path)),
    click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True,
                 help="Everything random follows from it."),
    click.option("--max-sensings", type=_AT_LEAST_ONE, help="Budget J_max."),
    click.option("--num-receivers", type=_AT_LEAST_ONE, help="Receivers per sensing N_r."),
    click.option("--num-elements", type=_AT_LEAST_ONE, help="Elements M of every array."),
    click.option("--fusion", type=click.Choice(["accumulate", "latest"]),
                 help="Fuse all sensings, or the latest only (the paper)."),
    click.option("--tolerance", "tolerance_m", type=click.FloatRange(min=0.0, min_open=True),
                 metavar="M", help="Demanded 95 % radius, in metres."),
    click.option("--rcs-draw", type=click.Choice(["burst_link", "link", "scene"]),
                 help="When the simulated target's RCS is drawn anew."),
    click.option("--background", type=click.Choice(["learned", "none", "perfect"]),
                 default="learned", show_default=True, help="What is subtracted from a capture."),
    click.option("--simulate", is_flag=True,
                 help="Replace every radio of the site by a simulated one."),
    click.option("--json", "as_json", is_flag=True,
                 help="Print one JSON object and nothing else."),
)  # fmt: skip


_FIDELITY = (
    click.option("--fidelity", type=click.Choice(["pilot", "iq"]), default="pilot",
                 show_default=True, help="Simulate demodulated pilots, or IQ samples."),
    click.option("--impairments", type=click.Choice(list(PRESETS)),
                 help="What simulated radios do wrong, with --fidelity iq."),
)  # fmt: skip


def shared_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the site argument and the options that every run takes."""
    for decorate in reversed((*_SHARED, *_FIDELITY)):
        function = decorate(function)
    return function


def fidelity_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how closely radios are simulated."""
    for decorate in reversed(_FIDELITY):
        function = decorate(function)
    return function


def resolve_site(
    site_path: Path, overrides: Overrides, *, simulate: bool, fidelity: str = "pilot"
) -> Site:
    """Read a site, apply options, and refuse what cannot be run.

    Raises
    ------
    SiteError
        If the site or an option breaks a rule.
    UsageError
        If options do not go together.
    """
    if overrides.impairments is not None and fidelity != "iq":
        msg = "--impairments needs --fidelity iq: pilots have none"
        raise UsageError(msg)
    site = overridden(load_site(site_path), overrides)
    return simulated(site) if simulate else site


def check_figure(path: Path) -> None:
    """Refuse, before a long run, a figure that could not be drawn or written after it."""
    try:
        import testbed.figures  # noqa: F401  is matplotlib there?
    except ModuleNotFoundError as error:
        msg = f"--figure needs {error.name}: pip install 'isac-testbed[figures]'"
        raise UsageError(msg) from error
    try:
        check_figure_path(path)
    except ValueError as error:
        raise UsageError(str(error)) from error


def chosen_nodes(site: Site, node_ids: Sequence[str]) -> list[str]:
    """The nodes that ``--node`` names, or all of the site."""
    known = [node.node_id for node in build_nodes(site, 0)]
    unknown = [node_id for node_id in node_ids if node_id not in known]
    if unknown:
        msg = f"--node {', '.join(unknown)}: the site's nodes are {', '.join(known)}"
        raise UsageError(msg)
    return list(node_ids) or known
