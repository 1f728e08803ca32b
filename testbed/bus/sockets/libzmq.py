"""What libzmq must be able to do, and the options of every socket."""

import itertools
import struct
from collections.abc import Sequence

import zmq

from testbed.bus.curve import ClientCurve
from testbed.bus.errors import BusError
from testbed.bus.wire import Frame

# Not 0: libzmq 4.3.5 aborts the process (session_base.cpp:233) where a connection breaks while its
# socket is closed at once, in the middle of a message of several frames. After this time what is
# left is dropped.
_LINGER_MS = 200
# A cut link is noticed after two and a half seconds at most, and tried again once a second.
_OPTIONS = {
    zmq.LINGER: _LINGER_MS,
    zmq.HEARTBEAT_IVL: 500,
    zmq.HEARTBEAT_TIMEOUT: 2000,
    zmq.HEARTBEAT_TTL: 2000,
    zmq.HANDSHAKE_IVL: 3000,
    zmq.CONNECT_TIMEOUT: 1000,
    zmq.RECONNECT_IVL: 50,
    zmq.RECONNECT_IVL_MAX: 1000,
}
_OVERHEAD_BYTES = 512  # of an encrypted frame; and the handshake needs as much
_COPY_BELOW_BYTES = 1 << 16  # lending memory costs more than copying so little
_EVENTS = {
    zmq.EVENT_HANDSHAKE_SUCCEEDED: "connected",
    zmq.EVENT_CONNECT_RETRIED: "retried",
    zmq.EVENT_DISCONNECTED: "disconnected",
    zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL: "handshake_failed",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "handshake_failed",
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "refused_key",
}
_monitor_numbers = itertools.count()


def check_libzmq(found: tuple[int, ...] | None = None) -> None:
    """Refuse a libzmq that is too old, or without CURVE.

    Raises
    ------
    BusError
        With the version found, and what to install.
    """
    found = zmq.zmq_version_info() if found is None else found
    if found < (4, 3, 5):
        msg = f"libzmq {'.'.join(map(str, found))} is too old, 4.3.5 is needed; update pyzmq"
        raise BusError(msg)
    if not zmq.has("curve"):
        msg = "this libzmq was built without CURVE; install pyzmq from its wheel"
        raise BusError(msg)


def new_key_pair() -> tuple[str, str]:
    """Public and secret key in Z85; the public one can stand on a command line."""
    check_libzmq()
    public, secret = zmq.curve_keypair()
    return new_key_pair() if public.startswith(b"-") else (public.decode(), secret.decode())


def public_key_of(secret: str) -> str:
    """Public key that belongs to a secret one, both in Z85."""
    return zmq.curve_public(secret.encode()).decode()


def monitor_of(socket: zmq.Socket[bytes]) -> zmq.Socket[bytes]:
    """Socket that tells what happens to the connections of another; see `event_name`.

    Close both with `close_monitored`.
    """
    mask = 0
    for event in _EVENTS:
        mask |= event
    # pyzmq would name it by file descriptor, which the next socket may have before this is gone.
    name = f"inproc://monitor-{next(_monitor_numbers)}"
    socket.monitor(name, mask)
    monitor = socket.context.socket(zmq.PAIR)
    monitor.set(zmq.LINGER, 0)
    monitor.set(zmq.RCVHWM, 0)  # libzmq's thread would wait for a place, and all sockets for it
    monitor.connect(name)
    return monitor


def close_monitored(socket: zmq.Socket[bytes], monitor: zmq.Socket[bytes]) -> None:
    """Close a socket and its monitor, in the only order in which libzmq's thread never waits."""
    if not socket.closed:
        socket.disable_monitor()
        monitor.close()
        socket.close()


def event_name(message: Sequence[bytes]) -> str:
    """What a monitor tells: the name under which it is counted."""
    event, _ = struct.unpack("=hi", message[0])
    return _EVENTS[event]


def set_limits(socket: zmq.Socket[bytes], max_frame_bytes: int, high_water_mark: int) -> None:
    """Bound what a socket may hold, and what it waits for."""
    for option, value in _OPTIONS.items():
        socket.set(option, value)
    socket.set(zmq.MAXMSGSIZE, max_frame_bytes + _OVERHEAD_BYTES)
    socket.set(zmq.SNDHWM, high_water_mark)
    socket.set(zmq.RCVHWM, high_water_mark)


def connect(socket: zmq.Socket[bytes], address: str, curve: ClientCurve | None) -> None:
    """Connect in the background, with keys if there are some."""
    socket.set(zmq.IPV6, int("[" in address))
    if curve is not None:
        socket.set(zmq.CURVE_SERVERKEY, curve.server_key.encode())
        socket.set(zmq.CURVE_PUBLICKEY, curve.public_key.encode())
        socket.set(zmq.CURVE_SECRETKEY, curve.secret_key.encode())
    socket.connect(address)


def push(socket: zmq.Socket[bytes], frames: Sequence[Frame]) -> int:
    """Send a message if that is possible at once; otherwise the error's number."""
    failed = 0
    for number, frame in enumerate(frames):
        more = zmq.SNDMORE if number < len(frames) - 1 else 0
        try:
            socket.send(frame, zmq.NOBLOCK | more, copy=len(frame) < _COPY_BELOW_BYTES)
        except zmq.ZMQError as error:
            failed = error.errno or zmq.EAGAIN
            if number == 0:
                break
            # The connection ended meanwhile; libzmq drops the rest as well, but wants to see it.
    return failed
