"""Whether something moved while an entry was learned, as a localization would see it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property

import numpy as np

from calibration.dictionary_entry import Entry
from calibration.entry_checks import EntryCheck, Link
from calibration.learning import LearnedBackground
from calibration.placing import place_background
from drivers.capture import Capture, CaptureSource
from processing.suppression import Background
from testbed.runs.links import LinkReporter, Processors
from testbed.site import Site

# Of an entry's noise, what is not noise of the captures that it is the median of: of `N` Gaussian
# ones the median has pi / (2 N) of their variance, and a covariance with each of 1 / N.
_OWN_NOISE = 1.0 - 2.0 / np.pi
# Over the detector's threshold: chance reaches that in a thousandth of all looks, this in none.
_CERTAIN = 2.0


class _OfTheseCaptures(Background):
    """A background that was learned from the very captures that are compared with it."""

    @cached_property
    def noise_var(self) -> float:
        """Variance of the part of its noise that these captures do not have."""
        return _OWN_NOISE * super().noise_var


class MovedThings:
    """Looks at the parts of the time that an entry was learned in, through the pipeline.

    A part is the mean of captures that followed each other. What stood somewhere for a while is
    an echo in some parts; if it stood there for most of the time, and so is in the entry, the
    others lack it, which looks the same.

    Parameters
    ----------
    site
        The lab.
    source
        Of the captures.
    """

    def __init__(self, site: Site, source: CaptureSource) -> None:
        self._node = {node.node_id: node for node in source.nodes}
        self._grid = source.grid
        self._reporter = LinkReporter(site, source.nodes, Processors(site))

    def most_moved(self, learned: LearnedBackground) -> int | None:
        """The part in which something is most otherwise than in the entry; ``None`` in none."""
        if len(learned.parts) < 2:
            return None
        echoes = self._echoes(learned.parts, learned, _OfTheseCaptures)
        strongest = max(echoes)
        return echoes.index(strongest) if strongest > _CERTAIN else None

    def why_not_blended(self, kept: Entry, fresh: LearnedBackground) -> str | None:
        """Why a fresh entry is more than a drift of the kept one, in words; ``None`` if not."""
        said, like = kept.header, fresh.parts[0]
        if said.config_epoch != fresh.config_epoch and not like.needs_alignment:
            return f"the radios were tuned anew since config epoch {said.config_epoch}"
        if fresh.parts_moved:
            return f"something moved in {fresh.parts_moved} of {fresh.num_parts} parts of the time"
        if self._is_unlike(kept, fresh):
            return "most captures show an echo that the entry does not have"
        return None

    def _is_unlike(self, kept: Entry, fresh: LearnedBackground) -> bool:
        """Whether most parts show an echo that a single capture would show: less is drift."""
        said, count = kept.header, len(fresh.parts)
        before = LearnedBackground(
            kept.channel, said.config_epoch, said.delay_is_absolute, said.delay_var_s2,
            own_noise_var=said.learned_with.own_noise_var,
        )  # fmt: skip
        of_one_capture = said.num_captures / count
        echoes = self._echoes(fresh.parts, before, Background)
        return 2 * sum(snr > of_one_capture for snr in echoes) > count

    def _echoes(
        self, parts: Sequence[Capture], entry: LearnedBackground, kind: type[Background]
    ) -> list[float]:
        """SNR of the strongest echo in each part, over what is detected; 0 without any."""
        background = None
        found = []
        for part in parts:
            background = background or self._placed(part, entry, kind)
            report = self._reporter.look(part, background, 0).report
            found.append(report.seen_snr / report.detection_snr)
        return found

    def _placed(
        self, part: Capture, entry: LearnedBackground, kind: type[Background]
    ) -> Background:
        placed = place_background(
            entry.channel, self._node[part.tx_id], self._node[part.rx_id], self._grid,
            time_var_s2=entry.delay_var_s2 if entry.delay_is_absolute else None,
        )  # fmt: skip
        return kind(
            placed.channel, "", entry.config_epoch, placed.delay_is_absolute,
            placed.on_direct_path, placed.delay_var_s2, known_noise_var=entry.own_noise_var,
        )  # fmt: skip


def check_of_moved(link: Link, content_hash: str, learned: LearnedBackground) -> EntryCheck:
    """What is kept of an entry in whose captures something moved, until it is checked."""
    moved, count = learned.parts_moved, learned.num_parts
    return EntryCheck(
        tx_location=link[0], rx_location=link[1], content_hash=content_hash, state="drifting",
        num_captures=count, num_changed=moved, change_snr_db=None, change_range_m=None,
        noise_db=None, reason=f"something moved in {moved} of {count} parts of its captures' time",
        checked=datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip
