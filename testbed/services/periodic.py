"""Things that a process does again and again."""

import asyncio
from collections.abc import Awaitable, Callable


async def every(period_s: float, act: Callable[[], Awaitable[None] | None]) -> None:
    """Act now and once a period, until cancelled; what takes longer is not made up for."""
    while True:
        done = act()
        if done is not None:
            await done
        await asyncio.sleep(period_s)
