"""A service runs until it is told to stop."""

import asyncio
import logging
from collections.abc import Awaitable

from testbed.bus.sockets import Client, Server

_log = logging.getLogger(__name__)


async def until(stop: asyncio.Event, service: Awaitable[None], *closing: Server | Client) -> None:
    """Run a service until it is told to stop; then cancel it, and close its sockets."""
    task = asyncio.ensure_future(service)
    waiting = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        waiting.cancel()
        task.cancel()
        ended, _ = await asyncio.gather(task, waiting, return_exceptions=True)
        if isinstance(ended, Exception) and stop.is_set():
            _log.error("the service did not end well", exc_info=ended)
        for socket in closing:
            socket.close()
