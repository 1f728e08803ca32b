"""Addresses of processes, and which of them lie on this machine."""

import re

from drivers.loopback import is_this_host
from testbed.bus.errors import BusError, SecurityError

_TCP = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+|\*):(?P<port>\*|[0-9]{1,5})")


def check_address(address: str, *, has_keys: bool, binds: bool = False) -> None:
    """Refuse what is no address, and one beyond this machine where there are no keys.

    Parameters
    ----------
    address
        ``tcp://HOST:PORT``; one to bind may leave the port to the system: ``*`` or ``0``.
    has_keys
        Whether connections are encrypted and both ends known.
    binds
        Whether it is bound, not connected to.

    Raises
    ------
    BusError
        If it does not read ``tcp://HOST:PORT``.
    SecurityError
        If it is not a loopback address and there are no keys.
    """
    match = _TCP.fullmatch(address)
    if match is None or not _is_port(match["port"], binds):
        msg = f"{address!r:.80}: no address; it must read tcp://HOST:PORT, PORT up to 65535"
        raise BusError(msg)
    if not has_keys and not is_this_host(match["host"].strip("[]")):
        msg = (
            f"{address}: only loopback addresses go without keys; run `testbed keys init` on each "
            "host, or use tcp://127.0.0.1:PORT"
        )
        raise SecurityError(msg)


def _is_port(port: str, binds: bool) -> bool:
    return binds if port in ("*", "0") else 0 < int(port) < 1 << 16
