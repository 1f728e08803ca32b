"""Figure of a localization: floor plan, zoom on the estimate, maps of the last sensing."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PatchCollection
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Circle, Ellipse, Patch, Rectangle, Wedge
from matplotlib.patheffects import withStroke

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, FloatArray, arrival_angle_rad, bistatic_delay_s
from drivers.node import Node
from fusion.sensing import CHI2_50, CHI2_95, PositionEstimate
from processing.power_map import PowerMap, bistatic_range_m
from processing.report import LinkReport
from testbed.runs.localize import Localization, Processors, SensingRecord, Simulation
from testbed.site import Site

SUFFIXES = (".png", ".svg", ".pdf")

# Okabe and Ito's colours, which the usual kinds of colour blindness tell apart.
_TX, _RX, _TRUTH, _NODE = "#D55E00", "#0072B2", "#B0307F", "#6F6F6F"
_BELIEF = LinearSegmentedColormap.from_list("belief", ["#FFFFFF", "#D5ECE2", "#5FB796"])
_LEAST_BELIEF = 1e-9
_STYLE = {
    "font.size": 9.0,
    "axes.titlesize": 10.0,
    "axes.linewidth": 0.6,
    "text.parse_math": False,  # names are free text: a dollar sign is a dollar sign
}
_HALO = [withStroke(linewidth=2.5, foreground="white")]
_LEAST_SPAN_DB = 30.0
_HEADROOM_DB = 10.0
# The zoom reaches out to the truth only while the ellipse is still to be seen beside it.
_MAX_ZOOM_RADII = 6.0


def localization_figure(
    site: Site,
    localization: Localization,
    records: Sequence[SensingRecord],
    simulation: Simulation,
    processors: Processors,
) -> Figure:
    """Floor plan, zoom on the estimate, and the last sensing's map before and after suppression.

    Parameters
    ----------
    localization
        After its run; the belief and the surveyed nodes are drawn.
    records
        What `localization` yielded, at least one.
    processors
        Those of the run; they make the maps again from the recorded captures.
    """
    last = records[-1]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(14.0, 7.4), dpi=150)
        rows = figure.add_gridspec(
            2, 4, width_ratios=(2.35, 1.25, 1.6, 0.06), wspace=0.3, hspace=0.32,
            left=0.045, right=0.945, bottom=0.075, top=0.875,
        )  # fmt: skip
        figure.suptitle(_headline(site, records, simulation), fontsize=13.0, y=0.965)
        plan = figure.add_subplot(rows[:, 0])
        _draw_plan(plan, site, localization, records, simulation.target_m)
        _draw_zoom(figure.add_subplot(rows[0, 1]), records, simulation.target_m)
        _draw_legend(figure.add_subplot(rows[1, 1]))
        maps = figure.add_subplot(rows[0, 2]), figure.add_subplot(rows[1, 2])
        image = _draw_maps(maps, localization, last, processors, simulation.target_m)
        if image is not None:
            bar = figure.colorbar(image, cax=figure.add_subplot(rows[:, 3]), extend="both")
            bar.set_label("power over the noise floor (dB)")
    return figure


def _headline(site: Site, records: Sequence[SensingRecord], simulation: Simulation) -> str:
    estimate = records[-1].estimate
    error_m = float(np.hypot(*(estimate.position_m - simulation.target_m)))
    sensings = f"{len(records)} sensing" + ("s" if len(records) > 1 else "")
    return (
        f"{site.name}, seed {simulation.seed}: {estimate.status} after {sensings}, "
        f"error {_length(error_m)} (95 % radius {_length(estimate.radius_95_m)})"
    )


def _unit(length_m: float) -> tuple[str, float]:
    """Unit in which a length reads well, and how many of it make a metre."""
    if length_m < 0.1:
        return "mm", 1e3
    return ("cm", 1e2) if length_m < 1.0 else ("m", 1.0)


def _length(length_m: float) -> str:
    unit, per_m = _unit(length_m)
    return f"{length_m * per_m:.3g} {unit}"


def _short(name: str) -> str:
    return name if len(name) <= 12 else f"{name[:11]}…"


def _draw_plan(
    ax: Axes,
    site: Site,
    localization: Localization,
    records: Sequence[SensingRecord],
    target_m: FloatArray,
) -> None:
    x_min, y_min, x_max, y_max = site.area_m
    nodes = localization.network.nodes
    place_m = np.array([node.pose.position_m for node in nodes])
    low = np.minimum(place_m.min(axis=0), (x_min, y_min))
    high = np.maximum(place_m.max(axis=0), (x_max, y_max))
    margin = 0.03 * float(np.max(high - low))
    ax.set(
        xlim=(low[0] - margin, high[0] + margin), ylim=(low[1] - margin, high[1] + margin),
        xlabel="x (m)", ylabel="y (m)", aspect="equal", title="Floor plan",
    )  # fmt: skip
    _draw_belief(ax, localization)
    ax.add_patch(Rectangle((x_min, y_min), x_max - x_min, y_max - y_min, fill=False, ls="--"))
    radius_m = float(np.max(high - low)) * min(0.04, 0.25 / np.sqrt(len(nodes)))
    _draw_fields_of_view(ax, nodes, records[-1].config.rx_ids, radius_m)
    ax.scatter(*place_m.T, s=9, color=_NODE, zorder=3)
    obstacles = _draw_links(ax, localization, records)
    used = {i for record in records for i in (record.config.tx_id, *record.config.rx_ids)}
    labelled = {
        _short(node.node_id): node.pose.position for node in nodes if node.node_id in used
    }
    _draw_estimate(ax, records[-1].estimate, target_m)
    _draw_labels(ax, labelled, obstacles)


def _draw_belief(ax: Axes, localization: Localization) -> None:
    grid = localization.controller.belief.grid
    relative = grid.cell_probability().reshape(grid.shape)
    relative = relative / relative.max()
    x_min, y_min, x_max, y_max = grid.area_m
    image = ax.imshow(
        np.maximum(relative.T, _LEAST_BELIEF), norm=LogNorm(_LEAST_BELIEF, 1.0), cmap=_BELIEF,
        extent=(x_min, x_max, y_min, y_max), origin="lower", interpolation="nearest", zorder=0,
    )  # fmt: skip
    bar_ax = ax.inset_axes((0.0, -0.13, 1.0, 0.018))
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.colorbar(image, cax=bar_ax, orientation="horizontal")


def _draw_fields_of_view(
    ax: Axes, nodes: Sequence[Node], listening: Sequence[str], radius_m: float
) -> None:
    """Wedges of all nodes; those of the last sensing's receivers in the receivers' colour."""
    for is_listening, color, alpha in ((False, _NODE, 0.16), (True, _RX, 0.4)):
        group = [node for node in nodes if (node.node_id in listening) == is_listening]
        size_m = 1.6 * radius_m if is_listening else radius_m
        patches = [_field_of_view(node, size_m) for node in group]
        ax.add_collection(PatchCollection(patches, color=color, alpha=alpha, lw=0, zorder=1))


def _field_of_view(node: Node, radius_m: float) -> Patch:
    pattern = node.receive_pattern
    if pattern.kind == "omnidirectional":
        return Circle(node.pose.position_m, radius_m)
    middle, half = np.rad2deg((node.pose.boresight_rad, pattern.field_of_view_rad / 2.0))
    return Wedge(node.pose.position_m, radius_m, middle - half, middle + half)
