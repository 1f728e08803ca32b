"""Gain and phase of the elements of receiving arrays, as calibrated and as entries have them."""

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from drivers.geometry import FloatArray
from testbed.figures.coverage import shortened

_STYLE: Any = {"font.size": 8.5, "axes.titlesize": 8.5, "text.parse_math": False}
_GAIN, _PHASE = "#0072B2", "#D55E00"
_NUM_COLUMNS = 5
_LEAST_GAIN_DB, _LEAST_PHASE_DEG = 1.0, 5.0


def elements_figure(
    gain_db: Mapping[str, FloatArray], phase_deg: Mapping[str, FloatArray]
) -> Figure:
    """One small panel a receiver, all of one scale.

    Parameters
    ----------
    gain_db, phase_deg
        Of each element, shape ``(M,)``, by receiver; no phases where they are not known.
    """
    rows = -(-len(gain_db) // _NUM_COLUMNS)
    columns = -(-len(gain_db) // rows)
    limit_db = _limit(gain_db, _LEAST_GAIN_DB)
    limit_deg = _limit(phase_deg, _LEAST_PHASE_DEG)
    with mpl.rc_context(_STYLE):
        width_in, height_in = max(4.2, 1.8 * columns + 1.4), 1.35 * rows + 1.0
        figure = Figure(figsize=(width_in, height_in))
        # Margins as they are needed: a layout engine takes seconds for forty panels.
        figure.subplots_adjust(
            left=0.75 / width_in, right=1.0 - 0.75 / width_in, bottom=0.5 / height_in,
            top=1.0 - 0.6 / height_in, wspace=0.14, hspace=0.45,
        )  # fmt: skip
        axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for n, name in enumerate(gain_db):
            ax = axes[n // columns, n % columns]
            _draw(ax, gain_db[name], limit_db)
            ax.set_title(shortened(name, 18))
            if name in phase_deg:
                is_outer = n % columns == columns - 1
                _draw_phase(ax, phase_deg[name], limit_deg, is_labelled=is_outer)
            ax.tick_params(labelbottom=n + columns >= len(gain_db))
        for ax in axes.ravel()[len(gain_db) :]:
            ax.set_axis_off()
        figure.supxlabel("element")
        figure.supylabel("gain (dB)", color=_GAIN)
        _draw_key(figure, has_phase=bool(phase_deg))
    return figure


def _limit(values: Mapping[str, FloatArray], least: float) -> float:
    return max([least, *(1.1 * float(np.max(np.abs(value))) for value in values.values())])


def _draw(ax: Axes, gain_db: FloatArray, limit_db: float) -> None:
    index = np.arange(len(gain_db))
    ax.bar(index, gain_db, width=0.7, color=_GAIN, alpha=0.75)
    ax.axhline(0.0, color="0.5", lw=0.6)
    ax.set_ylim(-limit_db, limit_db)
    ax.xaxis.set_major_locator(MaxNLocator(6, integer=True))


def _draw_phase(ax: Axes, phase_deg: FloatArray, limit_deg: float, *, is_labelled: bool) -> None:
    twin = ax.twinx()
    twin.plot(np.arange(len(phase_deg)), phase_deg, "D", ms=3.5, color=_PHASE, mec="black", mew=0.4)
    twin.set_ylim(-limit_deg, limit_deg)
    twin.tick_params(labelright=is_labelled)
    if is_labelled:
        twin.set_ylabel("phase (°)", color=_PHASE)


def _draw_key(figure: Figure, *, has_phase: bool) -> None:
    handles = [Line2D([], [], color=_GAIN, lw=6.0, alpha=0.75, label="gain (left, dB)")]
    if has_phase:
        mark: Any = {"marker": "D", "ls": "", "color": _PHASE, "mec": "black", "mew": 0.4}
        handles.append(Line2D([], [], **mark, label="phase (right, degrees)"))
    figure.legend(handles=handles, loc="upper left", ncols=2, frameon=False)
