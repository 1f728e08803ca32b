"""Tables of the page: numbers as people read them, beside the paper's."""

from collections.abc import Iterator, Sequence

from testbed.paper.cases import COLUMNS, NEW, Column, worth_schemes
from testbed.paper.plots import COLUMN_TITLES, SCHEME_NAMES, worth_name
from testbed.paper.published import FIG2_RMSE_M, TABLE1_M, THROUGHPUT_LOSS_PCT
from testbed.paper.results import Cell, Ending
from testbed.paper.statements import Finding, Statement
from testbed.paper.study import Reproduction
from testbed.report.html import Html, joined, table, tag
from testbed.units import metres

_NOTES_OF = {
    "proposed": (1, 2), "clutter_free": (1, 2), "without_sfi": (3,), "rsa": (5,), "fis": (4,),
    "sfi_peb": (4,), "obs": (6,), "no_suppression": (),
}  # fmt: skip


def notes(numbers: Sequence[int]) -> Html:
    """References to notes."""
    links = (tag("a", f"{number}", href=f"#note-{number}") for number in numbers)
    return joined(part for n, link in enumerate(links) for part in ((", ", link) if n else (link,)))


def fig2_table(found: Reproduction) -> Html:
    """How each scheme ends: RMSE beside the paper's, median, bounds, sensings."""
    heads = (
        "scheme", "paper: RMSE", "column", "RMSE", "median", "95 %", "oracle, median",
        "RMSE over bound", "sensings", "not found", "notes",
    )  # fmt: skip
    schemes = dict.fromkeys(end.scheme for end in found.endings if end.part == "fig2")
    return table(heads, [row for s in schemes for row in _scheme_rows(found, s)], 3)


def _scheme_rows(found: Reproduction, scheme: str) -> Iterator[Sequence[str]]:
    published = FIG2_RMSE_M.get(scheme, {})
    said = ", ".join(f"{value:g} m at {j}" for j, value in published.items()) or "-"
    for column in COLUMNS:
        end = found.ending("fig2", scheme, column)
        if end is not None:
            first = (SCHEME_NAMES.get(scheme, scheme), said) if column == COLUMNS[0] else ("", "")
            refer = notes(_NOTES_OF.get(scheme, ())) if column == COLUMNS[0] else ""
            yield (*first, COLUMN_TITLES[column], *_accuracy(end), refer)


def _accuracy(end: Ending) -> Iterator[str]:
    yield metres(end.rmse_m)
    yield metres(end.median_m)
    yield metres(end.p95_m)
    yield metres(end.oracle_median_m)
    yield "-" if end.rmse_over_bound is None else f"{end.rmse_over_bound:.2f}"
    yield f"{end.num_sensings:.2f}"
    yield "-" if end.scheme.endswith("_peb") else f"{100.0 * end.unresolved:.1f} %"


def table1(found: Reproduction) -> Html:
    """A row a percentile of a cell."""
    heads = (
        "M", "N_r", "percentile", "paper (mm)", "letter (mm)", "ours (mm)", "oracle (mm)",
        "paper over ours", "ours over oracle",
    )  # fmt: skip
    of = {(c.column, c.num_elements, c.num_receivers, c.percent): c for c in found.cells}
    rows = []
    for size, published in TABLE1_M.items():
        for percent, value_m in published.items():
            letter, ours = (of[column, *size, percent] for column in COLUMNS)
            rows.append(
                (
                    f"{size[0]}", f"{size[1]}", f"{percent} %", f"{1e3 * value_m:.4g}",
                    _with_band(letter), _with_band(ours), f"{1e3 * ours.oracle_m:.3g}",
                    f"{value_m / ours.value_m:.1f}", f"{ours.value_m / ours.oracle_m:.2f}",
                )
            )  # fmt: skip
    return table(heads, rows, 0)


def _with_band(cell: Cell) -> str:
    low, value, high = (1e3 * v for v in (cell.low_m, cell.value_m, cell.high_m))
    return f"{value:.3g} [{low:.3g}, {high:.3g}]"


def statement_table(judged: Sequence[Statement]) -> Html:
    """What the paper says, a row a statement."""
    rows = []
    for statement in judged:
        findings = [statement.findings[column] for column in COLUMNS]
        cells = (text for one in findings for text in (_mark(one), one.said))
        plain = all(one.holds and not one.of_best for one in findings)
        rows.append((statement.text, *cells, notes(() if plain else statement.notes)))
    return table(("the paper", "letter", "", "ours", "", "notes"), rows, 6)


def _mark(finding: Finding) -> str:
    if finding.of_best:
        return "of 99 %"
    return {True: "yes", False: "no", None: "-"}[finding.holds]


def loss_table(found: Reproduction) -> Html:
    """Throughput loss and sensings, a row a cell."""
    heads = (
        "M", "N_r", "paper (%)", "letter (%)", "ours (%)", "letter: sensings", "ours: sensings",
        "ours: not found (%)", "ours: in the 50 % ellipse (%)", "ours: in the 95 % ellipse (%)",
    )  # fmt: skip
    rows = []
    for size in TABLE1_M:
        letter, ours = (found.ending("table1", "proposed", column, *size) for column in COLUMNS)
        if letter is None or ours is None:
            continue
        published = THROUGHPUT_LOSS_PCT.get(size)
        rows.append(
            (
                *(f"{n}" for n in size), "-" if published is None else f"{published:.2f}",
                f"{letter.throughput_loss_pct:.2f}", f"{ours.throughput_loss_pct:.2f}",
                f"{letter.num_sensings:.2f}", f"{ours.num_sensings:.2f}",
                f"{100.0 * ours.unresolved:.1f}", _percent(ours.coverage_50),
                _percent(ours.coverage_95),
            )
        )  # fmt: skip
    return table(heads, rows, 0)


def _percent(fraction: float | None) -> str:
    return "-" if fraction is None else f"{100.0 * fraction:.1f}"


def runtime_table(found: Reproduction) -> Html:
    """Milliseconds of both stages until convergence."""
    heads = ("evaluation", "M", "N_r", "sensing (ms)", "selection (ms)", "both (ms)")
    rows = [
        (
            _title(bar.evaluation), f"{bar.num_elements}", f"{bar.num_receivers}",
            *(
                f"{1e3 * time_s:.3g}"
                for time_s in (bar.sensing_s, bar.selection_s, bar.sensing_s + bar.selection_s)
            ),
        )
        for bar in sorted(found.runtimes, key=lambda bar: bar.evaluation)
    ]  # fmt: skip
    return table(heads, rows, 1)


def _title(evaluation: str) -> str:
    return {"literal": "literal, NumPy", "ours": "ours"}[evaluation]


def worth_table(found: Reproduction) -> Html:
    """Schemes that do without some of what is new."""
    heads = (
        "scheme", *NEW, "RMSE", "median", "95 %", "oracle, median", "RMSE over bound", "sensings",
        "not found", "wrong",
    )  # fmt: skip
    column: Column = "ours"
    rows = []
    for scheme, missing in worth_schemes().items():
        end = found.ending("worth", scheme, column)
        if end is not None:
            has = ("" if name in missing else "yes" for name in NEW)
            wrong = f"{100.0 * end.wrong:.1f} %"
            rows.append((worth_name(scheme), *has, *_accuracy(end), wrong))
    return table(heads, rows, 5)
