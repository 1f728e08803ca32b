"""Figure of a localization: floor plan, zoom on the estimate, maps of the last sensing."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, LogNorm
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle, Wedge
from matplotlib.patheffects import withStroke

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, FloatArray, arrival_angle_rad, bistatic_delay_s
from drivers.node import Node
from fusion.grid import PositionGrid
from fusion.sensing import CHI2_50, CHI2_95, PositionEstimate
from processing.power_map import bistatic_range_m
from processing.report import LinkReport
from testbed.runs.links import Processors
from testbed.runs.localize import Localization, Scene, SensingRecord
from testbed.site import Site

_Nodes = dict[str, Node]
_Records = Sequence[SensingRecord]

# From Okabe and Ito's palette, which the usual kinds of colour blindness tell apart.
_TX, _RX, _TRUTH, _NODE = "#D55E00", "#0072B2", "#B0307F", "#6F6F6F"
_BELIEF = LinearSegmentedColormap.from_list("belief", ["#FFFFFF", "#D8EDE4", "#6FC0A0"])
_LEAST_BELIEF = 1e-9
# Names are free text: in them a dollar sign is a dollar sign.
_STYLE: Any = {"font.size": 9.0, "axes.titlesize": 9.5, "text.parse_math": False}
_TRUTH_MARK: Any = {"marker": "o", "mfc": "none", "mec": _TRUTH, "ms": 12.0, "mew": 1.8, "ls": ""}
_FOUND_MARK: Any = {"marker": "x", "mec": "black", "ms": 7.0, "mew": 1.8, "ls": ""}
_EARLIER_MARK: Any = {"marker": "o", "mfc": "white", "mec": "black", "ms": 4.0, "ls": ""}
_ECHO_MARK: Any = {"marker": "D", "mfc": "none", "mec": "black", "ms": 6.0, "mew": 1.2, "ls": ""}
_HALO = [withStroke(linewidth=2.5, foreground="white")]


def localization_figure(
    site: Site, localization: Localization, records: _Records,
    scene: Scene, processors: Processors,
) -> Figure:  # fmt: skip
    """Floor plan, zoom on the estimate, and the last sensing's maps.

    `localization` and `processors` are those of the run, `records` all that it yielded, at least
    one; the maps are made again from the recorded captures.
    """
    # What is not known has no place: matplotlib draws nothing at NaN.
    target_m = np.full(2, np.nan) if scene.target_m is None else scene.target_m
    nodes = {node.node_id: node for node in localization.network.nodes}
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(14.0, 7.0), dpi=150)
        figure.suptitle(_headline(site, records, scene), fontsize=12.0, y=0.985)
        plan = figure.add_axes((0.045, 0.07, 0.415, 0.83))
        belief = _draw_belief(plan, localization.controller.belief.grid)
        _draw_plan(plan, nodes, records, target_m)
        _draw_zoom(figure.add_axes((0.525, 0.53, 0.17, 0.34)), records, target_m)
        _draw_key(figure, belief)
        _draw_maps(figure, nodes, records, processors, target_m)
    return figure


def _headline(site: Site, records: _Records, scene: Scene) -> str:
    estimate, count = records[-1].estimate, len(records)
    found = f"{estimate.status} after {count} sensing{'s' if count > 1 else ''}"
    radius = f"95 % radius {_length(estimate.radius_95_m)}"
    if scene.target_m is not None:
        error_m = float(np.hypot(*(estimate.position_m - scene.target_m)))
        radius = f"error {_length(error_m)} ({radius})"
    return f"{site.name}, seed {scene.seed}\n{found}, {radius}"


def _unit(length_m: float) -> tuple[str, float]:
    """Unit in which a length reads well, and how many of it make a metre."""
    finer = ((1e-4, "µm", 1e6), (0.1, "mm", 1e3), (1.0, "cm", 1e2))
    return next(((unit, per_m) for limit, unit, per_m in finer if length_m < limit), ("m", 1.0))


def _length(length_m: float) -> str:
    unit, per_m = _unit(length_m)
    return f"{length_m * per_m:.3g} {unit}"


def _ring(count: int) -> FloatArray:
    turn = np.linspace(0.0, 2.0 * np.pi, count)
    return np.stack((np.cos(turn), np.sin(turn)), axis=-1)


def _short(name: str) -> str:
    return name if len(name) <= 10 else f"{name[:4]}…{name[-5:]}"


def _draw_belief(ax: Axes, grid: PositionGrid) -> AxesImage:
    x_min, y_min, x_max, y_max = grid.area_m
    ax.add_patch(Rectangle((x_min, y_min), x_max - x_min, y_max - y_min, fill=False, ls="--"))
    probability = grid.cell_probability().reshape(grid.shape).T
    return ax.imshow(
        np.maximum(probability / probability.max(), _LEAST_BELIEF), origin="lower", cmap=_BELIEF,
        norm=LogNorm(_LEAST_BELIEF, 1.0), extent=(x_min, x_max, y_min, y_max), aspect="equal",
    )  # fmt: skip


def _draw_plan(ax: Axes, nodes: _Nodes, records: _Records, target_m: FloatArray) -> None:
    place_m = np.array([node.pose.position_m for node in nodes.values()])
    low, high = np.transpose((ax.get_xlim(), ax.get_ylim()))
    low, high = np.minimum(low, place_m.min(axis=0)), np.maximum(high, place_m.max(axis=0))
    radius_m = float(np.max(high - low)) * min(0.035, 0.25 / np.sqrt(len(nodes)))
    x_limits, y_limits = np.transpose((low - 2.0 * radius_m, high + 2.0 * radius_m))
    ax.set(xlim=x_limits, ylim=y_limits, xlabel="x (m)", ylabel="y (m)")
    estimate, listening = records[-1].estimate, records[-1].config.rx_ids
    for node in nodes.values():
        color, alpha, size = (_RX, 0.4, 1.7) if node.node_id in listening else (_NODE, 0.16, 1.0)
        ax.add_patch(_field_of_view(node, size * radius_m)).set(color=color, alpha=alpha, lw=0)
    ax.plot(*place_m.T, ".", color=_NODE)
    legs = _draw_links(ax, nodes, records)
    _draw_estimate(ax, estimate, target_m, np.zeros(2), 1.0)
    used = {i for record in records for i in (record.config.tx_id, *record.config.rx_ids)}
    _draw_labels(ax, [(_short(i), nodes[i].pose.position) for i in sorted(used)], legs)


def _field_of_view(node: Node, radius_m: float) -> Wedge:
    pattern = node.receive_pattern
    width_rad = 2.0 * np.pi if pattern.kind == "omnidirectional" else pattern.field_of_view_rad
    first, last = np.rad2deg(node.pose.boresight_rad + 0.5 * width_rad * np.array((-1.0, 1.0)))
    return Wedge(node.pose.position_m, radius_m, first, last)


def _draw_links(ax: Axes, nodes: _Nodes, records: _Records) -> list[FloatArray]:
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


def _draw_labels(ax: Axes, labels: list[tuple[str, FloatArray]], taken: list[FloatArray]) -> None:
    """Write each label at that side of its place where what is taken is farthest."""
    low, high = np.transpose((ax.get_xlim(), ax.get_ylim()))
    box_points = np.array((ax.bbox.width, ax.bbox.height)) * 72.0 / ax.figure.dpi
    per_point = float(np.max((high - low) / box_points))
    taken = [*taken, *(place for _, place in labels)]
    for label, place in labels:
        half = np.array((3.0 * len(label) + 1.0, 6.0)) * per_point
        spots = place + _ring(17) * (half + 6.0 * per_point)
        room = np.max(np.abs(spots[:, None] - np.array(taken)) / half, axis=-1).min(axis=-1)
        outside = np.any((spots - half < low) | (spots + half > high), axis=-1)
        spot = spots[int(np.argmax(np.minimum(room, 2.0) - 9.0 * outside))]
        taken += [spot, *(spot + half * ((-1, -1), (-1, 1), (1, -1), (1, 1)))]
        ax.text(spot[0], spot[1], label, ha="center", va="center", path_effects=_HALO, zorder=7)


def _draw_estimate(
    ax: Axes, estimate: PositionEstimate, target_m: FloatArray, origin_m: FloatArray, per_m: float
) -> None:
    """Draw estimate, ellipses and truth, in `per_m` units a metre from an origin."""
    at = (estimate.position_m - origin_m) * per_m
    variance, axes = np.linalg.eigh(estimate.covariance_m2)
    unit_ellipse = _ring(181) @ (axes * np.sqrt(np.maximum(variance, 0.0))).T * per_m
    for chi2, line in ((CHI2_95, "-"), (CHI2_50, "--")):
        ax.plot(*(at + np.sqrt(chi2) * unit_ellipse).T, line, color="black", lw=1.0, zorder=5)
    ax.plot(*((target_m - origin_m) * per_m), **_TRUTH_MARK, zorder=6)
    ax.plot(*at, **_FOUND_MARK, zorder=6)


def _draw_zoom(ax: Axes, records: _Records, target_m: FloatArray) -> None:
    last = records[-1].estimate
    offsets_m = np.array([target_m, *(r.estimate.position_m for r in records)]) - last.position_m
    away_m = np.hypot(*offsets_m.T)
    # What lies farther than this is left out: the ellipse would be a dot beside it.
    reach_m = max(last.radius_95_m, *away_m[away_m < 3.0 * last.radius_95_m])
    unit, per_m = _unit(1.25 * reach_m)
    half, offsets = 1.25 * reach_m * per_m, offsets_m * per_m
    ax.set(
        xlim=(-half, half), xlabel=f"x from the estimate ({unit})", title="Around the estimate",
        ylim=(-half, half), ylabel=f"y from the estimate ({unit})", aspect="equal",
    )  # fmt: skip
    ax.locator_params(nbins=4)
    ax.grid(lw=0.4, color="0.88")
    earlier = [(str(n), offsets[n]) for n in range(1, len(records)) if away_m[n] <= reach_m]
    for _, at in earlier:
        ax.plot(*at, **_EARLIER_MARK, zorder=5)
    _draw_estimate(ax, last, target_m, last.position_m, per_m)
    known = [offset for offset in (offsets[0],) if np.isfinite(offset).all()]
    _draw_labels(ax, earlier, [*known, np.zeros(2)])
    if away_m[0] > reach_m:
        x, y = offsets[0] * (0.97 * half / np.abs(offsets[0]).max())
        arrow = {"color": _TRUTH, "arrowstyle": "->"}
        ax.annotate("", (x, y), (0.7 * x, 0.7 * y), arrowprops=arrow)
        away = f"truth {_length(away_m[0])} away"
        ax.text(0.0, -0.93 * half, away, ha="center", color=_TRUTH, path_effects=_HALO, zorder=7)


def _draw_key(figure: Figure, belief: AxesImage) -> None:
    entries: dict[str, dict[str, Any]] = {
        "transmitter and its leg": {"color": _TX, "marker": "^", "ms": 9.0, "lw": 2.2},
        "receiver and its leg": {"color": _RX, "marker": "s", "ms": 9.0, "lw": 2.2},
        "in an earlier sensing": {"color": _RX, "marker": "s", "mfc": "white", "lw": 1.1},
        "nothing detected": {"color": _RX, "ls": ":", "lw": 2.2},
        "estimate": _FOUND_MARK,
        "estimate after an earlier sensing": _EARLIER_MARK,
        "95 % ellipse (50 % dashed)": {"color": "black", "lw": 1.0},
        "truth": _TRUTH_MARK,
        "detection": _ECHO_MARK,
        "receivers' field of view": {"color": _NODE, "alpha": 0.25, "lw": 7.0},
    }
    handles = [Line2D([], [], **entry, label=label) for label, entry in entries.items()]
    figure.legend(handles=handles, loc="upper left", bbox_to_anchor=(0.5, 0.46), frameon=False)
    ax = figure.add_axes((0.51, 0.105, 0.18, 0.015))
    label = "belief in a cell, relative to its peak"
    figure.colorbar(belief, cax=ax, orientation="horizontal", label=label)
    ax.set_xticks([1e-9, 1e-6, 1e-3, 1.0], ["≤ 1e-9", "1e-6", "1e-3", "1"])


def _draw_maps(
    figure: Figure, nodes: _Nodes, records: _Records, processors: Processors, target_m: FloatArray
) -> None:
    """Draw the map of the last link that was heard before and after suppression."""
    heard = [(number, r.looks[0]) for number, r in enumerate(records, start=1) if r.looks]
    if not heard:
        figure.text(0.85, 0.5, "no receiver gave a usable capture", ha="center")
        return
    number, look = heard[-1]
    report, capture, background = look.report, look.capture, look.background
    if capture is None:
        figure.text(0.85, 0.5, "no maps: the captures stayed with the workers", ha="center")
        return
    processor = processors.of(nodes[report.rx_id])
    raw, clean = (processor.map_of(processor.residual(capture, b)) for b in (None, background))
    raw_db, clean_db = (10.0 * np.log10(m.power / clean.noise_power) for m in (raw, clean))
    extent = (0.0, float(bistatic_range_m(clean.plan)[-1]), -90.0, 90.0)
    link = f"{_short(report.tx_id)} to {_short(report.rx_id)}"
    after = "after suppression" if background else "has no background"
    after += f"\n{link}: {len(report.hypotheses)} detected"
    before = f"before suppression\n{link}"
    for low, power_db, title in ((0.53, raw_db, before), (0.07, clean_db, after)):
        ax = figure.add_axes((0.755, low, 0.18, 0.34))
        image = ax.imshow(
            power_db, vmin=0.0, vmax=max(30.0, clean_db.max() + 10.0), cmap="viridis",
            extent=extent, aspect="auto", origin="lower",
        )  # fmt: skip
        _draw_echoes(ax, nodes, report, target_m)
        ax.set(xlabel="bistatic range (m)", ylabel="angle from boresight (°)")
        ax.set(title=f"Sensing {number} {title}", yticks=range(-90, 91, 30))
    bar = figure.add_axes((0.945, 0.07, 0.01, 0.8))
    figure.colorbar(image, cax=bar, extend="both", label="power over the noise floor (dB)")


def _draw_echoes(ax: Axes, nodes: _Nodes, report: LinkReport, target_m: FloatArray) -> None:
    """Mark detections, as lines where there is no angle, and where the target's echo must be."""
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
