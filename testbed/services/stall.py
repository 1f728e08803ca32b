"""How long an event loop was not served."""

import asyncio
import time
from collections.abc import Callable


class StallMeter:
    """Measures how much later than asked a loop wakes a task that sleeps.

    A process that was stopped counts as stalled: it did not serve.

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
            asleep_s = self._clock()
            await asyncio.sleep(self._period_s)
            self.last_s = max(0.0, self._clock() - asleep_s - self._period_s)
            self.worst_s = max(self.worst_s, self.last_s)
