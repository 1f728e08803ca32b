"""Figures as SVG text that can stand in a page, several in one."""

import io
import re
import warnings
from typing import Any

import matplotlib as mpl

from testbed.figure_files import Savable

# Groups are named alike in all figures; nothing refers to them, and a page has each id once.
_GROUP_ID = re.compile(r'<g id="[^"]*"')
_STYLE: Any = {"svg.fonttype": "none", "font.family": "sans-serif", "text.parse_math": False}


def svg_of(figure: Savable, name: str) -> str:
    """The ``<svg>`` element of a figure: text as text, and the same for the same figure.

    Parameters
    ----------
    name
        Unique in a page: ids that are referred to are made of it.
    """
    stream = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}), warnings.catch_warnings():
        # Names may be of any script: browsers have the fonts, whatever there is here to measure.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(stream, format="svg", metadata={"Date": None, "Creator": None})
    content = stream.getvalue()
    return _GROUP_ID.sub("<g", content[content.index("<svg") :])
