"""Figure of errors over symbols spent: schemes with their bands, bounds, published values."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

Line = Literal["solid", "dashed", "dotted"]
_STYLE: Any = {"font.size": 8.5, "axes.titlesize": 9.0, "text.parse_math": False}
# From the least value that is shown to the largest, in metres.
_WIDEST_M = 5e-4, 300.0


@dataclass(frozen=True, slots=True)
class Curve:
    """One scheme or bound.

    Attributes
    ----------
    label, color, line
        How it looks; curves of one label share an entry of the legend.
    x
        Shape ``(X,)``.
    value_m, low_m, high_m
        With the ends of its band, in metres; no band where these are empty.
    published
        Values of the paper in metres, by `x`.
    """

    label: str
    color: str
    line: Line
    x: Sequence[int]
    value_m: Sequence[float]
    low_m: Sequence[float] = ()
    high_m: Sequence[float] = ()
    published: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Panel:
    """Curves that share axes."""

    title: str
    curves: Sequence[Curve]


def error_curves_figure(
    panels: Sequence[Panel], x_label: str, y_label: str, num_columns: int = 2
) -> Figure:
    """Panels in rows, on one logarithmic scale."""
    num_rows = -(-len(panels) // num_columns)
    size = 9.4, 0.9 + (3.6 if num_rows == 1 else 2.6) * num_rows
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        grid = figure.subplots(num_rows, num_columns, squeeze=False, sharey=True, sharex=True)
        axes = grid.ravel()
        for ax, panel in zip(axes, panels, strict=True):
            for curve in panel.curves:
                _draw(ax, curve)
            ax.set(title=panel.title, yscale="log")
            ax.grid(lw=0.4, color="0.88")
        axes[0].set(ylim=_limits_m(panels))
        axes[0].yaxis.set_major_formatter(FuncFormatter(length_tick))
        for ax in grid[-1]:
            ax.set_xlabel(x_label)
        for ax in grid[:, 0]:
            ax.set_ylabel(y_label)
        handles = {
            label: handle
            for ax in axes
            for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)
        }
        figure.legend(
            handles.values(), handles.keys(), loc="outside lower center", ncols=5, frameon=False
        )
    return figure


def _draw(ax: Axes, curve: Curve) -> None:
    x = np.asarray(curve.x)
    marker = "o" if curve.line == "solid" else ""
    ax.plot(
        x, curve.value_m, marker=marker, ms=3.0, lw=1.3, ls=curve.line, color=curve.color,
        label=curve.label,
    )  # fmt: skip
    if len(curve.low_m):
        ax.fill_between(x, curve.low_m, curve.high_m, color=curve.color, alpha=0.18, lw=0)
    if curve.published:
        ax.plot(
            list(curve.published), list(curve.published.values()), ls="", marker="x", ms=6.0,
            mew=1.4, color=curve.color,
        )  # fmt: skip


def _limits_m(panels: Sequence[Panel]) -> tuple[float, float]:
    values = np.concatenate(
        [[*curve.value_m, *curve.published.values()] for panel in panels for curve in panel.curves]
    )
    low, high = np.clip((values.min() / 1.5, values.max() * 1.5), *_WIDEST_M)
    return float(low), float(high)


def length_tick(value_m: float, _position: object) -> str:
    """A length in the unit that suits it, for axes of lengths."""
    if value_m >= 1.0:
        return f"{value_m:g} m"
    return f"{1e2 * value_m:g} cm" if value_m >= 0.01 else f"{1e3 * value_m:g} mm"
