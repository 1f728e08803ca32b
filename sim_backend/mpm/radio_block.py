"""The radio block: its registers, and events that it tells the host."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

from sim_backend.mpm import control
from sim_backend.mpm.chdr import TICK_MASK, Kind, Packet
from sim_backend.mpm.control import Control
from sim_backend.mpm.front_end import NUM_CHANNELS, Way
from sim_backend.mpm.timekeeper import Timekeeper

# Shared registers, and a page a channel.
_COMPAT, _TIME_LOW, _TIME_HIGH = 0x0000, 0x0004, 0x0008
_PAGES, _PAGE = 0x1000, 0x80
_WIDTHS, _IDLE_VALUE, _RECEIVED_VALUE = 0x04, 0x40, 0x3C
_COMMAND, _COUNT_LOW, _COUNT_HIGH = 0x14, 0x18, 0x1C
_BEGIN_LOW, _BEGIN_HIGH, _SAMPLES_PER_PACKET = 0x20, 0x24, 0x28
# Where events go: port, the host's port, the host's endpoint, address.
_EVENT_TARGETS: Mapping[Way, tuple[int, int, int, int]] = {
    "rx": (0x2C, 0x30, 0x34, 0x38),
    "tx": (0x48, 0x4C, 0x50, 0x54),
}
_IS_TIMED = 1 << 31
_STOP, _FINITE, _CONTINUOUS = range(3)
_SAMPLE_BITS, _SAMPLES_PER_CYCLE = 32, 1
_DEFAULT_SAMPLES_PER_PACKET, _MOST_SAMPLES_PER_PACKET = 1024, 16000
_PORT_MASK = 0x3FF


class RxEvent(IntEnum):
    """What can go wrong with receiving."""

    LATE = 1
    OVERRUN = 2


class TxEvent(IntEnum):
    """What becomes of a burst."""

    UNDERRUN = 1
    LATE = 2
    ACKNOWLEDGED = 3


@dataclass(frozen=True, slots=True)
class StreamOrder:
    """What a client wants to receive on a channel.

    Attributes
    ----------
    tick
        Time of the first sample; `None` for at once.
    count
        How many samples; `None` for as many as come until it stops.
    """

    tick: int | None
    count: int | None
    samples_per_packet: int


class Receives(Protocol):
    """What streams received samples."""

    def order(self, channel: int, order: StreamOrder) -> None:
        """Begin to stream; what was streamed before ends."""

    def stop(self, channel: int) -> None:
        """End a stream with the packet that is under way."""


class RadioBlock:
    """Registers of two channels, both ways.

    Parameters
    ----------
    source
        Gives the endpoint from which events come.
    send
        Sends a packet.
    receiver
        Does what stream commands say.
    compat
        Major and minor number of the block.
    """

    def __init__(
        self,
        timekeeper: Timekeeper,
        source: Callable[[], int],
        send: Callable[[Packet], None],
        receiver: Receives,
        compat: tuple[int, int],
    ) -> None:
        self._timekeeper = timekeeper
        self._source = source
        self._send = send
        self._receiver = receiver
        self._compat = compat
        self._registers: dict[int, int] = {}
        self._latched_ticks = 0
        self._num_events = 0

    def read(self, address: int) -> int:
        """Read a register; reading the low half of the time keeps the high half for later."""
        page, register = divmod(address - _PAGES, _PAGE)
        if address == _COMPAT:
            return self._compat[0] << 16 | self._compat[1]
        if address == _TIME_LOW:
            self._latched_ticks = self._timekeeper.time()
            return self._latched_ticks & 0xFFFFFFFF
        if address == _TIME_HIGH:
            return self._latched_ticks >> 32 & 0xFFFFFFFF
        if 0 <= page < NUM_CHANNELS and register == _WIDTHS:
            return _SAMPLE_BITS << 16 | _SAMPLES_PER_CYCLE
        if 0 <= page < NUM_CHANNELS and register == _RECEIVED_VALUE:
            # The converters are looped back while a client looks whether that works.
            return self._register(page, _IDLE_VALUE)
        return self._registers.get(address, 0)

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        self._registers[address] = value
        page, register = divmod(address - _PAGES, _PAGE)
        if 0 <= page < NUM_CHANNELS and register == _COMMAND:
            self._stream_command(page, value)

    def tell(self, way: Way, channel: int, event: RxEvent | TxEvent, tick: int) -> None:
        """Tell the host that something happened on a channel at a tick of the sample clock."""
        port, host_port, endpoint, address = (
            self._register(channel, register) for register in _EVENT_TARGETS[way]
        )
        self._num_events += 1
        message = Control(
            port=host_port & _PORT_MASK, source=self._source(), code=control.WRITE,
            address=address & 0xFFFFF, data=(int(event),), source_port=port & _PORT_MASK,
            sequence=self._num_events,
            tick=(tick + self._timekeeper.offset) & TICK_MASK,
        )  # fmt: skip
        self._send(Packet(Kind.CONTROL, endpoint & 0xFFFF, control.packed(message)))

    def _stream_command(self, channel: int, value: int) -> None:
        kind = value & 3
        if kind not in (_FINITE, _CONTINUOUS):
            self._receiver.stop(channel)
            return
        count, begin = self._long(channel, _COUNT_LOW), self._long(channel, _BEGIN_LOW)
        per_packet = self._register(channel, _SAMPLES_PER_PACKET) or _DEFAULT_SAMPLES_PER_PACKET
        order = StreamOrder(
            begin if value & _IS_TIMED else None,
            count if kind == _FINITE else None,
            min(per_packet, _MOST_SAMPLES_PER_PACKET),
        )
        self._receiver.order(channel, order)

    def _register(self, channel: int, register: int) -> int:
        return self._registers.get(_PAGES + channel * _PAGE + register, 0)

    def _long(self, channel: int, register: int) -> int:
        return self._register(channel, register) | self._register(channel, register + 4) << 32
