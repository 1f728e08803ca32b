"""Direct access to a device's registers, a debug attribute of its own protocol.

Written with an address, it selects the register that is read next; an address and a value, with a
space between, write one. Numbers are decimal, or hexadecimal after ``0x``.
"""

import errno
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sim_backend.iiod.attributes import Attribute, RefusedError

# Of a converter core behind the chip: bits are set by events, and cleared by writing them back.
_STATUS_ADDRESS = 0x80000088
TX_UNDERFLOW_BIT, RX_OVERFLOW_BIT = 1 << 0, 1 << 2

_WORD = re.compile(r"0[xX][0-9a-fA-F]{1,8}|\d{1,10}")


@dataclass(frozen=True, slots=True)
class Register:
    """One register that means something; the others read as zero."""

    read: Callable[[], int]
    write: Callable[[int], None] = lambda _: None


def status_access(bit: int, is_set: Callable[[], bool], clear: Callable[[], None]) -> Attribute:
    """The attribute of a core that has one status bit."""

    def write(bits: int) -> None:
        if bits & bit:
            clear()

    return register_access({_STATUS_ADDRESS: Register(lambda: bit if is_set() else 0, write)})


def register_access(registers: Mapping[int, Register]) -> Attribute:
    """The attribute."""
    selected = [0]

    def read() -> str:
        register = registers.get(selected[0])
        return f"0x{register.read() if register else 0:X}"

    def write(text: str) -> None:
        words = text.split()
        if not 1 <= len(words) <= 2 or not all(_WORD.fullmatch(word) for word in words):
            raise RefusedError(errno.EINVAL)
        values = [int(word, 16 if word[:2] in ("0x", "0X") else 10) for word in words]
        selected[0] = values[0]
        if len(values) == 2 and values[0] in registers:
            registers[values[0]].write(values[1])

    return Attribute("direct_reg_access", read, write)
