"""Bursts of an AD936x board; every call belongs on its vendor thread."""

from math import gcd

import numpy as np

from drivers.geometry import ComplexArray
from drivers.pluto.board import Board
from drivers.pluto.connection import ALIGNMENT, Connection, taken_status
from drivers.pluto.tdd import TddEngine

# 12 bits at the high end of 16.
_FULL_SCALE = 2047 << 4
_UNDERFLOW = 1 << 0


class Transmission:
    """The sending half of one board.

    Parameters
    ----------
    board, connection
        The board.
    channel
        The one that sends.
    engine
        Starts bursts.

    Attributes
    ----------
    num_underflows
        Bursts for which the device ran out of samples.
    """

    def __init__(
        self, board: Board, connection: Connection, channel: int, engine: TddEngine | None
    ) -> None:
        self._board = board.adi_board
        self._core = board.tx
        self._connection = connection
        self._engine = engine
        self._is_cyclic = self._underflow = False
        self.num_underflows = 0
        self._board.tx_enabled_channels = [channel]

    def send(self, samples: ComplexArray, rate_hz: float, *, cyclic: bool) -> None:
        """Send a burst once, or over and over until `end`."""
        self.end()
        self._underflow = False
        if self._engine is not None:
            self._engine.arm()
        if cyclic:
            padded = np.tile(samples, ALIGNMENT // gcd(len(samples), ALIGNMENT))
        else:
            padded = np.pad(samples, (0, -len(samples) % ALIGNMENT))
            self._connection.allow(len(padded) / rate_hz)
        taken_status(self._core)
        self._board.tx_cyclic_buffer = cyclic
        self._board.tx(np.round(padded * _FULL_SCALE))  # silences the tone generators as well
        self._is_cyclic = cyclic
        if self._engine is not None:
            self._engine.fire()

    def ran_dry(self) -> bool:
        """Whether the device ran out of samples since the burst began.

        A burst that is sent once lies wholly in the device's memory; that its end finds no more
        samples is no underflow.
        """
        if self._is_cyclic and not self._underflow:
            self._underflow = bool(taken_status(self._core) & _UNDERFLOW)
            self.num_underflows += self._underflow
        return self._underflow

    def end(self) -> None:
        """Close the buffer, if there is one, which ends what it repeats."""
        self.ran_dry()
        self.drop()

    def drop(self) -> None:
        """Close the buffer, if there is one, and ask nothing."""
        self._is_cyclic = False
        self._connection.close_buffer(self._board.tx_destroy_buffer)
