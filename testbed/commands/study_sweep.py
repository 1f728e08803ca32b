"""`testbed study sweep`: any parameter of a site against any other."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import click
import msgspec
from rich.table import Table

from calibration.whole_files import write_atomically
from testbed.build import simulated
from testbed.commands.study_options import (
    check_pool,
    computed_cases,
    pool_options,
    refuse_hardware,
)
from testbed.commands.tables import screen
from testbed.errors import written_to
from testbed.figure_files import save_figure
from testbed.runs.cases import Finished
from testbed.site import load_site
from testbed.sweeps.combinations import SweptCase, short_titles, swept_cases
from testbed.sweeps.page import page_of
from testbed.sweeps.results import SweepRow, row_object, sweep_row, table_text, without_effect
from testbed.sweeps.sweep_file import SweepFile, load_sweep, shown
from testbed.units import metres

_ON_PAGE_ONLY = 2  # last columns, which a terminal has no room for
_TABLE_WIDTH = 200  # where there is no terminal to ask


@click.command("sweep")
@click.argument("sweep_path", metavar="FILE.yaml", type=click.Path(path_type=Path))
@click.option(
    "--out",
    "root",
    metavar="DIR",
    type=click.Path(path_type=Path),
    required=True,
    help="Table, figure, page and finished trials go here; the same command goes on "
    "where one was stopped.",
)
@click.option(
    "--trials",
    type=click.IntRange(1, 1_000_000),
    help="Seeded scenes a case, in place of the file's.",
)
@click.option("--seed", type=click.IntRange(min=0), help="In place of the file's.")
@click.option(
    "--simulate", is_flag=True, help="Replace every radio of the site by a simulated one."
)
@pool_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def sweep(
    sweep_path: Path, root: Path, trials: int | None, seed: int | None, simulate: bool,
    jobs: int | None, scheduler: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Study every combination of the values that a file gives to parameters of a site."""
    check_pool(jobs, scheduler)
    wanted = load_sweep(sweep_path)
    wanted = msgspec.structs.replace(
        wanted,
        trials=wanted.trials if trials is None else trials,
        seed=wanted.seed if seed is None else seed,
    )
    site = load_site(sweep_path.parent / wanted.site)
    swept = swept_cases(wanted, simulated(site) if simulate else site, sweep_path)
    for own in swept:
        refuse_hardware(own.case.site, sweep_path.parent / wanted.site)
    cases = {own.name: own.case for own in swept}
    finished = computed_cases(root, cases, wanted.trials, wanted.seed, jobs, scheduler)
    rows = [_row(own, finished[own.name], wanted) for own in swept]
    for title in without_effect(wanted, rows):
        click.echo(f"{title}: changed nothing, all its values came to the same", err=True)
    heads, cells = _table(wanted, rows)
    with written_to(root):
        write_atomically(root / "sweep.csv", table_text(wanted, rows).encode())
        svg = _drawn(root, wanted, rows)
        page = page_of(wanted, site.name, heads, cells, svg)
        write_atomically(root / "sweep.html", page.encode())
    if as_json:
        found = {
            "site": site.name, "trials": wanted.trials, "seed": wanted.seed,
            "fidelity": wanted.fidelity, "background": wanted.background,
            "cases": [row_object(wanted, row) for row in rows],
        }  # fmt: skip
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
        return
    _print(root, wanted, heads, cells)


def _row(own: SweptCase, known: Finished, wanted: SweepFile) -> SweepRow:
    return sweep_row(own, known, wanted.trials, wanted.seed)


def _drawn(root: Path, wanted: SweepFile, rows: Sequence[SweepRow]) -> str | None:
    """The figure's SVG text, and its files; says what is missing where it cannot be drawn."""
    try:
        from testbed.figures.svg import svg_of
        from testbed.figures.sweep import sweep_figure
    except ModuleNotFoundError as error:
        needed = f"a figure needs {error.name}: pip install 'isac-testbed[figures]'"
        click.echo(f"{root}: without a figure; {needed}; the same command then adds it", err=True)
        return None
    figure = sweep_figure(wanted, rows)
    svg = svg_of(figure, "sweep")
    write_atomically(root / "sweep.svg", f"{svg}\n".encode())
    save_figure(figure, root / "sweep.png")
    return svg


def _table(wanted: SweepFile, rows: Sequence[SweepRow]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells for people; policies and loops where there are several."""
    heads = [
        *short_titles(wanted),
        *(["policy"] if len(wanted.policies) > 1 else []),
        *(["to the letter"] if len(wanted.literal) > 1 else []),
        "median", "RMSE", "95 %", "bound", "RMSE / bound", "unresolved", "wrong", "sensings",
        "oracle's bound", "inside 95 %",
    ]  # fmt: skip
    cells = [
        [
            *map(shown, row.values),
            *([row.policy] if len(wanted.policies) > 1 else []),
            *(["yes" if row.literal else "no"] if len(wanted.literal) > 1 else []),
            *_numbers(row),
        ]
        for row in rows
    ]
    return heads, cells


def _numbers(row: SweepRow) -> Iterator[str]:
    found = row.statistics
    for name in ("median", "rmse", "p95"):
        yield _banded(*(found[f"{name}{end}_m"] or 0.0 for end in ("", "_low", "_high")))
    yield metres(found["conditional_bound_median_m"])
    ratio = found["rmse_over_conditional_bound"]
    yield "-" if ratio is None else f"{ratio:.2f}"
    yield _percent(found["unresolved_fraction"])
    yield _percent(found["wrong_fraction"])
    yield f"{found['mean_num_sensings']:.2f}"
    yield metres(found["oracle_bound_median_m"])
    yield _percent(found["coverage_95"])


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100.0 * share:.1f} %"


def _banded(value_m: float, low_m: float, high_m: float) -> str:
    """A length with its band, all in the unit that suits it."""
    unit, scale = ("m", 1.0) if value_m >= 1.0 else ("mm", 1e3)
    return f"{scale * value_m:.3g} ({scale * low_m:.3g} to {scale * high_m:.3g}) {unit}"


def _print(
    root: Path, wanted: SweepFile, heads: Sequence[str], cells: Sequence[Sequence[str]]
) -> None:
    out = screen()
    if not out.is_terminal:
        out.width = max(out.width, _TABLE_WIDTH)
    title = f"error at the end, 90 % bands; {wanted.trials} trials a case, seed {wanted.seed}"
    table = Table(title=title, title_justify="left")
    for head in heads[:-_ON_PAGE_ONLY]:
        table.add_column(head, justify="right")
    for row in cells:
        table.add_row(*row[:-_ON_PAGE_ONLY])
    out.print(table)
    written = ", ".join(path.name for path in sorted(root.glob("sweep.*")))
    out.print(f"{root}: {written}", soft_wrap=True)
