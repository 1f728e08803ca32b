"""The transmitting half of a software USRP: from clients' packets to the air."""

from collections import deque
from collections.abc import Callable

import numpy as np

from sim_backend.mpm.chdr import BYTES_PER_SAMPLE, Packet
from sim_backend.mpm.endpoint import Input
from sim_backend.mpm.flow import Amount
from sim_backend.mpm.front_end import FrontEnd
from sim_backend.mpm.radio_block import TxEvent

# What is sent must be on air before a receiver asks for its time.
_LEAD_S = 1e-3
# A burst is put on air whole, unless it is longer than this.
_LONGEST_PIECE = 1 << 17


class TxChannel:
    """One channel that sends bursts, each at its time, and tells what became of them.

    A packet holds its place in the buffer until its last sample has been sent. All ticks are
    those of the sample clock.

    Parameters
    ----------
    number
        Of the channel.
    stream
        From which its packets come.
    tell
        Tells the host of an event at a tick.

    Attributes
    ----------
    num_to_starve
        Bursts from now on whose last packet comes too late.
    """

    def __init__(
        self, number: int, front_end: FrontEnd, stream: Input, tell: Callable[[TxEvent, int], None]
    ) -> None:
        self._number = number
        self._front_end = front_end
        self._timekeeper = front_end.timekeeper
        self._stream = stream
        self._tell = tell
        self.num_to_starve = 0
        self._in_burst = self._is_dropping = False
        self._pieces: list[bytes | memoryview] = []
        self._piece_tick = 0  # of the first sample that is not on air yet
        self._end_tick = 0  # after the last sample that has come
        self._held: deque[tuple[int, Amount]] = deque()
        self._acknowledged: deque[int] = deque()

    @property
    def is_busy(self) -> bool:
        """Whether something is being sent."""
        return self._in_burst or bool(self._held) or bool(self._acknowledged)

    def take(self, packet: Packet, now: int) -> None:
        """Send a packet's samples: in a burst after those before, else at its time or at once."""
        self._stream.arrived(packet)
        if not self._in_burst and not self._is_dropping:
            self._begin(packet.tick, now)
        amount = Amount(1, packet.num_bytes)
        if self._is_dropping:
            self._stream.took(amount)
            self._is_dropping = not packet.ends_burst
            return
        if packet.ends_burst and self.num_to_starve > 0:
            self.num_to_starve -= 1
            self._tell(TxEvent.UNDERRUN, self._end_tick)
        num_samples = len(packet.payload) // BYTES_PER_SAMPLE
        self._pieces.append(packet.payload[: num_samples * BYTES_PER_SAMPLE])
        self._end_tick += num_samples
        self._held.append((self._end_tick, amount))
        if packet.ends_burst:
            self._acknowledged.append(self._end_tick)
            self._in_burst = False
        if packet.ends_burst or self._end_tick - self._piece_tick >= _LONGEST_PIECE:
            self._put_on_air()

    def run_due(self, now: int) -> None:
        """Do what time has brought: room in the buffer, ends of bursts, and bursts that starve."""
        while self._held and self._held[0][0] <= now:
            self._stream.took(self._held.popleft()[1])
        while self._acknowledged and self._acknowledged[0] <= now:
            self._tell(TxEvent.ACKNOWLEDGED, self._acknowledged.popleft())
        if self._in_burst and self._end_tick <= now:
            self._put_on_air()
            self._in_burst = False
            self._tell(TxEvent.UNDERRUN, self._end_tick)
        elif self._in_burst and self._piece_tick <= now + self._lead_ticks:
            self._put_on_air()

    def clear(self) -> None:
        """Forget everything that is not on air yet."""
        self._in_burst = self._is_dropping = False
        self._pieces.clear()
        self._held.clear()
        self._acknowledged.clear()
        self._end_tick = 0

    def _begin(self, time: int | None, now: int) -> None:
        """Begin a burst, unless its time has passed or the one before is not over by then."""
        # The end of a burst that is over may count ticks of another rate.
        free = max(now, self._end_tick) if self._held else now
        start = max(now + self._lead_ticks, free)
        if time is not None:
            start = time - self._timekeeper.offset
            if start < free:
                self._is_dropping = True
                self._tell(TxEvent.LATE, now)
                return
        self._in_burst = True
        self._piece_tick = self._end_tick = start

    def _put_on_air(self) -> None:
        octets = b"".join(self._pieces)
        self._pieces.clear()
        samples = np.frombuffer(octets, "<i2").reshape(-1, 2)
        if len(samples):
            self._front_end.send(self._number, samples, self._piece_tick)
        self._piece_tick += len(samples)

    @property
    def _lead_ticks(self) -> int:
        return int(_LEAD_S * self._timekeeper.rate_hz)
