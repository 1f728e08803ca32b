"""Time of all boards: set at a pulse or by the host, read in ticks, and checked."""

import time
from typing import Any

from drivers.radio_errors import RadioError
from drivers.usrp.ticks import ticks_of, time_of

# A pulse comes every second; past this it does not come.
_PULSE_WITHIN_S = 1.2
_ASK_EVERY_S = 0.01
# Of a time that the host set: its own, and a call's. No delay can be told with it.
HOST_TIME_STD_S = 0.01
_SOURCE_REMEDY = "check the PPS cable and that its source is locked"


class BoardClocks:
    """Timekeepers of all boards of one device.

    Attributes
    ----------
    num_boards
        That must agree.
    """

    def __init__(self, uhd: Any, usrp: Any) -> None:
        self._uhd = uhd
        self._usrp = usrp
        self.num_boards = usrp.get_num_mboards()
        self._boards = range(self.num_boards)

    def time_spec(self, tick: int, rate_hz: float) -> Any:
        """A tick as UHD takes it."""
        return self._uhd.types.TimeSpec(*time_of(tick, rate_hz))

    def tick_of(self, spec: Any, rate_hz: float) -> int:
        """Tick of a time that UHD gives."""
        return ticks_of(spec.get_full_secs(), spec.get_frac_secs(), rate_hz)

    def now_tick(self, rate_hz: float) -> int:
        """Device time."""
        return self.tick_of(self._usrp.get_time_now(), rate_hz)

    def set_time_now(self) -> None:
        """Set the time to the host's."""
        nanoseconds = time.time_ns()
        self._usrp.set_time_now(
            self._uhd.types.TimeSpec(nanoseconds // 10**9, nanoseconds % 10**9 / 1e9)
        )

    def set_time_at_pulse(self, rate_hz: float) -> None:
        """Set the time of all boards to the whole UTC second at one pulse, and check it.

        Radios of all hosts agree when their clocks are right to half a second: the pulse says
        when a second begins, the host which one it is.

        Raises
        ------
        RadioError
            If no pulse comes, or the boards do not agree.
        """
        self._await_pulse()
        second = round(time.time()) + 1
        self._usrp.set_time_next_pps(self._uhd.types.TimeSpec(second, 0.0))
        # Some timekeepers note at that pulse the time that they had until then.
        for seen in (second, second + 1):
            self._await_pulse()
            off_ticks = self._off_at_pulse(seen, rate_hz)
            if not any(off_ticks):
                break
        else:
            wrong = ", ".join(f"board {board}: {off:+d}" for board, off in enumerate(off_ticks))
            msg = f"the time did not take at the pulse, ticks off: {wrong}"
            raise RadioError(msg, f"{_SOURCE_REMEDY} and that it reaches all boards")
        if round(time.time()) != seen:
            msg = f"the host took {time.time() - seen:.2f} s to see second {seen} begin"
            raise RadioError(msg, "configure again, or give the host less to do")

    def last_pulse(self) -> tuple[bool, float]:
        """Whether all boards had a pulse within the last second, and how far it was off in s."""
        worst_s, is_there = 0.0, True
        for board in self._boards:
            last = self._usrp.get_time_last_pps(board)
            age_s = (self._usrp.get_time_now(board) - last).get_real_secs()
            fraction_s = last.get_frac_secs()
            worst_s = max(worst_s, min(fraction_s, 1.0 - fraction_s))
            is_there = is_there and 0.0 <= age_s < _PULSE_WITHIN_S
        return is_there, worst_s

    def _off_at_pulse(self, second: int, rate_hz: float) -> list[int]:
        """Ticks of each board at the last pulse, less a whole second's."""
        wanted = ticks_of(second, 0.0, rate_hz)
        last = (self._usrp.get_time_last_pps(board) for board in self._boards)
        return [self.tick_of(spec, rate_hz) - wanted for spec in last]

    def _await_pulse(self) -> None:
        """Wait until a pulse has come."""
        before = self._last_pulse_ns()
        end_s = time.monotonic() + _PULSE_WITHIN_S
        while self._last_pulse_ns() == before:
            if time.monotonic() > end_s:
                msg = f"no PPS: no pulse per second came within {_PULSE_WITHIN_S} s"
                raise RadioError(msg, _SOURCE_REMEDY)
            time.sleep(_ASK_EVERY_S)

    def _last_pulse_ns(self) -> int:
        """Of the first board, in nanoseconds: times of UHD do not compare in Python."""
        return self.tick_of(self._usrp.get_time_last_pps(), 1e9)
