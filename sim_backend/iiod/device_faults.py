"""Faults of a software Pluto, on demand or at random."""

from collections.abc import Callable

import numpy as np

from sim_backend.faults import Faults
from sim_backend.iiod.board import Board
from sim_backend.iiod.wire import HungUpError, Wire

# A client that is not answered is left to itself for this long at a time.
_SILENT_S = 3600.0
_LOST_PART = 8


class DeviceFaults:
    """Faults that strike at transfers.

    `overflow` loses samples and sets the status bit, `dropped_samples` loses them without;
    `underflow` sets its bit; `automatic_gain` turns automatic gain control on; `timeout` leaves
    one transfer without an answer; `lost` ends the device.

    Parameters
    ----------
    die
        Ends the device.
    """

    def __init__(self, faults: Faults, board: Board, die: Callable[[], None]) -> None:
        self._faults = faults
        self._board = board
        self._die = die

    def received(self, samples: np.ndarray, wire: Wire) -> np.ndarray:
        """Received samples with what the faults do to them."""
        self._transfer(wire)
        if self._faults.strikes("automatic_gain"):
            for chip in self._board.chips:
                chip.gain_mode[:] = ["slow_attack"] * chip.num_channels
        overflow = self._faults.strikes("overflow")
        if overflow:
            self._board.receiver.overflow()
        if overflow or self._faults.strikes("dropped_samples"):
            middle, gap = len(samples) // 2, max(1, len(samples) // _LOST_PART)
            kept = np.delete(samples, slice(middle, middle + gap), axis=0)
            samples = np.concatenate((kept, np.zeros_like(samples[: len(samples) - len(kept)])))
        return samples

    def before_sending(self, wire: Wire) -> None:
        """Let the faults of a transmission strike."""
        self._transfer(wire)
        if self._faults.strikes("underflow"):
            self._board.transmitter.underflow()

    def _transfer(self, wire: Wire) -> None:
        if self._faults.strikes("lost"):
            self._die()
            raise HungUpError
        if self._faults.strikes("timeout"):
            while True:
                wire.pause(_SILENT_S)
