"""Learning one background entry: the complex median of target-free captures; eq. (8)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from calibration.complex_median import complex_median
from drivers.capture import Capture, CaptureRefusedError, CaptureSource
from drivers.geometry import ComplexArray
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.alignment import Groups, align, shifted
from processing.channel import channel_estimate

# The second reference is a median already; the third differs from it by less than its noise.
_NUM_ALIGNMENTS = 3
# What was lost is captured again; what is lost more often than this is no accident.
_MOST_ATTEMPTS = 4


class BackgroundLearner:
    """Collects target-free captures of one link and takes their complex median.

    Parameters
    ----------
    num_captures
        ``N_BG``, how many captures make an entry.
    grid
        Waveform of captures that must be brought onto each other first; ``None`` where they lie
        alike from the beginning.
    groups
        Elements that share phase, time and gain; all, if left out.
    """

    def __init__(
        self,
        num_captures: int,
        grid: OfdmGrid | None = None,
        groups: Groups | None = None,
    ) -> None:
        if num_captures < 1:
            msg = f"an entry needs at least one capture, got num_captures={num_captures}"
            raise ValueError(msg)
        self._num_captures = num_captures
        self._grid = grid
        self._groups = groups
        self._samples: np.ndarray | None = None
        self._count = 0

    @property
    def complete(self) -> bool:
        """Whether all captures have been added."""
        return self._count == self._num_captures

    def add(self, channel: ComplexArray) -> None:
        """Add one target-free channel estimate, shape ``(K, M)``, the same for all, and finite."""
        if self.complete:
            msg = f"all {self._num_captures} captures of this entry have been added already"
            raise ValueError(msg)
        if self._samples is not None and channel.shape != self._samples.shape[1:]:
            msg = f"capture of shape {channel.shape} in an entry of {self._samples.shape[1:]}"
            raise ValueError(msg)
        if not np.isfinite(channel).all():
            msg = f"capture {self._count} of this entry is not finite; check the receiver"
            raise ValueError(msg)
        if self._samples is None:
            self._samples = np.empty((self._num_captures, *channel.shape), dtype=np.complex64)
        self._samples[self._count] = channel
        self._count += 1

    def entry(self) -> ComplexArray:
        """Median of real and of imaginary parts, shape ``(K, M)``, complex64; eq. (8).

        Raises
        ------
        ValueError
            Before all captures were added.
        """
        if self._samples is None or not self.complete:
            msg = f"entry needs {self._num_captures} captures, has {self._count}"
            raise ValueError(msg)
        if self._grid is not None:
            self._bring_together(self._grid)
        return complex_median(self._samples)

    def _bring_together(self, grid: OfdmGrid) -> None:
        """Align all captures to their median, which gets better by it, until it stays.

        The first reference is one noisy capture, but nothing of it remains: from the second round
        on it is the median of all. Gain and delay of the whole are those of the mean capture.
        """
        samples = self._samples
        if samples is None:
            return
        reference: ComplexArray = samples[0].copy()
        for _ in range(_NUM_ALIGNMENTS):
            lay = []
            for index, capture in enumerate(samples):
                samples[index], alignment = align(capture, reference, grid, self._groups)
                lay.append(alignment)
            reference = complex_median(samples)
            # The gauge: a common gain and delay of all captures is nobody's error.
            delay_s = np.mean([alignment.delay_s for alignment in lay], axis=0)
            gain = np.mean([np.abs(alignment.gain) for alignment in lay], axis=0)
            back = gain.astype(np.float32)
            reference = shifted(reference, grid, delay_s) * back
            for index, capture in enumerate(samples):
                samples[index] = shifted(capture, grid, delay_s) * back


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
    """

    channel: ComplexArray
    config_epoch: int
    delay_is_absolute: bool = True
    delay_var_s2: float = 0.0


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
        What was learned by receiver; and what a capture of each other receiver is: "not usable:
        the burst missed its time (late)", or what else `learn_background` refuses.
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
        self._learner.add(channel_estimate(capture.rx_pilots, self._pilots))
        return None

    def learned(self) -> LearnedBackground:
        """The median of all captures."""
        if self._learner is None or self._epoch is None:
            msg = f"an entry needs at least one capture, got num_captures={self._num_captures}"
            raise ValueError(msg)
        return LearnedBackground(self._learner.entry(), self._epoch, *self._common_time)


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
