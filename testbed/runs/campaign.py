"""The entries of a dictionary, learned one transmitter after the other."""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence

from calibration.blending import blended
from calibration.dictionary import BackgroundDictionary
from calibration.entry_checks import EntryChecks
from calibration.learning import LearnedBackground, learn_backgrounds
from calibration.link_geometry import link_geometry
from calibration.node_calibration import NodeCalibration
from drivers.capture import Capture, CaptureRefusedError
from drivers.node import Node
from drivers.waveform import OfdmGrid
from testbed.runs.backgrounds import LearnedBackgrounds
from testbed.runs.campaign_state import CampaignPlan, CampaignState
from testbed.runs.link_names import Link
from testbed.runs.moved import MovedThings, check_of_moved
from testbed.runs.rounds import Rounds, SaidOfRound, num_rounds
from testbed.runs.setup import Setup
from testbed.site import Site

# Captures of all entries that are learned together, until their medians are taken.
_MOST_BYTES = 500_000_000
# Captures of an update are other ones than those of learning and checking, where simulated.
_FIRST_OF_UPDATES = 1 << 20


class Campaign:
    """Learns what is not there yet of a dictionary, or blends all of it with what is there now.

    Parameters
    ----------
    site, setup
        Whose links are learned.
    dictionary
        Of the entries.
    calibration
        Of the nodes, where they have radios and were calibrated.
    plan
        See `CampaignPlan`.
    progress
        Shown how far it is.

    Attributes
    ----------
    learned, total
        Entries that were learned or blended, and all.
    problems
        Links, by node ids, that no entry could be learned of, and why.
    changed
        Links whose entries were of another geometry or of elements that nobody can compare, and
        why.
    """

    def __init__(
        self,
        site: Site,
        setup: Setup,
        dictionary: BackgroundDictionary,
        calibration: NodeCalibration | None,
        plan: CampaignPlan,
        progress: Callable[[CampaignState], None],
    ) -> None:
        source = setup.source
        self._source, self._dictionary, self._progress = source, dictionary, progress
        self._plan, self._pause = plan, setup.pause
        self._backgrounds = LearnedBackgrounds(
            source, dictionary, calibration=calibration, radios=setup.radios
        )
        self.changed = dict(self._backgrounds.changed)
        self._moved_things = MovedThings(site, source)
        number = num_rounds(dictionary.provenance.num_captures) if plan.spread_s else 1
        self._rounds = Rounds(dictionary, source.grid, number)
        self._first_index = _first_of_update(dictionary) if plan.update else 0
        self._round, self._done = 0, 0
        self._lost: Counter[str] = Counter()
        self._moved: dict[Link, tuple[int, int]] = {}
        self._unlike: dict[Link, str] = {}
        self.learned, self.total = 0, len(source.nodes) * (len(source.nodes) - 1)
        self.problems: dict[Link, str] = {}

    def run(self) -> None:
        """Learn everything, in as many rounds as are planned."""
        wanted = {tx.node_id: self._wanted(tx) for tx in self._source.nodes}
        last = len(self._rounds.sizes) - 1
        self._done = (last + 1) * (self.total - sum(map(len, wanted.values())))
        if last:
            self._rounds.check_disk(rx for receivers in wanted.values() for rx in receivers)
        for number in range(last + 1):
            self._round, began_s = number, time.monotonic()
            took = [self._learn_from(tx, wanted[tx.node_id]) for tx in self._source.nodes]
            if number < last and any(took):
                self._wait(self._plan.spread_s / last - (time.monotonic() - began_s))
        if not self.problems:
            self._rounds.remove()

    def _wanted(self, tx: Node) -> list[Node]:
        """Receivers whose entries are not there, do not hold any more, or are to be blended."""
        wanted = []
        for rx in self._source.nodes:
            link = tx.location_id, rx.location_id
            is_known = link in self._dictionary
            holds = (tx.node_id, rx.node_id) not in self._backgrounds.unusable
            if is_known and holds and not self._plan.update:
                self._rounds.forget(link)  # of a campaign that was killed before it could
            elif rx is not tx:
                wanted.append(rx)
        return wanted

    def _wait(self, pause_s: float) -> None:
        """Let time pass until the next round begins."""
        self._round += 1
        self._show(max(pause_s, 0.0))
        if pause_s > 0.0:
            self._pause(pause_s)

    def _learn_from(self, tx: Node, receivers: Sequence[Node]) -> bool:
        """Learn of a transmitter what this round has not yet; whether there was anything."""
        missing = [
            rx
            for rx in receivers
            if (tx.node_id, rx.node_id) not in self.problems
            and not self._rounds.has(
                self._round, (tx.location_id, rx.location_id), self._said(tx, rx)
            )
        ]
        self._done += len(receivers) - len(missing)
        self._show()
        size = self._rounds.sizes[self._round]
        for together in _listening_together(missing, self._source.grid, size):
            self._learn(tx, together, size)
            self._done += len(together)
            self._show()
        return bool(missing)

    def _learn(self, tx: Node, receivers: Sequence[Node], num_captures: int) -> None:
        is_last, is_only = self._round + 1 == len(self._rounds.sizes), len(self._rounds.sizes) == 1
        learned, problems = learn_backgrounds(
            self._source, tx.node_id, [rx.node_id for rx in receivers], num_captures, self._count,
            self._first_index + self._rounds.first_capture(self._round),
            self._moved_things.most_moved if is_only else _nothing_moved,
        )  # fmt: skip
        self.problems |= {(tx.node_id, rx_id): why for rx_id, why in problems.items()}
        for rx in receivers:
            entry = learned.pop(rx.node_id, None)  # one after the other, as they fill memory
            if entry is None:
                continue
            if is_last:
                self._finish(tx, rx, entry)
                continue
            said = self._said(tx, rx, entry.noise_var)
            self._rounds.put(self._round, (tx.location_id, rx.location_id), entry, said)

    def _said(self, tx: Node, rx: Node, noise_var: float | None = None) -> SaidOfRound:
        """What is said of a round of a link that is learned now."""
        learned_with = self._backgrounds.learned_with(tx.node_id, rx.node_id, noise_var)
        return SaidOfRound(link_geometry(tx, rx), learned_with)

    def _finish(self, tx: Node, rx: Node, last: LearnedBackground) -> None:
        """Make an entry of what rounds have learned, and keep it."""
        ids, link = (tx.node_id, rx.node_id), (tx.location_id, rx.location_id)
        try:
            entry = self._rounds.together(link, last, self._moved_things.most_moved)
        except CaptureRefusedError:
            self.problems[ids] = "is of another tuning than those of earlier rounds"
        else:
            self._keep(ids, link, entry)
        self._rounds.forget(link)

    def _keep(self, ids: Link, link: Link, entry: LearnedBackground) -> None:
        kept = None
        if self._plan.update and self._backgrounds.is_of_now(*ids):
            kept = self._dictionary.get(*link)
            if why := self._moved_things.why_not_blended(kept, entry):
                self._unlike[ids] = why
                return
        grid = self._source.grid
        self._backgrounds.keep(*ids, entry if kept is None else blended(kept, entry, grid))
        self.learned += 1
        if entry.parts_moved:
            self._moved[ids] = entry.parts_moved, entry.num_parts
            content_hash = self._backgrounds.content_hash(*ids)
            EntryChecks(self._dictionary).put([check_of_moved(link, content_hash, entry)])

    def _show(self, pause_s: float = 0.0) -> None:
        every = len(self._rounds.sizes)
        self._progress(
            CampaignState(
                "entries", self._done, every * self.total, dict(self._lost), self._round + 1,
                every, pause_s, dict(self._moved), dict(self._unlike),
            )
        )  # fmt: skip

    def _count(self, capture: Capture) -> None:
        self._lost[capture.quality.problem or ""] += 1
        self._show()


def _nothing_moved(_learned: LearnedBackground) -> None:
    """Nobody looks: what rounds learned is looked at when it is brought together."""


def _listening_together(
    receivers: Sequence[Node], grid: OfdmGrid, num_captures: int
) -> Iterator[list[Node]]:
    """Receivers whose captures are kept at once."""
    largest = max((rx.array.num_elements for rx in receivers), default=1)
    entry_bytes = 8 * grid.num_subcarriers * largest * num_captures
    at_once = max(1, _MOST_BYTES // entry_bytes)
    for first in range(0, len(receivers), at_once):
        yield list(receivers[first : first + at_once])


def _first_of_update(dictionary: BackgroundDictionary) -> int:
    """Index of an update's first capture: another one for each state of the dictionary."""
    hashes = [dictionary.header(path).content_hash for path in dictionary.header_paths()]
    digest = hashlib.sha256("".join(hashes).encode()).digest()
    return _FIRST_OF_UPDATES + int.from_bytes(digest[:4])
