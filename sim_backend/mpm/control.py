"""Control packets: reads and writes of registers, their acknowledgements, and events."""

import struct
from dataclasses import dataclass, replace

from sim_backend.mpm.chdr import WORD_BYTES, MalformedError, words

SLEEP, WRITE, READ, READ_WRITE, BLOCK_WRITE, BLOCK_READ, POLL = range(7)
# Status of an acknowledgement.
OKAY, COMMAND_ERROR = 0, 1

_ALL_BYTES = 0xF
_SEQUENCE_MASK = 0x3F


@dataclass(frozen=True, slots=True)
class Control:
    """Payload of one control packet.

    Attributes
    ----------
    port, source_port
        Of the destination (0 is the endpoint's own registers, blocks follow) and of the sender.
    source
        Endpoint that sent it.
    code
        What to do: one of the codes above.
    address
        Of the first register.
    data
        Words of 32 bits, at least one.
    sequence
        Number, modulo 64.
    tick
        When to do it; `None` for at once.
    is_ack
        Whether it answers another.
    status
        Of the answer.
    """

    port: int
    source: int
    code: int
    address: int
    data: tuple[int, ...]
    source_port: int = 0
    sequence: int = 0
    tick: int | None = None
    is_ack: bool = False
    status: int = OKAY
    byte_enable: int = _ALL_BYTES

    def acknowledged(self, source: int, data: tuple[int, ...], status: int = OKAY) -> "Control":
        """The answer that an endpoint gives."""
        return replace(self, source=source, data=data, tick=None, is_ack=True, status=status)


def packed(control: Control) -> bytes:
    """A control payload as bytes."""
    head = (
        control.port
        | control.source_port << 10
        | len(control.data) << 20
        | (control.sequence & _SEQUENCE_MASK) << 24
        | (control.tick is not None) << 30
        | control.is_ack << 31
        | control.source << 32
    )
    time = () if control.tick is None else (control.tick,)
    first, *rest = control.data
    operation = (
        control.address
        | control.byte_enable << 20
        | control.code << 24
        | control.status << 30
        | first << 32
    )
    rest += [0] * (len(rest) % 2)
    pairs = [low | high << 32 for low, high in zip(rest[::2], rest[1::2], strict=True)]
    return words(head, *time, operation, *pairs)


def parsed(payload: bytes | memoryview) -> Control:
    """A control payload from bytes.

    Raises
    ------
    MalformedError
        If it holds less than it says.
    """
    if len(payload) < 2 * WORD_BYTES:
        msg = f"a control payload has at least two words, got {len(payload)} bytes"
        raise MalformedError(msg)
    (head,) = struct.unpack_from("<Q", payload)
    num_data, has_time = head >> 20 & 15, head >> 30 & 1
    begin = WORD_BYTES * (1 + has_time)
    available = (len(payload) - begin - 4) // 4
    if not 1 <= num_data <= available:
        msg = f"a control payload says that it holds {num_data} words, and has {available}"
        raise MalformedError(msg)
    operation, *data = struct.unpack_from(f"<{1 + num_data}I", payload, begin)
    return Control(
        port=head & 0x3FF,
        source=head >> 32 & 0xFFFF,
        code=operation >> 24 & 15,
        address=operation & 0xFFFFF,
        data=tuple(data),
        source_port=head >> 10 & 0x3FF,
        sequence=head >> 24 & _SEQUENCE_MASK,
        tick=struct.unpack_from("<Q", payload, WORD_BYTES)[0] if has_time else None,
        is_ack=bool(head >> 31 & 1),
        status=operation >> 30,
        byte_enable=operation >> 20 & 15,
    )
