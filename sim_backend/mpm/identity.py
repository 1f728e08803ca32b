"""What a device says of itself."""

from dataclasses import dataclass

_MOTHERBOARD_PID, _DAUGHTERBOARD_PID = "58144", "272"
_DISCOVER, _ECHO = b"MPM-DISC", b"MPM-ECHO"


@dataclass(frozen=True)
class Identity:
    """A device's name and number.

    Attributes
    ----------
    mpm_compat
        Version of the protocol: major and minor number.
    """

    serial: str
    name: str
    mpm_compat: tuple[int, int]

    def motherboard(self) -> dict[str, str]:
        """What its memory holds."""
        return {"pid": _MOTHERBOARD_PID, "serial": self.serial, "rev": "0"}

    def daughterboard(self) -> dict[str, str]:
        """What its memory holds."""
        return {
            "pid": _DAUGHTERBOARD_PID, "eeprom_version": "0", "serial": self.serial, "rev": "0"
        }  # fmt: skip

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
