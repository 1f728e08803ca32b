"""Entries of a dictionary as seen from a site: which are of its links as they are now."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

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

    Attributes
    ----------
    changed
        Links, by node ids, whose entries are of another geometry, and what has changed.
    learned_by
        Links whose entries other elements heard than the receiver has now, and whose.
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
        self.changed: dict[Link, str] = {}
        self.learned_by: dict[Link, str] = {}
        for link in self._links():
            if self.locations(link) in dictionary:
                self._compare(link)

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
        if len(self._dictionary) and not any(link in self for link in self._links()):
            why = (
                f"for example {self._example()}"
                if self.changed
                else "no link of this site is there"
            )
            msg = (
                f"{self._dictionary.root}: learned with other node poses or arrays, {why}; "
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

    def _links(self) -> Iterator[Link]:
        return ((tx, rx) for tx in self._node for rx in self._node if tx != rx)

    def _compare(self, link: Link) -> None:
        """Note how an entry differs from the link as it is now."""
        with suppress(DictionaryError):  # who reads the entry hears of that
            header = self._dictionary.header_of(*self.locations(link))
            if header.geometry and (why := header.geometry.changes(self.geometry(link))):
                self.changed[link] = " and ".join(why)
            elif (learned_by := header.learned_with.receiver) and not self._listened(
                header, link[1]
            ):
                self.learned_by[link] = learned_by

    def _listened(self, header: EntryHeader, node_id: str) -> bool:
        """Whether an entry was heard by the elements of a node: as far as radios are known."""
        then, now = header.learned_with.rx_radio, self._radios.get(node_id)
        if then is None or now is None:
            return header.learned_with.rx_id == node_id
        return then == now

    def _example(self) -> str:
        link, why = next(iter(self.changed.items()))
        tx, rx = self.locations(link)
        return f"{tx} -> {rx}: {why}"
