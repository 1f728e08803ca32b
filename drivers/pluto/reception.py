"""Blocks of an AD936x board; every call belongs on its vendor thread."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from drivers.geometry import ComplexArray
from drivers.pluto.board import Board
from drivers.pluto.connection import ALIGNMENT, Connection, taken_status
from drivers.pluto.options import MAX_KERNEL_BUFFERS
from drivers.pluto.tdd import TddEngine
from drivers.radio_errors import RadioError

# 12 bits at the low end of 16.
_SHIFT = 4
_FULL_SCALE = 1 << 15
_OVERFLOW = 1 << 2
# Kernel buffers hold this much, so that a busy host causes no overflow after the block.
_SLACK_S = 0.1
_MIN_KERNEL_BUFFERS = 4


class Reception:
    """The receiving half of one board.

    Parameters
    ----------
    board, connection
        The board.
    channels
        In use, ascending.
    kernel_buffers
        That the device queues; ``None`` for enough of them.
    engine
        Holds blocks back until it fires.

    Attributes
    ----------
    num_overflows
        Blocks that lost samples.
    """

    def __init__(
        self,
        board: Board,
        connection: Connection,
        channels: Sequence[int],
        kernel_buffers: int | None,
        engine: TddEngine | None,
    ) -> None:
        self._board = board
        self._connection = connection
        self._num_channels = len(channels)
        self._kernel_buffers = kernel_buffers
        self._engine = engine
        self._buffer: Any = None
        self.num_overflows = 0
        for channel in channels:
            for name in (f"voltage{2 * channel}", f"voltage{2 * channel + 1}"):
                board.rx.find_channel(name, False).enabled = True

    def open(self, num_samples: int, rate_hz: float) -> None:
        """Open a fresh buffer, in which nothing is older than this call."""
        self.drop()
        if self._engine is not None:
            self._engine.arm()
        self._connection.allow(num_samples / rate_hz)
        padded = -(-num_samples // ALIGNMENT) * ALIGNMENT
        self._board.rx.set_kernel_buffers_count(self._num_buffers(padded, rate_hz))
        self._buffer = self._board.iio.Buffer(self._board.rx, padded, False)

    def block(self, num_samples: int) -> tuple[ComplexArray, bool]:
        """Samples, shape ``(num_samples, M)``, and whether some were lost.

        They are the buffer's second: only while the first is there do all devices surely run,
        and the overflow bit is also set by a core that has nowhere to put its samples. An
        overflow within the first instants of the block, until the bit is cleared, is not seen.
        What the TDD engine starts is the first.
        """
        if self._engine is None:
            self._buffer.refill()
        elif self._engine.is_waiting:
            self._engine.fire()
        taken_status(self._board.rx)
        self._buffer.refill()
        overflow = bool(taken_status(self._board.rx) & _OVERFLOW)
        self.num_overflows += overflow
        samples = self._samples(num_samples)
        self.drop()
        return samples, overflow

    def drop(self) -> None:
        """Close the buffer, if there is one."""
        if self._buffer is not None:
            self._connection.close_buffer(lambda: setattr(self, "_buffer", None))

    def _samples(self, num_samples: int) -> ComplexArray:
        """Samples of the buffer that was read, magnitude 1 at full scale."""
        raw = np.frombuffer(self._buffer.read(), dtype="<i2")
        columns = 2 * self._num_channels
        if len(raw) < num_samples * columns:
            msg = f"a buffer of {len(raw) // columns} samples came back, {num_samples} were asked"
            raise RadioError(msg, "ask for fewer samples")
        words = raw[: num_samples * columns].reshape(-1, columns)
        # Shifting up and dividing extends the sign of 12 bits, whether the device did or not.
        return ((words << _SHIFT) / np.float32(_FULL_SCALE)).view(np.complex64)

    def _num_buffers(self, num_samples: int, rate_hz: float) -> int:
        if self._kernel_buffers is not None:
            return self._kernel_buffers
        wanted = int(_SLACK_S * rate_hz / num_samples)
        return min(max(wanted, _MIN_KERNEL_BUFFERS), MAX_KERNEL_BUFFERS)
