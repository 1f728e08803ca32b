"""Whether boards still answer, asked beside libuhd: it is slow to notice that one is gone.

USRPs with MPM echo what reaches their discovery port with ``MPM-ECHO`` in front, from a process
that does not wait for the one that tunes. Boards that never answered (USB, older Ethernet boards)
are not judged.
"""

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Self

from drivers.usrp.address import discovery_of

_PROBE = b"MPM-ECHO-isac"


class Pulse:
    """Echoes of the boards of a radio.

    Parameters
    ----------
    boards
        Device arguments of each.
    """

    def __init__(self, boards: Sequence[dict[str, str]]) -> None:
        self._sockets: dict[str, socket.socket] = {}
        self._heard_s: dict[str, float] = {}
        for arguments in boards:
            with suppress(OSError):
                if place := discovery_of(arguments):
                    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    self._sockets[f"{place[0]}:{place[1]}"] = probe
                    probe.setblocking(False)
                    probe.connect(place)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def rest(self) -> None:
        """Forget how long ago the last echoes are: nothing was asked meanwhile."""
        now_s = time.monotonic()
        self._heard_s = dict.fromkeys(self._heard_s, now_s)

    def silent(self, longest_s: float) -> list[str]:
        """Boards that have answered before, and now not for this long; all are asked again."""
        now_s = time.monotonic()
        for board, probe in self._sockets.items():
            # A refusal of an earlier probe comes up here: no answer.
            with suppress(OSError):
                while probe.recv(512):
                    self._heard_s[board] = now_s
            with suppress(OSError):
                probe.send(_PROBE)
        return [board for board, heard_s in self._heard_s.items() if now_s - heard_s > longest_s]

    def close(self) -> None:
        """Close the sockets."""
        for probe in self._sockets.values():
            probe.close()
