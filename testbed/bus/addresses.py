"""Addresses of processes, and which of them lie on this machine."""

import ipaddress
import re

from testbed.bus.errors import BusError, SecurityError

_TCP = re.compile(r"tcp://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+|\*):(?P<port>\*|[0-9]{1,5})")


def check_address(address: str, *, has_keys: bool) -> None:
    """Refuse what is no address, and one beyond this machine where there are no keys.

    Raises
    ------
    BusError
        If it does not read ``tcp://HOST:PORT``.
    SecurityError
        If it is not a loopback address and there are no keys.
    """
    match = _TCP.fullmatch(address)
    if match is None:
        msg = f"{address!r:.80}: no address; it must read tcp://HOST:PORT"
        raise BusError(msg)
    if not has_keys and not _is_loopback(match["host"]):
        msg = (
            f"{address}: only loopback addresses go without keys; run `testbed keys init` on each "
            "host, or use tcp://127.0.0.1:PORT"
        )
        raise SecurityError(msg)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"
