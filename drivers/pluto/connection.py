"""What reception and transmission share: time that libiio may take, buffers, status bits."""

import errno
import time
from collections.abc import Callable
from typing import Any

# Of the converters' cores, through direct_reg_access; a bit is cleared by writing it.
_STATUS_REGISTER = 0x80000088
# A buffer that took this much of the timeout to be closed belongs to a device that is frozen:
# libiio says nothing of it.
_FROZEN = 0.9
# The DMA moves whole words of its bus, so buffers are multiples of this many samples.
ALIGNMENT = 4


class Connection:
    """Timeouts of one libiio context.

    Parameters
    ----------
    context
        libiio's.
    timeout_s
        Of every call.
    """

    def __init__(self, context: Any, timeout_s: float) -> None:
        self._context = context
        self._timeout_s = self._allowed_s = timeout_s
        context.set_timeout(round(1e3 * timeout_s))

    def allow(self, duration_s: float) -> None:
        """Let calls take as long as a transfer does, on top of the timeout.

        Twice that: libiio 0.24 tells the device's daemon half of what it is told.
        """
        wanted_s = self._timeout_s + 2.0 * duration_s
        if wanted_s > self._allowed_s or wanted_s < 0.5 * self._allowed_s:
            self._context.set_timeout(round(1e3 * wanted_s))
            self._allowed_s = wanted_s

    def close_buffer(self, close: Callable[[], None]) -> None:
        """Close a buffer.

        Raises
        ------
        OSError
            If the device did not answer.
        """
        before_s = time.monotonic()
        close()
        if time.monotonic() - before_s >= _FROZEN * self._timeout_s:
            raise OSError(errno.ETIMEDOUT, "closing a buffer")


def taken_status(core: Any) -> int:
    """Bits of a converter core's status register, which are cleared; none if it shows none."""
    if not shows_status(core):
        return 0
    bits = int(core.reg_read(_STATUS_REGISTER))
    if bits:
        core.reg_write(_STATUS_REGISTER, bits)
    return bits


def shows_status(core: Any) -> bool:
    """Whether a converter core lets its registers be read."""
    return "direct_reg_access" in core.debug_attrs
