"""The page of the paper's study: what it has of what there is, its links, its files, its text."""

import csv
import re
from dataclasses import replace

import numpy as np
import pytest

from testbed.figures.svg import svg_of
from testbed.paper.cases import COLUMNS
from testbed.paper.notes import NOTES
from testbed.paper.page import page_of, verdict_of
from testbed.paper.plots import figures_of, worth_rows
from testbed.paper.study import tables_of
from testbed.paper.writing import write_report
from tests.unit.testbed.pages import Reader
from tests.unit.testbed.paper.numbers import LINES_M, ending, points_of, reproduction

WHOLE = reproduction()
# By part: its section, and what has its numbers.
FIG2, TABLE1, LOSS, FIG3, WORTH = (
    "Accuracy over the budget", "Percentiles at convergence", "Throughput loss",
    "Runtime until convergence", "What is new",
)  # fmt: skip
CONCLUDES, ALWAYS = "What the paper concludes", ("Notes", "How this page was made")
HOSTILE = '</td><script>alert("1,5")</script>&amp;'


def of_part(*parts):
    return [end for end in WHOLE.endings if end.part in parts]


def with_policies(*names):
    """The whole, with policies of other packages in figure 2."""
    points = [p for name in names for p in points_of(name, LINES_M["rsa"])]
    more = [ending("fig2", name, column, 32, 1) for name in names for column in COLUMNS]
    return replace(WHOLE, points=[*WHOLE.points, *points], endings=[*WHOLE.endings, *more])


def read(found):
    return Reader(page_of(found, verdict_of(found), {}))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("paper")
    return root, *write_report(root, WHOLE)


@pytest.mark.parametrize(
    ("found", "sections"),
    [
        (WHOLE, [FIG2, TABLE1, CONCLUDES, LOSS, FIG3, WORTH]),
        (reproduction(cells=[], runtimes=[], endings=of_part("fig2")), [FIG2, CONCLUDES]),
        (
            reproduction(points=[], runtimes=[], endings=of_part("table1")),
            [TABLE1, CONCLUDES, LOSS],
        ),
        (
            reproduction(points=[], endings=of_part("table1")),
            [TABLE1, CONCLUDES, LOSS, FIG3],
        ),
        (reproduction(points=[], cells=[], runtimes=[], endings=of_part("worth")), [WORTH]),
    ],
    ids=["all", "fig2", "table1", "fig3", "worth"],
)
def test_there_are_sections_of_the_parts_that_there_are(found, sections):
    headings = read(found).headings
    for heading, beginning in zip(headings, [*sections, *ALWAYS], strict=True):
        assert heading.startswith(beginning)


def test_every_note_has_its_place_and_references_lead_to_one(written):
    _, page, _ = written
    found = Reader(page.read_text(encoding="utf-8"))
    ids = [value for name, value in found.attributes if name == "id"]
    assert len(ids) == len(set(ids))
    assert {value for value in ids if value.startswith("note-")} == {f"note-{n}" for n in NOTES}
    links = [value for name, value in found.attributes if name == "href"]
    notes = {value for value in links if value.startswith("#note")}
    assert len(notes) > 5
    assert {link.removeprefix("#") for link in links if link.startswith("#")} <= set(ids)
    said = {int(number) for number in re.findall(r"\(notes? (\d+)\)", found.words)}
    assert {2, 9} <= said <= NOTES.keys()


def test_a_statement_that_holds_in_both_columns_needs_no_note():
    whole = page_of(WHOLE, "", {})
    flat = [replace(p, value_m=20.0) if p.scheme == "proposed" else p for p in WHOLE.points]
    other = page_of(replace(WHOLE, points=flat), "", {})
    row = r"<tr><td>Six sensings lower.*?</tr>"
    (holds,), (fails,) = re.findall(row, whole), re.findall(row, other)
    assert "#note-" not in holds
    assert "#note-1" in fails
    assert (holds.count("<td>yes</td>"), fails.count("<td>no</td>")) == (2, 2)


def test_files_are_what_the_page_links_to(written):
    root, page, verdict = written
    found = Reader(page.read_text(encoding="utf-8"))
    links = {value for name, value in found.attributes if name in ("href", "xlink:href")}
    files = {link for link in links if not link.startswith("#")}
    assert len(files) == 2 * 6
    assert {path.name for path in root.iterdir()} == {page.name, *files, *tables_of(WHOLE)}
    assert not {"script", "link", "iframe", "img"} & set(found.tags)
    assert found.tags.count("svg") == 6
    assert verdict in found.words
    for name in files:
        assert len((root / name).read_bytes()) > 1000
    for name in tables_of(WHOLE):
        assert name in found.words


def test_tables_have_a_row_an_item_and_its_values(written):
    root, *_ = written
    rows = {}
    for path in root.glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as stream:
            rows[path.name] = list(csv.DictReader(stream))
    assert {name: len(own) for name, own in rows.items()} == {
        "curves.csv": len(WHOLE.points), "table1.csv": 60, "endings.csv": len(WHOLE.endings),
        "runtimes.csv": 12,
    }  # fmt: skip
    for row, point in zip(rows["curves.csv"], WHOLE.points, strict=True):
        assert (row["scheme"], row["column"], row["statistic"]) == (
            point.scheme, point.column, point.statistic
        )  # fmt: skip
        assert float(row["value_m"]) == point.value_m
    assert [row["oracle_m"] for row in rows["table1.csv"]] == [f"{c.oracle_m}" for c in WHOLE.cells]


def test_what_is_not_known_is_an_empty_field_and_a_dash():
    unknown = dict.fromkeys(
        ("oracle_median_m", "oracle_p95_m", "rmse_over_bound", "coverage_50", "coverage_95")
    )
    theory = [ending("fig2", "obs_peb", column, 32, 1, **unknown) for column in COLUMNS]
    found = reproduction(endings=theory)
    row, _ = csv.DictReader(tables_of(found)["endings.csv"].splitlines())
    assert {name for name, value in row.items() if not value} == unknown.keys()
    (cells,) = re.findall(r"<tr><td>OBS-PEB.*?</tr>", page_of(found, "", {}))
    assert re.findall(r">([^<>]+)</td>", cells) == [
        "OBS-PEB", "-", "the paper, to the letter", "450.00 mm", "100.00 mm", "900.00 mm", "-",
        "-", "4.60", "-",
    ]  # fmt: skip


def test_the_same_numbers_give_the_same_files(written):
    root, page, verdict = written
    again = reproduction()
    figures = {name: svg_of(figure, name) for name, figure in figures_of(again)}
    for name, svg in figures.items():
        assert (root / f"{name}.svg").read_text(encoding="utf-8") == svg
    assert page.read_text(encoding="utf-8") == page_of(again, verdict, figures)
    for name, text in tables_of(again).items():
        assert (root / name).read_text(encoding="utf-8") == text


def test_numbers_stand_beside_the_paper_s():
    found = page_of(WHOLE, "", {})
    assert "<td>20 m at 1, 0.45 m at 6, 0.45 m at 10</td>" in found
    cells = '<td class="number">4</td><td class="number">2</td><td class="number">95 %</td>'
    (row,) = re.findall(f"<tr>{cells}(.*?)</tr>", found)
    assert re.findall(r">([^<>]+)</td>", row) == [
        "2292", "2.29e+03 [2.06e+03, 2.52e+03]", "2.29e+03 [2.06e+03, 2.52e+03]", "1.15e+03",
        "1.0", "2.00",
    ]  # fmt: skip
    assert "50 of each case, seed 1" in found
    assert f"1.5 min for {50 * len(WHOLE.endings):,} trials" in found


def test_the_verdict_is_of_figure_2_or_else_of_the_table():
    assert verdict_of(WHOLE) == (
        "32 elements, N_r = 1: RMSE 450.00 mm, 1.05 of the bound, median 100.00 mm, after 4.6 "
        "sensings on average, 10.0 % not found; the paper states 0.45 m"
    )
    table = verdict_of(reproduction(endings=of_part("table1")))
    assert table.startswith("16 elements, N_r = 3: RMSE 450.00 mm")
    assert "the paper states" not in table  # no RMSE of it
    blind = [replace(end, rmse_over_bound=None) for end in of_part("fig2")]
    assert "bound" not in verdict_of(reproduction(endings=blind))
    assert verdict_of(reproduction(endings=of_part("worth"))) == "500 trials"


def test_policies_of_other_packages_are_in_figures_and_tables(tmp_path):
    names = "round_robin", HOSTILE
    found = replace(with_policies(*names), cells=[], runtimes=[], command=HOSTILE)
    endings = [end for end in found.endings if end.part == "fig2"]
    page, _ = write_report(tmp_path, replace(found, endings=endings))
    seen = Reader(page.read_text(encoding="utf-8"))
    assert "script" not in seen.tags
    # The table, three figures, and the command.
    assert [seen.text.count(name) for name in names] == [1 + 3, 1 + 3 + 1]
    for figure in ("fig2_rmse.svg", "fig2_rmse_best_99.svg", "fig2_median.svg"):
        legend = Reader((tmp_path / figure).read_text(encoding="utf-8")).text
        assert [legend.count(name) for name in names] == [1, 1]  # an entry for both columns
    with (tmp_path / "curves.csv").open(encoding="utf-8", newline="") as stream:
        schemes = [row["scheme"] for row in csv.DictReader(stream)]
    assert [schemes.count(name) for name in names] == 2 * [2 * 4 * 10]


def lines_of(ax):
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def test_figure_2_shows_both_columns_bands_and_the_paper_s_text():
    figure = dict(figures_of(with_policies("mine")))["fig2_rmse"]
    literal, ours = figure.axes
    assert literal.get_title() == "the paper, to the letter"
    assert lines_of(literal).keys() == lines_of(ours).keys()
    assert lines_of(ours)["mine"].get_color() == lines_of(literal)["mine"].get_color()
    colors = [line.get_color() for line in lines_of(ours).values() if line.get_linestyle() == "-"]
    assert len(colors) == len(set(colors))
    np.testing.assert_array_equal(lines_of(ours)["proposed"].get_ydata(), LINES_M["proposed"])
    crosses = [line for line in ours.lines if line.get_marker() == "x"]
    shown = {(x, y) for line in crosses for x, y in zip(*line.get_data(), strict=True)}
    assert {(1, 20.0), (6, 0.45), (10, 3.6), (6, 0.25)} <= shown
    assert len(ours.collections) == len(lines_of(ours))


def test_figures_are_of_the_parts_that_there_are():
    assert [name for name, _ in figures_of(WHOLE)] == [
        "fig2_rmse", "fig2_rmse_best_99", "fig2_median", "table1", "fig3_runtimes", "worth"
    ]  # fmt: skip
    alone = reproduction(points=[], cells=[], runtimes=[], endings=of_part("fig2"))
    assert not list(figures_of(alone))


def test_worth_is_a_line_a_scheme_with_what_it_has():
    rows = worth_rows(WHOLE)
    assert [row.label for row in rows[:2]] == ["none of the four", "only accumulation"]
    assert rows[-1].label == "all four: ours"
    assert {row.unresolved_pct for row in rows} == {10.0}
    (figure,) = (figure for name, figure in figures_of(WHOLE) if name == "worth")
    errors, sensings, _ = figure.axes
    assert [tick.get_text() for tick in errors.get_yticklabels()] == [row.label for row in rows]
    assert errors.yaxis_inverted()
    assert [bar.get_width() for bar in sensings.containers[0]] == 10 * [4.6]
    found = page_of(WHOLE, "", {})
    for scheme, count in (("none of the four", 0), ("only stopping", 1), ("all but visible", 3)):
        (row,) = re.findall(f"<tr><td>{scheme}.*?</tr>", found)
        assert row.count("<td>yes</td>") == count
