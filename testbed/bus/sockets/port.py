"""One socket in an event loop."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

import zmq

from testbed.bus.errors import BusError
from testbed.bus.sockets.libzmq import close_monitored, event_name, monitor_of, push
from testbed.bus.sparse_log import SparseLog
from testbed.bus.wire import Frame

_BATCH = 64  # what is done before the rest of the event loop has its turn
_log = logging.getLogger(__name__)


class Port:
    """One socket in the running event loop, and the monitor of its connections.

    ZeroMQ tells of changes, not of states: after each use of the socket, whoever waits for it looks
    again.
    """

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], kind: int, max_frames: int) -> None:
        self.counts: Counter[str] = Counter()
        self._loop = asyncio.get_running_loop()
        self._socket = context.socket(kind)
        self._max_frames = max_frames
        self._is_discarding = False
        self._num_turns = 0
        self._changed = asyncio.Event()
        self._sparse_log = SparseLog(_log)
        self._monitor = monitor_of(self._socket)
        self._loop.add_reader(self._socket.fileno(), self._look)
        self._watch(self._monitor, self._read_event)

    @property
    def address(self) -> str:
        """Where it is bound or connected to, with its port."""
        return self._socket.get_string(zmq.LAST_ENDPOINT)

    def close(self) -> None:
        """Close; what cannot be sent at once is dropped. Who waits to receive gets a `BusError`."""
        if not self._socket.closed:
            self._loop.remove_reader(self._socket.fileno())
            self._loop.remove_reader(self._monitor.fileno())
            close_monitored(self._socket, self._monitor)
            self._changed.set()

    def _look(self) -> None:
        self._socket.get(zmq.EVENTS)  # takes the change, or the loop would be called at once again
        self._changed.set()

    def _watch(self, socket: zmq.Socket[bytes], take: Callable[[list[bytes]], None]) -> None:
        self._loop.add_reader(socket.fileno(), self._drain, socket, take)
        self._loop.call_soon(self._drain, socket, take)  # no change is told before a first look

    def _drain(self, socket: zmq.Socket[bytes], take: Callable[[list[bytes]], None]) -> None:
        for _ in range(_BATCH):
            if socket.closed:
                return
            try:
                message = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            take(message)
        self._loop.call_soon(self._drain, socket, take)

    def _read_event(self, message: list[bytes]) -> None:
        self._note(event_name(message))

    def _note(self, event: str) -> None:
        self.counts[event] += 1

    async def _take(self) -> list[zmq.Frame]:
        """Frames of the next whole message; of one with too many, none."""
        while True:
            self._num_turns += 1
            if self._num_turns % _BATCH == 0:
                await asyncio.sleep(0)
            self._changed.clear()
            if self._socket.closed:
                msg = "a closed socket receives nothing"
                raise BusError(msg)
            try:
                frames = self._whole_message()
            except zmq.Again:
                await self._changed.wait()
                continue
            if frames:
                return frames

    def _whole_message(self) -> list[zmq.Frame]:
        frames: list[zmq.Frame] = []
        limit = _BATCH if self._is_discarding else self._max_frames
        while not frames or (frames[-1].more and len(frames) < limit):
            frames.append(self._socket.recv(zmq.NOBLOCK, copy=False))
        was_discarding, self._is_discarding = self._is_discarding, frames[-1].more
        if self._is_discarding and not was_discarding:
            self.counts["too_many_frames"] += 1
            self._sparse_log.warning("too_many_frames", "dropped a message of too many frames")
        return [] if was_discarding or self._is_discarding else frames

    def _give(self, frames: Sequence[Frame]) -> int:
        """Send if that is possible at once; otherwise the error's number."""
        if self._socket.closed:
            return int(zmq.ENOTSOCK)
        self._socket.get(zmq.EVENTS)  # takes connections and free places that are new
        error = push(self._socket, frames)
        if not error:
            self.counts["sent"] += 1
        self._changed.set()
        return error
