"""A log that whoever knocks at the door cannot fill."""

import logging
import time
from collections import Counter
from collections.abc import Callable


class SparseLog:
    """Warnings, of each kind one in an interval and the number of those left out.

    Parameters
    ----------
    log
        Where they go.
    interval_s
        Between two of the same kind.
    clock
        Seconds, of any origin.
    """

    def __init__(
        self, log: logging.Logger, interval_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._log = log
        self._interval_s = interval_s
        self._clock = clock
        self._next_s: dict[str, float] = {}
        self._num_left_out: Counter[str] = Counter()

    def warning(self, kind: str, text: str) -> None:
        """Say it, unless one of its kind was said just now."""
        self._say(logging.WARNING, kind, text)

    def info(self, kind: str, text: str) -> None:
        """The same of what may be as it should be."""
        self._say(logging.INFO, kind, text)

    def _say(self, level: int, kind: str, text: str) -> None:
        now_s = self._clock()
        if now_s < self._next_s.get(kind, now_s):
            self._num_left_out[kind] += 1
            return
        self._next_s[kind] = now_s + self._interval_s
        left_out = self._num_left_out.pop(kind, 0)
        self._log.log(level, "%s%s", text, f" ({left_out} more before)" if left_out else "")
