"""HTML that cannot be broken by what stands in it: text is escaped unless it is `Html` already."""

from collections.abc import Iterable, Sequence
from html import escape

_VOID = frozenset({"meta", "br"})
_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #1a1a1a; background: #fff; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
.verdict { font-size: 1.15rem; padding: .6rem .9rem; border-left: .35rem solid #0072B2;
  background: #f3f6f9; }
table { border-collapse: collapse; font-size: .86rem; } th { text-align: left; }
th, td { padding: .15rem .6rem; border-bottom: 1px solid #ddd; vertical-align: top; }
.facts td:first-child { color: #555; white-space: nowrap; }
td { overflow-wrap: break-word; } td.number { white-space: nowrap; }
.number { text-align: right; } .wide { overflow-x: auto; }
svg { max-width: 100%; height: auto; font-family: sans-serif; }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; }
  svg, tr { break-inside: avoid; } .wide { overflow: visible; } }
"""


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def tag(name: str, *children: str, **attributes: str) -> Html:
    """An element; ``class_`` stands for the attribute that Python has no name for."""
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(printable(value))}"'
        for key, value in attributes.items()
    )
    if name in _VOID:
        return Html(f"<{name}{given}>")
    return Html(f"<{name}{given}>{joined(children)}</{name}>")


def joined(children: Iterable[str]) -> Html:
    """Pieces one after the other."""
    return Html("".join(_escaped(child) for child in children))


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers_from: int) -> Html:
    """A table whose columns from `numbers_from` on are set to the right."""

    def cells(kind: str, texts: Sequence[str]) -> Html:
        return tag(
            "tr",
            *(
                tag(kind, text, class_="number") if n >= numbers_from else tag(kind, text)
                for n, text in enumerate(texts)
            ),
        )

    body = joined(cells("td", row) for row in rows)
    head = [tag("thead", cells("th", heads))] if heads else []
    return tag("table", *head, tag("tbody", body))


def whole_page(title: str, *children: str) -> str:
    """A page under a title, which stands alone: it opens from disk and prints."""
    head = tag(
        "head", tag("meta", charset="utf-8"), tag("title", title), tag("style", Html(_STYLE)),
        tag("meta", name_="viewport", content="width=device-width"),
    )  # fmt: skip
    body = tag("body", tag("h1", title), *children)
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _escaped(text: str) -> str:
    return text if isinstance(text, Html) else escape(printable(text))


def printable(text: str) -> str:
    """Text without control characters, lone surrogates and what turns the direction of writing."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
