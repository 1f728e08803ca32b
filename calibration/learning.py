"""Learning backgrounds from captures of one transmitter at one or several receivers."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from calibration.background import BackgroundLearner
from drivers.capture import Capture, CaptureRefusedError, CaptureSource
from drivers.geometry import ComplexArray
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.channel import channel_estimate

# What was lost is captured again; what is lost more often than this is no accident.
_MOST_ATTEMPTS = 4


def captures_of_links(
    source: CaptureSource,
    tx_id: str,
    rx_ids: Sequence[str],
    num_captures: int,
    lost: Callable[[Capture], None] = lambda _capture: None,
) -> Iterator[Capture]:
    """Target-free captures of one transmitter at several receivers, burst by burst.

    What cannot be used is shown to `lost` and taken again, by those receivers that lost it. One
    that stays unusable is yielded, and its receiver listens no more.
    """
    listening = list(rx_ids)
    for index in range(num_captures):
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
    """

    channel: ComplexArray
    config_epoch: int
    delay_is_absolute: bool = True
    delay_var_s2: float = 0.0
    noise_var: float | None = None


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
) -> tuple[dict[str, LearnedBackground], dict[str, str]]:
    """Learn the backgrounds of one transmitter at several receivers that listen at once.

    Parameters
    ----------
    lost
        Shown every capture that had to be taken again.

    Returns
    -------
    tuple
        What was learned by receiver; and what is wrong with a capture of each other receiver, as
        in "is not usable: the burst missed its time (late)"; see `learn_background`.
    """
    entries = {rx_id: _Entry(source.grid, num_captures) for rx_id in rx_ids}
    problems: dict[str, str] = {}
    for capture in captures_of_links(source, tx_id, rx_ids, num_captures, lost):
        if capture.rx_id in problems:
            continue
        if problem := entries[capture.rx_id].add(capture):
            problems[capture.rx_id] = problem
    learned = {name: entry.learned() for name, entry in entries.items() if name not in problems}
    return learned, problems


class _Entry:
    """Captures of one link, as they come."""

    def __init__(self, grid: OfdmGrid, num_captures: int) -> None:
        self._grid, self._num_captures = grid, num_captures
        self._pilots, self._waveform_hash = pilot_symbols(grid), grid.waveform_hash
        self._learner: BackgroundLearner | None = None
        self._epoch: int | None = None
        self._common_time = True, 0.0
        self._num_averaged = 1

    def add(self, capture: Capture) -> str | None:
        """Take a capture in, or say why it cannot be part of the entry."""
        epoch = capture.config_epoch if self._epoch is None else self._epoch
        if problem := _problem(capture, self._waveform_hash, epoch):
            return problem
        if self._learner is None:
            grid = self._grid if capture.needs_alignment else None
            groups = capture.coherent_groups or None
            self._learner = BackgroundLearner(self._num_captures, grid, groups)
        self._epoch = epoch
        self._common_time = capture.delay_is_absolute, capture.delay_var_s2
        self._num_averaged = capture.num_averaged
        self._learner.add(channel_estimate(capture.rx_pilots, self._pilots))
        return None

    def learned(self) -> LearnedBackground:
        """The median of all captures."""
        if self._learner is None or self._epoch is None:
            msg = f"an entry needs at least one capture, got num_captures={self._num_captures}"
            raise ValueError(msg)
        entry = self._learner.entry()
        noise_var = self._learner.noise_var(entry)
        if noise_var is not None:
            noise_var *= self._num_averaged
        return LearnedBackground(entry, self._epoch, *self._common_time, noise_var)


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
