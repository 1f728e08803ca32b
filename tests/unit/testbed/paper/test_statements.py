"""What the paper says: it holds of the paper's own numbers, and each can be shown to fail."""

import re
from dataclasses import replace

import pytest

from testbed.paper.cases import COLUMNS
from testbed.paper.notes import NOTES
from testbed.paper.page import page_of
from testbed.paper.statements import statements
from tests.unit.testbed.paper.numbers import LINES_M, reproduction, with_line

PAPER = reproduction()


def line(scheme, **changes):
    """The paper's curve of a scheme, with values at some symbols (``at_6``) in place of its own."""
    values_m = list(LINES_M[scheme])
    for at, value_m in changes.items():
        values_m[int(at.removeprefix("at_")) - 1] = value_m
    return with_line(PAPER, scheme, values_m)


def ends(part, scheme, size=(32, 1), **fields):
    return replace(
        PAPER,
        endings=[
            replace(end, **fields)
            if (end.part, end.scheme, end.num_elements, end.num_receivers) == (part, scheme, *size)
            else end
            for end in PAPER.endings
        ],
    )


def loss(size, loss_pct):
    return ends("table1", "proposed", size, throughput_loss_pct=loss_pct)


def cells(size, *percents, of):
    """Cells of one size with values that follow from the paper's."""
    return [
        replace(cell, value_m=of(cell.value_m))
        if (cell.num_elements, cell.num_receivers) == size and cell.percent in percents
        else cell
        for cell in PAPER.cells
    ]


def times(size, sensing=1.0, selection=1.0):
    """One cell's stages, so many times as long."""
    return replace(
        PAPER,
        runtimes=[
            replace(bar, sensing_s=sensing * bar.sensing_s, selection_s=selection * bar.selection_s)
            if (bar.num_elements, bar.num_receivers) == size
            else bar
            for bar in PAPER.runtimes
        ],
    )


def falling_cells():
    """Lower percentiles that fall with every receiver."""
    return [
        replace(cell, value_m=0.04 / (cell.num_elements * cell.num_receivers))
        if cell.percent <= 50
        else cell
        for cell in PAPER.cells
    ]


FAILING = {
    "Without suppression nothing is ever found": line("no_suppression", at_4=29.0),
    "Suppression recovers clutter-free accuracy": ends("fig2", "clutter_free", median_m=0.09),
    "Six sensings lower the RMSE": line("proposed", at_6=1.1, at_10=1.1),
    "The RMSE saturates": line("proposed", at_10=0.35),
    "SFI makes the first sensing better": line("without_sfi", at_1=19.0),
    "Without SFI the error ends": line("without_sfi", at_10=0.6),
    "FIS falls": line("fis", at_10=21.0),
    "FIS falls, but": line("fis", at_6=0.4),
    "RSA is not monotonic": with_line(PAPER, "rsa", LINES_M["fis"]),
    "RSA is not monotonic, and ends above": line("rsa", at_10=0.4),
    "OBS, which knows the target": line("obs", at_6=0.5),
    "More elements lower": replace(PAPER, cells=cells((16, 2), 75, of=lambda m: 20 * m)),
    "More receivers lower the upper tail":
        replace(PAPER, cells=cells((16, 3), 95, of=lambda m: 2 * m)),
    "More receivers do not lower all": replace(PAPER, cells=falling_cells()),
    "More elements converge sooner": loss((16, 2), 3.45),
    "More receivers cost slightly": loss((4, 3), 3.2),
    "The throughput loss stays below": loss((4, 2), 3.6),
    "More receivers cost selection": times((16, 3), selection=1e-3),
    "M = 16 takes longer": times((16, 3), selection=2.0),
}  # fmt: skip


def said_of(found):
    return {statement.text: statement for statement in statements(found)}


def test_all_hold_of_the_paper_s_own_numbers():
    said = said_of(PAPER)
    assert len(said) == 17
    for text, statement in said.items():
        assert statement.findings.keys() == set(COLUMNS)
        for finding in statement.findings.values():
            assert finding.holds is True, (text, finding.said)


@pytest.mark.parametrize("beginning", FAILING)
def test_each_alone_may_fail(beginning):
    said = said_of(FAILING[beginning])
    (text,) = [text for text in said if text.startswith(beginning)]
    for column in COLUMNS:
        failed = {text for text, own in said.items() if own.findings[column].holds is False}
        assert failed == {text}


def test_every_statement_is_seen_to_fail():
    for text in said_of(PAPER):
        assert any(text.startswith(beginning) for beginning in FAILING)


def test_columns_are_judged_on_their_own():
    worse = [
        replace(point, value_m=30.0) if point.scheme == "obs" and point.column == "ours" else point
        for point in PAPER.points
    ]
    said = said_of(replace(PAPER, points=worse))
    (obs,) = [own for text, own in said.items() if text.startswith("OBS")]
    assert {column: one.holds for column, one in obs.findings.items()} == {
        "literal": True, "ours": False
    }  # fmt: skip


def test_what_only_rare_trials_spoil_is_said_to_hold_of_the_others():
    spoilt = [
        replace(point, value_m=7.0)
        if (point.scheme, point.column, point.statistic) == ("proposed", "literal", "rmse")
        else point
        for point in PAPER.points
    ]
    said = said_of(replace(PAPER, points=spoilt))
    (falls,) = [own for text, own in said.items() if text.startswith("Six sensings")]
    letter, ours = falls.findings["literal"], falls.findings["ours"]
    assert (letter.holds, letter.of_best, ours.of_best) == (True, True, False)
    assert letter.said == (
        "RMSE falls 44 times from 1 to 6 (of all trials: RMSE falls 1 times from 1 to 6)"
    )
    page = page_of(replace(PAPER, points=spoilt), "", {})
    assert page.count("<td>of 99 %</td>") >= 1


def test_findings_are_told_in_numbers():
    said = [own.findings["ours"].said for own in statements(PAPER)]
    assert "RMSE 100 m or more" in said
    assert "RMSE falls 44 times from 1 to 6" in said
    assert "first sensing 20 m, 67 m without" in said
    assert "15 of 15 percentiles are lower" in said
    assert "95 %, N_r 1 to 3, in mm: 4.72e+03, 2.29e+03, 1.79e+03; 605, 573, 413" in said
    assert "N_r 1 to 3: sensing x 1, selection x 6e+02" in said
    assert "M 16 over 4: 1.95, 1.50, 0.70" in said
    assert all(re.search(r"\d", text) for text in said)


@pytest.mark.parametrize(
    ("missing", "count"), [("points", 8), ("cells", 11), ("runtimes", 15)]
)  # fmt: skip
def test_of_a_part_that_was_left_out_nothing_is_said(missing, count):
    found = said_of(replace(PAPER, **{missing: []}))
    assert len(found) == count
    assert all(one.holds is True for own in found.values() for one in own.findings.values())


def test_with_nothing_there_is_nothing_to_say():
    assert not said_of(reproduction(points=[], cells=[], endings=[], runtimes=[]))


def test_what_one_column_lacks_is_not_measured():
    """Such as literal runtimes where literals are not installed."""
    ours = {
        name: [row for row in getattr(PAPER, name) if getattr(row, column) == "ours"]
        for name, column in (
            ("points", "column"), ("cells", "column"), ("endings", "column"),
            ("runtimes", "evaluation"),
        )
    }  # fmt: skip
    said = said_of(replace(PAPER, **ours))
    assert len(said) == 17
    for statement in said.values():
        literal, own = (statement.findings[column] for column in COLUMNS)
        assert (literal.said, literal.holds) == ("not measured", None)
        assert own.holds is True


def test_a_scheme_that_is_missing_is_not_measured():
    points = [point for point in PAPER.points if point.scheme != "rsa"]
    said = said_of(replace(PAPER, points=points))
    unknown = [text for text, own in said.items() if own.findings["ours"].holds is None]
    assert unknown == ["RSA is not monotonic, and ends above the proposed scheme"]


def test_statements_refer_to_notes_that_there_are():
    for statement in statements(PAPER):
        assert set(statement.notes) <= NOTES.keys()
