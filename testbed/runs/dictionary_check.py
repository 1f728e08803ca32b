"""Whether a dictionary still holds: each entry against a few captures without target.

An entry is judged by what the pipeline makes of it: where captures of an empty hall show an echo,
the background is no longer what was learned.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from calibration.dictionary import BackgroundDictionary, manifest_of
from calibration.dictionary_entry import EntryHeader, RadioIdentity
from calibration.entry_checks import EntryCheck, EntryChecks, State
from calibration.entry_drift import MOST_NOISE_DB
from calibration.node_calibration import NodeCalibration
from drivers.capture import Capture, CaptureRefusedError, CaptureSource
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S
from drivers.node import Node
from processing.report import LinkReport
from testbed.runs.backgrounds import LearnedBackgrounds, open_dictionary
from testbed.runs.campaign_state import CampaignState
from testbed.runs.drift import headers_of, noise_over_learned_db
from testbed.runs.links import LinkReporter, Processors
from testbed.runs.node_calibration import node_calibration_of
from testbed.runs.setup import Setup
from testbed.site import Site

# Captures are other ones than those that entries and nodes were calibrated by, where simulated.
_FIRST_INDEX = 1_000


def check_dictionary(
    site: Site,
    setup: Setup,
    root: Path,
    num_captures: int,
    progress: Callable[[CampaignState], None],
) -> list[EntryCheck]:
    """Calibrate the nodes, then measure every entry of the dictionary in a directory.

    Raises
    ------
    DictionaryError
        If there is none, or one of something else.
    """
    manifest_of(root)  # a check makes no dictionary
    dictionary = open_dictionary(root, setup.source, site.calibration.num_captures)
    calibration = node_calibration_of(
        setup, dictionary, lambda done, total: progress(CampaignState("nodes", done, total))
    )
    return check_entries(
        site, setup.source, dictionary, calibration, num_captures,
        lambda done, total: progress(CampaignState("entries", done, total)), setup.radios,
    )  # fmt: skip


def check_entries(
    site: Site,
    source: CaptureSource,
    dictionary: BackgroundDictionary,
    calibration: NodeCalibration | None,
    num_captures: int,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
    radios: Mapping[str, RadioIdentity] | None = None,
) -> list[EntryCheck]:
    """Measure every entry of a dictionary, and keep what was found beside it.

    The hall must be free of targets. Transmitters take turns, all others listen.

    Parameters
    ----------
    num_captures
        Of each entry.
    progress
        Called with the entries that are done and those in all.
    radios
        Which radios the nodes have, by node id, where it is known.
    """
    checks, found = EntryChecks(dictionary), list[EntryCheck]()
    nodes = source.nodes
    links = [(tx, rx) for tx in nodes for rx in nodes if tx is not rx]
    known = [(tx, rx) for tx, rx in links if (tx.location_id, rx.location_id) in dictionary]
    backgrounds = LearnedBackgrounds(
        source, dictionary, calibration=calibration, radios=radios, can_learn=False,
        takes_stale=True,
    )  # fmt: skip
    checker = _Checker(site, source, backgrounds, calibration, headers_of(dictionary))
    for tx in nodes:
        listeners = [rx for sender, rx in known if sender is tx]
        if not listeners:
            continue
        progress(len(found), len(known))
        fresh = checker.checked(tx, listeners, num_captures)
        checks.put(fresh)  # a long check that is stopped has said something already
        found += fresh
    progress(len(found), len(known))
    return found


@dataclass
class _Looks:
    """What captures of one link showed."""

    reports: list[LinkReport] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)


class _Checker:
    """Looks at links as a localization does, and says what it sees of the background."""

    def __init__(
        self,
        site: Site,
        source: CaptureSource,
        backgrounds: LearnedBackgrounds,
        calibration: NodeCalibration | None,
        headers: Mapping[tuple[str, str], EntryHeader],
    ) -> None:
        self._source = source
        self._headers = headers
        self._backgrounds = backgrounds
        self._reporter = LinkReporter(site, source.nodes, Processors(site), calibration)

    def checked(self, tx: Node, receivers: Sequence[Node], num_captures: int) -> list[EntryCheck]:
        """Checks of one transmitter's entries."""
        looks = {rx.node_id: _Looks() for rx in receivers}
        for index in range(num_captures):
            for capture in self._source.sense_background(
                tx.node_id, tuple(looks), _FIRST_INDEX + index, brief=True
            ):
                self._look(capture, looks[capture.rx_id], index)
        return [self._judged(tx, rx, looks[rx.node_id]) for rx in receivers]

    def _look(self, capture: Capture, looks: _Looks, index: int) -> None:
        try:
            if capture.quality.problem:
                raise CaptureRefusedError(capture.quality.problem)
            background = self._backgrounds(capture.tx_id, capture.rx_id)
            looks.reports.append(self._reporter.look(capture, background, index).report)
        except CaptureRefusedError as refusal:
            looks.refusals.append(str(refusal))

    def _judged(self, tx: Node, rx: Node, looks: _Looks) -> EntryCheck:
        changed = [report for report in looks.reports if report.seen_snr > 0.0]
        strongest = max(changed, key=lambda report: report.seen_snr, default=None)
        noise_db = _noise_db(looks, self._headers.get((tx.location_id, rx.location_id)))
        return EntryCheck(
            tx_location=tx.location_id,
            rx_location=rx.location_id,
            content_hash=self._backgrounds.content_hash(tx.node_id, rx.node_id),
            state=_state(looks, len(changed), noise_db),
            num_captures=len(looks.reports),
            num_changed=len(changed),
            change_snr_db=None if strongest is None else 10.0 * float(np.log10(strongest.seen_snr)),
            change_range_m=None if strongest is None else _range_m(strongest),
            noise_db=noise_db,
            reason=looks.refusals[-1] if looks.refusals else None,
            checked=datetime.now(UTC).isoformat(timespec="seconds"),
        )


def _range_m(report: LinkReport) -> float | None:
    """Where it is, unless the direct path hides that."""
    return report.hypotheses[0].delay_s * SPEED_OF_LIGHT_M_PER_S if report.hypotheses else None


def _noise_db(looks: _Looks, header: EntryHeader | None) -> float | None:
    """Median noise of what is left over what there was as it was learned."""
    noise_db = [noise_over_learned_db(report, header) for report in looks.reports]
    known = [value for value in noise_db if value is not None]
    return float(np.median(known)) if known else None


def _state(looks: _Looks, num_changed: int, noise_db: float | None) -> State:
    # Where there are no reports, nothing can be compared with it.
    if not looks.reports or 2 * num_changed > len(looks.reports):
        return "stale"
    noisy = noise_db is not None and noise_db > MOST_NOISE_DB
    return "drifting" if num_changed or noisy or looks.refusals else "valid"
