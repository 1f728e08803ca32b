"""HTML that cannot be broken by what stands in it: text is escaped unless it is `Html` already."""

from collections.abc import Iterable, Sequence
from html import escape

_VOID = frozenset({"meta", "br"})


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


def _escaped(text: str) -> str:
    return text if isinstance(text, Html) else escape(printable(text))


def printable(text: str) -> str:
    """Text without control characters, lone surrogates and what turns the direction of writing."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
