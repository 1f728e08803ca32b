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

# From Okabe and Ito's palette, which the usual kinds of colour blindness tell apart.
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
_TRUTH_STYLE = {"marker": "o", "mfc": "none", "mec": _TRUTH, "ms": 11.0, "mew": 1.8, "ls": ""}
_FOUND_STYLE = {"marker": "x", "mec": "black", "ms": 7.0, "mew": 1.8, "ls": ""}
_ECHO_STYLE = {"marker": "D", "mfc": "none", "mec": "black", "ms": 6.0, "mew": 1.2, "ls": ""}
_LEAST_SPAN_DB, _HEADROOM_DB = 30.0, 10.0
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
        After its run; its belief and its nodes are drawn.
    records
        What `localization` yielded, at least one.
    processors
        Those of the run; they make the maps again from the recorded captures.
    """
    target_m = simulation.target_m
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(14.0, 7.4), dpi=150)
        cells = figure.add_gridspec(
            2, 4, width_ratios=(2.35, 1.25, 1.6, 0.06), wspace=0.3, hspace=0.3,
            left=0.045, right=0.945, bottom=0.075, top=0.875,
        )  # fmt: skip
        figure.suptitle(_headline(site, records, simulation), fontsize=13.0, y=0.965)
        belief = _draw_plan(figure.add_subplot(cells[:, 0]), site, localization, records, target_m)
        _draw_zoom(figure.add_subplot(cells[0, 1]), records, target_m)
        key = figure.add_subplot(cells[1, 1])
        _draw_key(key)
        bar = figure.colorbar(belief, cax=key.inset_axes((0, 0, 1, 0.04)), orientation="horizontal")
        bar.set_label("belief in a cell, relative to its peak")
        bar.set_ticks([1e-9, 1e-6, 1e-3, 1.0], labels=["≤ 1e-9", "1e-6", "1e-3", "1"])
        pair = figure.add_subplot(cells[0, 2]), figure.add_subplot(cells[1, 2])
        power = _draw_maps(pair, localization, records[-1], processors, target_m)
        if power is not None:
            bar = figure.colorbar(power, cax=figure.add_subplot(cells[:, 3]), extend="both")
            bar.set_label("power over the noise floor (dB)")
    return figure


def _headline(site: Site, records: Sequence[SensingRecord], simulation: Simulation) -> str:
    estimate = records[-1].estimate
    error_m = float(np.hypot(*(estimate.position_m - simulation.target_m)))
    return (
        f"{site.name}, seed {simulation.seed}: {estimate.status} after {len(records)} "
        f"sensing{'s' if len(records) > 1 else ''}, error {_length(error_m)} "
        f"(95 % radius {_length(estimate.radius_95_m)})"
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
) -> AxesImage:
    """Draw the hall with all that was sensed; the belief's image."""
    nodes = localization.network.nodes
    place_m = np.array([node.pose.position_m for node in nodes])
    low = np.minimum(place_m.min(axis=0), site.area_m[:2])
    high = np.maximum(place_m.max(axis=0), site.area_m[2:])
    span_m = float(np.max(high - low))
    ax.set(
        xlim=(low[0] - 0.04 * span_m, high[0] + 0.04 * span_m), xlabel="x (m)", aspect="equal",
        ylim=(low[1] - 0.04 * span_m, high[1] + 0.04 * span_m), ylabel="y (m)",
    )  # fmt: skip
    image = _draw_belief(ax, localization)
    radius_m = span_m * min(0.035, 0.25 / np.sqrt(len(nodes)))
    _draw_fields_of_view(ax, nodes, records[-1].config.rx_ids, radius_m)
    ax.scatter(*place_m.T, s=9, color=_NODE, zorder=2)
    legs = _draw_links(ax, localization, records)
    _draw_estimate(ax, records[-1].estimate, target_m, np.zeros(2), 1.0)
    used = {i for record in records for i in (record.config.tx_id, *record.config.rx_ids)}
    labels = [(_short(n.node_id), n.pose.position) for n in nodes if n.node_id in used]
    _draw_labels(ax, labels, [*legs, target_m])
    return image


def _draw_belief(ax: Axes, localization: Localization) -> AxesImage:
    grid = localization.controller.belief.grid
    relative = grid.cell_probability().reshape(grid.shape).T
    x_min, y_min, x_max, y_max = grid.area_m
    outline = Rectangle((x_min, y_min), x_max - x_min, y_max - y_min, fill=False, ls="--")
    ax.add_patch(outline)
    return ax.imshow(
        np.maximum(relative / relative.max(), _LEAST_BELIEF), norm=LogNorm(_LEAST_BELIEF, 1.0),
        extent=(x_min, x_max, y_min, y_max), origin="lower", cmap=_BELIEF, zorder=0,
    )  # fmt: skip


def _draw_fields_of_view(
    ax: Axes, nodes: Sequence[Node], listening: Sequence[str], radius_m: float
) -> None:
    """Draw what nodes see; larger and in the receivers' colour for those of the last sensing."""
    for is_listening, color, alpha in ((False, _NODE, 0.16), (True, _RX, 0.4)):
        group = [node for node in nodes if (node.node_id in listening) == is_listening]
        size_m = 1.7 * radius_m if is_listening else radius_m
        patches = [_field_of_view(node, size_m) for node in group]
        ax.add_collection(PatchCollection(patches, color=color, alpha=alpha, lw=0, zorder=1))


def _field_of_view(node: Node, radius_m: float) -> Patch:
    pattern = node.receive_pattern
    if pattern.kind == "omnidirectional":
        return Circle(node.pose.position_m, radius_m)
    middle, half = np.rad2deg((node.pose.boresight_rad, pattern.field_of_view_rad / 2.0))
    return Wedge(node.pose.position_m, radius_m, middle - half, middle + half)


def _draw_links(
    ax: Axes, localization: Localization, records: Sequence[SensingRecord]
) -> list[FloatArray]:
    """Draw each echo's two legs, the last sensing's strong; points along them."""
    nodes, index = localization.network.nodes, localization.network.index
    over_m = records[-1].estimate.position_m
    along = np.linspace(0.0, 1.0, 30)[:, None]
    points: list[FloatArray] = []
    for age, record in enumerate(reversed(records)):
        alpha, width, size = (0.95, 2.2, 9.0) if age == 0 else (max(0.5 - 0.06 * age, 0.2), 1.1, 7)
        heard = {report.rx_id: bool(report.hypotheses) for report in record.reports}
        ends = [(record.config.tx_id, _TX, "^", any(heard.values()))]
        ends += [(rx_id, _RX, "s", heard[rx_id]) for rx_id in record.config.rx_ids]
        for node_id, color, marker, is_heard in ends:
            end_m = nodes[index[node_id]].pose.position
            ax.plot(
                *np.stack((end_m, over_m)).T, color=color, alpha=alpha, lw=width,
                ls="-" if is_heard else ":", zorder=3 - 0.01 * age,
            )  # fmt: skip
            ax.plot(
                *end_m,
                marker,
                ms=size,
                mfc=color if age == 0 else "white",
                mec=color,
                zorder=5 - 0.01 * age,
            )
            points.extend(end_m + along * (over_m - end_m))
    return points


def _draw_labels(
    ax: Axes, labels: Sequence[tuple[str, FloatArray]], obstacles: Sequence[FloatArray]
) -> None:
    """Write each label at that side of its place where the nearest obstacle is farthest."""
    low, high = np.transpose((ax.get_xlim(), ax.get_ylim()))
    box_points = np.array((ax.bbox.width, ax.bbox.height)) * 72.0 / ax.figure.dpi
    per_point = float(np.max((high - low) / box_points))
    turn = np.linspace(0.0, 2.0 * np.pi, 16, endpoint=False)
    ring = np.stack((np.cos(turn), np.sin(turn)), axis=-1)
    taken = [*obstacles, *(place for _, place in labels)]
    for label, place in labels:
        half = np.array((3.0 * len(label) + 1.0, 6.0)) * per_point
        spots = place + ring * (half + 6.0 * per_point)
        room = np.max(np.abs(spots[:, None] - np.array(taken)) / half, axis=-1).min(axis=-1)
        outside = np.any((spots - half < low) | (spots + half > high), axis=-1)
        spot = spots[int(np.argmax(np.minimum(room, 2.0) - 9.0 * outside))]
        taken.append(spot)
        ax.text(*spot, label, ha="center", va="center", path_effects=_HALO, zorder=7)


def _draw_estimate(
    ax: Axes, estimate: PositionEstimate, target_m: FloatArray, origin_m: FloatArray, per_m: float
) -> None:
    """Draw estimate, its 95 % ellipse and the truth, `per_m` units a metre from an origin."""
    at = (estimate.position_m - origin_m) * per_m
    variance, axes = np.linalg.eigh(estimate.covariance_m2)
    minor, major = 2.0 * per_m * np.sqrt(np.maximum(variance, 0.0))
    angle_deg = float(np.rad2deg(np.arctan2(axes[1, 1], axes[0, 1])))
    for chi2, style in ((CHI2_95, "-"), (CHI2_50, "--")):
        k = np.sqrt(chi2)
        ax.add_patch(
            Ellipse(at, k * major, k * minor, angle=angle_deg, fill=False, ls=style, zorder=5)
        )
    ax.plot(*((target_m - origin_m) * per_m), **_TRUTH_STYLE)
    ax.plot(*at, **_FOUND_STYLE)


def _draw_zoom(ax: Axes, records: Sequence[SensingRecord], target_m: FloatArray) -> None:
    """Draw what is around the estimate, in a unit in which it reads well."""
    last = records[-1].estimate
    error = target_m - last.position_m
    error_m, radius_m = float(np.hypot(*error)), last.radius_95_m
    half_m = 1.3 * max(radius_m, min(error_m, _MAX_ZOOM_RADII * radius_m))
    unit, per_m = _unit(half_m)
    half = half_m * per_m
    ax.set(
        xlim=(-half, half), ylim=(-half, half), aspect="equal", title="Around the estimate",
        xlabel=f"x from the estimate ({unit})", ylabel=f"y from the estimate ({unit})",
    )  # fmt: skip
    ax.locator_params(nbins=5)
    ax.grid(lw=0.4, color="0.88")
    ax.set_axisbelow(True)
    _draw_estimate(ax, last, target_m, last.position_m, per_m)
    offsets = [(r.estimate.position_m - last.position_m) * per_m for r in records]
    shown = [(str(n), at) for n, at in enumerate(offsets, 1) if np.max(np.abs(at)) < half]
    for _, at in shown[:-1]:
        ax.plot(*at, "o", color=_NODE, ms=4.0)
    _draw_labels(ax, shown, [error * per_m])
    if error_m > half_m:
        tip = error * (0.95 * half / np.max(np.abs(error)))
        ax.annotate(
            f"truth {_length(error_m)} away", tip, 0.45 * tip, color=_TRUTH, ha="center",
            va="center", arrowprops={"arrowstyle": "->", "color": _TRUTH}, path_effects=_HALO,
        )  # fmt: skip


def _draw_key(ax: Axes) -> None:
    ax.set_axis_off()
    leg = {"lw": 2.2, "ms": 8.0}
    handles = [
        Line2D([], [], color=_TX, marker="^", **leg, label="transmitter and its leg"),
        Line2D([], [], color=_RX, marker="s", **leg, label="receiver and its leg"),
        Line2D(
            [],
            [],
            color=_RX,
            alpha=0.4,
            lw=1.1,
            marker="s",
            ms=7,
            mfc="w",
            label="... of earlier sensings",
        ),
        Line2D([], [], color=_TX, ls=":", lw=2.2, label="nothing detected"),
        Line2D([], [], **_FOUND_STYLE, label="estimate"),
        Line2D([], [], **_TRUTH_STYLE, label="truth"),
        Line2D([], [], color="black", label="95 % ellipse"),
        Line2D([], [], color="black", ls="--", label="50 % ellipse"),
        Line2D([], [], color=_NODE, marker="o", ms=4, ls="", label="estimate after that sensing"),
        Patch(color=_NODE, alpha=0.25, lw=0, label="node and its field of view"),
        Line2D([], [], mec="black", mfc="none", marker="D", ls="", label="detection"),
    ]
    ax.legend(handles=handles, loc="upper left", frameon=False, borderaxespad=0.0)


def _draw_maps(
    pair: Sequence[Axes],
    localization: Localization,
    record: SensingRecord,
    processors: Processors,
    target_m: FloatArray,
) -> AxesImage | None:
    """Draw the last sensing's first link before and after suppression; an image, if any."""
    nodes, index = localization.network.nodes, localization.network.index
    report, background = record.reports[0], record.backgrounds[0]
    tx, rx = nodes[index[report.tx_id]], nodes[index[report.rx_id]]
    processor = processors.of(rx)
    raw, clean = (
        processor.map_of(processor.residual(record.captures[0], b)) for b in (None, background)
    )
    top_db = max(
        _LEAST_SPAN_DB, 10.0 * np.log10(clean.power.max() / clean.noise_power) + _HEADROOM_DB
    )
    link = f"Link {_short(tx.node_id)} to {_short(rx.node_id)}"
    count = f"{len(report.hypotheses)} detected"
    titles = (
        f"{link} before background suppression",
        f"{link} after suppression: {count}"
        if background
        else f"{link} has no background: {count}",
    )
    for ax, found, title in zip(pair, (raw, clean), titles, strict=True):
        image = _draw_map(ax, found, 10.0 * np.log10(found.power / clean.noise_power), top_db)
        _draw_echoes(ax, report, tx, rx, target_m)
        ax.set_title(title)
    return image


def _draw_map(ax: Axes, found: PowerMap, power_db: FloatArray, top_db: float) -> AxesImage | None:
    """Draw a map, or the profile of a receiver with one element; the image, if it is one."""
    range_m = bistatic_range_m(found.plan)
    ax.set(xlabel="bistatic range (m)", xlim=(0.0, range_m[-1]))
    if len(power_db) == 1:
        ax.plot(range_m, power_db[0], color=_NODE, lw=1.0)
        ax.set(ylabel="power over the noise floor (dB)", ylim=(-10.0, top_db))
        return None
    angle_deg = np.rad2deg(found.plan.angle_grid_rad)
    half_m, half_deg = range_m[1] / 2.0, (angle_deg[1] - angle_deg[0]) / 2.0
    edges = (-half_m, range_m[-1] + half_m, angle_deg[0] - half_deg, angle_deg[-1] + half_deg)
    ax.set(ylabel="angle from boresight (°)", yticks=range(-90, 91, 30))
    return ax.imshow(
        power_db, extent=edges, origin="lower", aspect="auto", interpolation="nearest",
        cmap="viridis", vmin=0.0, vmax=top_db,
    )  # fmt: skip


def _draw_echoes(ax: Axes, report: LinkReport, tx: Node, rx: Node, target_m: FloatArray) -> None:
    """Mark what was detected, and where the target's echo must be."""
    delay_s = float(bistatic_delay_s(tx.pose.position_m, rx.pose.position_m, target_m))
    angle_rad = float(np.arcsin(np.sin(arrival_angle_rad(rx.pose, target_m))))
    for style, delay, angle in (
        (_TRUTH_STYLE, delay_s, angle_rad),
        *((_ECHO_STYLE, h.delay_s, h.angle_rad) for h in report.hypotheses),
    ):
        ax.plot(
            delay * SPEED_OF_LIGHT_M_PER_S,
            np.rad2deg(angle or 0.0),
            **style,
            path_effects=_HALO,
        )


def check_figure_path(path: Path) -> None:
    """Refuse a place where `save_figure` would fail, before a long run.

    Raises
    ------
    ValueError
        If the suffix names no known format.
    OSError
        If no file can be made there.
    """
    if path.suffix.lower() not in SUFFIXES:
        msg = f"{path}: a figure's name must end in {', '.join(SUFFIXES)}, got {path.suffix!r}"
        raise ValueError(msg)
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    with _temporary_beside(path) as temporary:
        temporary.touch()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format of its suffix: whole, or not at all.

    Raises
    ------
    ValueError, OSError
        As `check_figure_path`; and ``OSError`` if the disk fills up.
    """
    check_figure_path(path)
    with _temporary_beside(path) as temporary:
        figure.savefig(temporary, format=path.suffix[1:].lower())
        temporary.replace(path)


@contextmanager
def _temporary_beside(path: Path) -> Iterator[Path]:
    """Name of a file that is gone afterwards; errors name the path that it stands for."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        with suppress(OSError):
            temporary.unlink()
