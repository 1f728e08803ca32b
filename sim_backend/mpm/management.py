"""Management packets: a list of hops, each with what the node there is to do."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from sim_backend.mpm.chdr import WORD_BYTES, MalformedError, words

NOP, ADVERTISE, SELECT, RETURN, ASK_INFO, INFO, WRITE, READ, READ_ANSWER = range(9)

_HOPS, _HOPS_MASK = 16, 0x3FF
_KEPT = ~((_HOPS_MASK << _HOPS) | 0xFFFF)


@dataclass(frozen=True, slots=True)
class Operation:
    """What a node is to do, or has answered: a code from above, and 48 bits."""

    code: int
    payload: int = 0


@dataclass(frozen=True, slots=True)
class Management:
    """Payload of one management packet.

    Attributes
    ----------
    source
        Endpoint that sent it.
    hops
        Operations of each node on the way.
    rest
        Protocol version and bus width, as in the header word.
    """

    source: int
    hops: tuple[tuple[Operation, ...], ...]
    rest: int = 0

    def without_first_hop(self, answers: tuple[Operation, ...]) -> "Management":
        """The packet as it leaves a node, whose answers go to the next hop."""
        following, *others = self.hops[1:] or ((),)
        return replace(self, hops=((*following, *answers), *others))


def packed(management: Management) -> bytes:
    """A management payload as bytes."""
    hops = [hop for hop in management.hops if hop]
    out = [management.rest & _KEPT | management.source | len(hops) << _HOPS]
    for hop in hops:
        for left, operation in zip(reversed(range(len(hop))), hop, strict=True):
            out.append(operation.payload << 16 | operation.code << 8 | left)
    return words(*out)


def parsed(payload: bytes | memoryview) -> Management:
    """A management payload from bytes.

    Raises
    ------
    MalformedError
        If it ends before its last hop.
    """
    num_words = len(payload) // WORD_BYTES
    if num_words == 0:
        msg = "a management payload has at least one word"
        raise MalformedError(msg)
    head, *rest = struct.unpack_from(f"<{num_words}Q", payload)
    following = iter(rest)
    try:
        hops = [_hop(following) for _ in range(head >> _HOPS & _HOPS_MASK)]
    except StopIteration:
        msg = f"a management payload of {num_words} words ends before its last hop"
        raise MalformedError(msg) from None
    return Management(head & 0xFFFF, tuple(hops), head & _KEPT)


def _hop(following: Iterator[int]) -> tuple[Operation, ...]:
    operations = []
    while True:
        word = next(following)
        operations.append(Operation(word >> 8 & 0xFF, word >> 16))
        if word & 0xFF == 0:
            return tuple(operations)
