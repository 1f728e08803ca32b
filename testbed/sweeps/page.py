"""A sweep as one page: what was swept, the figure, the table."""

from collections.abc import Iterator, Sequence

from testbed.report.html import Html, table, tag, whole_page
from testbed.sweeps.sweep_file import SweepFile, shown

_READING = (
    "Error of the position at the end of a trial: its median with a 90 % band, its RMSE, which a "
    "few trials can make, and the median of the bound for the links and echoes that were sensed. "
    "That bound is one of RMSEs: most errors are smaller, and so is their median. All cases see "
    "the same seeds. A band says how much other seeds may change a number; it says nothing of how "
    "true the model is."
)


def page_of(
    sweep: SweepFile,
    site_name: str,
    heads: Sequence[str],
    cells: Sequence[Sequence[str]],
    figure: str | None,
) -> str:
    """The whole page.

    Parameters
    ----------
    sweep
        With the trials and the seed that were asked for.
    heads, cells
        Of the table.
    figure
        As SVG; ``None`` where none could be drawn.
    """
    numbers_from = next(n for n, head in enumerate(heads) if head == "median")
    seen = [] if figure is None else [tag("p", _READING), Html(figure)]
    return whole_page(
        f"Sweep of {site_name}",
        tag("div", table((), _facts(sweep), 2), class_="facts"),
        *seen,
        tag("h2", "All cases"),
        tag("div", table(heads, cells, numbers_from), class_="wide"),
    )


def _facts(sweep: SweepFile) -> Iterator[tuple[str, str]]:
    yield "site file", sweep.site
    for variation in sweep.vary:
        values = ", ".join(shown(value) for value in variation.values)
        paths = f" ({', '.join(variation.paths)})" if variation.label else ""
        yield variation.title, f"{values}{paths}"
    yield "policies", ", ".join(sweep.policies)
    loops = ["as the paper says, to the letter" if own else "the site's" for own in sweep.literal]
    yield "sensing loop", ", ".join(loops)
    yield "trials", f"{sweep.trials:,} a case, {sweep.num_cases} cases, seed {sweep.seed}"
    yield "simulated at fidelity", sweep.fidelity
    yield "background", sweep.background
