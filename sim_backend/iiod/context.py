"""What all clients of one software device share."""

import errno
import threading

from sim_backend.iiod.attributes import Attribute, Device, RefusedError
from sim_backend.iiod.board import Board
from sim_backend.iiod.buffers import Buffers
from sim_backend.iiod.context_xml import context_xml
from sim_backend.iiod.device_faults import DeviceFaults
from sim_backend.iiod.personalities import Personality, devices, identity
from sim_backend.iiod.wire import Wire

_DEFAULT_TIMEOUT_S = 1.0
_FROZEN_LOOK_S = 0.05


class Context:
    """A software device: its radio, devices, buffers and faults.

    Attributes
    ----------
    xml
        Its description.
    lock
        Held while an attribute is read or written.
    timeout_s
        How long transfers wait, as the last client has set it; zero for without end.
    frozen
        While set, no command is answered.
    """

    def __init__(
        self, board: Board, faults: DeviceFaults, personality: Personality, serial: str
    ) -> None:
        self.board = board
        self.faults = faults
        self.buffers = Buffers(board)
        self.lock = threading.Lock()
        self.timeout_s = _DEFAULT_TIMEOUT_S
        self.frozen = threading.Event()
        self._devices = devices(personality, board)
        about = identity(personality, serial)
        self.xml = context_xml(about.description, about.about, self._devices)

    def wait_while_frozen(self, wire: Wire) -> None:
        """Wait as long as the device is frozen."""
        while self.frozen.is_set():
            wire.pause(_FROZEN_LOOK_S)

    def device(self, words: list[str]) -> Device:
        """The device that a command's first word names.

        Raises
        ------
        RefusedError
            If there is none.
        """
        for device in self._devices:
            if words and words[0] in (device.device_id, device.name):
                return device
        raise RefusedError(errno.ENODEV)

    def attribute(self, words: list[str]) -> Attribute:
        """The attribute that a command names: its device, what of it, and the attribute's name.

        Raises
        ------
        RefusedError
            If there is none.
        """
        device, rest = self.device(words), words[1:]
        if rest[:1] in (["INPUT"], ["OUTPUT"]) and len(rest) == 3:
            of_what = device.channel(rest[1], is_output=rest[0] == "OUTPUT").attributes
        elif rest[:1] == ["DEBUG"]:
            of_what = device.debug_attributes or {}
        elif rest[:1] == ["BUFFER"]:
            of_what = device.buffer_attributes or {}
        else:
            of_what = device.attributes or {}
        found = of_what.get(rest[-1]) if rest else None
        if found is None:
            raise RefusedError(errno.ENOENT)
        return found
