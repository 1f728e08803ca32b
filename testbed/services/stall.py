"""How long an event loop was not served."""

import asyncio
import logging
import time
from collections.abc import Callable

_TOLD_S = 0.25

_log = logging.getLogger(__name__)


class StallMeter:
    """Measures how much later than asked a loop wakes a task that sleeps.

    A process that was stopped counts as stalled: it did not serve. What a long one was is told by
    what was computed meanwhile: nothing where the process was stopped, or the machine was busy or
    waited for its disk; by the loop's own thread where it was held up by work of its own.

    Attributes
    ----------
    last_s, worst_s
        The latest delay, and the longest one so far; seconds.
    """

    def __init__(self, period_s: float = 0.02, clock: Callable[[], float] = time.monotonic) -> None:
        self.last_s = 0.0
        self.worst_s = 0.0
        self._period_s = period_s
        self._clock = clock

    async def run(self) -> None:
        """Measure until cancelled."""
        while True:
            asleep_s, own_s, all_s = self._clock(), time.thread_time(), time.process_time()
            await asyncio.sleep(self._period_s)
            self.last_s = max(0.0, self._clock() - asleep_s - self._period_s)
            self.worst_s = max(self.worst_s, self.last_s)
            if self.last_s > _TOLD_S:
                _log.warning(
                    "the loop was not served for %.2f s; computed meanwhile: %.2f s by it, %.2f s "
                    "by this process",
                    self.last_s, time.thread_time() - own_s, time.process_time() - all_s,
                )  # fmt: skip
