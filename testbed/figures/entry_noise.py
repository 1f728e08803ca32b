"""Noise and stability of a dictionary's entries."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from testbed.figures.coverage import shortened
from testbed.report.facts import Link
from testbed.report.report import Report

_STYLE: Any = {"font.size": 9.0, "axes.titlesize": 9.5, "text.parse_math": False}
_ENTRY, _OUTLIER, _LINE = "#0072B2", "#D55E00", "#6F6F6F"
_STATES = {"valid": ("#0072B2", "o"), "drifting": ("#E69F00", "^"), "stale": ("#D55E00", "s")}
_MOST_NAMED = 8


def noise_figure(report: Report) -> Figure:
    """Noise of all entries over what is expected: its histogram, and beside power."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9.0, 3.4), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(1.0, 1.6))
        _draw_histogram(left, report)
        _draw_scatter(right, report)
    return figure


def _draw_histogram(ax: Axes, report: Report) -> None:
    noise = report.noise
    excess_db = np.array(list(noise.excess_db.values()))
    ax.hist(excess_db, bins=_bins(excess_db), color=_ENTRY)
    if excess_db.max() > 0.5 * noise.threshold_db:
        ax.axvline(noise.threshold_db, color=_OUTLIER, ls="--", lw=1.2)
    ax.set(xlabel="noise over expected (dB)", ylabel="number of entries")
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))


def _bins(values: np.ndarray) -> list[float]:
    """Edges a fifth of a decibel apart at least, forty at most."""
    low, high = np.floor(values.min() - 0.1), np.ceil(values.max() + 0.1)
    return list(np.linspace(low, high, int(np.clip((high - low) / 0.2, 5, 40)) + 1))


def _draw_scatter(ax: Axes, report: Report) -> None:
    noise, facts = report.noise, report.facts
    over_db: Mapping[Link, float] = noise.over_thermal_db or {
        link: entry.summary.noise_db
        for link, entry in facts.entries.items()
        if entry.summary.noise_db is not None
    }
    power_db = {link: facts.entries[link].summary.mean_power_db for link in over_db}
    links = [link for link in over_db if power_db[link] is not None]
    is_far = np.array([noise.excess_db.get(link, 0.0) > noise.threshold_db for link in links], bool)
    x, y = (np.array([value[link] for link in links], float) for value in (power_db, over_db))
    size = 12.0 if len(links) < 200 else 5.0
    ax.scatter(x[~is_far], y[~is_far], s=size, color=_ENTRY, lw=0)
    ax.scatter(x[is_far], y[is_far], s=30.0, color=_OUTLIER, marker="D", ec="black", lw=0.6)
    worst = sorted(np.flatnonzero(is_far), key=lambda n: -noise.excess_db[links[n]])[:_MOST_NAMED]
    for n in worst:
        name = " → ".join(shortened(end) for end in links[n])
        on_left = x[n] < 0.5 * (x.min() + x.max())
        ax.annotate(
            name, (x[n], y[n]), (6.0 if on_left else -6.0, 0.0), textcoords="offset points",
            ha="left" if on_left else "right", va="center", fontsize=8.0,
        )  # fmt: skip
    label = (
        "noise over link budget (dB)"
        if noise.over_thermal_db
        else "noise (dB, of the transmitted tone)"
    )
    ax.set(xlabel="mean power of the entry (dB, of the transmitted tone)", ylabel=label)
    if y.size and np.ptp(y) < 1.0:
        ax.set_ylim(y.mean() - 1.0, y.mean() + 1.0)
    ax.grid(lw=0.4, color="0.88")


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
            mine = [c for c in checks if c.state == state and c.change_snr_db is not None]
            count = sum(c.state == state for c in checks)
            x, y = [c.change_range_m for c in mine], [c.change_snr_db for c in mine]
            right.plot(x, y, marker, color=color, ms=5.0, mec="black", mew=0.4, ls="",
                       label=f"{state} ({count})")  # fmt: skip
        right.set(xlabel="bistatic range of the strongest change (m)", ylabel="its SNR (dB)")
        right.legend(frameon=False)
        right.grid(lw=0.4, color="0.88")
    return figure
