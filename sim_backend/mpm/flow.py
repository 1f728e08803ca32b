"""Stream commands and stream status: the flow control of data packets, both ways."""

import struct
from dataclasses import dataclass

from sim_backend.mpm.chdr import WORD_BYTES, MalformedError, words

INIT, PING, RESYNC = range(3)
OKAY, COMMAND_ERROR, SEQUENCE_ERROR, DATA_ERROR, ROUTING_ERROR = range(5)

_PACKETS_MASK = (1 << 24) - 1
_BYTES_MASK = (1 << 40) - 1


@dataclass(frozen=True, slots=True)
class Amount:
    """Packets and bytes."""

    num_packets: int = 0
    num_bytes: int = 0

    def __add__(self, other: "Amount") -> "Amount":
        return Amount(self.num_packets + other.num_packets, self.num_bytes + other.num_bytes)

    def __sub__(self, other: "Amount") -> "Amount":
        return Amount(self.num_packets - other.num_packets, self.num_bytes - other.num_bytes)


@dataclass(frozen=True, slots=True)
class StreamCommand:
    """From who sends data to who receives it.

    `INIT` asks for a status now and each time that `amount` has been taken; `RESYNC` tells how
    much was sent in all.
    """

    source: int
    code: int
    amount: Amount


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """From who receives data to who sends it: the size of the buffer, and what it has taken."""

    source: int
    capacity: Amount
    taken: Amount
    status: int = OKAY


def packed_command(command: StreamCommand) -> bytes:
    """A stream command's payload as bytes."""
    first = command.source | command.code << 16 | command.amount.num_packets << 24
    return words(first, command.amount.num_bytes)


def parsed_command(payload: bytes | memoryview) -> StreamCommand:
    """A stream command from its payload.

    Raises
    ------
    MalformedError
    """
    first, num_bytes = _unpacked(payload, 2)
    return StreamCommand(first & 0xFFFF, first >> 16 & 15, Amount(first >> 24, num_bytes))


def packed_status(status: StreamStatus) -> bytes:
    """A stream status's payload as bytes; its last word, with details, is empty."""
    return words(
        status.source | status.status << 16 | (status.capacity.num_bytes & _BYTES_MASK) << 24,
        status.capacity.num_packets & _PACKETS_MASK
        | (status.taken.num_packets & _BYTES_MASK) << 24,
        status.taken.num_bytes & (1 << 64) - 1,
        0,
    )


def parsed_status(payload: bytes | memoryview) -> StreamStatus:
    """A stream status from its payload.

    Raises
    ------
    MalformedError
    """
    first, second, num_bytes, _ = _unpacked(payload, 4)
    return StreamStatus(
        first & 0xFFFF,
        Amount(second & _PACKETS_MASK, first >> 24),
        Amount(second >> 24, num_bytes),
        first >> 16 & 15,
    )


def _unpacked(payload: bytes | memoryview, count: int) -> tuple[int, ...]:
    if len(payload) < count * WORD_BYTES:
        msg = f"a payload of {count} words is needed, got {len(payload)} bytes"
        raise MalformedError(msg)
    return struct.unpack_from(f"<{count}Q", payload)
