"""The transmitting half of a software Pluto: from clients' buffers, or tones, to the air."""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from drivers.geometry import ComplexArray
from sim_backend.iiod.chip import CONVERTER_SCALE, Chip

# A cyclic buffer or a tone goes on for longer than anything runs.
_FOREVER = 1 << 60
# Samples are 12 bits, left-justified in 16.
_UNUSED_BITS = 4
# What is sent must be on air before a receiver asks for its time.
_LEAD_S = 1e-3


class Transmitter:
    """The transmitter that the node's antenna is connected to: the first of the first chip.

    It sends what the clients' buffers hold; without any, the tones of the synthesizers (DDS).
    Several buffers that are open at once add up.

    Parameters
    ----------
    tones
        Gives one period of the tones, or `None` if none is on.

    Attributes
    ----------
    lock
        Held while something is put on air and while settings change.
    """

    def __init__(
        self,
        chip: Chip,
        now_tick: Callable[[], int],
        tones: Callable[[], ComplexArray | None],
    ) -> None:
        self.lock = threading.RLock()
        self._chip = chip
        self._now_tick = now_tick
        self._tones = tones
        self._streams: set[TransmitStream] = set()
        self._underflowed = False

    @contextmanager
    def change(self, retune: Callable[[], None] | None = None) -> Iterator[None]:
        """Change settings now: what repeats goes on with the new ones.

        Blocks that were queued are lost.
        """
        with self.lock:
            before = self._now_tick()
            yield
            if retune is not None:
                retune()
                for stream in self._streams:
                    stream.shift(self._now_tick() - before)
            self._restart()

    @property
    def is_repeating(self) -> bool:
        """Whether a cyclic buffer is on air."""
        return any(stream.repeated is not None for stream in tuple(self._streams))

    @property
    def underflowed(self) -> bool:
        """Whether a stream has run dry since this was cleared."""
        now = self._now_tick()
        for stream in tuple(self._streams):
            self._underflowed |= stream.ran_dry(now)
        return self._underflowed

    def underflow(self) -> None:
        """Note that a stream ran dry."""
        self._underflowed = True

    def clear_underflow(self) -> None:
        """Forget that any stream ran dry."""
        self._underflowed = False

    def open(
        self, num_samples: int, columns: Sequence[int], num_blocks: int, *, cyclic: bool
    ) -> "TransmitStream":
        """Open a stream; the tones end."""
        with self.lock:
            stream = TransmitStream(self, num_samples, columns, num_blocks, cyclic=cyclic)
            self._streams.add(stream)
            self._restart()
        return stream

    def close(self, stream: "TransmitStream") -> None:
        """End a stream, and what it sends."""
        with self.lock:
            if stream in self._streams:
                self._streams.discard(stream)
                self._restart()

    def send(self, samples: ComplexArray, tick: int, count: int) -> None:
        """Put samples on air, from a tick on, over and over until `count` are out."""
        with self.lock:
            if self._chip.is_sending and samples.any():
                full_scale_dbm = self._chip.tx_full_scale_dbm
                self._chip.transmitter.emit(samples, tick, count, full_scale_dbm)

    @property
    def lead_ticks(self) -> int:
        """How much later than now a transmission starts at the earliest."""
        return int(_LEAD_S * self._chip.rate_hz)

    def _restart(self) -> None:
        """End what is on air, and go on with what repeats."""
        with self.lock:
            self._chip.transmitter.silence()
            repeated = [s.repeated for s in self._streams if s.repeated is not None]
            if not self._streams and (tones := self._tones()) is not None:
                repeated = [(0, tones)]
            start = self._now_tick()
            for begin, samples in repeated:
                shifted = np.roll(samples, -((start - begin) % len(samples)))
                self.send(shifted, start, _FOREVER)


class TransmitStream:
    """One client's buffer: kernel buffers that are sent in turn, or one over and over.

    Attributes
    ----------
    num_samples
        Of one kernel buffer.
    repeated
        First tick and samples of a cyclic buffer once it was pushed.
    """

    def __init__(
        self, transmitter: Transmitter, num_samples: int, columns: Sequence[int], num_blocks: int,
        *, cyclic: bool,
    ) -> None:  # fmt: skip
        self._transmitter = transmitter
        self._columns = tuple(columns)
        self.num_samples = num_samples
        self._num_blocks = num_blocks
        self.is_cyclic = cyclic
        self.repeated: tuple[int, ComplexArray] | None = None
        self._ends: deque[int] = deque(maxlen=num_blocks)
        self._is_dry = False

    @property
    def bytes_per_sample(self) -> int:
        """Of all its channels at one instant."""
        return 2 * len(self._columns)

    def free_tick(self) -> int | None:
        """Tick at which a kernel buffer is free; `None` if one has never been used."""
        return self._ends[0] if len(self._ends) == self._num_blocks else None

    def ran_dry(self, now_tick: int) -> bool:
        """Whether it has nothing to send any more; told once, until there is more."""
        dry = bool(self._ends) and now_tick > self._ends[-1] and not self._is_dry
        self._is_dry |= dry
        return dry

    def push(self, scanned: np.ndarray, now_tick: int, delay_ticks: int) -> None:
        """Send a block after the one before, or over and over.

        Parameters
        ----------
        scanned
            Samples of its channels, int16, shape ``(N, channels)``.
        delay_ticks
            How much later than now the first block starts.
        """
        samples = self._first_channel(scanned)
        with self._transmitter.lock:
            if self.is_cyclic:
                start = now_tick + delay_ticks
                self.repeated = start, samples
                self._transmitter.send(samples, start, _FOREVER)
                return
            if self.ran_dry(now_tick):
                self._transmitter.underflow()
            follows = bool(self._ends) and now_tick <= self._ends[-1]
            start = self._ends[-1] if follows else now_tick + delay_ticks
            self._ends.append(start + len(samples))
            self._is_dry = False
            self._transmitter.send(samples, start, len(samples))

    def shift(self, ticks: int) -> None:
        """Count on in other ticks."""
        self._ends = deque((end + ticks for end in self._ends), maxlen=self._num_blocks)
        if self.repeated is not None:
            self.repeated = self.repeated[0] + ticks, self.repeated[1]

    def close(self) -> None:
        """Free the buffer; what it sends ends."""
        self._transmitter.close(self)

    def _first_channel(self, scanned: np.ndarray) -> ComplexArray:
        """What the antenna gets: in-phase and quadrature of the first transmitter."""
        samples = np.zeros(len(scanned), dtype=np.complex64)
        parts = samples.view(np.float32).reshape(-1, 2)
        for place, column in enumerate(self._columns):
            if column < 2:
                parts[:, column] = scanned[:, place] >> _UNUSED_BITS
        samples /= np.float32(CONVERTER_SCALE)
        return samples
