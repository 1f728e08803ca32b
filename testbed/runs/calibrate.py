"""A calibration campaign over all links of a site."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from calibration.campaign_lock import campaign_lock
from calibration.dictionary import BackgroundDictionary
from calibration.dictionary_entry import DictionaryError
from calibration.dictionary_survey import refuse_damaged
from calibration.node_calibration import NodeCalibration
from drivers.capture import Capture, CaptureRefusedError
from drivers.node import Node
from drivers.waveform import OfdmGrid
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.node_calibration import node_calibration_of
from testbed.runs.setup import Setup
from testbed.runs.site_entries import Link, by_reason
from testbed.site import Site

# Captures of all entries that are learned together, until their medians are taken.
_MOST_BYTES = 500_000_000


@dataclass(frozen=True)
class CampaignState:
    """How far a campaign is.

    Attributes
    ----------
    stage
        Whether nodes are calibrated, or backgrounds are learned.
    done, total
        Bursts of the one, entries of the other.
    lost
        How many captures were taken again, by what was wrong with them.
    """

    stage: Literal["nodes", "entries"] = "nodes"
    done: int = 0
    total: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)

    @property
    def text(self) -> str:
        """For people."""
        if self.stage == "nodes":
            return "calibrating the nodes"
        counts = "; ".join(f"{count} because {why}" for why, count in sorted(self.lost.items()))
        return f"entries, captures taken again: {counts}" if counts else "entries"


def calibrate(
    site: Site,
    setup: Setup,
    out: Path,
    progress: Callable[[CampaignState], None] = lambda _state: None,
    *,
    relearn: bool = False,
) -> tuple[int, int]:
    """Learn every entry that is not there yet, or stale; how many of them, and of how many.

    Radios are calibrated first, by what their nodes hear of each other. Transmitters take turns,
    all other nodes listen, as in section III-A: as many at once as memory allows. A campaign that
    was stopped goes on where it was: whole entries are kept.

    Parameters
    ----------
    relearn
        Whether entries are learned again that are of links as they were before: whose nodes were
        moved, or have other elements that cannot be compared.

    Raises
    ------
    DictionaryError
        If the directory is of something else, another campaign writes there now, an entry is
        damaged, or is of a link as it was before and not to be learned again.
    CaptureRefusedError
        At the end, if there are links that no entry could be learned of; all others are there.
    """
    with campaign_lock(out):
        return _calibrate(site, setup, out, progress, relearn=relearn)


def _calibrate(
    site: Site, setup: Setup, out: Path, progress: Callable[[CampaignState], None], *, relearn: bool
) -> tuple[int, int]:
    num_captures = site.calibration.num_captures
    dictionary = open_dictionary(out, setup.source, num_captures)
    refuse_damaged(dictionary)  # before hours of learning, not after
    calibration = node_calibration_of(
        setup, dictionary, lambda done, total: progress(CampaignState("nodes", done, total))
    )
    campaign = _Campaign(setup, dictionary, calibration, progress)
    if campaign.changed and not relearn:
        raise DictionaryError(_said_of_changed(out, campaign.changed))
    for tx in setup.source.nodes:
        campaign.learn_from(tx)
    if campaign.problems:
        raise CaptureRefusedError(_said_of(campaign.problems, campaign.total))
    return campaign.learned, campaign.total


class _Campaign:
    """The entries of a dictionary, one transmitter after the other."""

    def __init__(
        self,
        setup: Setup,
        dictionary: BackgroundDictionary,
        calibration: NodeCalibration | None,
        progress: Callable[[CampaignState], None],
    ) -> None:
        source = setup.source
        self._source, self._dictionary, self._progress = source, dictionary, progress
        self._backgrounds = LearnedBackgrounds(
            source, dictionary, calibration=calibration, radios=setup.radios
        )
        self.changed = dict(self._backgrounds.changed)
        self._done = 0
        self._lost: Counter[str] = Counter()
        self.learned, self.total = 0, len(source.nodes) * (len(source.nodes) - 1)
        self.problems: dict[Link, str] = {}

    def learn_from(self, tx: Node) -> None:
        """Learn what is not there yet of a transmitter."""
        others = [rx for rx in self._source.nodes if rx is not tx]
        missing = [rx for rx in others if self._is_wanted(tx, rx)]
        self._done += len(others) - len(missing)
        self._show()
        num_captures = self._dictionary.provenance.num_captures
        for together in _listening_together(missing, self._source.grid, num_captures):
            refused = self._backgrounds.learn_together(tx.node_id, together, self._count)
            self.problems |= {(tx.node_id, rx_id): why for rx_id, why in refused.items()}
            self.learned += len(together) - len(refused)
            self._done += len(together)
            self._show()

    def _is_wanted(self, tx: Node, rx: Node) -> bool:
        """Whether an entry is not there, or does not hold any more."""
        is_there = (tx.location_id, rx.location_id) in self._dictionary
        return not is_there or (tx.node_id, rx.node_id) in self._backgrounds.unusable

    def _show(self) -> None:
        self._progress(CampaignState("entries", self._done, self.total, dict(self._lost)))

    def _count(self, capture: Capture) -> None:
        self._lost[capture.quality.problem or ""] += 1
        self._show()


def _listening_together(
    receivers: Sequence[Node], grid: OfdmGrid, num_captures: int
) -> Iterator[list[str]]:
    """Receivers whose captures are kept at once, by name."""
    largest = max((rx.array.num_elements for rx in receivers), default=1)
    entry_bytes = 8 * grid.num_subcarriers * largest * num_captures
    at_once = max(1, _MOST_BYTES // entry_bytes)
    for first in range(0, len(receivers), at_once):
        yield [rx.node_id for rx in receivers[first : first + at_once]]


def _said_of_changed(root: Path, changed: Mapping[Link, str]) -> str:
    return (
        f"{root}: {len(changed)} entries are of links as they were before: {by_reason(changed)}. "
        "Add --relearn to learn them again, or name another directory"
    )


def _said_of(problems: Mapping[Link, str], total: int) -> str:
    said = by_reason({link: f"a capture {why}" for link, why in problems.items()})
    return (
        f"{len(problems)} of {total} entries could not be learned: {said}. The others are kept: "
        "run it again when this is mended"
    )
