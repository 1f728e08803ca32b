"""Whether an address is this very host's."""

from ipaddress import ip_address


def is_loopback(host: str) -> bool:
    """Whether a number is of this host alone: 127.0.0.0/8, or ::1. No name is."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_this_host(host: str) -> bool:
    """The same, or the name that stands for it."""
    return host == "localhost" or is_loopback(host)
