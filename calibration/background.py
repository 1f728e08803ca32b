"""Learning one background entry: the complex median of target-free captures; eq. (8)."""

import numpy as np

from calibration.complex_median import complex_median
from drivers.geometry import ComplexArray
from drivers.waveform import OfdmGrid
from processing.alignment import Groups, align, shifted

# Parts of its time that an entry's captures are looked at by.
MOST_PARTS = 7
# The second reference is a median already; the third differs from it by less than its noise.
_NUM_ALIGNMENTS = 3


def median_var(count: int) -> float:
    """Variance of the median of so many Gaussian values over that of one; within 3 %."""
    return (np.pi / 2.0) / (count + (np.pi / 2.0 - 1.0 if count % 2 else np.pi - 2.0))


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
        self._part_sizes = [
            len(part) for part in np.array_split(range(num_captures), min(num_captures, MOST_PARTS))
        ]

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
        samples = self._kept()
        if self._grid is not None:
            self._bring_together(samples, self._grid)
        return complex_median(samples)

    def parts(self) -> list[tuple[ComplexArray, int]]:
        """Means of captures that followed each other, shape ``(K, M)``, and of how many each is.

        Seven, or as many as there are captures, less those that were left out; of captures as
        `entry` has brought them onto each other.
        """
        samples, ends = self._kept(), np.cumsum(self._part_sizes)
        return [
            (samples[end - size : end].mean(axis=0), size)
            for size, end in zip(self._part_sizes, ends, strict=True)
        ]

    @property
    def num_kept(self) -> int:
        """How many captures `entry` is made of."""
        return len(self._kept())

    def leave_out(self, part: int) -> None:
        """Take one of `parts` out of the entry, and out of what they are numbered by."""
        samples, first = self._kept(), sum(self._part_sizes[:part])
        size = self._part_sizes.pop(part)
        for row in range(first, self._count - size):  # in place: captures fill memory
            samples[row] = samples[row + size]
        self._count -= size
        self._num_captures -= size

    def noise_var(self, entry: ComplexArray) -> float | None:
        """Variance of one capture's channel entry about what an entry stands for.

        Of each capture the mean over tones and elements of ``|capture - entry|^2``; of these the
        median over captures, so that fewer than half of them may be disturbed. Divided by
        ``1 + r - 2 / N``, which it is short of the variance because the entry was made of the same
        ``N`` captures: of Gaussian noise ``r`` is the variance of their median over that of one,
        and the covariance of the two is ``1 / N`` (the median less the mean is independent of the
        mean). Relative to the transmitted tone, as the channel is. ``None`` for one capture.

        Parameters
        ----------
        entry
            Of all captures, as `entry` gave it.
        """
        samples = self._kept()
        if (count := len(samples)) < 2:
            return None
        powers = []
        for capture in samples:
            parts = (capture - entry).ravel().view(np.float32)
            powers.append(2.0 * float(np.mean(np.square(parts, out=parts))))
        return float(np.median(powers)) / (1.0 + median_var(count) - 2.0 / count)

    def _kept(self) -> ComplexArray:
        """All captures but those that were left out, shape ``(N, K, M)``."""
        if self._samples is None or not self.complete:
            msg = f"entry needs {self._num_captures} captures, has {self._count}"
            raise ValueError(msg)
        return self._samples[: self._count]

    def _bring_together(self, samples: ComplexArray, grid: OfdmGrid) -> None:
        """Align all captures to their median, which gets better by it, until it stays.

        The first reference is one noisy capture, but nothing of it remains: from the second round
        on it is the median of all. Gain and delay of the whole are those of the mean capture.
        """
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
