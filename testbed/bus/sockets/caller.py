"""Questions and answers without an event loop."""

import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import zmq

from testbed.bus.addresses import check_address
from testbed.bus.curve import ClientCurve
from testbed.bus.errors import NoAnswerError, SecurityError
from testbed.bus.sockets.libzmq import (
    check_libzmq,
    close_monitored,
    connect,
    event_name,
    monitor_of,
    push,
    set_limits,
)
from testbed.bus.wire import Frame


class Caller:
    """Asks a server and waits for the answer, without an event loop, in one thread at a time."""

    def __init__(
        self, address: str, *, max_frame_bytes: int, max_frames: int = 4,
        curve: ClientCurve | None = None,
    ) -> None:  # fmt: skip
        check_libzmq()
        check_address(address, has_keys=curve is not None)
        self.address = address
        self._max_frames = max_frames
        self._socket: zmq.Socket[bytes] = zmq.Context.instance().socket(zmq.DEALER)
        self._monitor = monitor_of(self._socket)
        self._seen: Counter[str] = Counter()
        set_limits(self._socket, max_frame_bytes, 64)
        connect(self._socket, address, curve)

    def send(self, frames: Sequence[Frame]) -> None:
        """Ask; waits in a queue until the server is there.

        Raises
        ------
        NoAnswerError
            If the queue is full, or the connection was refused.
        """
        if push(self._socket, frames):
            raise self._no_answer(None)

    def receive(self, timeout_s: float) -> list[memoryview]:
        """Take the next message.

        Raises
        ------
        NoAnswerError
            If none comes in time, with what is known of the reason.
        SecurityError
            If the server refuses the key.
        """
        deadline_s = time.monotonic() + timeout_s
        poller = zmq.Poller()
        poller.register(self._socket, zmq.POLLIN)
        poller.register(self._monitor, zmq.POLLIN)
        while (left_s := deadline_s - time.monotonic()) > 0:
            ready = dict(poller.poll(1 + int(1000 * left_s)))
            if self._monitor in ready:
                self._look()
            if self._socket in ready:
                frames = self._socket.recv_multipart(copy=False)
                if len(frames) <= self._max_frames:
                    return [frame.buffer for frame in frames]
        raise self._no_answer(timeout_s)

    def _no_answer(self, timeout_s: float | None) -> NoAnswerError:
        self._look()
        if self._seen["handshake_failed"]:
            hint = "its handshake fails: do both have keys, and is its public key the right one?"
            return NoAnswerError(self.address, timeout_s, hint)
        return NoAnswerError(self.address, timeout_s)

    def _look(self) -> None:
        """Take note of all that happened to the connection."""
        while self._monitor.poll(0):
            event = event_name(self._monitor.recv_multipart())
            self._seen[event] += 1
            if event == "refused_key":
                msg = f"{self.address} refuses this key; add it there with `testbed keys add`"
                raise SecurityError(msg)

    def close(self) -> None:
        """Close; what cannot be sent at once is dropped."""
        close_monitored(self._socket, self._monitor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()
