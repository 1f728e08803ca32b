"""Where a link's background comes from: learned, perfect, its equivalent noise, or nowhere."""

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from calibration.dictionary import BackgroundDictionary, Provenance
from calibration.dictionary_entry import LearnedWith, RadioIdentity
from calibration.entry_checks import EntryChecks
from calibration.learning import LearnedBackground, learn_backgrounds
from calibration.node_calibration import NodeCalibration
from calibration.placing import place_background
from drivers.capture import Capture, CaptureRefusedError, CaptureSource
from drivers.geometry import ComplexArray
from processing.suppression import Background
from sim_backend.source import SimulatedSource
from testbed.runs.link_names import Link, by_reason
from testbed.runs.site_entries import SiteEntries

# Backgrounds of links that were looked at last, with what is worked out of them: some 6 MB each.
_NUM_PLACED = 24

BackgroundKind = Literal["learned", "none", "perfect"]
BackgroundOf = Callable[[str, str], Background | None]


def no_background(_tx_id: str, _rx_id: str) -> None:
    """No suppression: the map keeps its clutter."""


def perfect_background(source: SimulatedSource) -> BackgroundOf:
    """The simulator's own static channel, free of noise: what no calibration can reach."""
    index = {node.node_id: n for n, node in enumerate(source.nodes)}

    def background_of(tx_id: str, rx_id: str) -> Background:
        return Background(source.static_channel(index[tx_id], index[rx_id]), "perfect")

    return background_of


def equivalent_background(source: SimulatedSource, num_captures: int) -> BackgroundOf:
    """The noise that a learned entry carries, for a source whose static channel is cancelled.

    The residual has the same distribution as with full synthesis and a learned entry: the static
    channel drops out of (9) exactly, and the median's noise is drawn from its own distribution.
    """

    def background_of(tx_id: str, rx_id: str) -> Background:
        return Background(source.entry_noise(tx_id, rx_id, num_captures), "equivalent")

    return background_of


class LearnedBackgrounds:
    """Entries from a dictionary, learned from the source when first needed.

    Parameters
    ----------
    source
        Whose target-free captures an absent entry is learned from.
    dictionary
        Where entries are kept.
    announce
        Called with transmitter and receiver before a link is learned, which takes a while.
    calibration
        Of the nodes, for what entries do not say of themselves.
    learn_from
        Where an absent entry's captures come from, if not from the source.
    radios
        Which radios the nodes have, by node id, where it is known.
    can_learn
        Whether the hall is free of targets now; if not, an absent entry refuses its link.
    takes_stale
        Whether entries that were found stale are used nevertheless: to look at them again.

    Attributes
    ----------
    stale
        Links, by node ids, whose entries were found stale (`testbed.runs.dictionary_check`).
    changed
        Links whose entries cannot be kept: of another geometry, or of other elements that nothing
        tells how to compare with those that are there now; and why.
    """

    def __init__(
        self,
        source: CaptureSource,
        dictionary: BackgroundDictionary,
        announce: Callable[[str, str], None] | None = None,
        *,
        calibration: NodeCalibration | None = None,
        learn_from: CaptureSource | None = None,
        radios: Mapping[str, RadioIdentity] | None = None,
        can_learn: bool = True,
        takes_stale: bool = False,
    ) -> None:
        self._source = source
        self._dictionary = dictionary
        self._announce = announce
        self._calibration = calibration
        self._learn_from = source if learn_from is None else learn_from
        self._radios = {} if radios is None else radios
        self._can_learn = can_learn
        nodes = source.nodes if calibration is None else calibration.nodes
        self._node = {node.node_id: node for node in nodes}
        self._entries = SiteEntries(dictionary, source, self._radios)
        self._placed: OrderedDict[Link, Background] = OrderedDict()
        self.changed = self._entries.changed | self._heard_by_strangers()
        self.stale = frozenset() if takes_stale else self._found_stale()

    def _found_stale(self) -> frozenset[Link]:
        """Links of entries that were not learned again since they were found stale."""
        found = (
            (self._entries.between(check.link), check.content_hash)
            for check in EntryChecks(self._dictionary).stale
        )
        return frozenset(
            link
            for link, content_hash in found
            if link and link in self._entries and self._entries.content_hash(link) == content_hash
        )

    def _heard_by_strangers(self) -> dict[Link, str]:
        """Links of which nobody knows how an entry looks to the elements that are there now."""
        known = None if self._calibration is None else self._calibration.exchanged
        return {
            link: f"{learned_by} listened, and no sounding tells how "
            f"{self._entries.receiver(link[1])}, which is there now, differs"
            for link, learned_by in self._entries.learned_by.items()
            if known is not None and (link[1], learned_by) not in known
        }

    @property
    def unusable(self) -> frozenset[Link]:
        """Links that are not to be planned with."""
        return self.stale | self.changed.keys()

    @property
    def left_out(self) -> str:
        """Which those are, and why, for people; empty without any."""
        stale = dict.fromkeys(sorted(self.stale), "stale")
        return by_reason(stale | self.changed)

    def is_of_now(self, tx_id: str, rx_id: str) -> bool:
        """Whether a link's entry is there, holds, and was heard by the elements of now."""
        link = tx_id, rx_id
        others = self._entries.learned_by
        return link in self._entries and link not in self.unusable and link not in others

    def content_hash(self, tx_id: str, rx_id: str) -> str:
        """Of a link's entry."""
        return self._entries.content_hash((tx_id, rx_id))

    def __call__(self, tx_id: str, rx_id: str) -> Background:
        """Background of a link.

        Raises
        ------
        CaptureRefusedError
            If it was found stale, is of another geometry, or is not there and cannot be learned
            now.
        """
        link = tx_id, rx_id
        if link in self.changed:
            msg = (
                f"the background of {tx_id} -> {rx_id} is of another link: {self.changed[link]}; "
                "learn it again with testbed calibrate --relearn, without a target"
            )
            raise CaptureRefusedError(msg)
        if link in self.stale:
            msg = (
                f"the background of {tx_id} -> {rx_id} is stale (testbed dictionary check): learn "
                "it again with testbed calibrate, without a target"
            )
            raise CaptureRefusedError(msg)
        if link not in self._placed:
            known = link in self._entries
            if not known and not self._can_learn:
                msg = f"no background of {tx_id} -> {rx_id}; run testbed calibrate without a target"
                raise CaptureRefusedError(msg)
            if not known:
                self.learn(tx_id, rx_id)
            self._placed[link] = self._place(tx_id, rx_id)
            if len(self._placed) > _NUM_PLACED:
                self._placed.popitem(last=False)
        self._placed.move_to_end(link)
        return self._placed[link]

    def known(self, tx_id: str, rx_id: str) -> Background | None:
        """Background of a link, unless it is still to be learned."""
        link = tx_id, rx_id
        is_usable = link in self._entries and link not in self.unusable
        return self(tx_id, rx_id) if is_usable else None

    def _place(self, tx_id: str, rx_id: str) -> Background:
        entry = self._entries.entry((tx_id, rx_id))
        said = entry.header
        channel = self._heard_now((tx_id, rx_id), entry.channel)
        placed = place_background(
            channel, self._node[tx_id], self._node[rx_id], self._source.grid,
            time_var_s2=said.delay_var_s2 if said.delay_is_absolute else None,
            calibration=self._calibration,
        )  # fmt: skip
        return Background(
            placed.channel,
            said.content_hash,
            said.config_epoch,
            placed.delay_is_absolute,
            placed.on_direct_path,
            placed.delay_var_s2,
            placed.response,
            placed.response_var,
            said.learned_with.own_noise_var,
        )

    def _heard_now(self, link: Link, channel: ComplexArray) -> ComplexArray:
        """An entry's channel as the elements hear it that are there now, if others learned it."""
        learned_by = self._entries.learned_by.get(link)
        if learned_by is None or self._calibration is None:
            return channel
        return self._calibration.exchanged[link[1], learned_by].heard(channel, self._source.grid)

    def learn(self, tx_id: str, rx_id: str) -> None:
        """Learn and keep one entry, whether or not it is there already.

        Raises
        ------
        CaptureRefusedError
            If captures of the link cannot be used.
        """
        if self._announce:
            self._announce(tx_id, rx_id)
        if problems := self.learn_together(tx_id, (rx_id,)):
            msg = f"capture on {tx_id} -> {rx_id} {problems[rx_id]}"
            raise CaptureRefusedError(msg)

    def learn_together(
        self,
        tx_id: str,
        rx_ids: Sequence[str],
        lost: Callable[[Capture], None] = lambda _capture: None,
    ) -> dict[str, str]:
        """Learn and keep what several receivers hear of one transmitter; why some could not."""
        num_captures = self._dictionary.provenance.num_captures
        learned, problems = learn_backgrounds(self._learn_from, tx_id, rx_ids, num_captures, lost)
        for rx_id, entry in learned.items():
            self.keep(tx_id, rx_id, entry)
        return problems

    def keep(self, tx_id: str, rx_id: str, entry: LearnedBackground) -> None:
        """Keep an entry in place of the one that is there, whose check says nothing of it."""
        link = tx_id, rx_id
        locations = self._entries.locations(link)
        self._placed.pop(link, None)
        self._dictionary.put(
            *locations, entry.channel, entry.config_epoch,
            delay_is_absolute=entry.delay_is_absolute, delay_var_s2=entry.delay_var_s2,
            geometry=self._entries.geometry(link),
            learned_with=self.learned_with(tx_id, rx_id, entry.noise_var, entry.own_noise_var),
        )  # fmt: skip
        self._entries.learned(link)
        self.changed.pop(link, None)
        self.stale -= {link}
        EntryChecks(self._dictionary).forget(locations)

    def learned_with(
        self, tx_id: str, rx_id: str, noise_var: float | None, own_noise_var: float | None = None
    ) -> LearnedWith:
        """What the header of an entry that is learned now says of it."""
        grid = self._source.grid
        return LearnedWith(
            tx_id=tx_id, rx_id=rx_id,
            tx_radio=self._radios.get(tx_id), rx_radio=self._radios.get(rx_id),
            carrier_hz=grid.carrier_hz, subcarrier_spacing_hz=grid.subcarrier_spacing_hz,
            noise_var=noise_var, own_noise_var=own_noise_var,
        )  # fmt: skip


def provenance_of(source: CaptureSource, num_captures: int) -> Provenance:
    """What entries learned from a source depend on."""
    return Provenance(source.grid.waveform_hash, source.origin, num_captures)


def open_dictionary(root: Path, source: CaptureSource, num_captures: int) -> BackgroundDictionary:
    """Open or make the dictionary of a source.

    Raises
    ------
    DictionaryError
        If it is of another waveform, origin or site.
    """
    dictionary = BackgroundDictionary(root, provenance_of(source, num_captures))
    SiteEntries(dictionary, source, {}).refuse_another_site()
    return dictionary
