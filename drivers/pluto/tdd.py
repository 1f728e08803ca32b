"""The TDD engine of newer firmware: one pulse that starts both directions on the same clock edge.

Written after the vendor's example for firmware 0.39 and never run on hardware, so it is off
unless the radio's options ask for it. Not known, and so not claimed: what a pulse does to a
transmission that is already repeating, and whether alignment survives a second tuning after
power-up (the vendor says that it does not).
"""

import time
from dataclasses import dataclass
from typing import Any

TDD_DEVICE = "iio-axi-tdd-0"
# Outputs of the engine that hold back the receiving and the sending DMA.
_DMA_CHANNELS = ("channel1", "channel2")
_PULSE_CLOCKS = 10


@dataclass(frozen=True, slots=True)
class Start:
    """When the engine's pulse came, by the host's monotonic clock.

    Attributes
    ----------
    at_s, std_s
        Middle of the command's round trip, and the deviation of what lies anywhere within it.
    """

    at_s: float
    std_s: float


class TddEngine:
    """The engine of one board; for the vendor thread.

    Parameters
    ----------
    device
        The libiio device.

    Attributes
    ----------
    is_waiting
        Whether it is armed and has not fired.
    start
        When it fired last, ``None`` while it waits.
    """

    def __init__(self, device: Any) -> None:
        self._device = device
        self.is_waiting = False
        self.start: Start | None = None

    def arm(self) -> None:
        """Hold back what is opened from now on until `fire`."""
        if self.is_waiting:
            return
        self._set("enable", 0)
        self._set("startup_delay_raw", 0)
        self._set("burst_count", 1)
        for name in _DMA_CHANNELS:
            attributes = self._device.find_channel(name, True).attrs
            for key, value in (
                ("on_raw", 0), ("off_raw", _PULSE_CLOCKS), ("polarity", 0), ("enable", 1)
            ):  # fmt: skip
                attributes[key].value = str(value)
        self._set("sync_external", 1)
        self._set("enable", 1)
        self.is_waiting, self.start = True, None

    def fire(self) -> None:
        """Start all that waits."""
        before_s = time.monotonic()
        self._set("sync_soft", 1)
        after_s = time.monotonic()
        self.is_waiting = False
        self.start = Start((before_s + after_s) / 2.0, (after_s - before_s) / 12.0**0.5)

    def release(self) -> None:
        """Let the directions start by themselves again."""
        self.is_waiting = False
        self._set("enable", 0)

    def _set(self, name: str, value: int) -> None:
        self._device.attrs[name].value = str(value)
