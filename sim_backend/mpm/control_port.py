"""Control packets on their way to registers: at once, or when their time has come."""

from collections import deque
from collections.abc import Callable, Iterable

from sim_backend.mpm import control
from sim_backend.mpm.chdr import Kind, Packet
from sim_backend.mpm.control import Control
from sim_backend.mpm.device_map import OWN_PORT, identity_word
from sim_backend.mpm.radio_block import RadioBlock
from sim_backend.mpm.timekeeper import Timekeeper

# Commands that may wait; a real one has a few, after which the bus waits.
_MOST_WAITING = 1024
_WORD_BYTES = 4


class ControlPort:
    """What an endpoint does with control packets.

    Commands for the radio are done in the order in which they came, so that one that waits for
    its time holds up all that follow. One that comes too late is done at once.
    """

    def __init__(
        self, radio: RadioBlock, timekeeper: Timekeeper, send: Callable[[Packet], None]
    ) -> None:
        self._radio = radio
        self._timekeeper = timekeeper
        self._send = send
        self._waiting: deque[tuple[int, Control]] = deque()

    def take(self, endpoint: int, command: Control) -> None:
        """Do a command, or keep it until its time; answers of hosts to events need nothing."""
        if command.is_ack:
            return
        if command.port != OWN_PORT and len(self._waiting) < _MOST_WAITING:
            self._waiting.append((endpoint, command))
            self.run_due()
        else:
            self._do(endpoint, command)

    def run_due(self) -> None:
        """Do what has waited long enough."""
        while self._waiting:
            tick = self._waiting[0][1].tick
            if tick is not None and tick > self._timekeeper.time():
                return
            self._do(*self._waiting.popleft())

    @property
    def is_waiting(self) -> bool:
        """Whether a command waits for its time."""
        return bool(self._waiting)

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()

    def _do(self, endpoint: int, command: Control) -> None:
        addresses = [command.address + _WORD_BYTES * n for n in range(len(command.data))]
        data, status = command.data, control.OKAY
        if command.code in (control.READ, control.BLOCK_READ):
            data = tuple(self._read(command.port, addresses))
        elif command.code in (control.WRITE, control.BLOCK_WRITE):
            if command.port != OWN_PORT:
                for address, value in zip(addresses, data, strict=True):
                    self._radio.write(address, value)
        elif command.code != control.SLEEP:
            status = control.COMMAND_ERROR
        answer = control.packed(command.acknowledged(endpoint, data, status))
        self._send(Packet(Kind.CONTROL, command.source, answer))

    def _read(self, port: int, addresses: Iterable[int]) -> Iterable[int]:
        read = identity_word if port == OWN_PORT else self._radio.read
        return (read(address) for address in addresses)
