"""`testbed bench`: how long the work of a sensing takes, and its literal evaluation."""

from pathlib import Path

import click
import msgspec
from threadpoolctl import threadpool_limits

from testbed.bench import table
from testbed.bench.case import Row
from testbed.bench.growth import Curve, measured_curves, num_curves
from testbed.bench.literal import have_literals
from testbed.bench.machine import Rates, machine_info, measured_rates
from testbed.bench.suite import chosen_cases, run_case
from testbed.bench.workload import Workload
from testbed.commands.options import check_figure
from testbed.commands.tables import progress_bar, screen
from testbed.errors import UsageError
from testbed.figure_files import save_figure

_NO_LITERALS = (
    "no ratios and no errors: the literal evaluations lie in tests/oracles of a checkout, and this "
    "package is installed without it"
)
_NUM_COLUMNS = 100  # that a table needs


@click.command("bench")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.option(
    "--only",
    "parts",
    multiple=True,
    metavar="NAME_PART",
    help="Only work whose name contains this; may be given again.",
)
@click.option(
    "--repeats",
    type=click.IntRange(min=1),
    default=15,
    show_default=True,
    help="Runs of each piece of work; the median counts.",
)
@click.option("--growth", is_flag=True, help="How time and memory grow with sizes, instead.")
@click.option(
    "--figure", "figure_path", metavar="FILE", type=click.Path(path_type=Path),
    help="Draw the growth (.png, .svg, .pdf).",
)  # fmt: skip
def command(
    as_json: bool, parts: tuple[str, ...], repeats: int, growth: bool, figure_path: Path | None
) -> None:
    """Measure the work of a sensing at the paper's sizes, on one thread, in one process.

    Times are medians; limits that are missed are shown, and are no error.
    """
    if growth and parts:
        msg = "--only and --growth do not go together: growth measures work of its own"
        raise UsageError(msg)
    if figure_path is not None and not growth:
        msg = "--figure draws growth: add --growth"
        raise UsageError(msg)
    if figure_path is not None:
        check_figure(figure_path)
    cases = chosen_cases(parts)
    rows: list[Row] = []
    curves: list[Curve] = []
    load = Workload()
    with threadpool_limits(limits=1), progress_bar() as progress:
        rates = measured_rates()
        if growth:
            task = progress.add_task("growth", total=num_curves(load.site))
            for curve in measured_curves(load.site):
                curves.append(curve)
                progress.advance(task)
        else:
            task = progress.add_task("work", total=len(cases))
            for case in cases:
                progress.update(task, description=case.name)
                rows.append(run_case(case, load, repeats, rates))
                progress.advance(task)
    if figure_path is not None:
        from testbed.figures.growth import growth_figure

        save_figure(growth_figure(curves), figure_path)
    if as_json:
        found = _object(rows, curves, rates)
        click.echo(msgspec.json.format(msgspec.json.encode(found)).decode())
    else:
        _print(rows, curves, rates)


def _object(rows: list[Row], curves: list[Curve], rates: Rates) -> dict[str, object]:
    """The object that ``--json`` prints; seconds, bytes."""
    grown = [
        msgspec.to_builtins(curve)
        | {"time_exponent": curve.time_exponent, "memory_exponent": curve.memory_exponent}
        for curve in curves
    ]
    measured = {"growth": grown} if curves else {}
    return {
        "results": rows,
        **measured,
        "rates": rates,
        "machine": machine_info(),
        "has_literals": have_literals(),
    }


def _print(rows: list[Row], curves: list[Curve], rates: Rates) -> None:
    out = screen()
    if not out.is_terminal:
        out.width = max(out.width, _NUM_COLUMNS)
    if rows:
        out.print(table.results_table(rows))
        for line in (*table.notes(rows), table.rates_text(rates), table.machine_text()):
            out.print(line, soft_wrap=True)
        if not have_literals():
            out.print(_NO_LITERALS, soft_wrap=True)
        out.print(table.summary(rows), soft_wrap=True)
    if curves:
        out.print(table.growth_table(curves))
