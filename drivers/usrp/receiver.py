"""Blocks from one persistent receive streamer, placed by the time that came with them."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from drivers.geometry import ComplexArray
from drivers.radio_errors import LateCommandError, RadioError, RadioTimeoutError
from drivers.usrp.board import Board

# UHD fills only contiguous buffers; this much is received at once and then put in place.
_CHUNK_SAMPLES = 1 << 15
# UHD looks whether the device reported an error only when no samples came for this long.
_ASK_EVERY_S = 0.02
# Between one packet and the next: the link's delay and a host that does something else.
_STALL_S = 0.4
# A block "at once" begins so much later: several channels need a time to begin together.
_AT_ONCE_S = 0.02
# Where that was too late, so much later.
_LATER_S = (0.08, 0.32)


@dataclass(slots=True)
class _Armed:
    """A block that is commanded; ``start_s`` on the host's monotonic clock."""

    num_samples: int
    tick: int
    start_s: float
    is_timed: bool


class Receiver:
    """Reception on all receive channels of a radio.

    The streamer is made anew only after a change of source or rate: streamers that are made for
    each block die after about a hundred.

    Attributes
    ----------
    num_overflows, num_lates
        Since it was opened.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._types = board.uhd.types
        self._streamer: Any = None
        self._made_for = -1
        self._metadata = self._types.RXMetadata()
        num_channels = len(board.rx_channels)
        self._chunk = np.empty(num_channels * _CHUNK_SAMPLES, np.complex64)
        self._armed: _Armed | None = None
        self.num_overflows = 0
        self.num_lates = 0

    def prepare(self) -> None:
        """Make the streamer, where a change of source or rate has made the last one useless."""
        if self._made_for == self._board.tuner.num_changes:
            return
        self._streamer = None  # lets go of the channels
        arguments = self._board.uhd.usrp.StreamArgs("fc32", self._board.options.otw)
        arguments.channels = list(self._board.rx_channels)
        self._streamer = self._board.usrp.get_rx_stream(arguments)
        self._made_for = self._board.tuner.num_changes

    def arm(self, num_samples: int, at_tick: int | None) -> float:
        """Command a block at a tick, or at once; the seconds until it is over."""
        self.cancel()
        self._drain(0.0)
        self._armed = armed = self._command(num_samples, at_tick, _AT_ONCE_S)
        wait_s = max(0.0, armed.start_s - time.monotonic())
        return wait_s + num_samples / self._board.tuning.sample_rate_hz

    def cancel(self) -> None:
        """Give up the block that is armed."""
        if self._armed is not None:
            self._armed = None
            self._halt()

    def fetch(self, memory: ComplexArray) -> tuple[int, bool, bool]:
        """Receive the armed block into memory, ``(num_samples, M)`` flat; lost samples are zero.

        Returns
        -------
        tuple
            First tick, whether samples were lost, whether the block is not one stretch.

        Raises
        ------
        LateCommandError, RadioTimeoutError, RadioError
            With UHD's own words.
        """
        armed, self._armed = self._armed, None
        if armed is None:
            raise RadioError("fetch() without an armed block", "call arm_receive() first")
        size = armed.num_samples * len(self._board.rx_channels)
        block = memory[:size].reshape(armed.num_samples, -1)
        for ahead_s in _LATER_S:
            try:
                return self._receive(armed, block)
            except LateCommandError:
                if armed.is_timed:
                    raise
            armed = self._command(armed.num_samples, None, ahead_s)
        return self._receive(armed, block)

    def _command(self, num_samples: int, at_tick: int | None, ahead_s: float) -> _Armed:
        rate_hz = self._board.tuning.sample_rate_hz
        now = self._board.now_tick()
        tick = now + round(ahead_s * rate_hz) if at_tick is None else at_tick
        command = self._types.StreamCMD(self._types.StreamMode.num_done)
        command.num_samps = num_samples
        command.stream_now = False
        command.time_spec = self._board.clocks.time_spec(tick, rate_hz)
        self._streamer.issue_stream_cmd(command)
        start_s = time.monotonic() + max(0, tick - now) / rate_hz
        return _Armed(num_samples, tick, start_s, at_tick is not None)

    def _halt(self) -> None:
        """Stop what the device still sends, and throw it away."""
        command = self._types.StreamCMD(self._types.StreamMode.stop_cont)
        command.stream_now = True
        self._streamer.issue_stream_cmd(command)
        self._drain(_ASK_EVERY_S)

    def _receive(self, armed: _Armed, block: ComplexArray) -> tuple[int, bool, bool]:
        num_samples = len(block)
        first_tick, filled, overflow, has_gaps = armed.tick, 0, False, False
        end_s = armed.start_s + _STALL_S
        while filled < num_samples:
            # Packet by packet until it begins: one of an earlier block may come before it.
            most = _CHUNK_SAMPLES if filled else self._streamer.get_max_num_samps()
            chunk, tick = self._next_samples(min(most, num_samples - filled))
            if len(chunk) and tick + len(chunk) > armed.tick:
                first_tick = first_tick if filled else tick
                begin = min(max(filled, tick - first_tick), num_samples)
                has_gaps = has_gaps or begin > filled or first_tick > armed.tick
                block[filled:begin] = 0.0
                filled = min(begin + len(chunk), num_samples)
                block[begin:filled] = chunk[: filled - begin]
                end_s = time.monotonic() + _STALL_S
            error = self._error()
            if error == "overflow":
                overflow = True
                self.num_overflows += 1
            elif error == "timeout" and overflow:
                break  # a finite command ends with an overflow: the rest does not come
            elif error not in {"", "timeout"} or (error and time.monotonic() > end_s):
                self._give_up(error, armed.tick)
        block[filled:] = 0.0
        return first_tick, overflow, overflow or has_gaps

    def _next_samples(self, most: int) -> tuple[ComplexArray, int]:
        """What comes next, shape ``(n, M)``, ``n`` at most as given or 0, and its first tick."""
        num_channels = len(self._board.rx_channels)
        chunk = self._chunk[: num_channels * most].reshape(num_channels, most)
        count = self._streamer.recv(chunk, self._metadata, _ASK_EVERY_S)
        rate_hz = self._board.tuning.sample_rate_hz
        tick = self._board.clocks.tick_of(self._metadata.time_spec, rate_hz) if count else 0
        return chunk[:, :count].T, tick

    def _error(self) -> str:
        """UHD's name of what went wrong in the last call, or nothing."""
        code = self._metadata.error_code
        return "" if code == self._types.RXMetadataErrorCode.none else str(code.name)

    def _give_up(self, error: str, tick: int) -> None:
        words = self._metadata.strerror()
        self._board.now_tick()  # a device that is gone does not answer this either
        self._halt()  # other boards may have been in time
        if error == "late":
            self.num_lates += 1
            raise LateCommandError(
                f"the command for tick {tick} reached the device too late; UHD says: {words}"
            )
        if error == "timeout":
            raise RadioTimeoutError(f"no samples came in time; UHD says: {words}")
        raise RadioError(f"the block was lost; UHD says: {words}", "receive again")

    def _drain(self, quiet_s: float) -> None:
        """Throw away what is left of an earlier block, until nothing comes for a while."""
        chunk = self._chunk.reshape(len(self._board.rx_channels), -1)
        end_s = time.monotonic() + _STALL_S
        while time.monotonic() < end_s and (
            self._streamer.recv(chunk, self._metadata, quiet_s)
            or self._error() not in {"", "timeout"}
        ):
            pass
