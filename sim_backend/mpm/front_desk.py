"""Discovery and remote calls of a device: one thread over all their sockets."""

import contextlib
import selectors
import socket
import threading
from collections.abc import Callable
from typing import Any

import msgpack

from sim_backend.mpm.claim import Claim, RefusedError
from sim_backend.mpm.identity import Identity

_REQUEST, _RESPONSE, _NOTIFICATION = range(3)
_LARGEST_DATAGRAM, _READ_BYTES, _LARGEST_CALL_BYTES = 9000, 1 << 16, 1 << 20
_MOST_CLIENTS = 64
# How often it looks whether to end and whether a client has gone.
_LOOK_S = 0.05
# A client that does not take its answers for this long is hung up on.
_ANSWER_S = 1.0

Call = Callable[[str, list[Any]], Any]


class FrontDesk:
    """Answers who looks for the device, and calls methods for clients.

    Parameters
    ----------
    call
        Calls a method.
    closing, frozen
        Whether to end, and whether nobody is answered for now.
    """

    def __init__(
        self,
        identity: Identity,
        claim: Claim,
        call: Call,
        discovery: socket.socket,
        listener: socket.socket,
        closing: threading.Event,
        frozen: threading.Event,
    ) -> None:
        self._identity = identity
        self._claim = claim
        self._call = call
        self._discovery = discovery
        self._listener = listener
        self._closing = closing
        self._frozen = frozen
        self._selector = selectors.DefaultSelector()
        self._clients: dict[socket.socket, msgpack.Unpacker] = {}

    def serve(self) -> None:
        """Answer until closed, then hang up on all clients."""
        with self._selector:
            for source, answer in (
                (self._discovery, self._discover),
                (self._listener, self._accept),
            ):
                source.setblocking(False)
                self._selector.register(source, selectors.EVENT_READ, answer)
            while not self._closing.is_set():
                if self._frozen.is_set():
                    self._closing.wait(_LOOK_S)
                    continue
                ready = self._selector.select(_LOOK_S)
                if self._frozen.is_set():
                    continue
                for key, _ in ready:
                    key.data(key.fileobj)
                self._claim.expire()
            for client in tuple(self._clients):
                self._hang_up(client)

    def _discover(self, source: socket.socket) -> None:
        with contextlib.suppress(OSError):
            datagram, sender = source.recvfrom(_LARGEST_DATAGRAM)
            answer = self._identity.discovery_answer(datagram, self._claim.is_held)
            if answer is not None:
                source.sendto(answer, sender)

    def _accept(self, listener: socket.socket) -> None:
        try:
            client, _ = listener.accept()
        except OSError:  # it has gone again, or no descriptor is left for another
            self._closing.wait(_LOOK_S)
            return
        if len(self._clients) >= _MOST_CLIENTS:
            client.close()
            return
        client.settimeout(_ANSWER_S)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._clients[client] = msgpack.Unpacker(
            raw=False, strict_map_key=False, max_buffer_size=_LARGEST_CALL_BYTES
        )
        self._selector.register(client, selectors.EVENT_READ, self._read)

    def _read(self, client: socket.socket) -> None:
        try:
            received = client.recv(_READ_BYTES)
            self._clients[client].feed(received)
            for message in self._clients[client]:
                self._answer(client, message)
        except (
            OSError,
            ValueError,
            TypeError,
            OverflowError,
            RecursionError,
            msgpack.UnpackException,
        ):
            received = b""  # not a client of this protocol, or one that has gone
        if not received:
            self._hang_up(client)

    def _answer(self, client: socket.socket, message: Any) -> None:
        """Call what a message asks for.

        Raises
        ------
        ValueError
            If it is no call.
        """
        kind, *number, name, arguments = message
        if (kind, len(number)) not in ((_REQUEST, 1), (_NOTIFICATION, 0)) or not isinstance(
            arguments, list
        ):
            msg = f"a call is [0, number, name, arguments], got {message!r:.100}"
            raise ValueError(msg)
        error = result = None
        try:
            result = self._call(str(name), arguments)
        except RefusedError as refusal:
            error = str(refusal)
        except (TypeError, ValueError, LookupError, ArithmeticError) as wrong:
            error = f"{name}: {wrong}"
        if kind == _REQUEST:
            client.sendall(msgpack.packb([_RESPONSE, number[0], error, result]))

    def _hang_up(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        del self._clients[client]
        client.close()
