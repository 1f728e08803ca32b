"""Entries of a dictionary as seen from a site: which are of its links as they are now."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import permutations

from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import (
    DictionaryError,
    Entry,
    EntryHeader,
    RadioIdentity,
    hardware_name,
)
from calibration.link_geometry import LinkGeometry, link_geometry
from drivers.capture import CaptureSource
from testbed.runs.link_names import Link


class SiteEntries:
    """A dictionary, which knows locations, by the nodes that stand there now.

    Parameters
    ----------
    dictionary
        Where entries are kept.
    source
        Of the site's captures; its nodes as surveyed.
    radios
        Which radios the nodes have, by node id, where it is known.
    """

    def __init__(
        self,
        dictionary: BackgroundDictionary,
        source: CaptureSource,
        radios: Mapping[str, RadioIdentity],
    ) -> None:
        self._dictionary = dictionary
        self._radios = radios
        self._node = {node.node_id: node for node in source.nodes}
        self._node_at = {node.location_id: node.node_id for node in source.nodes}

    @cached_property
    def _compared(self) -> tuple[dict[Link, str], dict[Link, str]]:
        changed, learned_by = dict[Link, str](), dict[Link, str]()
        for link, header in self._headers():
            if header is None:
                continue
            other = header.learned_with.receiver
            if why := self._changes(link, header):
                changed[link] = why
            elif other is not None and not self._listened(header, link[1]):
                learned_by[link] = other
        return changed, learned_by

    @property
    def changed(self) -> dict[Link, str]:
        """Links, by node ids, whose entries are of another geometry, and what has changed."""
        return self._compared[0]

    @property
    def learned_by(self) -> dict[Link, str]:
        """Links whose entries other elements heard than the receiver has now, and whose."""
        return self._compared[1]

    def locations(self, link: Link) -> Link:
        """What the dictionary calls a link."""
        return self._node[link[0]].location_id, self._node[link[1]].location_id

    def between(self, locations: Link) -> Link | None:
        """Nodes that stand at two locations; ``None`` unless there is one at both."""
        tx_id, rx_id = (self._node_at.get(location) for location in locations)
        return None if tx_id is None or rx_id is None else (tx_id, rx_id)

    def geometry(self, link: Link) -> LinkGeometry:
        """Of a link now."""
        return link_geometry(self._node[link[0]], self._node[link[1]])

    def __contains__(self, link: Link) -> bool:
        """Whether there is an entry of a link, by node ids, as it stands now."""
        return link not in self.changed and self.locations(link) in self._dictionary

    def content_hash(self, link: Link) -> str:
        """Of a link's entry."""
        return self._dictionary.header_of(*self.locations(link)).content_hash

    def refuse_another_site(self) -> None:
        """See that a dictionary that has entries has some of this site's links.

        Raises
        ------
        DictionaryError
            If it has none.
        """
        example = "no link of this site is there"
        for link, header in self._headers():
            changes = "" if header is None else self._changes(link, header)
            if not changes:
                return  # the others are compared once that is needed
            example = f"for example {' -> '.join(self.locations(link))}: {changes}"
        if len(self._dictionary):
            msg = (
                f"{self._dictionary.root}: learned with other node poses or arrays, {example}; "
                "calibrate again into another directory"
            )
            raise DictionaryError(msg)

    def entry(self, link: Link) -> Entry:
        """Entry of a link; raises as `BackgroundDictionary.get`."""
        return self._dictionary.get(*self.locations(link))

    def learned(self, link: Link) -> None:
        """An entry was learned as the link is now."""
        self.changed.pop(link, None)
        self.learned_by.pop(link, None)

    def receiver(self, node_id: str) -> str:
        """Which elements a node listens with."""
        return hardware_name(node_id, self._radios.get(node_id))

    def _headers(self) -> Iterator[tuple[Link, EntryHeader | None]]:
        """Of this site's links that have entries; ``None`` of one that cannot be read."""
        for link in permutations(self._node, 2):
            locations = self.locations(link)
            if locations not in self._dictionary:
                continue
            try:
                yield link, self._dictionary.header_of(*locations)
            except DictionaryError:
                yield link, None  # who reads the entry hears of that

    def _changes(self, link: Link, header: EntryHeader) -> str:
        """How a link is otherwise now than its entry was learned, in words; empty if it is not."""
        learned = header.geometry
        return "" if learned is None else " and ".join(learned.changes(self.geometry(link)))

    def _listened(self, header: EntryHeader, node_id: str) -> bool:
        """Whether an entry was heard by the elements of a node: as far as radios are known."""
        then, now = header.learned_with.rx_radio, self._radios.get(node_id)
        if then is None or now is None:
            return header.learned_with.rx_id == node_id
        return then == now
