"""Figure of what each novelty is worth: errors of schemes that do without some of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from testbed.figures.error_curves import length_tick

_MEDIAN, _P95, _RMSE, _BAR = "#0072B2", "#E69F00", "#D55E00", "#6F6F6F"
_STYLE: Any = {"font.size": 8.5, "axes.titlesize": 9.0, "text.parse_math": False}


@dataclass(frozen=True, slots=True)
class WorthRow:
    """One scheme.

    Attributes
    ----------
    label
        What it has, or does without.
    median_m, p95_m, rmse_m
        Errors at its end.
    num_sensings
        On average.
    unresolved_pct
        Trials in which the target was not found.
    """

    label: str
    median_m: float
    p95_m: float
    rmse_m: float
    num_sensings: float
    unresolved_pct: float


def worth_figure(rows: Sequence[WorthRow]) -> Figure:
    """A line a scheme, top to bottom: its errors, its sensings, and how often it finds nothing."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.4, 0.34 * len(rows) + 1.3), dpi=150, layout="constrained")
        errors, sensings, unresolved = figure.subplots(1, 3, sharey=True, width_ratios=(2.6, 1, 1))
        at = np.arange(len(rows))
        for name, marker, color in (
            ("median", "o", _MEDIAN), ("p95", "s", _P95), ("rmse", "x", _RMSE),
        ):  # fmt: skip
            values_m = [getattr(row, f"{name}_m") for row in rows]
            label = {"median": "median", "p95": "95 %", "rmse": "RMSE"}[name]
            errors.plot(values_m, at, marker, color=color, label=label)
        errors.set(xscale="log", xlabel="error at the end", yticks=at)
        errors.xaxis.set_major_formatter(FuncFormatter(length_tick))
        errors.set_yticklabels([row.label for row in rows])
        errors.invert_yaxis()
        errors.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False)
        _bars(sensings, at, [row.num_sensings for row in rows], "sensings on average")
        _bars(unresolved, at, [row.unresolved_pct for row in rows], "not found (%)")
        for ax in (errors, sensings, unresolved):
            ax.grid(lw=0.4, color="0.88", axis="both" if ax is errors else "x")
            ax.set_axisbelow(True)
    return figure


def _bars(ax: Axes, at: np.ndarray, values: Sequence[float], label: str) -> None:
    ax.barh(at, values, height=0.55, color=_BAR)
    for y, value in zip(at, values, strict=True):
        ax.text(value, y, f" {value:.3g}", va="center", fontsize=7.5)
    ax.set(xlabel=label, xlim=(0.0, 1.25 * max([*values, 1e-3])))
