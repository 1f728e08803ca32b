"""Figure of growth: time and memory over sizes, with what the mathematics allows."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from testbed.bench.growth import Curve

_TIME, _MEMORY, _ALLOWED = "#0072B2", "#D55E00", "#6F6F6F"
_STYLE: Any = {"font.size": 8.0, "axes.titlesize": 8.5, "text.parse_math": False}
_NUM_COLUMNS = 4


def growth_figure(curves: Sequence[Curve]) -> Figure:
    """One panel a curve: time in milliseconds and peak memory in megabytes over one size."""
    num_rows = -(-len(curves) // _NUM_COLUMNS)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(3.4 * _NUM_COLUMNS, 2.9 * num_rows), dpi=150, layout="constrained")
        axes = np.atleast_2d(figure.subplots(num_rows, _NUM_COLUMNS, squeeze=False)).ravel()
        for ax, curve in zip(axes, curves, strict=False):
            _draw(ax, curve)
        for ax in axes[len(curves) :]:
            ax.set_axis_off()
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper center", ncols=len(handles))
    return figure


def _draw(ax: Axes, curve: Curve) -> None:
    sizes, time_ms = np.array(curve.sizes), 1e3 * np.array(curve.time_s)
    ax.plot(sizes, time_ms, "o-", color=_TIME, label="time (ms)")
    memory_mb = np.array(curve.peak_memory_bytes) / 1e6
    ax.plot(sizes, np.where(memory_mb > 0.0, memory_mb, np.nan), "s-", color=_MEMORY,
            label="peak memory (MB)")  # fmt: skip
    allowed_ms = time_ms[-1] * (sizes / sizes[-1]) ** curve.expected_exponent
    ax.plot(sizes, allowed_ms, ":", color=_ALLOWED, label="the mathematics' growth of time")
    shown = np.concatenate((time_ms, memory_mb[memory_mb > 0.0]))
    low, high = np.floor(np.log10(shown.min())), np.ceil(np.log10(shown.max()))
    ax.set(xscale="log", yscale="log", xlabel=curve.against, ylim=10.0 ** np.array((low, high)))
    ax.set_xticks(sizes, [f"{size}" for size in sizes])
    ax.minorticks_off()
    ax.grid(lw=0.4, color="0.88")
    measured = f"time {curve.time_exponent:.2f}, mathematics {curve.expected_exponent:.3g}"
    ax.set_title(f"{curve.work}\nexponents: {measured}")
