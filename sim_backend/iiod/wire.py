"""One client's socket: bounded lines and byte counts in, replies out."""

import select
import socket
import threading
import time

# Longest command; none that clients send is longer than about a hundred characters.
_MAX_LINE = 1024


class HungUpError(Exception):
    """The client is gone, or has sent what no command begins with."""


class Wire:
    """A connection.

    Parameters
    ----------
    closing
        Set when the server ends; nothing waits any longer then.
    """

    def __init__(self, connection: socket.socket, closing: threading.Event) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connection = connection
        self._reader = connection.makefile("rb")
        self._closing = closing

    def line(self) -> str:
        """The next command without its end.

        Raises
        ------
        HungUpError
            At the end of the connection, or if a line is too long.
        """
        try:
            line = self._reader.readline(_MAX_LINE)
        except OSError as error:
            raise HungUpError from error
        if not line.endswith(b"\n"):
            raise HungUpError
        return line.decode("latin-1").strip()

    def exactly(self, size: int) -> bytearray:
        """So many bytes; the caller has bounded the number.

        Raises
        ------
        HungUpError
            If the connection ends before.
        """
        received = bytearray(size)
        try:
            count = self._reader.readinto(received)
        except OSError as error:
            raise HungUpError from error
        if count < size:
            raise HungUpError
        return received

    def number(self, value: int) -> None:
        """Reply with a number; negative ones are errors."""
        self.send(b"%d\n" % value)

    def send(self, *parts: bytes | memoryview) -> None:
        """Send bytes.

        Raises
        ------
        HungUpError
            If nobody takes them.
        """
        try:
            for part in parts:
                self._connection.sendall(part)
        except OSError as error:
            raise HungUpError from error

    def pause(self, duration_s: float) -> None:
        """Wait, but no longer than there is a client.

        Raises
        ------
        HungUpError
            If the client or the server ends.
        """
        end_s = time.monotonic() + duration_s
        if self._closing.is_set():
            raise HungUpError
        poll = select.poll()
        poll.register(self._connection, select.POLLIN | select.POLLRDHUP)
        for _, events in poll.poll(max(0.0, duration_s) * 1e3):
            if events & ~select.POLLIN:
                raise HungUpError
        # A client that has already sent its next command is still there.
        if self._closing.wait(max(0.0, end_s - time.monotonic())):
            raise HungUpError

    def close(self) -> None:
        """End the connection."""
        self._reader.close()
        self._connection.close()
