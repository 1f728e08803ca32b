"""The page of the paper's study: published, to the letter, ours and the bounds, side by side."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from testbed.commands.tables import metres
from testbed.figures.svg import svg_of
from testbed.paper.cases import COLUMNS, FIG2_ELEMENTS, PARTS, WORTH_ELEMENTS
from testbed.paper.notes import NOTES
from testbed.paper.plots import COLUMN_TITLES, SCHEME_NAMES, figures_of, worth_name
from testbed.paper.published import FIG2_RMSE_M, TABLE1_M, THROUGHPUT_LOSS_PCT
from testbed.paper.results import Cell, Ending
from testbed.paper.statements import Statement, statements
from testbed.paper.study import Reproduction
from testbed.report.html import Html, joined, table, tag
from testbed.report.style import STYLE
