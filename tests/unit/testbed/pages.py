"""Pages as a browser finds them."""

import re
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

VOID = {"meta", "br"}


class Reader(HTMLParser):
    """What a browser would find; elements that are not closed, or in no order, are an error."""

    def __init__(self, page: str) -> None:
        super().__init__()
        for figure in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL):
            ET.fromstring(figure)  # noqa: S314  our own
        self.open: list[str] = []
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text: list[str] = []
        self.headings: list[str] = []
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, name, attrs):
        self.tags.append(name)
        self.attributes += attrs
        if name not in VOID:
            self.open.append(name)

    def handle_startendtag(self, name, attrs):
        self.tags.append(name)
        self.attributes += attrs

    def handle_endtag(self, name):
        assert self.open.pop() == name

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)
        if self.open and self.open[-1] == "h2":
            self.headings.append(data)

    @property
    def words(self) -> str:
        return " ".join(" ".join(self.text).split())
