"""Writing what came of the paper's study: tables, figures and the page, in one directory."""

from itertools import product
from pathlib import Path

from calibration.whole_files import write_atomically
from testbed.figure_files import save_figure
from testbed.figures.svg import svg_of
from testbed.paper.page import page_of, verdict_of
from testbed.paper.plots import FIGURES, figures_of
from testbed.paper.study import TABLES, Reproduction, tables_of

PAGE_NAME = "index.html"


def write_report(root: Path, found: Reproduction) -> tuple[Path, str]:
    """Write all of it, each file whole or not at all; the page, and its verdict.

    What an earlier page had beside it is taken away: it may be of other parts.
    """
    for name, kind in product(FIGURES, ("png", "svg")):
        (root / f"{name}.{kind}").unlink(missing_ok=True)
    for name in TABLES:
        (root / name).unlink(missing_ok=True)
    for name, text in tables_of(found).items():
        write_atomically(root / name, text.encode())
    figures = {}
    for name, figure in figures_of(found):
        figures[name] = svg_of(figure, name)  # first: a layout is settled anew by each drawing
        write_atomically(root / f"{name}.svg", figures[name].encode())
        save_figure(figure, root / f"{name}.png")
    verdict = verdict_of(found)
    page = root / PAGE_NAME
    write_atomically(page, page_of(found, verdict, figures).encode())
    return page, verdict
