"""Which clients have buffers open on which devices, and what is refused."""

import errno
import threading
from collections.abc import Sequence

from sim_backend.iiod.attributes import Device, RefusedError
from sim_backend.iiod.board import Board
from sim_backend.iiod.receive import ReceiveStream
from sim_backend.iiod.transmit import TransmitStream

Stream = ReceiveStream | TransmitStream

# Memory of one kernel buffer, and of all of a stream.
_MAX_BLOCK_BYTES = 32 << 20
_MAX_STREAM_BYTES = 128 << 20
_MAX_STREAMS = 16
_MAX_BLOCKS = 64
# As Linux has it if a client does not say.
_DEFAULT_BLOCKS = 4


class Buffers:
    """The open buffers of one software device.

    A device is shared among clients, each with a stream of its own, unless one of them is cyclic:
    that one is alone.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._lock = threading.Lock()
        self._open: list[tuple[str, Stream]] = []
        self._num_blocks: dict[str, int] = {}

    def set_num_blocks(self, device: Device, number: int) -> None:
        """How many kernel buffers the streams that are opened next will have.

        Raises
        ------
        RefusedError
        """
        if not 1 <= number <= _MAX_BLOCKS:
            raise RefusedError(errno.EINVAL)
        self._num_blocks[device.device_id] = number

    def open(self, device: Device, num_samples: int, mask: str, *, cyclic: bool) -> Stream:
        """Open a stream.

        Parameters
        ----------
        mask
            The channels, as hexadecimal digits.

        Raises
        ------
        RefusedError
            If the channels or sizes are not possible, or the device is busy.
        """
        columns = mask_columns(mask, device.num_scan_channels)
        num_blocks = self._num_blocks.get(device.device_id, _DEFAULT_BLOCKS)
        block_bytes = 2 * len(columns) * num_samples
        if num_samples < 1:
            raise RefusedError(errno.EINVAL)
        if block_bytes > _MAX_BLOCK_BYTES or block_bytes * num_blocks > _MAX_STREAM_BYTES:
            raise RefusedError(errno.ENOMEM)
        with self._lock:
            self._check_free(device, cyclic=cyclic)
            stream = self._opened(device, num_samples, columns, num_blocks, cyclic=cyclic)
            self._open.append((device.device_id, stream))
        return stream

    def close(self, stream: Stream) -> None:
        """Close a stream."""
        with self._lock:
            self._open = [(name, other) for name, other in self._open if other is not stream]
        stream.close()

    def _check_free(self, device: Device, *, cyclic: bool) -> None:
        here = [stream for name, stream in self._open if name == device.device_id]
        taken = any(isinstance(s, TransmitStream) and s.is_cyclic for s in here)
        if taken or (cyclic and here) or len(self._open) >= _MAX_STREAMS:
            raise RefusedError(errno.EBUSY)

    def _opened(
        self, device: Device, num_samples: int, columns: Sequence[int], num_blocks: int,
        *, cyclic: bool,
    ) -> Stream:  # fmt: skip
        board = self._board
        if device.channels[0].is_output:
            return board.transmitter.open(num_samples, columns, num_blocks, cyclic=cyclic)
        if cyclic:
            raise RefusedError(errno.EINVAL)
        return board.receiver.open(num_samples, columns, num_blocks, board.start_delay_ticks())


def mask_columns(mask: str, num_channels: int) -> tuple[int, ...]:
    """Scan channels of a mask: eight hexadecimal digits for each 32 of them.

    Raises
    ------
    RefusedError
        If there are none, or some that the device has not.
    """
    words = max(1, -(-num_channels // 32))
    if len(mask) != 8 * words or set(mask) - set("0123456789abcdefABCDEF"):
        raise RefusedError(errno.EINVAL)
    bits = int(mask, 16)
    if not 0 < bits < 1 << num_channels:
        raise RefusedError(errno.EINVAL)
    return tuple(n for n in range(num_channels) if bits >> n & 1)
