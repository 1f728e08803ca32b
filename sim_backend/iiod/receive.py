"""The receiving half of a software Pluto: direct memory access (DMA) from converters to clients."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from sim_backend.iiod.chip import Chip

# Longest piece that is computed at once, while changes of the settings wait.
_PIECE = 1 << 15
_FORGIVEN_S = 0.5


class _Block:
    """One kernel buffer: samples from a tick on, filled as far as time has come."""

    def __init__(self, start_tick: int, num_samples: int) -> None:
        self.next_tick = start_tick
        self.end_tick = start_tick + num_samples
        self._pieces: list[np.ndarray] = []

    def fill_piece(self, until_tick: int | None, receive: Callable[[int, int], np.ndarray]) -> bool:
        """Receive one piece, up to a tick or to the end; whether more is to come."""
        until_tick = self.end_tick if until_tick is None else min(until_tick, self.end_tick)
        count = min(_PIECE, until_tick - self.next_tick)
        if count > 0:
            self._pieces.append(receive(self.next_tick, count))
            self.next_tick += count
        return self.next_tick < until_tick

    def shift(self, ticks: int) -> None:
        self.next_tick += ticks
        self.end_tick += ticks

    def samples(self) -> np.ndarray:
        return self._pieces[0] if len(self._pieces) == 1 else np.concatenate(self._pieces)


class Receiver:
    """All receive channels of a board, and the streams that clients have opened on them.

    Attributes
    ----------
    lock
        Held while samples are computed and while settings change.
    now_tick
        Gives device time.
    """

    def __init__(self, chips: Sequence[Chip], now_tick: Callable[[], int]) -> None:
        self.lock = threading.RLock()
        self._chips = chips
        self.now_tick = now_tick
        self._streams: set[ReceiveStream] = set()
        self._overflowed = False

    @property
    def is_open(self) -> bool:
        """Whether there is a stream."""
        return bool(self._streams)

    @contextmanager
    def change(self, retune: Callable[[], None] | None = None) -> Iterator[None]:
        """Change settings now: what the streams have received so far was with the old ones.

        Parameters
        ----------
        retune
            Called afterwards. If that changes the rate, the streams go on in the new ticks.
        """
        with self.lock:
            before = self.now_tick()
            for stream in self._streams:
                stream.catch_up(before)
            yield
            if retune is not None:
                retune()
                for stream in self._streams:
                    stream.shift(self.now_tick() - before)

    @property
    def overflowed(self) -> bool:
        """Whether samples have been lost since this was cleared, or are being lost now."""
        now = self.now_tick()
        return self._overflowed or any(stream.is_full(now) for stream in tuple(self._streams))

    def overflow(self) -> None:
        """Note that samples were lost."""
        self._overflowed = True

    def clear_overflow(self) -> None:
        """Forget what was lost so far."""
        self._overflowed = False

    def open(
        self, num_samples: int, columns: Sequence[int], num_blocks: int, delay_ticks: int
    ) -> "ReceiveStream":
        """Start a stream that receives from now on, or a little later.

        Parameters
        ----------
        columns
            Which scan channels it holds.
        """
        with self.lock:
            start = self.now_tick() + delay_ticks
            most = int(_FORGIVEN_S * self._chips[0].rate_hz)
            stream = ReceiveStream(self, start, num_samples, columns, num_blocks, most)
            self._streams.add(stream)
        return stream

    def close(self, stream: "ReceiveStream") -> None:
        """End a stream."""
        with self.lock:
            self._streams.discard(stream)

    def scan(self, tick: int, count: int, columns: Sequence[int]) -> np.ndarray:
        """Samples of some scan channels, int16, shape ``(count, len(columns))``."""
        with self.lock:
            every = [chip.received(tick, count) for chip in self._chips]
        scanned = every[0] if len(every) == 1 else np.concatenate(every, axis=1)
        return scanned if len(columns) == scanned.shape[1] else scanned[:, list(columns)]


class ReceiveStream:
    """One client's buffer: kernel buffers that are filled in turn, from its opening on.

    The first ones are as old as the buffer. A buffer is free again when the next one is asked
    for; while none is free, samples are lost. Time in which samples are computed, which a device
    does not need, is not held against a client that reads on: up to half a second it is as if
    the device had more buffers.
    """

    def __init__(
        self, receiver: Receiver, start: int, num_samples: int, columns: Sequence[int],
        num_blocks: int, most_computing_ticks: int,
    ) -> None:  # fmt: skip
        self._receiver = receiver
        self._columns = tuple(columns)
        self._num_samples = num_samples
        self._blocks: deque[_Block] = deque()
        self._last_end = start
        self._holds_one = False
        self._computing_ticks = 0
        self._most_computing_ticks = most_computing_ticks
        for _ in range(num_blocks):
            self._submit()

    def is_full(self, now_tick: int) -> bool:
        """Whether no kernel buffer is free, so that samples are lost."""
        return now_tick - self._computing_ticks > self._last_end

    def ready_tick(self, now_tick: int) -> int:
        """Tick at which the next block is complete; the one that was taken is free again."""
        with self._receiver.lock:
            if self._holds_one:
                self._holds_one = False
                if self.is_full(now_tick):
                    self._receiver.overflow()
                    self._computing_ticks = 0
                    self._last_end = now_tick
                self._submit()
            end_tick = self._blocks[0].end_tick
            if end_tick > now_tick:
                self._computing_ticks = 0
            return end_tick

    def take(self) -> np.ndarray:
        """Samples of the next block, which is complete, int16, shape ``(N, channels)``."""
        block, begin = self._blocks[0], self._receiver.now_tick()
        self._fill(block, None)
        with self._receiver.lock:
            self._blocks.popleft()
            self._holds_one = True
            self._computing_ticks += self._receiver.now_tick() - begin
            self._computing_ticks = min(self._computing_ticks, self._most_computing_ticks)
        return block.samples()

    def catch_up(self, now_tick: int) -> None:
        """Receive what has come so far; what is asked for next is not from before."""
        self._computing_ticks = 0
        for block in self._blocks:
            self._fill(block, now_tick)

    def shift(self, ticks: int) -> None:
        """Count on in other ticks."""
        self._last_end += ticks
        for block in self._blocks:
            block.shift(ticks)

    def close(self) -> None:
        """Free the buffer."""
        self._receiver.close(self)

    def _submit(self) -> None:
        block = _Block(self._last_end, self._num_samples)
        self._last_end = block.end_tick
        self._blocks.append(block)

    def _fill(self, block: _Block, until_tick: int | None) -> None:
        more = True
        while more:  # settings can be changed between two pieces
            with self._receiver.lock:
                more = block.fill_piece(until_tick, self._receive)

    def _receive(self, tick: int, count: int) -> np.ndarray:
        return self._receiver.scan(tick, count, self._columns)
