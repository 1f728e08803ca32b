"""The process that calls libuhd: one request at a time, and a thread that ends transmissions.

It ends when its other side is gone, having let go of the device.
"""

import mmap
import os
import signal
import socket
import sys
import threading

import msgspec
import numpy as np

from drivers.geometry import ComplexArray
from drivers.radio_errors import RadioError
from drivers.usrp import messages as m
from drivers.usrp.board import Board
from drivers.usrp.library import load_uhd, vendor_errors
from drivers.usrp.opening import open_board
from drivers.usrp.options import UsrpOptions
from drivers.usrp.receiver import Receiver
from drivers.usrp.sender import Sender


class Device:
    """Answers to the requests of `drivers.usrp.messages`.

    Parameters
    ----------
    block, burst
        Shared memory: of shape ``(MAX_SAMPLES * M,)`` for blocks and ``(MAX_SAMPLES,)``.
    """

    def __init__(self, block: ComplexArray, burst: ComplexArray) -> None:
        self._block = block
        self._burst = burst
        self._board: Board | None = None
        self._receiver: Receiver | None = None
        self._sender: Sender | None = None

    def answer(self, request: m.Request) -> m.Answer:
        """Do what a request asks.

        Raises
        ------
        RadioError
        """
        with vendor_errors():
            match request:
                case m.Open(address, options):
                    return self._open(address, options)
                case m.Release():
                    return self._release()
                case _:
                    return self._answer(request, *self._opened())

    def _answer(  # noqa: PLR0911 - one for each request
        self, request: m.Request, board: Board, receiver: Receiver, sender: Sender
    ) -> m.Answer:
        match request:
            case m.Configure(tuning):
                receiver.cancel()
                sender.stop()
                configured = board.configure(tuning)
                receiver.prepare()
                sender.prepare()
                return configured
            case m.TellTime():
                return m.Time(board.now_tick())
            case m.Arm(num_samples, at_tick):
                return m.Scheduled(receiver.arm(num_samples, at_tick))
            case m.Fetch():
                first_tick, overflow, discontinuity = receiver.fetch(self._block)
                return m.Received(first_tick, overflow, discontinuity, self._sensed())
            case m.Transmit(num_samples, at_tick):
                return m.Scheduled(sender.send(self._burst[:num_samples], at_tick))
            case m.AwaitTransmission():
                sent = sender.outcome()
                return m.Transmitted(
                    sent.first_sample_tick, sent.underflow, sent.late, self._sensed()
                )
            case _:
                return self._sensed()

    def stop_transmit(self) -> None:
        """End a transmission; from any thread."""
        if self._sender is not None:
            self._sender.stop()

    def _opened(self) -> tuple[Board, Receiver, Sender]:
        if self._board is None or self._receiver is None or self._sender is None:
            raise RadioError("the device is not open")
        return self._board, self._receiver, self._sender

    def _open(self, address: str, options: UsrpOptions) -> m.Opened:
        self._board = open_board(load_uhd(), address, options)
        self._receiver = Receiver(self._board)
        self._sender = Sender(self._board)
        return self._board.opened

    def _sensed(self) -> m.Sensed:
        board, receiver, sender = self._opened()
        locks = board.locks()
        return m.Sensed(
            locks.clock_locked, locks.pps_locked, board.temperature_c(), locks.time_std_s,
            receiver.num_overflows, sender.num_underflows, receiver.num_lates + sender.num_lates,
        )  # fmt: skip

    def _release(self) -> m.Done:
        """Streamers first: each of them holds the device."""
        if self._receiver is not None and self._sender is not None:
            self._receiver.cancel()
            self._sender.stop()
        self._receiver = self._sender = self._board = None
        return m.Done()


def _serve(device: Device, channel: socket.socket) -> None:
    while request := channel.recv(m.MESSAGE_BYTES):
        number, body = request[: m.NUMBER_BYTES], request[m.NUMBER_BYTES :]
        decoded: m.Request = msgspec.msgpack.decode(body, type=m.Request)
        answer: m.Answer
        try:
            answer = device.answer(decoded)
        except RadioError as error:
            answer = m.failure_of(error)
        except Exception as error:  # noqa: BLE001 - told to the side that has a log
            answer = m.failure_of(RadioError(f"{type(error).__name__}: {error}"))
        channel.send(number + msgspec.msgpack.encode(answer))


def _serve_stops(device: Device, stops: socket.socket) -> None:
    while byte := stops.recv(1):
        device.stop_transmit()
        stops.send(byte)


def main(channel_fd: int, stop_fd: int, memory_fd: int, num_channels: int) -> None:
    """Serve until the other side is gone, let go of the device, and end.

    ``os._exit``, because the destructors of libuhd wait ten seconds for a device that is gone.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the other side decides
    memory = np.frombuffer(mmap.mmap(memory_fd, 0), np.complex64)
    border = m.MAX_SAMPLES * num_channels
    device = Device(memory[:border], memory[border:])
    stops = socket.socket(fileno=stop_fd)
    threading.Thread(target=_serve_stops, args=(device, stops), daemon=True).start()
    try:
        _serve(device, socket.socket(fileno=channel_fd))
        device.answer(m.Release())
    except (OSError, RadioError):
        os._exit(1)
    os._exit(0)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
