"""Figure of runtimes until convergence: single-link sensing beside selection of nodes."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from testbed.paper.runtimes import StageTimes

_STAGES = (("sensing_s", "single-link sensing", "#0072B2"),
           ("selection_s", "selection of nodes", "#D55E00"))  # fmt: skip
_PANELS = {"literal": "literal evaluation", "ours": "ours"}
_STYLE: Any = {"font.size": 8.0, "axes.titlesize": 8.5, "text.parse_math": False}
_WIDTH = 0.4
# Room for numbers above the highest bars, and the least that a bar is high, as ratios.
_ABOVE, _BELOW = 2.5, 2.0


def runtimes_figure(rows: Sequence[StageTimes]) -> Figure:
    """One panel an evaluation, of one scale: milliseconds by elements and receivers.

    Times are until convergence, above zero.

    The axis is logarithmic, on which the stages of one bar would not add up: they are side by side.
    """
    shown = [name for name in _PANELS if any(row.evaluation == name for row in rows)]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(4.6 * len(shown), 3.2), dpi=150, layout="constrained")
        axes = figure.subplots(1, len(shown), squeeze=False, sharey=True)[0]
        for ax, name in zip(axes, shown, strict=True):
            _draw(ax, [row for row in rows if row.evaluation == name])
            ax.set_title(_PANELS[name])
        times_ms = [1e3 * getattr(row, field) for row in rows for field, *_ in _STAGES]
        axes[0].set_ylim(min(times_ms) / _BELOW, max(times_ms) * _ABOVE)
        axes[0].set_ylabel("time until convergence (ms)")
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(handles))
    return figure


def _draw(ax: Axes, rows: Sequence[StageTimes]) -> None:
    ax.set_yscale("log")
    places = np.arange(len(rows))
    for side, (field, label, color) in zip((-0.5, 0.5), _STAGES, strict=True):
        times_ms = [1e3 * getattr(row, field) for row in rows]
        bars = ax.bar(places + side * _WIDTH, times_ms, _WIDTH, color=color, label=label)
        # Three digits where they are after the point, all of them before it.
        texts = [f"{time:.3g}" if time < 100.0 else f"{time:.0f}" for time in times_ms]
        ax.bar_label(bars, texts, padding=1.5, fontsize=6.5)
    ax.set_xticks(places, [f"{row.num_elements} × {row.num_receivers}" for row in rows])
    ax.set_xlabel("elements × receivers")
    ax.tick_params(axis="x", length=0)
    ax.set_axisbelow(True)
    ax.grid(axis="y", lw=0.4, color="0.88")
