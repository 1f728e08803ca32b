"""The receiving half of a software USRP: from the air to clients' packets."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from queue import Empty, SimpleQueue
from threading import Event

from sim_backend.mpm.chdr import sample_packets
from sim_backend.mpm.endpoint import Output
from sim_backend.mpm.front_end import FrontEnd
from sim_backend.mpm.radio_block import RxEvent, StreamOrder

# Samples are computed this much after their time, when all that sends has put it on air.
_DELAY_S = 2e-3
# A stream is computed and sent in blocks: as long as this, and not longer than so many samples,
# which the processor keeps at hand.
_BLOCK_S = 4e-3
_LARGEST_BLOCK = 1 << 15
# How far a stream may be behind. A real device holds back some milliseconds; this one shares a
# computer with its client, and either may have to wait for the other's turn.
_PATIENCE_S = 0.5
# Without room at the host, and while frozen: look again after this.
_BLOCKED_S, _FROZEN_S = 1e-3, 10e-3
# A stream may begin in a thousand years.
_LONGEST_WAIT_S = 3600.0

SendSamples = Callable[[int, memoryview], None]


class RxStream:
    """One channel that streams what it receives to a host. All ticks are the sample clock's.

    Parameters
    ----------
    now
        When the order came.
    send
        Sends a packet to an endpoint of the host.
    tell
        Tells the host of an event at a tick.
    """

    def __init__(
        self,
        channel: int,
        front_end: FrontEnd,
        output: Output,
        order: StreamOrder,
        now: int,
        send: SendSamples,
        tell: Callable[[RxEvent, int], None],
    ) -> None:
        self._channel = channel
        self._front_end = front_end
        self._timekeeper = front_end.timekeeper
        self._output = output
        self._per_packet = order.samples_per_packet
        self._send = send
        self._tell = tell
        self._packets: deque[memoryview] = deque()
        begin = now if order.tick is None else order.tick - self._timekeeper.offset
        self._next_tick = begin
        self._end_tick = None if order.count is None else begin + order.count
        self._blocked_since: int | None = None
        self.is_over = order.count == 0
        if begin < now:
            self.is_over = True
            self._tell(RxEvent.LATE, now)

    def stop(self, now: int) -> None:
        """End with the packet that is under way."""
        under_way = max(0, now - self._next_tick) // self._per_packet + 1
        end_tick = self._next_tick + under_way * self._per_packet
        if self._end_tick is None or end_tick < self._end_tick:
            self._end_tick = end_tick

    def overflow(self, now: int) -> None:
        """Tell the host that samples were lost, and end."""
        self.is_over = True
        self._tell(RxEvent.OVERRUN, now)

    def step(self, now: int, channels: tuple[int, ...]) -> float:
        """Send what has been received by now; seconds after which there is more to do.

        Parameters
        ----------
        channels
            All that stream now.
        """
        if self.is_over:
            return 0.0
        rate_hz = self._timekeeper.rate_hz
        if self._is_too_late(now, _PATIENCE_S * rate_hz):
            self.overflow(now)
            return 0.0
        if self._packets:
            return self._flush(now)
        count = self._count(now - int(_DELAY_S * rate_hz), int(_BLOCK_S * rate_hz))
        if count <= 0:
            return -count / rate_hz
        block = self._front_end.received(self._next_tick, count, channels)
        samples = block[channels.index(self._channel)]
        tick, self._next_tick = self._next_tick, self._next_tick + count
        ends = self._next_tick == self._end_tick
        self._packets.extend(
            sample_packets(
                samples, tick + self._timekeeper.offset, self._per_packet,
                self._output.destination,
                self._output.sequence_numbers(-(-count // self._per_packet)), ends_burst=ends,
            )
        )  # fmt: skip
        return self._flush(now)

    def _count(self, until_tick: int, block: int) -> int:
        """Samples to receive now, in whole packets; if none, how many are missing, negative."""
        wanted = max(1, min(block, _LARGEST_BLOCK) // self._per_packet) * self._per_packet
        if self._end_tick is not None:
            wanted = min(self._end_tick - self._next_tick, wanted)
        missing = self._next_tick + wanted - until_tick
        return wanted if missing <= 0 else -missing

    def _is_too_late(self, now: int, patience: float) -> bool:
        """Whether the host has not drained it for too long, or an endless stream is behind."""
        blocked = self._blocked_since is not None and now - self._blocked_since > patience
        return blocked or (self._end_tick is None and now - self._next_tick > patience)

    def _flush(self, now: int) -> float:
        while self._packets:
            packet = self._packets[0]
            if not self._output.has_room(len(packet)):
                if self._blocked_since is None:
                    self._blocked_since = now
                return _BLOCKED_S
            self._packets.popleft()
            self._output.sent(len(packet))
            self._send(self._output.destination, packet)
            self._blocked_since = None
        self.is_over = self._next_tick == self._end_tick
        return 0.0


class Receiver:
    """All receive channels, served by one thread; `serve` is what it runs.

    Parameters
    ----------
    outputs
        Of each channel.
    tell
        Tells the host of an event of a channel, at a tick.
    frozen
        Whether nothing is streamed for now.

    Attributes
    ----------
    late
        Channels whose next timed order comes after its time.
    """

    def __init__(
        self,
        front_end: FrontEnd,
        outputs: Sequence[Output],
        send: SendSamples,
        tell: Callable[[int, RxEvent, int], None],
        frozen: Event,
    ) -> None:
        self._front_end = front_end
        self._timekeeper = front_end.timekeeper
        self._outputs = outputs
        self._send = send
        self._tell = tell
        self._streams: dict[int, RxStream] = {}
        self._mail: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._frozen = frozen
        self._is_closed = False
        self.late: set[int] = set()

    @property
    def is_streaming(self) -> bool:
        """Whether there is a stream that is not at an end."""
        return bool(self._streams)

    def order(self, channel: int, order: StreamOrder) -> None:
        """Begin to stream; what was streamed before ends."""
        now = self._timekeeper.now_tick
        if channel in self.late and order.tick is not None:
            self.late.discard(channel)
            now = max(now, order.tick - self._timekeeper.offset + 1)
        tell = partial(self._tell, channel)

        def begin() -> None:
            self._streams[channel] = RxStream(
                channel, self._front_end, self._outputs[channel], order, now, self._send, tell
            )

        self._mail.put(begin)

    def stop(self, channel: int) -> None:
        """End a stream with the packet that is under way."""
        now = self._timekeeper.now_tick

        def stop() -> None:
            if channel in self._streams:
                self._streams[channel].stop(now)

        self._mail.put(stop)

    def overflow(self) -> None:
        """Lose samples of every stream, now."""
        now = self._timekeeper.now_tick

        def overflow() -> None:
            for stream in self._streams.values():
                stream.overflow(now)

        self._mail.put(overflow)

    def clear(self) -> None:
        """End all streams, now."""
        self._mail.put(self._streams.clear)

    def close(self) -> None:
        """Let the thread end."""

        def close() -> None:
            self._is_closed = True

        self._mail.put(close)

    def serve(self) -> None:
        """Stream until closed."""
        while not self._is_closed:
            wait_s = _FROZEN_S if self._frozen.is_set() else self._step()
            if wait_s == 0.0 and self._mail.empty():
                continue
            try:
                self._mail.get(timeout=None if wait_s is None else min(wait_s, _LONGEST_WAIT_S))()
            except Empty:
                continue

    def _step(self) -> float | None:
        """One step of each stream; seconds until the next one is due, `None` if there is none."""
        now = self._timekeeper.now_tick
        channels = tuple(sorted(self._streams))
        waits = [stream.step(now, channels) for stream in self._streams.values()]
        for channel in [n for n, stream in self._streams.items() if stream.is_over]:
            del self._streams[channel]
        return min(waits, default=None) if self._streams else None
