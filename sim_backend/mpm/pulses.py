"""Pulses per second as a device sees them: there since some time, until they are lost."""

from sim_backend.oscillator import FS_PER_S


class Pulses:
    """Pulses at true whole seconds, as long as the line is connected.

    Parameters
    ----------
    are_there
        Whether they are, from the beginning of time on.
    """

    def __init__(self, *, are_there: bool) -> None:
        self._intervals: list[tuple[int, int | None]] = []
        if are_there:
            self._intervals.append((-FS_PER_S, None))

    def lose(self, now_fs: int) -> None:
        """No pulse comes after now."""
        if self._intervals and self._intervals[-1][1] is None:
            self._intervals[-1] = self._intervals[-1][0], now_fs

    def restore(self, now_fs: int) -> None:
        """Pulses come again after now."""
        if not self._intervals or self._intervals[-1][1] is not None:
            self._intervals.append((now_fs, None))

    def last(self, now_fs: int) -> int | None:
        """True time of the last pulse, `None` if there was none."""
        for since_fs, until_fs in reversed(self._intervals):
            end_fs = now_fs if until_fs is None else min(now_fs, until_fs)
            edge_fs = end_fs // FS_PER_S * FS_PER_S
            if edge_fs > since_fs:
                return edge_fs
        return None

    def first_after(self, begin_fs: int, now_fs: int) -> int | None:
        """True time of the first pulse after a time, `None` if there was none up to now."""
        for since_fs, until_fs in self._intervals:
            end_fs = now_fs if until_fs is None else min(now_fs, until_fs)
            edge_fs = (max(begin_fs, since_fs) // FS_PER_S + 1) * FS_PER_S
            if edge_fs <= end_fs:
                return edge_fs
        return None
