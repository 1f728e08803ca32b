"""Sockets between processes: bounded, never waiting to send, every drop counted.

The only package that knows ZeroMQ. Services use `Server` and `Client` in their event loop; commands
and threads use `Caller`. What was handed to `send` must not be changed afterwards: large frames are
sent from where they lie.
"""

from testbed.bus.errors import AddressInUseError, BusError, NoAnswerError, SecurityError
from testbed.bus.sockets.caller import Caller
from testbed.bus.sockets.client import Client
from testbed.bus.sockets.libzmq import check_libzmq, new_key_pair, public_key_of
from testbed.bus.sockets.server import Peer, Server

__all__ = [
    "AddressInUseError", "BusError", "Caller", "Client", "NoAnswerError", "Peer", "SecurityError",
    "Server", "check_libzmq", "new_key_pair", "public_key_of",
]  # fmt: skip
