"""One client's conversation: the text protocol of libiio's network daemon, version 0.24.

Written from the protocol, as real clients speak it; not a full daemon: no compressed or binary
mode (refused, and clients go on without), no triggers.
"""

import errno
import math
import time
from collections.abc import Callable
from typing import NoReturn

import numpy as np

from sim_backend.iiod.attributes import Device, RefusedError
from sim_backend.iiod.buffers import Buffers, Stream
from sim_backend.iiod.context import Context
from sim_backend.iiod.receive import ReceiveStream
from sim_backend.iiod.transmit import TransmitStream
from sim_backend.iiod.wire import HungUpError, Wire

# The tag is padded to eight characters, or clients refuse it.
_VERSION = b"0.24.v0.24  \n"
# The largest attribute that clients write is a filter's configuration, some kilobytes.
_MAX_ATTRIBUTE_BYTES = 1 << 16
_MAX_WAIT_S = 0.25


class Session:
    """One connection to one software device, with at most one open buffer."""

    def __init__(self, context: Context, wire: Wire) -> None:
        self._context = context
        self._wire = wire
        self._stream: Stream | None = None
        self._device: Device | None = None
        self._mask = ""
        self._commands: dict[str, Callable[[list[str]], None]] = {
            "VERSION": lambda _: wire.send(_VERSION),
            "PRINT": self._print,
            "TIMEOUT": self._timeout,
            "SET": self._set,
            "READ": self._read,
            "WRITE": self._write,
            "OPEN": self._open,
            "CLOSE": self._close,
            "READBUF": self._read_buffer,
            "WRITEBUF": self._write_buffer,
            "GETTRIG": self._no_trigger,
            "SETTRIG": self._no_trigger,
            "EXIT": self._exit,
        }

    def run(self) -> None:
        """Answer commands until the client is gone; its buffer is closed then."""
        try:
            while True:
                words = self._wire.line().split()
                self._context.wait_while_frozen(self._wire)
                if words:
                    self._answer(words)
        except HungUpError:
            pass
        finally:
            self._close_stream()

    def _answer(self, words: list[str]) -> None:
        command = self._commands.get(words[0])
        if command is None:
            self._wire.number(-errno.EINVAL)
            return
        try:
            command(words[1:])
        except RefusedError as refusal:
            self._wire.number(-refusal.errno)

    def _print(self, _: list[str]) -> None:
        document = self._context.xml.encode()
        self._wire.send(b"%d\n%s\n" % (len(document), document))

    def _exit(self, _: list[str]) -> None:
        raise HungUpError

    def _timeout(self, words: list[str]) -> None:
        self._context.timeout_s = _count(words, 0) / 1e3
        self._wire.number(0)

    def _set(self, words: list[str]) -> None:
        device = self._context.device(words)
        if words[1:2] != ["BUFFERS_COUNT"]:
            raise RefusedError(errno.EINVAL)
        self._buffers.set_num_blocks(device, _count(words, 2))
        self._wire.number(0)

    def _no_trigger(self, words: list[str]) -> None:
        self._context.device(words)
        raise RefusedError(errno.ENOENT)

    def _read(self, words: list[str]) -> None:
        attribute = self._context.attribute(words)
        if attribute.read is None:
            raise RefusedError(errno.EACCES)
        with self._context.lock:
            value = attribute.read().encode() + b"\0"
        self._wire.send(b"%d\n%s\n" % (len(value), value))

    def _write(self, words: list[str]) -> None:
        size = _count(words, -1)
        if size > _MAX_ATTRIBUTE_BYTES:
            self._refuse_and_hang_up(errno.EINVAL)
        text = self._wire.exactly(size).decode("latin-1").rstrip("\0\n")
        attribute = self._context.attribute(words[:-1])
        if attribute.write is None:
            raise RefusedError(errno.EACCES)
        with self._context.lock:
            attribute.write(text)
        self._wire.number(size)

    def _open(self, words: list[str]) -> None:
        device = self._context.device(words)
        mask = words[2] if len(words) > 2 else ""
        if self._stream is not None:
            raise RefusedError(errno.EBUSY)
        self._stream = self._buffers.open(
            device, _count(words, 1), mask, cyclic=words[3:] == ["CYCLIC"]
        )
        self._device, self._mask = device, mask
        self._wire.number(0)

    def _close(self, words: list[str]) -> None:
        self._opened(words)
        self._close_stream()
        self._wire.number(0)

    def _read_buffer(self, words: list[str]) -> None:
        stream, left = self._opened(words), _count(words, 1)
        if not isinstance(stream, ReceiveStream):
            raise RefusedError(errno.EBADF)
        mask = self._mask.encode() + b"\n"  # with the first block only
        while left > 0:
            self._wait_until(lambda: stream.ready_tick(self._context.board.now_tick()))
            samples = self._context.faults.received(stream.take(), self._wire)
            block = np.ascontiguousarray(samples).data.cast("B")[:left]
            self._wire.send(b"%d\n%s" % (len(block), mask), block)
            left, mask = left - len(block), b""

    def _write_buffer(self, words: list[str]) -> None:
        size = _count(words, 1)
        try:
            stream = self._opened(words)
        except RefusedError as refusal:
            self._refuse_and_hang_up(refusal.errno)
        if not isinstance(stream, TransmitStream):
            self._refuse_and_hang_up(errno.EBADF)
        sample = stream.bytes_per_sample
        if not 0 < size <= stream.num_samples * sample or size % sample:
            self._refuse_and_hang_up(errno.EINVAL)
        self._wire.number(0)
        data = self._wire.exactly(size)
        if stream.repeated is not None:
            raise RefusedError(errno.EBUSY)
        self._wait_until(stream.free_tick)
        self._context.faults.before_sending(self._wire)
        scanned = np.frombuffer(data, "<i2").reshape(-1, sample // 2)
        board = self._context.board
        delay = board.start_delay_ticks() + board.transmitter.lead_ticks
        stream.push(scanned, board.now_tick(), delay)
        self._wire.number(size)

    def _wait_until(self, tick: Callable[[], int | None]) -> None:
        """Wait until device time has come to a tick, as clients set the longest time to wait.

        Raises
        ------
        RefusedError
            If that is too far ahead.
        """
        longest_s = self._context.timeout_s or math.inf
        deadline_s = time.monotonic() + longest_s
        while (goal := tick()) is not None:
            missing_s = self._context.board.seconds_until(goal)
            if missing_s <= 0.0:
                break
            left_s = deadline_s - time.monotonic()
            if left_s <= 0.0:
                raise RefusedError(errno.ETIMEDOUT)
            self._wire.pause(min(missing_s, left_s, _MAX_WAIT_S))
        self._context.wait_while_frozen(self._wire)

    @property
    def _buffers(self) -> Buffers:
        return self._context.buffers

    def _opened(self, words: list[str]) -> Stream:
        """The open stream of a device."""
        device = self._context.device(words)
        if self._stream is None or self._device is not device:
            raise RefusedError(errno.EBADF)
        return self._stream

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._buffers.close(self._stream)
            self._stream = None

    def _refuse_and_hang_up(self, number: int) -> NoReturn:
        """Refuse what the client may send bytes for: they cannot be told from commands."""
        self._wire.number(-number)
        raise HungUpError


def _count(words: list[str], place: int) -> int:
    """A number among the words of a command.

    Raises
    ------
    RefusedError
        If it is none, or larger than anything that is asked for.
    """
    word = words[place] if -len(words) <= place < len(words) else ""
    if not (word.isascii() and word.isdigit() and len(word) <= 10):
        raise RefusedError(errno.EINVAL)
    return int(word)
