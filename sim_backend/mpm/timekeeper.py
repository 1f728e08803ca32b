"""The time of a device: a sample clock that runs on, and a count that clients set."""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sim_backend.mpm.pulses import Pulses
from sim_backend.oscillator import FS_PER_S, NodeClock

Source = Literal["internal", "external"]
Reference = Literal["clock", "time"]


@dataclass(frozen=True, slots=True)
class _Count:
    """What the count shows from a true time on: the clock's ticks and a number."""

    since_fs: int
    offset: int


class Timekeeper:
    """Count of a device's sample clock, which clients set at once or at a pulse per second.

    Two numbers of ticks: those of the sample clock, counted from power-on and never set, on which
    samples lie; and the time, which differs by a whole number that clients set.

    Parameters
    ----------
    now_fs
        Gives true time.
    clock
        As it is at power-on.
    free_running
        Offset and drift (a second) of the clock without a reference.
    pulse_error_fs
        Gives, for the n-th pulse that sets the time, how late the device sees it.
    is_connected
        Whether reference and pulse per second reach the device.
    rate_hz
        Ticks a second.

    Attributes
    ----------
    rate_hz
        Ticks a second, as `set_rate` sets it.
    """

    def __init__(
        self,
        now_fs: Callable[[], int],
        clock: NodeClock,
        free_running: tuple[float, float],
        pulse_error_fs: Callable[[int], int],
        rate_hz: float,
        *,
        is_connected: bool,
    ) -> None:
        self.rate_hz = rate_hz
        self._lock = threading.RLock()
        self._now_fs = now_fs
        self._clock = clock
        self._free_running = free_running
        self._pulse_error_fs = pulse_error_fs
        self._num_pulse_settings = 0
        self._error_fs = 0
        self._sources: dict[Reference, Source] = {"clock": "internal", "time": "internal"}
        self._reference_is_there = is_connected
        self._pulses = Pulses(are_there=is_connected)
        self._count = self._count_before = _Count(-FS_PER_S, 0)
        self._ordered: tuple[int, int] | None = None  # when, and which time

    @property
    def clock(self) -> NodeClock:
        """The sample clock as it runs now."""
        with self._lock:
            self._keep_order(self._now_fs())
            return self._clock

    @property
    def now_tick(self) -> int:
        """Sample clock now."""
        with self._lock:
            return self.clock.tick(self._now_fs(), self.rate_hz)

    @property
    def offset(self) -> int:
        """Time less sample clock, in ticks."""
        with self._lock:
            self._keep_order(self._now_fs())
            return self._count.offset

    def seconds_until(self, tick: int) -> float:
        """True time until the sample clock reaches a tick; negative if that has passed."""
        return (self.clock.true_fs(tick, self.rate_hz) - self._now_fs()) / FS_PER_S

    def time(self) -> int:
        """Time now, in ticks."""
        with self._lock:
            return self.now_tick + self.offset

    def time_at_last_pulse(self) -> int:
        """Time at the last pulse of the chosen source, in ticks; 0 if there was none."""
        with self._lock:
            now_fs = self._now_fs()
            self._keep_order(now_fs)
            edge_fs = self._last_pulse_fs(now_fs)
            if edge_fs is None:
                return 0
            count = self._count if edge_fs >= self._count.since_fs else self._count_before
            return max(0, self._clock.tick(edge_fs, self.rate_hz) + count.offset)

    def set_now(self, ticks: int) -> None:
        """Set the time at once."""
        with self._lock:
            self._ordered = None
            now_fs = self._now_fs()
            self._set(now_fs, ticks - self._clock.tick(now_fs, self.rate_hz))

    def set_at_next_pulse(self, ticks: int) -> None:
        """Set the time at the next pulse of the chosen source, whenever that comes."""
        with self._lock:
            self._keep_order(self._now_fs())
            self._ordered = self._now_fs(), ticks

    def set_rate(self, rate_hz: float) -> None:
        """Count at another rate from now on; the time in ticks goes on from where it is."""
        with self._lock:
            now_fs = self._now_fs()
            self._keep_order(now_fs)
            before = self._clock.tick(now_fs, self.rate_hz)
            self.rate_hz = rate_hz
            self._set(now_fs, self._count.offset + before - self._clock.tick(now_fs, rate_hz))

    def source(self, of: Reference) -> Source:
        """Where the clock's reference or the pulses come from."""
        return self._sources[of]

    def set_source(self, of: Reference, source: Source) -> None:
        """Choose where the clock's reference or the pulses come from."""
        with self._lock:
            self._keep_order(self._now_fs())
            self._sources[of] = source
            self._discipline()

    @property
    def is_locked(self) -> bool:
        """Whether the clock has the reference that was chosen."""
        return self._sources["clock"] == "internal" or self._reference_is_there

    def connect_reference(self, *, is_there: bool) -> None:
        """Let the external reference come back or go away."""
        with self._lock:
            self._keep_order(self._now_fs())
            self._reference_is_there = is_there
            self._discipline()

    def connect_pulses(self, *, are_there: bool) -> None:
        """Let external pulses come back or go away."""
        with self._lock:
            self._keep_order(self._now_fs())
            (self._pulses.restore if are_there else self._pulses.lose)(self._now_fs())

    def _discipline(self) -> None:
        """Let the clock run on at the rate of its source."""
        external = self._sources["clock"] == "external" and self._reference_is_there
        rates = (0.0, 0.0) if external else self._free_running
        if rates != (self._clock.offset, self._clock.drift_per_s):
            tick = self._clock.tick(self._now_fs(), self.rate_hz)
            self._steer(tick, self._clock.true_fs(tick, self.rate_hz), rates)

    def _steer(self, tick: int, true_fs: int, rates: tuple[float, float]) -> None:
        """Let the clock be at a tick at a true time, and run on with an offset and a drift."""
        from_zero_fs = NodeClock(0, *rates).true_fs(tick, self.rate_hz)
        self._clock = NodeClock(true_fs - from_zero_fs, *rates)

    def _set(self, since_fs: int, offset: int) -> None:
        self._count_before, self._count = self._count, _Count(since_fs, offset)

    def _keep_order(self, now_fs: int) -> None:
        """Set the time as ordered, if the pulse has come."""
        if self._ordered is None:
            return
        begin_fs, ticks = self._ordered
        edge_fs = self._first_pulse_fs(begin_fs, now_fs)
        if edge_fs is None:
            return
        self._ordered = None
        tick = self._clock.tick(edge_fs, self.rate_hz)
        if self._sources["time"] == "external":
            # A pulse is seen at a tick: where the ticks lie is what it says.
            self._num_pulse_settings += 1
            self._error_fs = self._pulse_error_fs(self._num_pulse_settings)
            edge_fs += self._error_fs
            self._steer(tick, edge_fs, (self._clock.offset, self._clock.drift_per_s))
        self._set(edge_fs, ticks - tick)

    def _last_pulse_fs(self, now_fs: int) -> int | None:
        if self._sources["time"] == "internal":
            return self._internal_pulse_fs(int(self._clock.device_s(now_fs)))
        # One that is seen late, or early, is seen by now all the same.
        edge_fs = self._pulses.last(now_fs - self._error_fs)
        return None if edge_fs is None else edge_fs + self._error_fs

    def _first_pulse_fs(self, begin_fs: int, now_fs: int) -> int | None:
        if self._sources["time"] == "external":
            return self._pulses.first_after(begin_fs, now_fs)
        edge_fs = self._internal_pulse_fs(int(self._clock.device_s(begin_fs)) + 1)
        return edge_fs if edge_fs <= now_fs else None

    def _internal_pulse_fs(self, second: int) -> int:
        """True time of a whole second of the device's own clock."""
        return self._clock.true_fs(round(second * self.rate_hz), self.rate_hz)
