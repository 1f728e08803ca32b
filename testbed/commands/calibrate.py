"""`testbed calibrate`: the background of every link, into a dictionary on disk."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import click
from threadpoolctl import threadpool_limits

from calibration.dictionary import manifest_of
from calibration.node_calibration import NodeCalibration
from calibration.node_files import load_node_calibration, read_back
from testbed.build import Overrides, build_nodes
from testbed.commands.live_options import live_options
from testbed.commands.node_tables import NODE_TABLES
from testbed.commands.options import fidelity_options, resolve_site
from testbed.commands.tables import progress_bar, screen
from testbed.errors import UsageError, written_to
from testbed.report.writing import reported
from testbed.runs.calibrate import calibrate
from testbed.runs.campaign_state import CampaignPlan, CampaignState
from testbed.runs.setup import Fidelity, opened_setup
from testbed.site import Site


@click.command("calibrate")
@click.argument("site_path", metavar="SITE.yaml", type=click.Path(path_type=Path))
@click.option(
    "--out",
    required=True,
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="The dictionary; entries already there are kept.",
)
@click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Of the simulated scene.",
)
@click.option("--num-elements", type=click.IntRange(min=1), help="Elements M of every array.")
@fidelity_options
@click.option(
    "--simulate", is_flag=True, help="Replace every radio of the site by a simulated one."
)
@click.option(
    "--relearn",
    is_flag=True,
    help="Also learn entries again of links that have changed: nodes moved, other arrays.",
)
@click.option(
    "--only",
    type=click.Choice(["background", *NODE_TABLES]),
    help="Backgrounds alone; or nodes alone, and what was found of them is printed.",
)
@click.option("--resume", is_flag=True, help="Go on with a campaign that must be there.")
@click.option(
    "--spread",
    type=click.FloatRange(min=0.0, min_open=True),
    metavar="MINUTES",
    help="Take each entry's captures over that time, in rounds: what moved slowly is left out.",
)
@click.option("--update", is_flag=True, help="Blend entries that are there with fresh captures.")
@live_options
def command(
    site_path: Path, out: Path, seed: int, num_elements: int | None, simulate: bool,
    fidelity: Fidelity, impairments: str | None, only: str | None, resume: bool,
    spread: float | None, update: bool, relearn: bool, live: bool, port: int | None,
    keys_folder: Path | None,
) -> None:  # fmt: skip
    """Learn the background of every ordered pair of nodes; stopped, it goes on where it was.

    The hall must be free of targets. Entries in whose captures something moved are named at the
    end.
    """
    overrides = Overrides(num_elements=num_elements, impairments=impairments)
    site = resolve_site(site_path, overrides, simulate=simulate, fidelity=fidelity)
    plan = replace(_plan(only, spread, update=update), relearn=relearn)
    if live:
        from testbed.commands.live import refuse_with_live

        refuse_with_live(
            simulate=simulate, fidelity=fidelity, impairments=impairments, num_elements=num_elements
        )
        ended = _calibrated_live(site, out, plan, port, keys_folder, resume=resume)
    else:
        if resume or update:
            manifest_of(out)  # says if there is nothing to go on with
        ended = _calibrated(site, out, seed, fidelity, plan)
    if only in NODE_TABLES:
        if ended.calibration is not None:
            nodes = build_nodes(site, ended.seed)
            screen().print(NODE_TABLES[only](ended.calibration, nodes))
        return
    kept = ended.total - ended.learned
    click.echo(f"{ended.place}: {ended.total} entries, {ended.learned} learned now, {kept} kept")
    for remark in ended.remarks:
        click.echo(remark)


@dataclass(frozen=True)
class _Ended:
    """What came of a campaign, and where it is."""

    place: str
    learned: int
    total: int
    remarks: Sequence[str]
    calibration: NodeCalibration | None
    seed: int


def _plan(only: str | None, spread_min: float | None, *, update: bool) -> CampaignPlan:
    if only in NODE_TABLES:
        if spread_min or update:
            msg = f"--spread and --update are of backgrounds; --only {only} learns none"
            raise UsageError(msg)
        return CampaignPlan(only="nodes")
    return CampaignPlan(
        "backgrounds" if only else None, 60.0 * spread_min if spread_min else 0.0, update
    )


def _calibrated(site: Site, out: Path, seed: int, fidelity: Fidelity, plan: CampaignPlan) -> _Ended:
    latest = CampaignState()
    with (
        reported(out, partial(click.echo, err=True)), threadpool_limits(limits=1),
        opened_setup(site, seed, fidelity) as setup, written_to(out), progress_bar() as progress,
    ):  # fmt: skip
        task = progress.add_task(latest.text, total=None)

        def show(now: CampaignState) -> None:
            nonlocal latest
            latest = now
            progress.update(task, description=now.text, completed=now.done, total=now.total)

        learned, total = calibrate(site, setup, out, show, plan)
        found = load_node_calibration(out, setup.source.nodes) if plan.only == "nodes" else None
    return _Ended(str(out), learned, total, latest.remarks, found, seed)


def _calibrated_live(
    site: Site, out: Path, plan: CampaignPlan, port: int | None, keys_folder: Path | None, *,
    resume: bool,
) -> _Ended:  # fmt: skip
    from testbed.bus.job_messages import JobOptions
    from testbed.commands.live import given_seed, plain_name, run_counted

    options = JobOptions(
        seed=given_seed(), folder=plain_name(out, "--out"), resume=resume, **asdict(plan)
    )
    end = run_counted(site, "calibrate", options, port, keys_folder)
    place, total, learned = end.result or (str(out), 0, 0)
    found = None
    if end.calibration is not None:
        found = read_back(end.calibration, build_nodes(site, end.seed), place)
    return _Ended(place, learned, total, end.remarks, found, end.seed)
