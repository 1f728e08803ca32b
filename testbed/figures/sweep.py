"""The figure of a sweep: errors over the first parameter, with their bands and their bounds."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter, NullLocator

from drivers.geometry import FloatArray
from testbed.sweeps.combinations import short_titles
from testbed.sweeps.results import SweepRow
from testbed.sweeps.sweep_file import SweepFile, Value, shown

_STYLE: Any = {"font.size": 9.0, "axes.titlesize": 9.0, "text.parse_math": False}
# Okabe and Ito's colours, told apart by who does not see all; from light to dark where more.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MOST_COLUMNS, _MOST_TICKS = 3, 9
_LEAST_LOG_RATIO = 3.0
_DODGE = 0.12  # between curves over categories, of the distance between these


@dataclass(frozen=True)
class _Curve:
    """What a colour stands for."""

    label: str
    color: str
    is_of: Callable[[SweepRow], bool]


def sweep_figure(sweep: SweepFile, rows: Sequence[SweepRow]) -> Figure:
    """A panel for each combination of what is neither the x axis nor a colour.

    Colours are policies and, to the letter or not, what they follow; where there is one of these,
    they are the values of the second parameter.
    """
    curves, num_coloured = _curves(sweep, rows)
    panels = list(product(*(variation.values for variation in sweep.vary[num_coloured:])))
    num_columns = _num_columns(sweep, num_coloured, len(panels))
    num_rows = -(-len(panels) // num_columns)
    with mpl.rc_context(_STYLE):
        size_in = (max(6.4, 3.6 * num_columns), 1.1 + 3.2 * num_rows)
        figure = Figure(figsize=size_in, dpi=150, layout="constrained")
        axes = figure.subplots(num_rows, num_columns, squeeze=False, sharex=True, sharey=True)
        for ax, values in zip(axes.ravel(), panels, strict=False):
            inside = [row for row in rows if row.values[num_coloured:] == values]
            _draw(ax, sweep.vary[0].values, inside, curves)
            ax.set_title(_told(sweep, num_coloured, values))
        _scale_errors(axes[0, 0], rows)
        for ax in axes.ravel()[len(panels) :]:
            ax.set_axis_off()
        for ax in axes[:, 0]:
            ax.set_ylabel("error of the position")
        for ax in axes.ravel()[: len(panels)][-num_columns:]:  # the lowest of each column
            ax.set_xlabel(sweep.vary[0].title)
            ax.tick_params(labelbottom=True)
        _draw_key(figure, curves, rows)
    return figure


def _num_columns(sweep: SweepFile, start: int, num_panels: int) -> int:
    """As many as the last parameter has values, so that rows are of the others, where they fit."""
    counts = [len(variation.values) for variation in sweep.vary[start:]]
    last = next((count for count in reversed(counts) if count > 1), 1)
    fits = last <= _MOST_COLUMNS < num_panels
    return last if fits else min(num_panels, _MOST_COLUMNS)


def _curves(sweep: SweepFile, rows: Sequence[SweepRow]) -> tuple[list[_Curve], int]:
    """The curves of a panel, and from which variation on values make panels."""
    columns = list(dict.fromkeys((row.policy, row.literal) for row in rows))
    if len(columns) > 1 or len(sweep.vary) == 1:
        names = [f"{policy}, to the letter" if literal else policy for policy, literal in columns]
        return [
            _Curve(name, color, partial(_follows, own))
            for name, color, own in zip(names, _colors(len(columns)), columns, strict=True)
        ], 1
    values, name = sweep.vary[1].values, short_titles(sweep)[1]
    return [
        _Curve(f"{name} = {shown(own)}", color, partial(_has_second, own))
        for color, own in zip(_colors(len(values)), values, strict=True)
    ], 2


def _follows(column: tuple[str, bool], row: SweepRow) -> bool:
    return (row.policy, row.literal) == column


def _has_second(value: Value, row: SweepRow) -> bool:
    return row.values[1] == value


def _colors(count: int) -> Sequence[str]:
    if count <= len(_COLORS):
        return _COLORS[:count]
    shades = mpl.colormaps["viridis"](np.linspace(0.95, 0.0, count))
    return [mpl.colors.to_hex(shade) for shade in shades]


def _told(sweep: SweepFile, start: int, values: Sequence[Value]) -> str:
    """What is special about a panel: parameters that take several values."""
    named = zip(sweep.vary[start:], short_titles(sweep)[start:], values, strict=True)
    return ", ".join(
        f"{title} = {shown(value)}" for variation, title, value in named
        if len(variation.values) > 1
    )  # fmt: skip


def _draw(
    ax: Axes, x_values: Sequence[Value], rows: Sequence[SweepRow], curves: Sequence[_Curve]
) -> None:
    is_number = all(_is_number(value) for value in x_values)
    ax.grid(lw=0.4, color="0.88")
    for n, curve in enumerate(curves):
        own = [row for row in rows if curve.is_of(row)]
        if is_number:
            own.sort(key=lambda row: row.values[0])
            _draw_lines(ax, np.array([row.values[0] for row in own], float), own, curve.color)
        else:
            places = np.array([x_values.index(row.values[0]) for row in own], float)
            _draw_marks(ax, places + _DODGE * (n - (len(curves) - 1) / 2), own, curve.color)
    if is_number:
        _scale_numbers(ax, np.sort(np.array(x_values, float)))
    else:
        ax.set_xticks(range(len(x_values)), [shown(value) for value in x_values])
        ax.set_xlim(-0.5, len(x_values) - 0.5)


def _is_number(value: Value) -> bool:
    return not isinstance(value, bool | str) and math.isfinite(value)


def _of(rows: Sequence[SweepRow], name: str) -> FloatArray:
    """A statistic of each row; not a number where there is none."""
    found = [row.statistics[name] for row in rows]
    return np.array([np.nan if value is None else value for value in found])


def _band(rows: Sequence[SweepRow]) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Median and its ends; an end that few trials leave open is beyond all that is drawn."""
    high_m = np.minimum(_of(rows, "median_high_m"), 1e9)
    return _of(rows, "median_m"), np.maximum(_of(rows, "median_low_m"), 1e-12), high_m


def _draw_lines(ax: Axes, x: FloatArray, rows: Sequence[SweepRow], color: str) -> None:
    median_m, low_m, high_m = _band(rows)
    ax.fill_between(x, low_m, high_m, color=color, alpha=0.18, lw=0.0)
    ax.plot(x, median_m, "o-", color=color, ms=3.5, lw=1.6)
    ax.plot(x, _of(rows, "rmse_m"), "--", color=color, lw=1.0, alpha=0.5)
    ax.plot(x, _of(rows, "conditional_bound_median_m"), ":", color=color, lw=1.4)


def _draw_marks(ax: Axes, x: FloatArray, rows: Sequence[SweepRow], color: str) -> None:
    """Over categories, between which there is nothing."""
    median_m, low_m, high_m = _band(rows)
    ends_m = (median_m - low_m, high_m - median_m)
    ax.errorbar(x, median_m, ends_m, fmt="o", color=color, ms=4.5, lw=1.6, capsize=2.5)
    ax.plot(x, _of(rows, "rmse_m"), "D", color=color, ms=4.0, mfc="none", alpha=0.5)
    ax.plot(x, _of(rows, "conditional_bound_median_m"), "_", color=color, ms=10.0, mew=1.4)


def _scale_numbers(ax: Axes, x: FloatArray) -> None:
    """The scale on which values are spread more evenly; ticks at the values, where they fit."""
    if x[0] > 0.0 and len(x) > 2 and _unevenness(np.log(x)) < _unevenness(x):
        ax.set_xscale("log")
    if len(x) <= _MOST_TICKS:
        ax.set_xticks(x, [f"{value:g}" for value in x])
        ax.xaxis.set_minor_locator(NullLocator())


def _unevenness(x: FloatArray) -> float:
    steps = np.diff(x)
    return float(np.std(steps) / np.mean(steps)) if np.all(steps) else 0.0


def _scale_errors(ax: Axes, rows: Sequence[SweepRow]) -> None:
    """Decades, or from zero where errors are much alike."""
    names = (
        "median_m", "median_low_m", "median_high_m", "rmse_m", "conditional_bound_median_m",
    )  # fmt: skip
    found_m = np.concatenate([_of(rows, name) for name in names])
    found_m = found_m[np.isfinite(found_m) & (found_m > 0.0)]
    if not len(found_m) or found_m.max() < _LEAST_LOG_RATIO * found_m.min():
        ax.set_ylim(0.0, 1.2 * float(found_m.max(initial=1e-3)))
    else:
        decades = math.log10(found_m.max() / found_m.min())
        ax.set_yscale("log")
        ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if decades < 2.0 else (1.0,)))
        ax.yaxis.set_minor_formatter(NullFormatter())
        ax.set_ylim(found_m.min() / 1.4, found_m.max() * 1.4)
    ax.yaxis.set_major_formatter(EngFormatter("m"))


def _draw_key(figure: Figure, curves: Sequence[_Curve], rows: Sequence[SweepRow]) -> None:
    is_line = all(_is_number(row.values[0]) for row in rows)
    styles: list[dict[str, Any]] = (
        [{"marker": "o", "ms": 3.5}, {"ls": "--", "alpha": 0.5}, {"ls": ":"}]
        if is_line
        else [
            {"marker": "o", "ls": ""}, {"marker": "D", "ls": "", "mfc": "none", "alpha": 0.5},
            {"marker": "_", "ls": "", "ms": 10.0},
        ]
    )  # fmt: skip
    names = ("median, 90 % band", "RMSE", "median bound of what was sensed")
    colours = [Line2D([], [], color=curve.color, lw=4.0, label=curve.label) for curve in curves]
    marks = [
        Line2D([], [], color="0.25", label=name, **style)
        for name, style in zip(names, styles, strict=True)
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=3, frameon=False)
    if len(colours) > 1:
        figure.legend(handles=colours, loc="outside upper center", ncols=4, frameon=False)
