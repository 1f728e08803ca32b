"""Noise and stability of a dictionary's entries."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from drivers.geometry import FloatArray
from testbed.figures.coverage import shortened
from testbed.report.report import Report

_STYLE: Any = {"font.size": 9.0, "axes.titlesize": 9.5, "text.parse_math": False}
_ENTRY, _OUTLIER, _LINE = "#0072B2", "#D55E00", "#6F6F6F"
_STATES = {"valid": ("#0072B2", "o"), "drifting": ("#E69F00", "^"), "stale": ("#D55E00", "s")}
_MOST_NAMED = 8
# Shares of the axes that a name takes.
_ROOM_X, _ROOM_Y = 0.3, 0.06


def noise_figure(report: Report) -> Figure:
    """Noise of all entries over what is expected: its histogram, and beside power."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.0, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.0, 2.2), sharey=True)
        _draw_histogram(left, report)
        _draw_scatter(right, report)
    return figure


def _draw_histogram(ax: Axes, report: Report) -> None:
    excess_db = np.array(list(report.noise.excess_db.values()))
    ax.hist(excess_db, bins=_bins(excess_db), color=_ENTRY, orientation="horizontal")
    ax.set(ylabel="noise over expected (dB)", xlabel="number of entries")
    ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))


def _bins(values: np.ndarray) -> list[float]:
    """Edges a fifth of a decibel apart at least, forty at most."""
    low, high = np.floor(values.min() - 0.1), np.ceil(values.max() + 0.1)
    return list(np.linspace(low, high, int(np.clip((high - low) / 0.2, 5, 40)) + 1))


def _draw_scatter(ax: Axes, report: Report) -> None:
    noise, entries = report.noise, report.facts.entries
    links = [link for link in noise.excess_db if entries[link].summary.mean_power_db is not None]
    x = np.array([entries[link].summary.mean_power_db for link in links], float)
    y = np.array([noise.excess_db[link] for link in links])
    is_far = y > noise.threshold_db
    ax.scatter(x[~is_far], y[~is_far], s=12.0 if len(links) < 200 else 5.0, color=_ENTRY, lw=0)
    ax.scatter(x[is_far], y[is_far], s=30.0, color=_OUTLIER, marker="D", ec="black", lw=0.6)
    ax.axhline(noise.threshold_db, color=_OUTLIER, ls="--", lw=1.2, label="suspicious above")
    ax.axhline(0.0, color=_LINE, lw=0.6)
    worst = sorted(np.flatnonzero(is_far).tolist(), key=lambda n: -y[n])
    _name(ax, x, y, {n: " → ".join(shortened(end) for end in links[n]) for n in worst})
    ax.set(xlabel="mean power of the entry (dB, of the transmitted tone)")
    ax.legend(loc="best", frameon=False)
    ax.grid(lw=0.4, color="0.88")


def _name(ax: Axes, x: FloatArray, y: FloatArray, names: Mapping[int, str]) -> None:
    """Write names beside points, the first ones first, as far as there is room."""
    width, height = np.ptp(ax.get_xlim()), np.ptp(ax.get_ylim())
    named: list[int] = []
    for n, name in names.items():
        is_free = all(
            abs(x[n] - x[m]) > _ROOM_X * width or abs(y[n] - y[m]) > _ROOM_Y * height for m in named
        )
        if not is_free or len(named) == _MOST_NAMED:
            continue
        named.append(n)
        on_left = x[n] < np.mean(ax.get_xlim())
        ax.annotate(
            name, (x[n], y[n]), (6.0 if on_left else -6.0, 0.0), textcoords="offset points",
            ha="left" if on_left else "right", va="center", fontsize=8.0,
        )  # fmt: skip


def stability_figure(report: Report) -> Figure:
    """What the last check found: noise left over expected, and the change that it saw."""
    checks = [e.check for e in report.facts.entries.values() if e.check is not None]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.0, 3.0), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.6))
        known = [c for c in checks if c.noise_db is not None]
        noise_db = np.array([c.noise_db for c in known], float)
        if noise_db.size:
            bins = _bins(noise_db)
            split = [noise_db[[c.state == state for c in known]] for state in _STATES]
            colors = [color for color, _ in _STATES.values()]
            left.hist(split, bins=bins, stacked=True, color=colors)
        left.set(xlabel="noise left over expected (dB)", ylabel="number of entries")
        left.yaxis.set_major_locator(MaxNLocator(integer=True))
        for state, (color, marker) in _STATES.items():
            mine = [c for c in checks if c.state == state and c.change_range_m is not None]
            count = sum(c.state == state for c in checks)
            x, y = [c.change_range_m for c in mine], [c.change_snr_db for c in mine]
            right.plot(x, y, marker, color=color, ms=5.0, mec="black", mew=0.4, ls="",
                       label=f"{state} ({count})")  # fmt: skip
        if not any(c.change_snr_db is not None for c in checks):
            right.text(0.5, 0.5, "no change was seen", ha="center", transform=right.transAxes)
        right.set(xlabel="bistatic range of the strongest change (m)", ylabel="its SNR (dB)")
        right.legend(frameon=False)
        right.grid(lw=0.4, color="0.88")
    return figure
