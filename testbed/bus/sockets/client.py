"""The end that connects."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress

import zmq

from testbed.bus.addresses import check_address
from testbed.bus.curve import ClientCurve
from testbed.bus.sockets.libzmq import check_libzmq, connect, set_limits
from testbed.bus.sockets.port import Port
from testbed.bus.wire import Frame

_NO_NEWS_S = 3.5  # longer than any step of connecting takes
_PROBLEMS = {
    "refused_key": "refuses this process's key; add it there with `testbed keys add`",
    "handshake_failed": "does not speak with this process: have both keys, and the right ones?",
}


class Client(Port):
    """Connects to a server, again whenever the link was cut; needs a running event loop.

    Messages go on a connection that stands or nowhere: nothing waits for a link to return and then
    arrives late. So right after it is made, `send` is refused until it is `connected`.

    Counts: ``received, sent, connected, disconnected, retried, handshake_failed, refused_key``;
    drops ``unconnected, full, too_many_frames``. Parameters and errors as of `Server`.

    Attributes
    ----------
    problem
        Why the server does not take this client, as far as it tells; ``None`` once it does.
    """

    def __init__(
        self, address: str, *, max_frame_bytes: int, max_frames: int = 4,
        high_water_mark: int = 64, curve: ClientCurve | None = None,
    ) -> None:  # fmt: skip
        check_libzmq()
        check_address(address, has_keys=curve is not None)
        self._connected = asyncio.Event()
        self.problem: str | None = None
        self._redial: asyncio.TimerHandle | None = None
        super().__init__(zmq.Context.instance(), zmq.DEALER, max_frames)
        set_limits(self._socket, max_frame_bytes, high_water_mark)
        self._socket.set(zmq.IMMEDIATE, 1)
        connect(self._socket, address, curve)

    def _note(self, event: str) -> None:
        super()._note(event)
        if event == "connected":
            self._connected.set()
            self.problem = None
        elif event == "disconnected":
            self._connected.clear()
        elif event in _PROBLEMS:
            self.problem = f"{self.address} {_PROBLEMS[event]}"
            self._sparse_log.warning(event, self.problem)
        self._cancel_redial()
        if not self._connected.is_set():
            self._redial = self._loop.call_later(_NO_NEWS_S, self._dial_again)

    def _dial_again(self) -> None:
        """Connect anew: libzmq never does after its key was refused or a frame was too large."""
        address = self.address
        with suppress(zmq.ZMQError):  # it may have forgotten that it was connected
            self._socket.disconnect(address)
        self._socket.connect(address)
        self._redial = self._loop.call_later(_NO_NEWS_S, self._dial_again)

    def _cancel_redial(self) -> None:
        if self._redial is not None:
            self._redial.cancel()

    def close(self) -> None:
        """Close; what cannot be sent at once is dropped. Who waits to receive gets a `BusError`."""
        self._cancel_redial()
        super().close()

    async def connected(self) -> None:
        """Wait until a connection stands; put a deadline on it."""
        await self._connected.wait()

    async def receive(self) -> list[memoryview]:
        """Take the next message.

        Raises
        ------
        BusError
            If it is closed.
        """
        frames = await self._take()
        self.counts["received"] += 1
        return [frame.buffer for frame in frames]

    def send(self, frames: Sequence[Frame]) -> bool:
        """Whether the message went on its way; never waits."""
        error = self._give(frames)
        if error == zmq.EAGAIN:
            self._drain(self._monitor, self._read_event)  # perhaps it has just ended
            self.counts["full" if self._connected.is_set() else "unconnected"] += 1
        elif error:
            self.counts["closed"] += 1
        return not error
