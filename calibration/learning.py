"""Learning backgrounds from captures of one transmitter at one or several receivers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from calibration.background import BackgroundLearner, median_var
from drivers.capture import Capture, CaptureRefusedError, CaptureSource
from drivers.geometry import ComplexArray
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.channel import channel_estimate

# The part of a background's time in which something is most otherwise than in it, if in any.
MostMoved = Callable[["LearnedBackground"], int | None]

# Of which one can be otherwise than the others: fewer are not left of any entry, nor fewer than
# three of seven. One who was there for 40 % of the time may have been there in four of seven.
_FEWEST_PARTS = 2
_NO_PILOTS = np.zeros((0, 0), dtype=np.complex64)
# What was lost is captured again; what is lost more often than this is no accident.
_MOST_ATTEMPTS = 4


def captures_of_links(
    source: CaptureSource,
    tx_id: str,
    rx_ids: Sequence[str],
    num_captures: int,
    lost: Callable[[Capture], None] = lambda _capture: None,
    first_index: int = 0,
) -> Iterator[Capture]:
    """Target-free captures of one transmitter at several receivers, burst by burst.

    What cannot be used is shown to `lost` and taken again, by those receivers that lost it. One
    that stays unusable is yielded, and its receiver listens no more.
    """
    listening = list(rx_ids)
    for index in range(first_index, first_index + num_captures):
        waiting = list(listening)
        for attempt in range(_MOST_ATTEMPTS):
            if not waiting:
                break
            unusable = []
            for capture in source.sense_background(tx_id, tuple(waiting), index):
                if capture.quality.usable:
                    yield capture
                    continue
                lost(capture)
                unusable.append(capture.rx_id)
                if attempt + 1 == _MOST_ATTEMPTS:
                    listening.remove(capture.rx_id)
                    yield capture
            waiting = unusable


def captures_of_link(
    source: CaptureSource, tx_id: str, rx_id: str, num_captures: int
) -> Iterator[Capture]:
    """Target-free captures of one link, one at a time; one that cannot be used is taken again.

    Raises
    ------
    CaptureRefusedError
        If one stays unusable, with the last reason.
    """
    for capture in captures_of_links(source, tx_id, (rx_id,), num_captures):
        if not capture.quality.usable:
            msg = f"capture on {tx_id} -> {rx_id} is not usable: {capture.quality.problem}"
            raise CaptureRefusedError(msg)
        yield capture


@dataclass(frozen=True)
class LearnedBackground:
    """One link's background as learned.

    Attributes
    ----------
    channel
        Shape ``(K, M)``, complex64.
    config_epoch
        Of all captures that it was learned from.
    delay_is_absolute
        Whether its delays count from transmission by the radios' common time.
    delay_var_s2
        Variance of that time.
    noise_var
        Of a channel entry of one symbol; see ``BackgroundLearner.noise_var``, which is of a capture
        that averages several.
    own_noise_var
        Of the noise in `channel`; ``None`` where it is not known.
    parts
        Means of captures that followed each other, as captures of more bursts: what it was like in
        each part of the time that it was learned in.
    parts_moved
        In how many parts something was otherwise: they were left out, up to about half of all.
    num_parts
        How many there were in all.
    """

    channel: ComplexArray
    config_epoch: int
    delay_is_absolute: bool = True
    delay_var_s2: float = 0.0
    noise_var: float | None = None
    own_noise_var: float | None = None
    parts: tuple[Capture, ...] = ()
    parts_moved: int = 0
    num_parts: int = 0


def learn_background(
    source: CaptureSource, tx_id: str, rx_id: str, num_captures: int
) -> LearnedBackground:
    """Learn one link's background from a capture source; eqs. (2) and (8).

    Raises
    ------
    CaptureRefusedError
        If captures stay unusable (overflow, late, clock unlocked); if one is of another
        waveform, or of another config epoch than the first: the median of two tunings is no
        background.
    """
    learned, problems = learn_backgrounds(source, tx_id, (rx_id,), num_captures)
    if problems:
        msg = f"capture on {tx_id} -> {rx_id} {problems[rx_id]}"
        raise CaptureRefusedError(msg)
    return learned[rx_id]


def learn_backgrounds(
    source: CaptureSource,
    tx_id: str,
    rx_ids: Sequence[str],
    num_captures: int,
    lost: Callable[[Capture], None] = lambda _capture: None,
    first_index: int = 0,
    most_moved: MostMoved = lambda _learned: None,
) -> tuple[dict[str, LearnedBackground], dict[str, str]]:
    """Learn the backgrounds of one transmitter at several receivers that listen at once.

    Parameters
    ----------
    lost
        Shown every capture that had to be taken again.
    first_index
        Of the captures: simulated ones are drawn by it.
    most_moved
        Finds the part of an entry's time in which something was otherwise; it is left out.

    Returns
    -------
    tuple
        What was learned by receiver; and what is wrong with a capture of each other receiver, as
        in "is not usable: the burst missed its time (late)"; see `learn_background`.
    """
    entries = {rx_id: _Entry(source.grid, num_captures) for rx_id in rx_ids}
    problems: dict[str, str] = {}
    for capture in captures_of_links(source, tx_id, rx_ids, num_captures, lost, first_index):
        if capture.rx_id in problems:
            continue
        if problem := entries[capture.rx_id].add(capture):
            problems[capture.rx_id] = problem
    learned = {}
    for name in rx_ids:
        entry = entries.pop(name)  # one after the other: captures fill memory
        if name not in problems:
            learned[name] = entry.learned(most_moved)
    return learned, problems


def median_of_rounds(
    rounds: Sequence[Capture],
    noise_vars: Sequence[float | None],
    grid: OfdmGrid,
    most_moved: MostMoved = lambda _learned: None,
) -> LearnedBackground:
    """The background of a link that was learned in rounds: the median of what each learned.

    A median of medians: what stood somewhere for fewer than half of the rounds is not in it,
    however many of their captures had it. Of captures with Gaussian noise, seven medians of ten
    are worth 54 in one median of 70.

    Parameters
    ----------
    rounds
        What each round learned, as a capture.
    noise_vars
        Of one symbol in each round; ``None`` where it was not known.

    Raises
    ------
    CaptureRefusedError
        If one cannot be part of an entry with the others; see `learn_background`.
    """
    entry = _Entry(grid, len(rounds))
    for capture in rounds:
        if problem := entry.add(capture):
            msg = f"capture on {capture.tx_id} -> {capture.rx_id} {problem}"
            raise CaptureRefusedError(msg)
    found, known = entry.learned(most_moved), [var for var in noise_vars if var is not None]
    return replace(found, noise_var=float(np.median(known))) if known else found


class _Entry:
    """Captures of one link, as they come."""

    def __init__(self, grid: OfdmGrid, num_captures: int) -> None:
        self._grid, self._num_captures = grid, num_captures
        self._pilots, self._waveform_hash = pilot_symbols(grid), grid.waveform_hash
        self._learner: BackgroundLearner | None = None
        # The latest capture but for its pilots, in the first one's epoch.
        self._like: Capture | None = None

    def add(self, capture: Capture) -> str | None:
        """Take a capture in, or say why it cannot be part of the entry."""
        epoch = capture.config_epoch if self._like is None else self._like.config_epoch
        if problem := _problem(capture, self._waveform_hash, epoch):
            return problem
        if self._learner is None:
            grid = self._grid if capture.needs_alignment else None
            groups = capture.coherent_groups or None
            self._learner = BackgroundLearner(self._num_captures, grid, groups)
        self._like = replace(capture, rx_pilots=_NO_PILOTS, config_epoch=epoch)
        self._learner.add(channel_estimate(capture.rx_pilots, self._pilots))
        return None

    def learned(self, most_moved: MostMoved) -> LearnedBackground:
        """The median of all captures but those of parts in which something moved."""
        learner, like = self._learner, self._like
        if learner is None or like is None:
            msg = f"an entry needs at least one capture, got num_captures={self._num_captures}"
            raise ValueError(msg)
        found, moved = self._median(learner, like), 0
        num_parts = len(found.parts)
        while (part := most_moved(found)) is not None:
            moved += 1
            if num_parts - moved < max(_FEWEST_PARTS, num_parts // 2):
                break
            learner.leave_out(part)
            found = self._median(learner, like)
        return replace(found, parts_moved=moved, num_parts=num_parts)

    def _median(self, learner: BackgroundLearner, like: Capture) -> LearnedBackground:
        entry = learner.entry()
        parts = [
            replace(
                like, rx_pilots=mean * self._pilots[:, None],
                num_averaged=like.num_averaged * count,
            )
            for mean, count in learner.parts()
        ]  # fmt: skip
        of_one, own_var = learner.noise_var(entry), None
        if of_one is not None:
            own_var = of_one * median_var(learner.num_kept)
            of_one *= like.num_averaged
        return LearnedBackground(
            entry, like.config_epoch, like.delay_is_absolute, like.delay_var_s2, of_one, own_var,
            tuple(parts),
        )  # fmt: skip


def _problem(capture: Capture, waveform_hash: str, config_epoch: int) -> str | None:
    """Why a capture cannot be part of an entry, or ``None``."""
    if not capture.quality.usable:
        return f"is not usable: {capture.quality.problem}"
    if capture.waveform_hash != waveform_hash:
        return f"is of waveform {capture.waveform_hash}, expected {waveform_hash}"
    if capture.config_epoch != config_epoch and not capture.needs_alignment:
        return (
            f"is of config epoch {capture.config_epoch}, the entry began in {config_epoch}: "
            "the radio was retuned; learn this link again"
        )
    return None
