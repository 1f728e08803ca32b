"""Runtimes of the paper's stages: what is measured of a sensing, and how they are drawn."""

from itertools import cycle

import pytest
from matplotlib.colors import to_hex

from testbed.bench import literal
from testbed.figure_files import save_figure
from testbed.figures.runtimes import runtimes_figure
from testbed.paper import runtimes
from testbed.paper.runtimes import StageTimes, literal_stage_times, stage_times
from testbed.runs.links import Look
from testbed.site import SiteError
from tests.unit.testbed.sites import as_site, changed, hall


@pytest.fixture(scope="module")
def site():
    return as_site(changed(hall(), {"uniform_nodes.num_nodes": 12}))


def test_stages_of_the_loop_are_measured(site):
    times = stage_times(site, 2, 3, seed=1, num_sensings=3)
    assert (times.num_elements, times.num_receivers, times.evaluation) == (2, 3, "ours")
    assert times.sensing_s > 0.0
    assert times.selection_s > 0.0


def test_the_slowest_receiver_counts_and_the_median_of_sensings(site, monkeypatch):
    looks_s, selections_s = cycle([2.0, 3.0, 1.0, 9.0, 4.0, 5.0, 6.0, 6.0, 7.0]), cycle([8, 1, 2])
    found = []

    def scripted(function):
        result = function()
        found.append(result)
        return next(looks_s if isinstance(result, Look) else selections_s), result

    monkeypatch.setattr(runtimes, "timed", scripted)
    times = stage_times(site, 2, 3, seed=1, num_sensings=3)
    assert (times.sensing_s, times.selection_s) == (7.0, 2.0)
    reports = [result.report for result in found if isinstance(result, Look)]
    assert len(found) == 12
    assert len({report.rx_id for report in reports[:3]}) == 3


def test_selection_grows_with_the_sets_that_the_literal_evaluation_tries(site):
    one, three = (literal_stage_times(site, 2, count, seed=1) for count in (1, 3))
    assert (three.num_elements, three.num_receivers, three.evaluation) == (2, 3, "literal")
    assert min(one.sensing_s, three.sensing_s) > 0.0
    assert three.selection_s > one.selection_s > 0.0  # fifteen times as many


def test_without_literals_only_ours_is_measured(site, monkeypatch, tmp_path):
    monkeypatch.setattr(literal, "_FOLDER", tmp_path)
    assert literal_stage_times(site, 2, 1, seed=1) is None
    assert stage_times(site, 2, 1, seed=1, num_sensings=1).selection_s > 0.0


@pytest.mark.parametrize("measure", [literal_stage_times, lambda *of: stage_times(*of, 1)])
def test_more_receivers_than_nodes_are_refused(site, measure):
    with pytest.raises(SiteError, match="num_receivers"):
        measure(site, 2, 12, 1)


BARS = [StageTimes(4, count, "ours", 0.004, 0.002 * count) for count in (1, 2, 3)]
LITERAL = [StageTimes(4, count, "literal", 0.4, 0.01 * 40**count) for count in (1, 2, 3)]


def test_panels_have_one_scale_and_show_milliseconds(tmp_path):
    figure = runtimes_figure([*BARS, *LITERAL])
    literal_ax, own_ax = figure.axes
    assert [ax.get_title() for ax in figure.axes] == ["literal evaluation", "ours"]
    assert literal_ax.get_ylim() == own_ax.get_ylim()
    assert own_ax.get_yscale() == "log"
    assert [label.get_text() for label in own_ax.get_xticklabels()] == ["4 × 1", "4 × 2", "4 × 3"]
    sensing, selection = own_ax.containers
    assert [bar.get_height() for bar in sensing] == pytest.approx([4.0, 4.0, 4.0])
    assert [bar.get_height() for bar in selection] == pytest.approx([2.0, 4.0, 6.0])
    assert to_hex(sensing[0].get_facecolor()) != to_hex(selection[0].get_facecolor())
    assert sensing[0].get_x() + sensing[0].get_width() == pytest.approx(selection[0].get_x())
    assert "640000" in [text.get_text() for text in literal_ax.texts]
    path = tmp_path / "runtimes.png"
    save_figure(figure, path)
    assert path.read_bytes().startswith(b"\x89PNG")


def test_one_evaluation_has_one_panel():
    assert [ax.get_title() for ax in runtimes_figure(BARS).axes] == ["ours"]
