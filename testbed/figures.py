"""Figure of a localization: floor plan, zoom on the estimate, maps of the last sensing."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

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
from fusion.grid import PositionGrid
from fusion.sensing import CHI2_50, CHI2_95, PositionEstimate
from processing.power_map import bistatic_range_m
from processing.report import LinkReport
from testbed.runs.localize import Localization, Processors, SensingRecord, Simulation
from testbed.site import Site

SUFFIXES = (".png", ".svg", ".pdf")

# From Okabe and Ito's palette, which the usual kinds of colour blindness tell apart.
_TX, _RX, _TRUTH, _NODE = "#D55E00", "#0072B2", "#B0307F", "#6F6F6F"
_BELIEF = LinearSegmentedColormap.from_list("belief", ["#FFFFFF", "#CDE8DC", "#4FB08C"])
_LEAST_BELIEF = 1e-9
# Names are free text: in them a dollar sign is a dollar sign.
_STYLE: Any = {"font.size": 9.0, "axes.titlesize": 10.0, "text.parse_math": False}
_TRUTH_MARK: Any = {"marker": "o", "mfc": "none", "mec": _TRUTH, "ms": 12.0, "mew": 1.8, "ls": ""}
_FOUND_MARK: Any = {"marker": "x", "mec": "black", "ms": 7.0, "mew": 1.8, "ls": ""}
_EARLIER_MARK: Any = {"marker": "o", "mfc": "white", "mec": "black", "ms": 4.0, "ls": ""}
_ECHO_MARK: Any = {"marker": "D", "mfc": "none", "mec": "black", "ms": 6.0, "mew": 1.2, "ls": ""}
_HALO = [withStroke(linewidth=2.5, foreground="white")]
_LEAST_TOP_DB, _HEADROOM_DB = 30.0, 10.0
# The zoom takes in what lies within this many radii; beyond, the ellipse would be a dot.
_ZOOM_RADII = 5.0


def localization_figure(
    site: Site,
    localization: Localization,
    records: Sequence[SensingRecord],
    simulation: Simulation,
    processors: Processors,
) -> Figure:
    """Floor plan, zoom on the estimate, and the last sensing's maps.

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
    nodes = {node.node_id: node for node in localization.network.nodes}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(14.0, 7.0), dpi=150)
        figure.suptitle(_headline(site, records, simulation), fontsize=13.0, y=0.965)
        plan = figure.add_axes((0.045, 0.07, 0.415, 0.83), anchor="NW")
        belief = _draw_belief(plan, localization.controller.belief.grid)
        _draw_plan(plan, nodes, records, target_m)
        _draw_zoom(figure.add_axes((0.525, 0.53, 0.17, 0.34), anchor="N"), records, target_m)
        _draw_key(figure.add_axes((0.5, 0.13, 0.2, 0.32)))
        bar = figure.add_axes((0.51, 0.105, 0.18, 0.015), xlabel="belief, relative to its peak")
        figure.colorbar(belief, cax=bar, orientation="horizontal")
        bar.set_xticks([1e-9, 1e-6, 1e-3, 1.0], ["≤ 1e-9", "1e-6", "1e-3", "1"])
        pair = [figure.add_axes((0.755, bottom, 0.18, 0.34)) for bottom in (0.53, 0.07)]
        power = _draw_maps(pair, nodes, records, processors, target_m)
        bar = figure.add_axes((0.945, 0.07, 0.01, 0.8))
        figure.colorbar(power, cax=bar, extend="both", label="power over the noise floor (dB)")
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


def _draw_belief(ax: Axes, grid: PositionGrid) -> AxesImage:
    x_min, y_min, x_max, y_max = grid.area_m
    ax.add_patch(Rectangle((x_min, y_min), x_max - x_min, y_max - y_min, fill=False, ls="--"))
    probability = grid.cell_probability().reshape(grid.shape).T
    return ax.imshow(
        np.maximum(probability / probability.max(), _LEAST_BELIEF), cmap=_BELIEF,
        norm=LogNorm(_LEAST_BELIEF, 1.0), extent=(x_min, x_max, y_min, y_max), origin="lower",
    )  # fmt: skip


def _draw_plan(
    ax: Axes, nodes: dict[str, Node], records: Sequence[SensingRecord], target_m: FloatArray
) -> None:
    """Draw nodes, what they see, links, estimate and truth over the belief."""
    place_m = np.array([node.pose.position_m for node in nodes.values()])
    low, high = np.transpose((ax.get_xlim(), ax.get_ylim()))
    low, high = np.minimum(low, place_m.min(axis=0)), np.maximum(high, place_m.max(axis=0))
    span_m = float(np.max(high - low))
    (x_low, y_low), (x_high, y_high) = low - 0.04 * span_m, high + 0.04 * span_m
    ax.set(xlim=(x_low, x_high), ylim=(y_low, y_high), xlabel="x (m)", ylabel="y (m)")
    listening = records[-1].config.rx_ids
    radius_m = span_m * min(0.035, 0.25 / np.sqrt(len(nodes)))
    for heard, color, alpha, factor in ((False, _NODE, 0.16, 1.0), (True, _RX, 0.4, 1.7)):
        group = [node for node in nodes.values() if (node.node_id in listening) == heard]
        patches = [_field_of_view(node, factor * radius_m) for node in group]
        ax.add_collection(PatchCollection(patches, color=color, alpha=alpha, lw=0))
    ax.plot(*place_m.T, ".", color=_NODE)
    legs = _draw_links(ax, nodes, records)
    _draw_estimate(ax, records[-1].estimate, target_m, np.zeros(2), 1.0)
    used = {i for record in records for i in (record.config.tx_id, *record.config.rx_ids)}
    _draw_labels(ax, [(_short(i), nodes[i].pose.position) for i in sorted(used)], legs)


def _field_of_view(node: Node, radius_m: float) -> Patch:
    pattern = node.receive_pattern
    if pattern.kind == "omnidirectional":
        return Circle(node.pose.position_m, radius_m)
    middle, half = np.rad2deg((node.pose.boresight_rad, pattern.field_of_view_rad / 2.0))
    return Wedge(node.pose.position_m, radius_m, middle - half, middle + half)


def _draw_links(
    ax: Axes, nodes: dict[str, Node], records: Sequence[SensingRecord]
) -> list[FloatArray]:
    """Draw each echo's two legs, the last sensing's strong; points along them."""
    over_m = records[-1].estimate.position_m
    points: list[FloatArray] = []
    for n, record in enumerate(records, 1):
        is_last, silent = n == len(records), {r.rx_id for r in record.reports if not r.hypotheses}
        line: Any = {"lw": 2.2} if is_last else {"lw": 1.1, "alpha": 0.15 + 0.35 * n / len(records)}
        ends = [(i, _RX, "s", i in silent) for i in record.config.rx_ids]
        ends.append((record.config.tx_id, _TX, "^", len(silent) == len(ends)))
        for node_id, color, marker, is_silent in ends:
            end_m = nodes[node_id].pose.position
            leg_m = end_m + np.linspace(0.0, 1.0, 30)[:, None] * (over_m - end_m)
            ax.plot(*leg_m[[0, -1]].T, color=color, ls=":" if is_silent else "-", zorder=2, **line)
            face, size = (color, 9.0) if is_last else ("white", 7.0)
            ax.plot(*end_m, marker, ms=size, mfc=face, mec=color, zorder=3)
            points.extend(leg_m)
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
        ax.text(spot[0], spot[1], label, ha="center", va="center", path_effects=_HALO, zorder=7)


def _draw_estimate(
    ax: Axes, estimate: PositionEstimate, target_m: FloatArray, origin_m: FloatArray, per_m: float
) -> None:
    """Draw estimate, ellipses and truth, in `per_m` units a metre from an origin."""
    x, y = (estimate.position_m - origin_m) * per_m
    variance, axes = np.linalg.eigh(estimate.covariance_m2)
    minor, major = 2.0 * per_m * np.sqrt(np.maximum(variance, 0.0))
    angle_deg = float(np.rad2deg(np.arctan2(axes[1, 1], axes[0, 1])))
    for k, line in ((np.sqrt(CHI2_95), "-"), (np.sqrt(CHI2_50), "--")):
        ellipse = Ellipse((x, y), k * major, k * minor, angle=angle_deg, fill=False, ls=line)
        ax.add_patch(ellipse).set_zorder(5)
    ax.plot(*((target_m - origin_m) * per_m), **_TRUTH_MARK, zorder=6)
    ax.plot(x, y, **_FOUND_MARK, zorder=6)


def _draw_zoom(ax: Axes, records: Sequence[SensingRecord], target_m: FloatArray) -> None:
    """Draw what is around the estimate, in a unit in which it reads well."""
    last = records[-1].estimate
    offsets_m = np.array([target_m, *(r.estimate.position_m for r in records)]) - last.position_m
    away_m = np.hypot(*offsets_m.T)
    reach_m = max(last.radius_95_m, *away_m[away_m < _ZOOM_RADII * last.radius_95_m])
    unit, per_m = _unit(1.25 * reach_m)
    half = 1.25 * reach_m * per_m
    ax.set(
        xlim=(-half, half), xlabel=f"x from the estimate ({unit})", title="Around the estimate",
        ylim=(-half, half), ylabel=f"y from the estimate ({unit})", aspect="equal",
    )  # fmt: skip
    ax.locator_params(nbins=5)
    ax.grid(lw=0.4, color="0.88")
    earlier = [
        (str(n), offsets_m[n] * per_m) for n in range(1, len(records)) if away_m[n] <= reach_m
    ]
    for _, at in earlier:
        ax.plot(*at, **_EARLIER_MARK, zorder=5)
    _draw_estimate(ax, last, target_m, last.position_m, per_m)
    _draw_labels(ax, earlier, [offsets_m[0] * per_m, np.zeros(2)])
    if away_m[0] > reach_m:
        x, y = offsets_m[0] * (0.95 * half / np.abs(offsets_m[0]).max())
        ax.annotate(
            f"truth {_length(away_m[0])} away", (x, y), (0.45 * x, 0.45 * y), color=_TRUTH,
            ha="center", arrowprops={"arrowstyle": "->", "color": _TRUTH}, path_effects=_HALO,
        )  # fmt: skip


def _draw_key(ax: Axes) -> None:
    ax.set_axis_off()
    entries: dict[str, dict[str, Any]] = {
        "transmitter and its leg": {"color": _TX, "marker": "^", "ms": 9.0, "lw": 2.2},
        "receiver and its leg": {"color": _RX, "marker": "s", "ms": 9.0, "lw": 2.2},
        "in an earlier sensing": {"color": _RX, "marker": "s", "mfc": "white", "lw": 1.1},
        "nothing detected": {"color": _RX, "ls": ":", "lw": 2.2},
        "estimate": _FOUND_MARK,
        "estimate after an earlier sensing": _EARLIER_MARK,
        "95 % ellipse": {"color": "black"},
        "50 % ellipse": {"color": "black", "ls": "--"},
        "truth": _TRUTH_MARK,
        "detection": _ECHO_MARK,
    }
    handles: list[Any] = [Line2D([], [], **entry, label=label) for label, entry in entries.items()]
    handles.append(Patch(color=_NODE, alpha=0.25, lw=0, label="receivers' field of view"))
    ax.legend(handles=handles, loc="upper left", frameon=False, borderaxespad=0.0)


def _draw_maps(
    pair: Sequence[Axes],
    nodes: dict[str, Node],
    records: Sequence[SensingRecord],
    processors: Processors,
    target_m: FloatArray,
) -> AxesImage:
    """Draw the last sensing's first link before and after suppression; the latter's image."""
    report, capture = records[-1].reports[0], records[-1].captures[0]
    background, processor = records[-1].backgrounds[0], processors.of(nodes[report.rx_id])
    raw, clean = (processor.map_of(processor.residual(capture, b)) for b in (None, background))
    peak_db = 10.0 * np.log10(clean.power.max() / clean.noise_power)
    after = "After suppression" if background else "No background, nothing suppressed"
    titles = "Before suppression", f"{after}: {len(report.hypotheses)} detected"
    link = f"sensing {len(records)}, {_short(report.tx_id)} to {_short(report.rx_id)}"
    for ax, found, title in zip(pair, (raw, clean), titles, strict=True):
        power_db = 10.0 * np.log10(found.power / clean.noise_power)
        range_m = bistatic_range_m(found.plan)
        image = ax.imshow(
            power_db, vmin=0.0, vmax=max(_LEAST_TOP_DB, peak_db + _HEADROOM_DB), aspect="auto",
            cmap="viridis", extent=(range_m[0], range_m[-1], -90.0, 90.0), origin="lower",
        )  # fmt: skip
        _draw_echoes(ax, nodes, report, target_m)
        ax.set(xlabel="bistatic range (m)", ylabel="angle from boresight (°)")
        ax.set(title=f"{title}\n{link}", yticks=range(-90, 91, 30))
    return image


def _draw_echoes(
    ax: Axes, nodes: dict[str, Node], report: LinkReport, target_m: FloatArray
) -> None:
    """Mark what was detected, as lines where there is no angle, and where the target is."""
    tx, rx = nodes[report.tx_id].pose, nodes[report.rx_id].pose
    true_m = SPEED_OF_LIGHT_M_PER_S * bistatic_delay_s(tx.position_m, rx.position_m, target_m)
    true_rad = np.arcsin(np.sin(arrival_angle_rad(rx, target_m)))
    ax.plot(true_m, np.rad2deg(true_rad), **_TRUTH_MARK, path_effects=_HALO)
    for hypothesis in report.hypotheses:
        range_m = SPEED_OF_LIGHT_M_PER_S * hypothesis.delay_s
        if hypothesis.angle_rad is None:
            ax.axvline(range_m, color="black", lw=1.2, path_effects=_HALO)
        else:
            ax.plot(range_m, np.rad2deg(hypothesis.angle_rad), **_ECHO_MARK, path_effects=_HALO)


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
