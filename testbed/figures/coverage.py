"""Coverage of a background dictionary: every pair of locations, and how good its entry is."""

from collections.abc import Iterable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from calibration.entry_checks import Link
from testbed.report.html import printable
from testbed.report.report import Report

_STYLE: Any = {"font.size": 9.0, "text.parse_math": False}
_CELL_IN, _LEAST_IN, _MARGIN_IN = 0.17, 3.0, 2.3
_EDGE = {"mec": "black", "mew": 0.7, "ls": ""}
# Shapes say it, colours only help; all are told apart in grey as well.
_MARKS: dict[str, dict[str, Any]] = {
    "missing": {"marker": "x", "mec": "0.45", "mew": 0.8, "ls": ""},
    "damaged": {"marker": "P", "mfc": "#D55E00", **_EDGE},
    "stale": {"marker": "s", "mfc": "#D55E00", **_EDGE},
    "drifting": {"marker": "^", "mfc": "white", **_EDGE},
    "suspicious": {"marker": "D", "mfc": "#E69F00", **_EDGE},
    "no absolute delay": {
        "marker": "o",
        "mfc": "none",
        "mec": "white",
        "mew": 1.0,
        "ls": "",
        "path_effects": [withStroke(linewidth=2.4, foreground="black")],
    },
}


def coverage_figure(report: Report) -> Figure:
    """Transmitters by receivers; colour is the entry's power over the noise of one capture."""
    names = report.facts.locations
    side_in = max(_LEAST_IN, _CELL_IN * len(names))
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(side_in + _MARGIN_IN + 0.7, side_in + 1.6), layout="constrained")
        ax = figure.subplots()
        _draw_power(figure, ax, report)
        _draw_marks(ax, report)
        _draw_names(ax, names)
    return figure


def _draw_power(figure: Figure, ax: Axes, report: Report) -> None:
    names = report.facts.locations
    place = {name: n for n, name in enumerate(names)}
    over_db = np.full((len(names), len(names)), np.nan)
    for (tx, rx), entry in report.facts.entries.items():
        found = entry.summary.power_over_noise_db
        over_db[place[tx], place[rx]] = np.nan if found is None else found
    known = over_db[np.isfinite(over_db)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    image = ax.imshow(over_db, cmap="viridis", vmin=low, vmax=max(high, low + 1.0))
    ax.plot(range(len(names)), range(len(names)), ".", color="0.8", ms=2.0)
    label = "entry's power over the noise\nof one capture (dB)"
    figure.colorbar(image, ax=ax, label=label, shrink=0.7)


def _draw_marks(ax: Axes, report: Report) -> None:
    names, facts = report.facts.locations, report.facts
    place = {name: n for n, name in enumerate(names)}
    at: dict[str, Iterable[Link]] = {
        "no absolute delay": report.angle_only,
        "suspicious": report.suspicious_links,
        "drifting": [entry.link for entry in facts.in_state("drifting")],
        "stale": [entry.link for entry in facts.in_state("stale")],
        "missing": facts.missing,
        "damaged": facts.damaged_links,
    }
    cell_points = 72.0 * max(_CELL_IN, _LEAST_IN / max(len(names), 1))
    size = float(np.clip(0.45 * cell_points, 3.0, 10.0))
    handles = []
    for kind, links in at.items():
        spots = np.array([(place[rx], place[tx]) for tx, rx in links]).reshape(-1, 2)
        if len(spots):
            grown = 1.5 if kind == "no absolute delay" else 1.0  # about the other marks
            ax.plot(*spots.T, **_MARKS[kind], ms=grown * size)
            handles.append(Line2D([], [], **_MARKS[kind], ms=7.0, label=f"{kind} ({len(spots)})"))
    if handles:
        ax.figure.legend(handles=handles, loc="outside upper left", ncols=3, frameon=False)


def _draw_names(ax: Axes, names: Sequence[str]) -> None:
    size = float(np.clip(72.0 * _CELL_IN * 0.55, 6.0, 9.0)) if len(names) > 12 else 9.0
    short = [shortened(name) for name in names]
    ax.set_xticks(range(len(names)), short, rotation=90, fontsize=size)
    ax.set_yticks(range(len(names)), short, fontsize=size)
    ax.set(xlabel="receiver at", ylabel="transmitter at")
    ax.tick_params(length=2.0)


def shortened(name: str, most: int = 14) -> str:
    """A name that fits beside a figure."""
    half, name = (most - 1) // 2, printable(name)
    return name if len(name) <= most else f"{name[:half]}…{name[-half:]}"
