"""Learning one background entry: the complex median of target-free captures; eq. (8)."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from drivers.capture import Capture, CaptureRefusedError, CaptureSource
from drivers.geometry import ComplexArray
from drivers.waveform import pilot_symbols
from processing.channel import channel_estimate

# Captures are kept as float pairs until the median is taken; it is taken this many tones at a
# time, so that the sort's working memory stays small beside the captures themselves.
_TONES_PER_BLOCK = 512


class BackgroundLearner:
    """Collects target-free captures of one link and takes their complex median.

    Parameters
    ----------
    num_captures
        ``N_BG``, how many captures make an entry.
    """

    def __init__(self, num_captures: int) -> None:
        if num_captures < 1:
            msg = f"an entry needs at least one capture, got num_captures={num_captures}"
            raise ValueError(msg)
        self._num_captures = num_captures
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
        learned = np.empty(self._samples.shape[1:], dtype=np.complex64)
        for start in range(0, len(learned), _TONES_PER_BLOCK):
            block = slice(start, start + _TONES_PER_BLOCK)
            samples = np.ascontiguousarray(self._samples[:, block])
            parts = samples.view(np.float32).reshape(len(samples), -1)
            median = np.median(parts, axis=0, overwrite_input=True).astype(np.float32)
            learned[block] = median.view(np.complex64).reshape(samples.shape[1:])
        return learned


def captures_of_link(
    source: CaptureSource, tx_id: str, rx_id: str, num_captures: int
) -> Iterator[Capture]:
    """Target-free captures of one link, one at a time."""
    for index in range(num_captures):
        yield from source.sense_background(tx_id, (rx_id,), index)


@dataclass(frozen=True)
class LearnedBackground:
    """One link's background as learned.

    Attributes
    ----------
    channel
        Shape ``(K, M)``, complex64.
    config_epoch
        Of all captures that it was learned from.
    """

    channel: ComplexArray
    config_epoch: int


def learn_background(
    source: CaptureSource, tx_id: str, rx_id: str, num_captures: int
) -> LearnedBackground:
    """Learn one link's background from a capture source; eqs. (2) and (8).

    Raises
    ------
    CaptureRefusedError
        If a capture is unusable (overflow, late, clock unlocked), of another waveform, or of
        another config epoch than the first: the median of two tunings is no background.
    """
    learner = BackgroundLearner(num_captures)
    pilots, waveform_hash = pilot_symbols(source.grid), source.grid.waveform_hash
    config_epoch: int | None = None
    for capture in captures_of_link(source, tx_id, rx_id, num_captures):
        config_epoch = capture.config_epoch if config_epoch is None else config_epoch
        problem = _problem(capture, waveform_hash, config_epoch)
        if problem:
            msg = f"capture on {tx_id} -> {rx_id} {problem}"
            raise CaptureRefusedError(msg)
        learner.add(channel_estimate(capture.rx_pilots, pilots))
    return LearnedBackground(learner.entry(), config_epoch or 0)


def _problem(capture: Capture, waveform_hash: str, config_epoch: int) -> str | None:
    """Why a capture cannot be part of an entry, or ``None``."""
    if not capture.quality.usable:
        return f"is not usable: {capture.quality.problem}"
    if capture.waveform_hash != waveform_hash:
        return f"is of waveform {capture.waveform_hash}, expected {waveform_hash}"
    if capture.config_epoch != config_epoch:
        return (
            f"is of config epoch {capture.config_epoch}, the entry began in {config_epoch}: "
            "the radio was retuned; learn this link again"
        )
    return None
