"""The process that calls libuhd, from outside: questions with deadlines, and its end."""

import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn, TypeVar

import msgspec
import numpy as np

from drivers.geometry import ComplexArray
from drivers.radio_errors import RadioError, RadioLostError
from drivers.usrp.messages import (
    MAX_SAMPLES,
    MESSAGE_BYTES,
    NUMBER_BYTES,
    Answer,
    Done,
    Failed,
    Release,
    Request,
    error_of,
)
from drivers.usrp.pulse import Pulse

A = TypeVar("A", bound=Answer)

_ASK_EVERY_S = 0.2
# After this long without an echo a board is gone: five probes in a row.
_SILENCE_S = 1.2
_STOP_S = 1.0
# A live board is let go of in 0.8 s; for one that is gone libuhd would take 10 s.
_RELEASE_S = 3.0
_SAMPLE_BYTES = 8


class VendorProcess:
    """A process with one USRP radio in it.

    It ends by itself when this object, or the process that holds it, is gone.

    Parameters
    ----------
    num_channels
        That receive: the shared memory holds a block of them, and a burst.
    boards
        Device arguments of each board.
    """

    def __init__(self, num_channels: int, boards: Sequence[dict[str, str]]) -> None:
        self._num_channels = num_channels
        self._pulse = Pulse(boards)
        self._lost: RadioLostError | None = None
        self._num_asked = 0
        self._stop_lock = threading.Lock()
        self._channel, channel = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._stop, stop = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        memory = os.memfd_create("usrp")
        size = _SAMPLE_BYTES * MAX_SAMPLES * (num_channels + 1)
        os.ftruncate(memory, size)
        self._memory = np.frombuffer(mmap.mmap(memory, size), np.complex64)
        self._channel.settimeout(_ASK_EVERY_S)
        self._stop.settimeout(_STOP_S)
        fds = channel.fileno(), stop.fileno(), memory
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            # UHD's log would fill the agent's; UHD_LOG_FILE and UHD_LOG_FILE_LEVEL still work.
            "UHD_LOG_CONSOLE_LEVEL": os.environ.get("UHD_LOG_CONSOLE_LEVEL", "off"),
        }
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "drivers.usrp.process", *map(str, fds), str(num_channels)],
            pass_fds=fds, env=environment, stdin=subprocess.DEVNULL,
            # The letters that libuhd prints for each overflow or late packet are counted instead.
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        channel.close()
        stop.close()
        os.close(memory)

    def ask(self, request: Request, answer: type[A], deadline_s: float) -> A:
        """Answer to a request.

        Raises
        ------
        RadioLostError
            If the answer took too long, a board stopped answering discovery, or the process died;
            then the process is ended.
        RadioError
            That the answer tells of.
        """
        if self._lost is not None:
            raise self._lost
        self._num_asked += 1
        received = b""
        with suppress(OSError):  # a process that died says so by an empty answer
            number = self._num_asked.to_bytes(NUMBER_BYTES, "little")
            self._channel.send(number + msgspec.msgpack.encode(request))
            received = self._await_answer(type(request).__name__, deadline_s)
        if not received:
            self._lose(f"the process that runs UHD {self._how_it_ended()}")
        decoded: A | Failed = msgspec.msgpack.decode(received, type=answer | Failed)
        if isinstance(decoded, Failed):
            error = error_of(decoded)
            if isinstance(error, RadioLostError):
                self._lost = error
                self._end()
            raise error
        return decoded

    def stop_transmit(self) -> None:
        """End a transmission; where that cannot be had in time, by ending the process."""
        with self._stop_lock:
            with suppress(OSError):
                self._stop.send(b"s")
                if self._stop.recv(1):
                    return
            if self._lost is None:
                self._lost = RadioLostError("the transmission could not be ended as it should")
                self._end()

    def block(self, num_samples: int) -> ComplexArray:
        """Copy of the block in the shared memory, shape ``(num_samples, M)``."""
        size = num_samples * self._num_channels
        return self._memory[:size].reshape(num_samples, self._num_channels).copy()

    def put_burst(self, samples: ComplexArray) -> None:
        """Put a burst into the shared memory."""
        begin = MAX_SAMPLES * self._num_channels
        self._memory[begin : begin + len(samples)] = samples

    def close(self) -> None:
        """Let go of the device and end the process; harmless a second time."""
        if self._lost is None:
            with suppress(RadioError):
                self.ask(Release(), Done, _RELEASE_S)
        self._end()
        self._channel.close()
        self._stop.close()
        self._pulse.close()

    def _await_answer(self, what: str, deadline_s: float) -> bytes:
        """Answer to the last request; one to a request whose wait was interrupted is dropped."""
        self._pulse.rest()
        end_s = time.monotonic() + deadline_s
        while True:
            with suppress(TimeoutError):
                received = self._channel.recv(MESSAGE_BYTES)
                number = int.from_bytes(received[:NUMBER_BYTES], "little")
                if number == self._num_asked or not received:
                    return received[NUMBER_BYTES:]
            if silent := self._pulse.silent(_SILENCE_S):
                self._lose(f"the USRP at {', '.join(silent)} stopped answering")
            if time.monotonic() > end_s:
                self._lose(f"the USRP did not answer {what} within {deadline_s:.3g} s")

    def _lose(self, problem: str) -> NoReturn:
        if self._lost is None:
            self._lost = RadioLostError(problem)
        self._end()
        raise self._lost

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    def _how_it_ended(self) -> str:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_STOP_S)
        self._end()
        code = self._process.returncode
        return f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"
