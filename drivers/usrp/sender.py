"""Bursts into one persistent transmit streamer, and what the device reports of them."""

import threading
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from drivers.geometry import ComplexArray
from drivers.radio_errors import RadioError, RadioLostError, RadioTimeoutError
from drivers.usrp.board import Board

# UHD sends only contiguous buffers; a transmission can end between two of them.
_CHUNK_SAMPLES = 1 << 14
_SEND_WAIT_S = 0.1
# After the end of a burst: the link's delay and a host that does something else.
_STALL_S = 0.6
# A burst "at once" begins so much later, so that its tick is known and its samples are there.
_AT_ONCE_S = 0.02
_UNDERFLOWS = ("underflow", "underflow_in_packet")
_GAPS = ("seq_error", "seq_error_in_packet")
# What ends a burst, on each channel of its own.
_LAST = ("burst_ack", "time_error")


@dataclass(slots=True)
class Outcome:
    """What became of a burst, as in `drivers.radio.TransmitReport`."""

    first_sample_tick: int | None = None
    underflow: bool = False
    late: bool = False


class Sender:
    """Transmission on one channel of a radio.

    Bursts longer than the device's buffer are fed while they are on air, by a thread.

    Attributes
    ----------
    num_underflows, num_lates
        Since it was opened.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._types = board.uhd.types
        self._streamer: Any = None
        self._made_for = -1
        self._column = 0
        self._events = self._types.TXAsyncMetadata()
        self._outcome = Outcome()
        self._sounding: set[int] = set()  # columns whose burst the device has not ended
        self._end_s = 0.0
        self._feeder: threading.Thread | None = None
        self._problem: RadioError | None = None
        self._stop = threading.Event()
        self.num_underflows = 0
        self.num_lates = 0

    def send(self, samples: ComplexArray, at_tick: int | None) -> float:
        """Start a burst at a tick, or at once; the seconds until it is over.

        Raises
        ------
        RadioError
            If the last one is not over.
        """
        if self._feeder is not None and self._feeder.is_alive():
            raise RadioError("the last burst is still being sent", "await its report first")
        rate_hz = self._board.tuning.sample_rate_hz
        if self._streamer is not None:
            self._collect(0.0)  # of a burst that nobody asked about
        self.prepare()
        now = self._board.now_tick()
        tick = now + round(_AT_ONCE_S * rate_hz) if at_tick is None else at_tick
        duration_s = (max(0, tick - now) + len(samples)) / rate_hz
        self._end_s = time.monotonic() + duration_s + _STALL_S
        self._outcome = Outcome(tick)
        self._sounding = set(range(len(self._board.tx_channels)))
        self._problem = None
        self._stop.clear()
        time_spec = self._board.clocks.time_spec(tick, rate_hz)
        # Copied, because the next burst may come into the same memory while this one is fed.
        self._feeder = threading.Thread(
            target=self._feed, args=(self._streamer, samples.copy(), time_spec), daemon=True
        )
        self._feeder.start()
        return float(duration_s)

    def stop(self) -> None:
        """End a burst that is being fed; what the device holds already is sent. Any thread."""
        self._stop.set()
        feeder = self._feeder
        if feeder is not None:
            feeder.join(2.0 * _SEND_WAIT_S + _STALL_S)

    def outcome(self) -> Outcome:
        """What became of the last burst, once it is over.

        Raises
        ------
        RadioTimeoutError
            If the device acknowledges nothing.
        """
        if self._feeder is not None:
            self._feeder.join(max(0.0, self._end_s - time.monotonic()))
        if self._problem is not None:
            problem, self._problem = self._problem, None
            raise problem
        if not self._collect(self._end_s - time.monotonic()):
            self._give_up()
        return self._outcome

    def _give_up(self) -> None:
        """End a burst that the device has not acknowledged in time.

        Packets that were lost may hold the flow control up for good, so the next burst gets
        another streamer. After an underflow it is known what became of the burst.
        """
        self._board.now_tick()  # a device that is gone does not answer this either
        self.stop()
        is_over = self._collect(_STALL_S)
        self._sounding = set()
        if not is_over:
            self._made_for = -1
        if not self._outcome.underflow:
            raise RadioTimeoutError("the device did not acknowledge the burst in time")

    def _collect(self, wait_s: float) -> bool:
        """Take events of the burst until it is over on all channels; whether it is."""
        end_s = time.monotonic() + wait_s
        while self._sounding and self._streamer.recv_async_msg(
            self._events, max(0.0, end_s - time.monotonic())
        ):
            self._take(str(self._events.event_code.name), self._events.channel)
        return not self._sounding

    def _take(self, event: str, column: int) -> None:
        """Note an event; the channel that only carries silence is not counted."""
        counted = column == self._column
        if event in _UNDERFLOWS or event in _GAPS:
            self._outcome.underflow = True
            self.num_underflows += counted
        elif event == "time_error":
            self._outcome.late, self._outcome.first_sample_tick = True, None
            self.num_lates += counted
        if event in _LAST:
            self._sounding.discard(column)

    def _feed(self, streamer: Any, samples: ComplexArray, time_spec: Any) -> None:
        """Send a burst on its channel, and silence on the others."""
        metadata = self._types.TXMetadata()
        metadata.has_time_spec, metadata.time_spec = True, time_spec
        metadata.start_of_burst = True
        try:
            for begin in range(0, len(samples), _CHUNK_SAMPLES):
                part = samples[begin : begin + _CHUNK_SAMPLES]
                chunk = np.zeros((streamer.get_num_channels(), len(part)), np.complex64)
                chunk[self._column] = part
                metadata.end_of_burst = begin + _CHUNK_SAMPLES >= len(samples)
                if not self._feed_chunk(streamer, chunk, metadata):
                    return
        except RuntimeError as error:
            self._problem = RadioLostError(f"the burst could not be sent; UHD says: {error}")

    def _feed_chunk(self, streamer: Any, chunk: ComplexArray, metadata: Any) -> bool:
        """Send a piece, as the device takes it; false where the burst ends before its end."""
        while chunk.shape[1]:
            if self._stop.is_set():
                self._break_off(streamer, metadata, chunk)
                return False
            sent = streamer.send(chunk, metadata, _SEND_WAIT_S)
            if sent:
                metadata.has_time_spec = metadata.start_of_burst = False
                chunk = np.ascontiguousarray(chunk[:, sent:])
            elif time.monotonic() > self._end_s:
                self._problem = RadioLostError("the device takes no more samples")
                return False
        return True

    def _break_off(self, streamer: Any, metadata: Any, chunk: ComplexArray) -> None:
        """End a burst after what was sent of it; nothing comes of one that had not begun."""
        if metadata.start_of_burst:
            self._sounding, self._outcome = set(), Outcome()
            return
        metadata.end_of_burst = True
        # A sample of silence: an end without one is not said to be lost where the device is full.
        silence = np.zeros((len(chunk), 1), np.complex64)
        while not streamer.send(silence, metadata, _SEND_WAIT_S):
            if time.monotonic() > self._end_s:
                self._problem = RadioLostError("the device does not take the end of the burst")
                return

    def prepare(self) -> None:
        """Make the streamer, where a change of source or rate has made the last one useless."""
        if self._made_for == self._board.tuner.num_changes:
            return
        self._streamer = None  # lets go of the channels
        channels = self._board.tx_channels
        self._column = channels.index(self._board.options.tx_channel)
        arguments = self._board.uhd.usrp.StreamArgs("fc32", self._board.options.otw)
        arguments.channels = channels
        self._streamer = self._board.usrp.get_tx_stream(arguments)
        self._made_for = self._board.tuner.num_changes
