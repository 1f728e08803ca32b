"""A client of the text protocol that is nothing but a socket, and a clock set by hand."""

import socket
from types import TracebackType
from typing import Self

import numpy as np

from sim_backend.iiod import SoftwarePluto
from sim_backend.iiod.personalities import Personality
from sim_backend.impairments import Impairments
from sim_backend.live_ether import LiveEther
from tests.vendor.pluto.software import IDEAL, free_space

PATIENCE_S = 20.0
RECEIVER, SENDER, PHY = "cf-ad9361-lpc", "cf-ad9361-dds-core-lpc", "ad9361-phy"
IQ_MASK = "00000003"
STATUS = "0x80000088"
RATE_HZ = 30_720_000  # as a device has it when it is switched on


class HandClock:
    """The host's clock, as a test sets it.

    Attributes
    ----------
    look_ns
        What passes between one look at it and the next.
    """

    def __init__(self) -> None:
        self.now_ns = 10**12
        self.look_ns = 0

    def __call__(self) -> int:
        self.now_ns += self.look_ns
        return self.now_ns

    def go_on(self, num_samples: float, rate_hz: float = RATE_HZ) -> None:
        """Let so many samples' time pass."""
        self.now_ns += round(num_samples / rate_hz * 1e9)


class Client:
    """One connection."""

    def __init__(self, pluto: SoftwarePluto) -> None:
        _, host, port = pluto.uri.split(":")
        self.socket = socket.create_connection((host, int(port)), PATIENCE_S)
        self._reader = self.socket.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._reader.close()
        self.socket.close()

    def send(self, command: str, data: bytes = b"") -> None:
        self.socket.sendall(command.encode() + b"\r\n" + data)

    def line(self) -> str:
        """The next line of a reply; empty at the end of the connection."""
        return self._reader.readline().decode().strip()

    def number(self, command: str, data: bytes = b"") -> int:
        """The number that is the reply to a command."""
        self.send(command, data)
        return int(self.line())

    def write(self, where: str, value: str) -> int:
        """Write an attribute: its length, or an error."""
        return self.number(f"WRITE {where} {len(value)}", value.encode())

    def read(self, where: str) -> str:
        """Value of an attribute."""
        size = self.number(f"READ {where}")
        assert size > 0, size
        return self._reader.read(size + 1).rstrip(b"\0\n").decode()

    def open(self, device: str, num_samples: int, words: str = "") -> int:
        return self.number(f"OPEN {device} {num_samples} {IQ_MASK} {words}")

    def ask(self, num_samples: int) -> None:
        """Ask for one block."""
        self.send(f"READBUF {RECEIVER} {4 * num_samples}")

    def block(self) -> np.ndarray:
        """The block that was asked for, shape ``(N, 2)``."""
        size = int(self.line())
        assert size > 0, size
        assert self.line() == IQ_MASK
        return np.frombuffer(self._reader.read(size), "<i2").reshape(-1, 2)

    def push(self, scanned: np.ndarray) -> int:
        """Send one block: the number of its bytes, or an error."""
        data = scanned.astype("<i2").tobytes()
        first = self.number(f"WRITEBUF {SENDER} {len(data)}", data)
        return int(self.line()) if first == 0 else first

    def status(self, device: str = RECEIVER, clear: int = 0) -> int:
        """The status register; bits are cleared by writing them."""
        self.write(f"{device} DEBUG direct_reg_access", STATUS)
        value = int(self.read(f"{device} DEBUG direct_reg_access"), 16)
        if clear:
            self.write(f"{device} DEBUG direct_reg_access", f"{STATUS} {clear:#x}")
        return value


def plutos(
    clock: HandClock, *personalities: Personality, impairments: Impairments = IDEAL
) -> list[SoftwarePluto]:
    """Software devices on one ether, whose time a test sets; to be entered."""
    ether = LiveEther(free_space(max(2, len(personalities))), monotonic_ns=clock)
    return [
        SoftwarePluto(ether, n, impairments, personality=personality)
        for n, personality in enumerate(personalities)
    ]


def tune(client: Client, carrier_hz: float = 2.4e9, gain_db: float = 40.0) -> None:
    """Set carrier and manual gain of the first chip, and the full output."""
    for where, value in (
        (f"{PHY} OUTPUT altvoltage0 frequency", f"{carrier_hz:.0f}"),
        (f"{PHY} OUTPUT altvoltage1 frequency", f"{carrier_hz:.0f}"),
        (f"{PHY} INPUT voltage0 gain_control_mode", "manual"),
        (f"{PHY} INPUT voltage0 hardwaregain", f"{gain_db:.1f}"),
        (f"{PHY} OUTPUT voltage0 hardwaregain", "0"),
    ):
        assert client.write(where, value) == len(value)
