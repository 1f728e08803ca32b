"""The figure of a localization says what happened, in places of its own, and is written whole."""

import itertools
import resource
from dataclasses import replace

import msgspec
import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.patches import Wedge

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S
from drivers.link_budget import channel_noise_var
from fusion.sensing import CHI2_95
from testbed.figure_files import check_figure_path, save_figure
from testbed.figures import localization_figure
from testbed.runs.backgrounds import no_background, perfect_background
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization
from testbed.runs.setup import simulate
from testbed.site import LocationSection, NodeSection, Site

MAGIC = {".png": b"\x89PNG", ".svg": b"<?xml", ".pdf": b"%PDF"}
TRUTH_COLOR = "#b0307f"


def hall(elements=4, pattern="sector", power_dbm=23.0, **sensing):
    return msgspec.convert(
        {
            "schema": 1,
            "name": "hall",
            "waveform": {
                "carrier_mhz": 10_000.0, "subcarrier_spacing_khz": 240.0, "num_subcarriers": 400
            },
            "area_m": [0.0, 0.0, 40.0, 30.0],
            "uniform_nodes": {"num_nodes": 12},
            "node_defaults": {
                "array": {"num_elements": elements},
                "receive_pattern": {"kind": pattern},
                "tx_power_dbm": power_dbm,
            },
            "sensing": {"max_sensings": 4, "num_scene_samples": 32, **sensing},
            "simulation": {"num_clutter": 5},
        },
        Site,
    )  # fmt: skip


def finished(site, seed=1, background=perfect_background):
    """Everything that `localization_figure` takes, after a run."""
    simulation = simulate(site, seed)
    processors = Processors(site)
    backgrounds = no_background if background is None else background(simulation.source)
    run = Localization(
        site,
        LocalLinks(site, simulation.source, backgrounds, processors),
        simulation.planning_rng(),
    )
    return site, run, list(run.run()), simulation, processors


@pytest.fixture(scope="module")
def run():
    return finished(hall())


@pytest.fixture(scope="module")
def figure(run):
    return localization_figure(*run)


def panels(figure):
    plan, zoom, _, before, after, _ = figure.axes
    return plan, zoom, before, after


def texts(ax):
    return [text.get_text() for text in ax.texts]


def places(ax, marker, color=None):
    lines = [line for line in ax.lines if line.get_marker() == marker]
    lines = [x for x in lines if color is None or to_hex(x.get_markeredgecolor()) == color]
    return np.array([line.get_xydata()[0] for line in lines])


def zoom_unit_m(zoom):
    unit = zoom.get_xlabel().partition("(")[2].rstrip(")")
    return {"µm": 1e-6, "mm": 1e-3, "cm": 1e-2, "m": 1.0}[unit]


def test_headline_says_how_it_went(run, figure):
    estimate, truth_m = run[2][-1].estimate, run[3].target_m
    error_mm = 1e3 * np.hypot(*(estimate.position_m - truth_m))
    headline = figure.get_suptitle()
    assert headline.startswith("hall, seed 1\n")
    assert f"{estimate.status} after {len(run[2])} sensings" in headline
    assert f"error {error_mm:.3g} mm" in headline


def test_every_axis_names_its_unit(figure):
    for ax in panels(figure):
        assert ax.get_xlabel().endswith(")")
        assert ax.get_ylabel().endswith(")")


def test_plan_marks_estimate_and_truth(run, figure):
    plan, *_ = panels(figure)
    np.testing.assert_allclose(places(plan, "x"), [run[2][-1].estimate.position_m])
    np.testing.assert_allclose(places(plan, "o", TRUTH_COLOR), [run[3].target_m])


def test_plan_names_exactly_the_nodes_that_sensed(run, figure):
    configs = [record.config for record in run[2]]
    used = {i for config in configs for i in (config.tx_id, *config.rx_ids)}
    assert set(texts(panels(figure)[0])) == used


def test_last_link_stands_out(run, figure):
    plan, *_ = panels(figure)
    config = run[2][-1].config
    poses = {node.node_id: node.pose.position_m for node in run[1].network.nodes}
    strong = [
        line for line in plan.lines if line.get_linewidth() > 2.0 and len(line.get_xdata()) == 2
    ]
    ends = {tuple(line.get_xydata()[0]) for line in strong}
    assert ends == {poses[i] for i in (config.tx_id, *config.rx_ids)}
    assert len({line.get_color() for line in strong}) == 2


def corner_hall():
    """Long names at the very edge of the plan."""
    corners = ((0.0, 0.0), (40.0, 0.0), (0.0, 30.0), (40.0, 30.0))
    names = [f"west-gate-rack-{n}" for n in range(4)]
    return msgspec.structs.replace(
        hall(pattern="omnidirectional", num_receivers=3),
        uniform_nodes=None,
        locations=[
            LocationSection(location_id=n, position_m=m)
            for n, m in zip(names, corners, strict=True)
        ],
        nodes=[NodeSection(node_id=n, location_id=n, boresight_deg=45.0) for n in names],
    )


@pytest.mark.parametrize(
    ("site", "seed"),
    [(hall(), 1), (hall(num_receivers=3), 0), (hall(num_receivers=5), 2), (corner_hall(), 0)],
)
def test_labels_stay_apart_and_inside(site, seed):
    figure = localization_figure(*finished(site, seed))
    plan, *_ = panels(figure)
    boxes = [text.get_window_extent() for text in plan.texts]
    inside = plan.get_window_extent()
    assert all(inside.contains(*box.min) and inside.contains(*box.max) for box in boxes)
    assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
    assert len(set(texts(plan))) == len(boxes)


def test_ellipse_holds_95_percent(run, figure):
    _, zoom, *_ = panels(figure)
    covariance = run[2][-1].estimate.covariance_m2
    (outline,) = [x for x in zoom.lines if len(x.get_xdata()) > 100 and x.get_linestyle() == "-"]
    offset = outline.get_xydata() * zoom_unit_m(zoom)
    distance2 = np.sum(offset * np.linalg.solve(covariance, offset.T).T, axis=1)
    np.testing.assert_allclose(distance2, CHI2_95, rtol=1e-6)


def test_zoom_says_where_a_far_truth_is(run):
    site, localization, records, simulation, processors = run
    away = replace(simulation, target_m=records[-1].estimate.position_m + np.array((-12.0, 0.0)))
    _, zoom, *_ = panels(localization_figure(site, localization, records, away, processors))
    assert "truth 12 m away" in texts(zoom)
    assert zoom.get_xlim()[1] * zoom_unit_m(zoom) < 4.0 * records[-1].estimate.radius_95_m


def test_maps_share_one_scale_above_the_noise(run, figure):
    *_, before, after = panels(figure)
    raw, clean = before.images[0], after.images[0]
    assert raw.get_clim() == clean.get_clim()
    processor = run[4].of(run[1].network.nodes[0])
    look = run[2][-1].looks[0]
    capture, background = look.capture, look.background
    unsuppressed, suppressed = (
        processor.map_of(processor.residual(capture, used)) for used in (None, background)
    )
    nodes = {node.node_id: node for node in run[1].network.nodes}
    thermal = channel_noise_var(nodes[capture.tx_id], nodes[capture.rx_id], processor.grid)
    assert suppressed.noise_var == pytest.approx(thermal, rel=0.3)  # a median of 268 samples
    for image, found in ((raw, unsuppressed), (clean, suppressed)):
        expected_db = 10.0 * np.log10(found.power / suppressed.noise_power)
        np.testing.assert_allclose(image.get_array().data, expected_db, atol=1e-4)


def test_maps_mark_detections_and_the_truth(run, figure):
    *_, after = panels(figure)
    report = run[2][-1].reports[0]
    nodes = {node.node_id: np.array(node.pose.position_m) for node in run[1].network.nodes}
    legs_m = [np.hypot(*(run[3].target_m - nodes[i])) for i in (report.tx_id, report.rx_id)]
    assert places(after, "o")[0][0] == pytest.approx(sum(legs_m))
    expected = [
        (h.delay_s * SPEED_OF_LIGHT_M_PER_S, np.degrees(h.angle_rad)) for h in report.hypotheses
    ]
    assert expected
    np.testing.assert_allclose(places(after, "D"), expected)


def test_missing_background_is_said():
    figure = localization_figure(*finished(hall(max_sensings=1), background=None))
    *_, before, after = panels(figure)
    assert "has no background" in after.get_title()
    np.testing.assert_array_equal(before.images[0].get_array(), after.images[0].get_array())


def test_one_element_has_ranges_without_angles():
    arguments = finished(hall(elements=1, num_receivers=2), seed=3)
    figure = localization_figure(*arguments)
    *_, after = panels(figure)
    hypotheses = arguments[2][-1].reports[0].hypotheses
    assert hypotheses
    assert len(places(after, "D")) == 0
    lines_m = [x.get_xdata()[0] for x in after.lines if x.get_linewidth() == 1.2]
    np.testing.assert_allclose(lines_m, [h.delay_s * SPEED_OF_LIGHT_M_PER_S for h in hypotheses])


@pytest.mark.parametrize(("pattern", "width_deg"), [("sector", 180.0), ("omnidirectional", 360.0)])
def test_fields_of_view_are_as_wide_as_they_are(pattern, width_deg):
    figure = localization_figure(*finished(hall(pattern=pattern, max_sensings=1)))
    wedges = [patch for patch in panels(figure)[0].patches if isinstance(patch, Wedge)]
    assert len(wedges) == 12
    for wedge in wedges:
        assert wedge.theta2 - wedge.theta1 == pytest.approx(width_deg)


def test_silence_is_drawn_too(tmp_path):
    arguments = finished(hall(power_dbm=-120.0, max_sensings=2))
    assert not any(report.hypotheses for record in arguments[2] for report in record.reports)
    figure = localization_figure(*arguments)
    legs = [line for line in panels(figure)[0].lines if len(line.get_xdata()) == 2]
    assert legs
    assert {line.get_linestyle() for line in legs} == {":"}
    save_figure(figure, tmp_path / "silence.png")


def test_names_are_not_mathematics(run, tmp_path):
    site = msgspec.structs.replace(run[0], name=r"lab $\frac{$")
    figure = localization_figure(site, *run[1:])
    assert figure.get_suptitle().startswith(r"lab $\frac{$, seed 1")
    save_figure(figure, tmp_path / "dollars.png")


@pytest.mark.parametrize("name", ["a.png", "a.svg", "a.pdf", "a.b.PNG"])
def test_format_follows_the_suffix(figure, tmp_path, name):
    path = tmp_path / name
    save_figure(figure, path)
    assert path.read_bytes().startswith(MAGIC[path.suffix.lower()])
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["a.jpg", "png", "a", "a.png.gz", ".png"])
@pytest.mark.parametrize("refuse", [check_figure_path, lambda path: save_figure(Figure(), path)])
def test_unknown_suffix_names_the_known_ones(tmp_path, name, refuse):
    with pytest.raises(ValueError, match=r"\.png, \.svg, \.pdf, got '"):
        refuse(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("refuse", [check_figure_path, lambda path: save_figure(Figure(), path)])
@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("absent/a.png", FileNotFoundError),
        ("file/a.png", NotADirectoryError),
        ("directory.png", IsADirectoryError),
        (f"{'a' * 300}.png", OSError),
    ],
)
def test_place_without_room_for_a_file_is_named(tmp_path, name, error, refuse):
    (tmp_path / "file").touch()
    (tmp_path / "directory.png").mkdir()
    with pytest.raises(error) as caught:
        refuse(tmp_path / name)
    assert caught.value.filename == str(tmp_path / name)
    assert {path.name for path in tmp_path.iterdir()} == {"file", "directory.png"}


def test_check_leaves_what_is_there(tmp_path):
    path = tmp_path / "a.png"
    check_figure_path(path)
    assert not list(tmp_path.iterdir())
    path.write_bytes(b"old")
    check_figure_path(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_full_disk_leaves_the_old_figure(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
    try:
        with pytest.raises(OSError, match=r"a\.png'") as caught:
            save_figure(Figure(), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert caught.value.filename == str(path)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
