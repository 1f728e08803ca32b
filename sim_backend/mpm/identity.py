"""What a device says of itself."""

from dataclasses import dataclass, field

_MOTHERBOARD_PID, _DAUGHTERBOARD_PID = "58144", "272"
_DISCOVER, _ECHO = b"MPM-DISC", b"MPM-ECHO"


@dataclass(frozen=True)
class Identity:
    """A device's name and number.

    Attributes
    ----------
    mpm_compat
        Version of the protocol: major and minor number.
    motherboard, daughterboard
        As their memories hold them.
    """

    serial: str
    name: str
    mpm_compat: tuple[int, int]
    motherboard: dict[str, str] = field(init=False)
    daughterboard: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        common = {"serial": self.serial, "rev": "0"}
        object.__setattr__(self, "motherboard", {"pid": _MOTHERBOARD_PID, **common})
        object.__setattr__(
            self, "daughterboard", {"pid": _DAUGHTERBOARD_PID, "eeprom_version": "0", **common}
        )

    def brief(self, is_claimed: bool) -> dict[str, str]:
        """What a device that is looked for tells; that it is emulated, too."""
        return {
            "type": "e3xx",
            "product": "e320",
            "serial": self.serial,
            "name": self.name,
            "fpga": "emulated",
            "claimed": str(is_claimed),
        }

    def device_info(self, is_claimed: bool) -> dict[str, str]:
        """What it tells a client."""
        return {
            **self.brief(is_claimed),
            "pid": _MOTHERBOARD_PID,
            "rev": "0",
            "mpm_version": ".".join(map(str, self.mpm_compat)),
            "fpga_version": "emulated",
            "connection": "remote",
            "description": "E320, emulated by isac-testbed",
        }

    def discovery_answer(self, datagram: bytes, is_claimed: bool) -> bytes | None:
        """What it answers to a datagram at the discovery port, `None` if nothing."""
        if datagram.startswith(_ECHO):
            return datagram
        if datagram.rstrip(b"\0") == _DISCOVER:
            told = (f"{key}={value}" for key, value in self.brief(is_claimed).items())
            return ("USRP-MPM;" + ";".join(told)).encode()
        return None
