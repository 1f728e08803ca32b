"""Figures of the paper's study, from its numbers."""

from collections.abc import Iterator, Mapping, Sequence

from testbed.figure_files import Savable
from testbed.figures.error_curves import Curve, Line, Panel, error_curves_figure
from testbed.figures.runtimes import runtimes_figure
from testbed.figures.worth import WorthRow, worth_figure
from testbed.paper.cases import COLUMNS, Column, worth_schemes
from testbed.paper.published import FIG2_RMSE_M, TABLE1_M
from testbed.paper.results import Cell, CurvePoint, by_scheme
from testbed.paper.study import Reproduction

COLUMN_TITLES: Mapping[Column, str] = {"literal": "the paper, to the letter", "ours": "ours"}
SCHEME_NAMES: Mapping[str, str] = {
    "proposed": "proposed", "no_suppression": "no suppression", "clutter_free": "clutter-free",
    "without_sfi": "without SFI", "rsa": "RSA", "fis": "FIS", "obs": "OBS",
    "sfi_peb": "SFI-PEB", "obs_peb": "OBS-PEB",
}  # fmt: skip
NEW_NAMES: Mapping[str, str] = {
    "accumulation": "accumulation", "recovery": "recovery by belief",
    "radius": "stopping by radius", "visibility": "visible nodes",
}  # fmt: skip
# Okabe and Ito's colours; a bound has that of the scheme that it bounds.
_COLORS: Mapping[str, str] = {
    "proposed": "#0072B2", "no_suppression": "#6F6F6F", "clutter_free": "#56B4E9",
    "without_sfi": "#E69F00", "rsa": "#CC79A7", "fis": "#D55E00", "obs": "#009E73",
    "sfi_peb": "#D55E00", "obs_peb": "#009E73",
}  # fmt: skip
_MORE_COLORS = ("#000000", "#8B4513", "#9400D3", "#B8860B")
_LINES: Mapping[str, Line] = {"sfi_peb": "dashed", "obs_peb": "dashed", "clutter_free": "dashed"}
_BOUNDS: Mapping[str, tuple[str, Line]] = {
    "conditional_bound": ("bound of the proposed scheme's looks", "dotted"),
    "oracle_bound": ("bound of an oracle's looks", "dashed"),
}
FIGURES = ("fig2_rmse", "fig2_rmse_best_99", "fig2_median", "table1", "fig3_runtimes", "worth")
_SYMBOLS = "symbols spent on sensing, J_max"


def figures_of(found: Reproduction) -> Iterator[tuple[str, Savable]]:
    """All figures that there are numbers for, by the name of their file."""
    if found.points:
        yield "fig2_rmse", _rmse(found.points, "rmse", "RMSE")
        best = "RMSE of the best 99 % of trials"
        yield "fig2_rmse_best_99", _rmse(found.points, "rmse_best_99", best)
        yield "fig2_median", _medians(found.points)
    if found.cells:
        yield "table1", _percentiles(found.cells)
    if found.runtimes:
        yield "fig3_runtimes", runtimes_figure(found.runtimes)
    if rows := worth_rows(found):
        yield "worth", worth_figure(rows)


def _rmse(points: Sequence[CurvePoint], statistic: str, said: str) -> Savable:
    """As the paper draws it; crosses are its text."""
    lines = by_scheme(points, statistic)
    panels = [Panel(COLUMN_TITLES[column], list(_curves(lines, column))) for column in COLUMNS]
    return error_curves_figure(panels, _SYMBOLS, f"{said}; crosses: the paper's text")


def _curves(
    lines: Mapping[tuple[str, str], Sequence[CurvePoint]], column: Column, *, published: bool = True
) -> Iterator[Curve]:
    more = iter(_MORE_COLORS * len(lines))
    for (own, scheme), line in lines.items():
        if own == column:
            color = _COLORS.get(scheme) or next(more)
            shown = dict(FIG2_RMSE_M.get(scheme, {})) if published else {}
            yield _curve(SCHEME_NAMES.get(scheme, scheme), color, scheme, line, shown)


def _curve(
    label: str, color: str, scheme: str, line: Sequence[CurvePoint], published: dict[int, float]
) -> Curve:
    return Curve(
        label, color, _LINES.get(scheme, "solid"), [p.num_symbols for p in line],
        [p.value_m for p in line], [p.low_m for p in line], [p.high_m for p in line], published,
    )  # fmt: skip


def _medians(points: Sequence[CurvePoint]) -> Savable:
    """Medians, with what the proposed scheme's looks and an oracle's allow."""
    lines = by_scheme(points, "median")
    panels = []
    for column in COLUMNS:
        curves = list(_curves(lines, column, published=False))
        for statistic, (label, style) in _BOUNDS.items():
            line = by_scheme(points, statistic).get((column, "proposed"), [])
            symbols, values_m = [p.num_symbols for p in line], [p.value_m for p in line]
            curves.append(Curve(label, "#000000", style, symbols, values_m))
        panels.append(Panel(COLUMN_TITLES[column], curves))
    return error_curves_figure(panels, _SYMBOLS, "median error")


def _percentiles(cells: Sequence[Cell]) -> Savable:
    """Table I as curves: a panel a cell."""
    panels = []
    for size, published in TABLE1_M.items():
        own = [c for c in cells if (c.num_elements, c.num_receivers) == size]
        curves = [Curve("the paper", "#000000", "dashed", list(published), [*published.values()])]
        for column, color in zip(COLUMNS, ("#E69F00", "#0072B2"), strict=True):
            line = [c for c in own if c.column == column]
            curves.append(
                Curve(
                    COLUMN_TITLES[column],
                    color,
                    "solid",
                    [c.percent for c in line],
                    [c.value_m for c in line],
                    [c.low_m for c in line],
                    [c.high_m for c in line],
                )
            )
        oracle = [c for c in own if c.column == "ours"]
        curves.append(
            Curve(
                "an efficient oracle, with the looks of ours",
                "#009E73",
                "dotted",
                [c.percent for c in oracle],
                [c.oracle_m for c in oracle],
            )
        )
        panels.append(Panel(f"{size[0]} elements, N_r = {size[1]}", curves))
    return error_curves_figure(panels, "percentile (%)", "error", num_columns=3)


def worth_rows(found: Reproduction) -> list[WorthRow]:
    """Schemes that do without some of what is new; none if they were left out."""
    rows = []
    for scheme in worth_schemes():
        end = found.ending("worth", scheme, "ours")
        if end is not None:
            rows.append(
                WorthRow(
                    worth_name(scheme),
                    end.median_m,
                    end.p95_m,
                    end.rmse_m,
                    end.num_sensings,
                    100.0 * end.unresolved,
                )
            )
    return rows


def worth_name(scheme: str) -> str:
    """What a scheme has of what is new, in words."""
    kind, _, name = scheme.partition("_")
    if not name:
        return {"none": "none of the four", "all": "all four: ours"}[kind]
    return f"{'only' if kind == 'only' else 'all but'} {NEW_NAMES[name]}"
