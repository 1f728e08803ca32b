"""A software Pluto: a network daemon that real libiio clients take for a device."""

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

from sim_backend.ether import Ether
from sim_backend.faults import Faults
from sim_backend.iiod.board import Board
from sim_backend.iiod.context import Context
from sim_backend.iiod.device_faults import DeviceFaults
from sim_backend.iiod.personalities import CHANNELS, Personality
from sim_backend.iiod.session import Session
from sim_backend.iiod.wire import Wire
from sim_backend.impairments import Impairments

# Clients at once; each has a connection for its attributes and one for each buffer.
_MAX_CLIENTS = 64
_RETRY_S = 0.01


class SoftwarePluto:
    """One node's radio as a device with an AD936x, for clients of libiio 0.24.

    Protocol-tested against libiio 0.24, not against hardware. The engine that starts both
    transfers at once (``iio-axi-tdd-0``) is not emulated: what it does at which clock of which
    firmware is not known well enough.

    Parameters
    ----------
    ether
        The world that it shares with the others, in the host's time.
    node_index
        Which node of the scene it belongs to.
    impairments
        What it does wrong.
    host, port
        Where it listens; port 0 is any free one.
    personality
        ``pluto`` has one receiver, ``fmcomms2`` two, and ``fmcomms5`` four on two chips. Receivers
        beyond the node's elements hear nothing; the node's transmitting antenna is at the first
        transmitter.
    serial
        What it says it is.

    Attributes
    ----------
    uri
        Where clients find it.
    faults
        Let faults strike at the next transfers: `DeviceFaults` says which there are.
    """

    def __init__(
        self,
        ether: Ether,
        node_index: int,
        impairments: Impairments,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        personality: Personality = "pluto",
        serial: str | None = None,
    ) -> None:
        node = ether.scene.nodes[node_index]
        board = Board(ether, node_index, impairments, CHANNELS[personality])
        self.faults = Faults(ether.scene.seed, node_index)
        self._context = Context(
            board,
            DeviceFaults(self.faults, board, self.die),
            personality,
            serial or f"emulated-{ether.scene.seed}-{node.node_id}",
        )
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._clients: dict[socket.socket, threading.Thread] = {}
        self._listener = socket.create_server((host, port), backlog=_MAX_CLIENTS)
        self.uri = f"ip:{host}:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, name="iiod", daemon=True)

    @property
    def is_repeating(self) -> bool:
        """Whether it sends a cyclic buffer."""
        return self._context.board.transmitter.is_repeating

    @property
    def is_receiving(self) -> bool:
        """Whether a client has a receive buffer open."""
        return self._context.board.receiver.is_open

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def close(self) -> None:
        """Hang up on all clients, and end every thread and socket."""
        self.die()
        if self._thread.is_alive():
            self._thread.join()
        with self._lock:
            threads = list(self._clients.values())
        for thread in threads:
            thread.join()

    def die(self) -> None:
        """Be gone, as a device without power is: connections end, and no new ones come about."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            connections = list(self._clients)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Answer nobody, as a device whose software hangs; connections stay."""
        self._context.frozen.set()

    def thaw(self) -> None:
        """Answer again."""
        self._context.frozen.clear()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:  # the end, or no descriptor is left for another client
                self._closing.wait(_RETRY_S)
                continue
            with self._lock:
                if len(self._clients) >= _MAX_CLIENTS or self._closing.is_set():
                    connection.close()
                    continue
                thread = threading.Thread(
                    target=self._serve, args=(connection,), name="iiod client", daemon=True
                )
                self._clients[connection] = thread
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        wire = Wire(connection, self._closing)
        try:
            Session(self._context, wire).run()
        finally:
            wire.close()
            with self._lock:
                self._clients.pop(connection, None)
