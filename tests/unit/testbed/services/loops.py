"""An event loop for one test, in which no wait is longer than its deadline."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any

DEADLINE_S = 20.0


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run an asynchronous test."""

    @wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), DEADLINE_S))

    return run


async def until(holds: Callable[[], bool]) -> None:
    """Give the loop its turns until something holds; the test's deadline ends it."""
    while not holds():
        await asyncio.sleep(0.001)
