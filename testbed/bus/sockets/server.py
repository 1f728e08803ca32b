"""The end that binds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass

import zmq

from testbed.bus.addresses import check_address
from testbed.bus.curve import ServerCurve, zap_reply
from testbed.bus.errors import AddressInUseError, BusError
from testbed.bus.sockets.libzmq import check_libzmq, set_limits
from testbed.bus.sockets.port import Port
from testbed.bus.wire import Frame

_DROPS: dict[int, str] = {zmq.EAGAIN: "full", zmq.EHOSTUNREACH: "unroutable"}


@dataclass(frozen=True)
class Peer:
    """Who sent a message.

    Attributes
    ----------
    identity
        Of its connection, given by the server: the way back. A peer that connects again gets
        another one; nobody can choose one, so nobody takes that of another.
    key
        Its public key in Z85; ``None`` where the server has no keys.
    """

    identity: bytes
    key: str | None


class Server(Port):
    """Binds an address and talks to whoever connects; needs a running event loop.

    Counts: ``received, sent, connected, disconnected``; drops ``unroutable`` (no such peer any
    more), ``full`` (its queue), ``too_many_frames``; refusals ``handshake_failed, refused_key``.
    A peer that announces a frame above the limit is disconnected before anything is allocated.

    Parameters
    ----------
    address
        ``tcp://HOST:PORT``; port ``*`` or ``0`` takes a free one.
    max_frame_bytes
        Limit of each frame.
    max_frames
        Frames that a message may have.
    high_water_mark
        Messages that wait for each peer, in each direction.
    curve
        Keys; needed beyond loopback.

    Raises
    ------
    BusError
        If the address cannot be bound: `AddressInUseError` where something listens there, and
        `SecurityError` where it would need keys.
    """

    def __init__(
        self, address: str, *, max_frame_bytes: int, max_frames: int = 4,
        high_water_mark: int = 64, curve: ServerCurve | None = None,
    ) -> None:  # fmt: skip
        check_libzmq()
        check_address(address, has_keys=curve is not None, binds=True)
        # A context of its own: its list of keys is for it alone, and closing it frees the port.
        self._context = zmq.Context()
        super().__init__(self._context, zmq.ROUTER, max_frames + 1)
        self._curve = curve
        self._gate: zmq.Socket[bytes] | None = None
        set_limits(self._socket, max_frame_bytes, high_water_mark)
        self._socket.set(zmq.ROUTER_MANDATORY, 1)
        if curve is not None:
            self._guard(curve)
        try:
            _bind(self._socket, address)
        except BusError:
            self.close()
            raise

    def _guard(self, curve: ServerCurve) -> None:
        gate = self._gate = self._context.socket(zmq.REP)
        gate.bind("inproc://zeromq.zap.01")

        def answer(request: list[bytes]) -> None:
            reply, refused = zap_reply(request, curve.role_of)
            gate.send_multipart(reply)
            if refused is not None:
                self._sparse_log.warning(
                    "refused_key", f"{self.address}: refused the key {refused}"
                )

        self._watch(gate, answer)
        self._socket.set(zmq.ZAP_DOMAIN, b"testbed")  # with one, no gate means no access
        self._socket.set(zmq.CURVE_SERVER, 1)
        self._socket.set(zmq.CURVE_SECRETKEY, curve.secret_key.encode())

    def _note(self, event: str) -> None:
        super()._note(event)
        if event == "handshake_failed":
            text = f"{self.address}: a handshake failed: no ZeroMQ, no key, or for another server"
            self._sparse_log.warning(event, text)
        elif event == "disconnected":
            text = f"{self.address}: a connection ended, by its peer or for too large a frame"
            self._sparse_log.info(event, text)

    async def receive(self) -> tuple[Peer, list[memoryview]]:
        """Take the next message and who sent it; what a key that was revoked sends is dropped.

        Raises
        ------
        BusError
            If it is closed.
        """
        while True:
            frames = await self._take()
            key = None if self._curve is None else str(frames[0].get("User-Id"))
            if self._curve is None or (key is not None and self._curve.role_of(key) is not None):
                self.counts["received"] += 1
                return Peer(frames[0].bytes, key), [frame.buffer for frame in frames[1:]]
            self.counts["refused_key"] += 1
            self._sparse_log.warning(
                "revoked_key", f"{self.address}: dropped a message of the key {key}"
            )

    def send(self, peer_identity: bytes, frames: Sequence[Frame]) -> bool:
        """Whether the message went on its way to a peer; never waits."""
        error = self._give([peer_identity, *frames])
        if error:
            self.counts[_DROPS.get(error, "closed")] += 1
        return not error

    def close(self) -> None:
        """Close; what cannot be sent at once is dropped, and the address is free on return."""
        super().close()
        if self._gate is not None and not self._gate.closed:
            self._loop.remove_reader(self._gate.fileno())
        self._context.destroy(0)


def _bind(socket: zmq.Socket[bytes], address: str) -> None:
    socket.set(zmq.IPV6, int("[" in address))
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise AddressInUseError(address) from error
        msg = f"{address}: cannot be bound: {os.strerror(error.errno or 0)}"
        raise BusError(msg) from error
