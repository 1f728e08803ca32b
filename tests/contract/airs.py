"""An air process in a thread of the test's own."""

import asyncio
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from testbed.services.air import Air, bound, serve
from testbed.site import Site

PATIENCE_S = 30.0


@contextmanager
def running_air(site: Site, seed: int, bind: str = "tcp://127.0.0.1:*") -> Iterator[str]:
    """Serve an air while the block runs; its address."""
    started: queue.Queue[tuple[str, asyncio.AbstractEventLoop, asyncio.Task[None]]] = queue.Queue()

    async def run() -> None:
        server = bound(bind)
        try:
            serving = asyncio.create_task(serve(Air(site, seed), server))
            started.put((server.address, asyncio.get_running_loop(), serving))
            with suppress(asyncio.CancelledError):
                await serving
        finally:
            server.close()

    thread = threading.Thread(target=lambda: asyncio.run(run()), name="air")
    thread.start()
    address, loop, serving = started.get(timeout=PATIENCE_S)
    try:
        yield address
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join(PATIENCE_S)
