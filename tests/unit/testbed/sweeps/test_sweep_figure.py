"""The figure of a sweep: who has which panel and colour, and what is drawn where."""

import msgspec
import numpy as np
import pytest
from matplotlib.colors import to_hex

from testbed.figures.svg import svg_of
from testbed.figures.sweep import sweep_figure
from testbed.sweeps.results import STATISTICS, SweepRow, row_object, table_text, without_effect
from testbed.sweeps.sweep_file import SweepFile

ELEMENTS = {"parameter": "node_defaults.array.num_elements", "values": [32, 4, 8, 16]}
RECEIVERS = {"parameter": "sensing.num_receivers", "values": [1, 2]}
DRAWS = {"parameter": "simulation.rcs_draw", "values": ["link", "scene"]}
RCS = {
    "parameters": ["simulation.mean_rcs_dbsm", "sensing.mean_rcs_dbsm"], "label": "mean RCS (dBsm)",
    "values": [-10, 0],
}  # fmt: skip


def swept(*vary, **more):
    raw = {"schema": 1, "site": "lab.yaml", "trials": 9, "vary": list(vary), **more}
    return msgspec.convert(raw, SweepFile)


def row(values, median_m, policy="proposed", literal=False, **more):
    found = dict.fromkeys(STATISTICS, 0.5) | {
        "median_m": median_m, "median_low_m": median_m / 2, "median_high_m": 2 * median_m,
        "rmse_m": 3 * median_m, "conditional_bound_median_m": 0.9 * median_m,
    }  # fmt: skip
    return SweepRow(tuple(values), policy, literal, found | more)


def drawn(ax):
    """Solid, dashed and dotted lines by colour."""
    return {
        (to_hex(line.get_color()), line.get_linestyle()): line.get_xydata().tolist()
        for line in ax.lines
    }


def named(figure):
    return [text.get_text() for legend in figure.legends for text in legend.get_texts()]


def visible(figure):
    return [ax for ax in figure.axes if ax.axison]


def test_one_policy_leaves_the_colours_to_the_second_parameter():
    sweep = swept(ELEMENTS, RECEIVERS)
    rows = [row((e, r), 0.1 / e * r) for e in (32, 4, 8, 16) for r in (1, 2)]
    figure = sweep_figure(sweep, rows)
    (ax,) = visible(figure)
    assert ax.get_xscale() == ax.get_yscale() == "log"
    assert ax.get_xlabel() == "node_defaults.array.num_elements"
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["4", "8", "16", "32"]
    assert named(figure)[3:] == ["num_receivers = 1", "num_receivers = 2"]
    lines = drawn(ax)
    assert len(lines) == 6
    assert lines["#d55e00", "-"] == [[e, pytest.approx(0.2 / e)] for e in (4, 8, 16, 32)]
    assert lines["#d55e00", "--"] == [[e, pytest.approx(0.6 / e)] for e in (4, 8, 16, 32)]
    assert lines["#0072b2", ":"] == [[e, pytest.approx(0.09 / e)] for e in (4, 8, 16, 32)]
    assert len(ax.collections) == 2  # bands


def test_several_policies_have_the_colours_and_parameters_the_panels():
    sweep = swept(ELEMENTS, RECEIVERS, RCS, policies=["proposed", "rsa"], literal=[False, True])
    rows = [
        row((e, r, s), 0.1 / e, policy, literal)
        for e in (32, 4, 8, 16) for r in (1, 2) for s in (-10, 0)
        for policy in ("proposed", "rsa") for literal in (False, True)
    ]  # fmt: skip
    figure = sweep_figure(sweep, rows)
    assert [ax.get_title() for ax in visible(figure)] == [
        f"num_receivers = {r}, mean RCS (dBsm) = {s}" for r in (1, 2) for s in (-10, 0)
    ]
    assert named(figure)[3:] == ["proposed", "proposed, to the letter", "rsa", "rsa, to the letter"]
    assert all(len(ax.lines) == 12 for ax in visible(figure))


def test_words_are_places_with_marks_and_nothing_between_them():
    sweep = swept(DRAWS)
    figure = sweep_figure(sweep, [row(("link",), 0.01), row(("scene",), 0.1)])
    (ax,) = visible(figure)
    assert [tick.get_text() for tick in ax.get_xticklabels()] == ["link", "scene"]
    assert {line.get_linestyle() for line in ax.lines} == {"None"}
    assert len(figure.legends) == 1  # one curve needs no name


def test_what_is_not_known_is_not_drawn():
    sweep = swept(RECEIVERS)
    rows = [
        row((1,), 0.01, median_low_m=0.0, median_high_m=np.inf, conditional_bound_median_m=None),
        row((2,), 0.02, conditional_bound_median_m=None),
    ]
    (ax,) = visible(figure := sweep_figure(sweep, rows))
    assert svg_of(figure, "sweep").startswith("<svg")
    low, high = ax.get_ylim()
    assert 0.005 < low < 0.01  # not that of the open end
    assert 0.06 < high < 0.1


def test_errors_that_are_much_alike_are_drawn_from_zero():
    rows = [row((n,), 0.01, rmse_m=0.012, median_low_m=0.009, median_high_m=0.011) for n in (1, 2)]
    (ax,) = visible(sweep_figure(swept(RECEIVERS), rows))
    assert (ax.get_yscale(), ax.get_ylim()[0]) == ("linear", 0.0)


def test_many_values_are_told_apart_by_shade():
    many = {**RECEIVERS, "values": list(range(1, 12))}
    rows = [row((e, r), 0.1 / e) for e in ELEMENTS["values"] for r in many["values"]]
    (ax,) = visible(sweep_figure(swept(ELEMENTS, many), rows))
    assert len({color for color, _ in drawn(ax)}) == 11


def test_a_table_has_a_column_for_each_parameter_that_took_the_value():
    sweep = swept(RCS)
    rows = [row((-10,), 0.2, coverage_95=None), row((0,), 0.1)]
    assert list(row_object(sweep, rows[0]))[:4] == [*RCS["parameters"], "policy", "literal"]
    head, first, _ = table_text(sweep, rows).splitlines()
    assert head.split(",")[4:] == list(STATISTICS)
    assert first.startswith("-10,-10,proposed,False,")
    assert first.endswith(",")  # nothing where nothing is known


def test_a_parameter_whose_values_came_to_the_same_is_named():
    sweep = swept(ELEMENTS, RECEIVERS)
    rows = [row((e, r), 0.1 / e) for e in ELEMENTS["values"] for r in (1, 2)]
    assert without_effect(sweep, rows) == ["sensing.num_receivers"]
    assert without_effect(sweep, [*rows[:-1], row((16, 2), 0.5)]) == []
