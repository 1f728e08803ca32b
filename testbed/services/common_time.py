"""From device times as agents read them to the tick at which a burst starts."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

# A pulse per second that set two radios to different seconds makes them differ by one at least.
_SAME_EPOCH_S = 0.25


@dataclass(frozen=True, slots=True)
class ClockReading:
    """A node's device time, as its coordinator sees it.

    Attributes
    ----------
    tick
        As the agent read it.
    asked_s, answered_s
        When it was asked for and when the answer was there, on the coordinator's clock: the time
        is that of some instant in between.
    follows_host
        Whether device time goes on with the host's; virtual time stands still in between.
    """

    tick: int
    asked_s: float
    answered_s: float
    follows_host: bool


def start_tick(
    readings: Mapping[str, ClockReading],
    now_s: float,
    rate_hz: float,
    lead_s: float,
    faults: dict[str, str],
) -> int:
    """Tick that lies ahead of all nodes' device times, by the lead and the slowest answer.

    Parameters
    ----------
    rate_hz
        Ticks a second.
    lead_s
        Time for radios to be told, besides what the network takes.
    faults
        A node whose time is not that of the others is entered here: its pulse per second set it
        to another second.
    """
    if not readings:
        return int(lead_s * rate_hz)
    low = {name: _ticks_at(r, r.answered_s, now_s, rate_hz) for name, r in readings.items()}
    high = {name: _ticks_at(r, r.asked_s, now_s, rate_hz) for name, r in readings.items()}
    centre = {name: (low[name] + high[name]) / 2.0 for name in readings}
    middle = float(np.median(list(centre.values())))
    for name in readings:
        off_s = max(low[name] - middle, middle - high[name]) / rate_hz
        if off_s > _SAME_EPOCH_S:
            others = [centre[other] for other in readings if other != name]
            ahead_s = (centre[name] - float(np.median(others))) / rate_hz
            faults[name] = (
                f"its device time is {ahead_s:+.3f} s off that of the other nodes: it was set at "
                "another pulse; restart its agent"
            )
    slowest_s = max(
        (r.answered_s - r.asked_s for r in readings.values() if r.follows_host), default=0.0
    )
    agreed = [high[name] for name in readings if name not in faults]
    # Twice the slowest answer: one way for the receivers' orders, one for the transmitter's.
    return int(max(agreed, default=0.0)) + int((lead_s + 2.0 * slowest_s) * rate_hz)


def _ticks_at(reading: ClockReading, instant_s: float, now_s: float, rate_hz: float) -> float:
    """Device time now, if it was read at an instant."""
    if not reading.follows_host:
        return float(reading.tick)
    return reading.tick + (now_s - instant_s) * rate_hz
