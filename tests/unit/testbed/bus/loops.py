"""An event loop for one test, in which no wait is longer than its deadline."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from functools import wraps
from typing import Any

from testbed.bus.sockets import Client, Server

DEADLINE_S = 20.0
MAX_FRAME_BYTES = 4096


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


@asynccontextmanager
async def serving(address: str = "tcp://127.0.0.1:*", **options: Any) -> AsyncIterator[Server]:
    """A server, closed in the end."""
    server = Server(address, **{"max_frame_bytes": MAX_FRAME_BYTES} | options)
    try:
        yield server
    finally:
        server.close()


@asynccontextmanager
async def calling(address: str, **options: Any) -> AsyncIterator[Client]:
    """A client, closed in the end; not yet connected."""
    client = Client(address, **{"max_frame_bytes": MAX_FRAME_BYTES} | options)
    try:
        yield client
    finally:
        client.close()


@asynccontextmanager
async def echoing(server: Server) -> AsyncIterator[None]:
    """Send everything back that comes to a server."""

    async def echo() -> None:
        while True:
            peer, frames = await server.receive()
            server.send(peer.identity, frames)

    task = asyncio.create_task(echo())
    try:
        yield
    finally:
        task.cancel()


class Cable:
    """A link that a test can cut: nothing goes through any more, and neither end is told."""

    address = ""

    def __init__(self, server: Server) -> None:
        host, port = server.address.removeprefix("tcp://").split(":")
        self._target = host, int(port)
        self._is_cut = asyncio.Event()

    def cut(self) -> None:
        """Let nothing through on the connections that are there; new ones are of a new cable."""
        self._is_cut.set()
        self._is_cut = asyncio.Event()

    async def join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Connect one who came."""
        far_reader, far_writer = await asyncio.open_connection(*self._target)
        is_cut = self._is_cut
        ways = ((reader, far_writer), (far_reader, writer))
        try:
            async with asyncio.TaskGroup() as group:
                for source, sink in ways:
                    group.create_task(_carry(source, sink, is_cut))
        finally:
            writer.close()
            far_writer.close()


async def _carry(
    source: asyncio.StreamReader, sink: asyncio.StreamWriter, is_cut: asyncio.Event
) -> None:
    while content := await source.read(1 << 16):
        if not is_cut.is_set():
            sink.write(content)


@asynccontextmanager
async def cable_to(server: Server) -> AsyncIterator[Cable]:
    """A cable in front of a server."""
    cable = Cable(server)
    ends = await asyncio.start_server(cable.join, "127.0.0.1", 0)
    cable.address = "tcp://{}:{}".format(*ends.sockets[0].getsockname())
    try:
        yield cable
    finally:
        ends.close()


async def answered(client: Client, *frames: bytes) -> list[bytes]:
    """What comes back to a client that asks."""
    assert client.send(frames)
    return [bytes(frame) for frame in await client.receive()]
