"""Device addresses of UHD: one board's, or several with numbered keys."""

import re

# Of discovery by MPM, UDP.
_DISCOVERY_PORT = 49600

_NUMBERED = re.compile(r"(\D+?)(\d+)")


def board_addresses(address: str) -> list[dict[str, str]]:
    """Arguments of each board; keys without a number hold for all.

    ``addr0=10.0.0.2,addr1=10.0.0.3,fpga=XG`` names two boards.
    """
    common: dict[str, str] = {}
    numbered: dict[int, dict[str, str]] = {}
    for part in filter(None, (part.strip() for part in address.split(","))):
        key, _, value = part.partition("=")
        if match := _NUMBERED.fullmatch(key):
            numbered.setdefault(int(match[2]), {})[match[1]] = value
        else:
            common[key] = value
    return [common | numbered[index] for index in sorted(numbered)] or [common]


def address_of(arguments: dict[str, str]) -> str:
    """Arguments as UHD reads them."""
    return ",".join(f"{key}={value}" for key, value in arguments.items())


def discovery_of(arguments: dict[str, str]) -> tuple[str, int] | None:
    """Host and port at which a board with MPM answers discovery; ``None`` for one on no network."""
    host = arguments.get("mgmt_addr", arguments.get("addr", ""))
    port = arguments.get("discovery_port", "")
    return (host, int(port) if port.isdecimal() else _DISCOVERY_PORT) if host else None
