"""The data socket of a device: packets in and out, and everything that waits for its time."""

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Sequence

from sim_backend.mpm import chdr, control, flow, management
from sim_backend.mpm.chdr import Kind, MalformedError, Packet
from sim_backend.mpm.control_port import ControlPort
from sim_backend.mpm.device_map import walked
from sim_backend.mpm.endpoint import StreamEndpoint
from sim_backend.mpm.transmit import TxChannel

Address = tuple[str, int]

_LARGEST_DATAGRAM = 1 << 16
# The kernel gives what it may.
_SOCKET_BUFFER_BYTES = 1 << 24
# Datagrams that are taken before the clock is looked at.
_AT_ONCE = 64
# How long it sleeps without datagrams while something waits for its time, and otherwise.
_TICK_S, _IDLE_S = 5e-4, 0.05
_MOST_HOSTS = 256


class HostLinks:
    """The device's data socket, and where the endpoints of hosts are.

    Attributes
    ----------
    num_to_drop
        Data packets that get lost on the way from now on.
    """

    def __init__(self, data_socket: socket.socket) -> None:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            data_socket.setsockopt(socket.SOL_SOCKET, option, _SOCKET_BUFFER_BYTES)
        data_socket.setblocking(False)
        self._socket = data_socket
        self._addresses: dict[int, Address] = {}
        self.num_to_drop = 0

    def learn(self, endpoint: int, address: Address) -> None:
        """Note where an endpoint is."""
        if endpoint in self._addresses or len(self._addresses) < _MOST_HOSTS:
            self._addresses[endpoint] = address

    def send(self, packet: Packet) -> None:
        """Send a packet to its endpoint, if that is known."""
        self._send_to(packet.endpoint, chdr.packed(packet))

    def send_samples(self, endpoint: int, datagram: memoryview) -> None:
        """Send a data packet."""
        if self.num_to_drop > 0:
            self.num_to_drop -= 1
            return
        self._send_to(endpoint, datagram)

    def received(self) -> tuple[bytes, Address] | None:
        """The next datagram and its sender, `None` if there is none yet."""
        try:
            return self._socket.recvfrom(_LARGEST_DATAGRAM)
        except OSError:  # none there, or news that a host is gone
            return None

    def wait(self, at_most_s: float) -> None:
        """Until there is a datagram."""
        with contextlib.suppress(OSError, ValueError):
            select.select([self._socket], [], [], at_most_s)

    def _send_to(self, endpoint: int, datagram: bytes | memoryview) -> None:
        address = self._addresses.get(endpoint)
        if address is None:
            return
        try:
            self._socket.sendto(datagram, address)
        except BlockingIOError:
            with contextlib.suppress(OSError):
                select.select([], [self._socket], [], _IDLE_S)
                self._socket.sendto(datagram, address)
        except OSError:
            return  # the host is gone; it will be missed by its claim


class DataPort:
    """What comes to the data socket, and what is due; `serve` is run by one thread.

    Attributes
    ----------
    device_id
        As a client has assigned it.
    """

    def __init__(
        self,
        links: HostLinks,
        endpoints: Sequence[StreamEndpoint],
        control_port: ControlPort,
        transmitters: Sequence[TxChannel],
        closing: threading.Event,
        frozen: threading.Event,
    ) -> None:
        self._links = links
        self._endpoints = endpoints
        self._control_port = control_port
        self._transmitters = transmitters
        self._closing = closing
        self._frozen = frozen
        self._lock = threading.Lock()
        self.device_id = 0
        self._take: dict[Kind, Callable[[Packet, Address], None]] = {
            Kind.MANAGEMENT: self._manage,
            Kind.STREAM_STATUS: self._note_status,
            Kind.STREAM_COMMAND: self._do_command,
            Kind.CONTROL: self._control,
            Kind.DATA: self._transmit,
            Kind.TIMED_DATA: self._transmit,
        }

    def serve(self) -> None:
        """Take packets and do what is due, until closed."""
        while not self._closing.is_set():
            if self._frozen.is_set():
                self._closing.wait(_IDLE_S)
                continue
            with self._lock:
                is_busy = self._serve_once()
            self._links.wait(_TICK_S if is_busy else _IDLE_S)

    def clear(self) -> None:
        """Forget what waits, and what is to be sent."""
        with self._lock:
            self._control_port.clear()
            for transmitter in self._transmitters:
                transmitter.clear()

    def _serve_once(self) -> bool:
        """Take what has come; whether something waits for its time."""
        for _ in range(_AT_ONCE):
            received = self._links.received()
            if received is None:
                # Only now: what starves may have its next packet in the socket.
                for transmitter in self._transmitters:
                    transmitter.run_due()
                break
            datagram, sender = received
            # What is no packet of this protocol is nothing to a device.
            with contextlib.suppress(MalformedError):
                packet = chdr.parsed(datagram)
                self._take[packet.kind](packet, sender)
        self._control_port.run_due()
        return self._control_port.is_waiting or any(t.is_busy for t in self._transmitters)

    def _manage(self, packet: Packet, sender: Address) -> None:
        message = management.parsed(packet.payload)
        self._links.learn(message.source, sender)
        answer = walked(message, self._endpoints, self.device_id)
        if answer is not None:
            payload = management.packed(answer)
            self._links.send(Packet(Kind.MANAGEMENT, message.source, payload))

    def _control(self, packet: Packet, sender: Address) -> None:
        command = control.parsed(packet.payload)
        self._links.learn(command.source, sender)
        self._control_port.take(packet.endpoint, command)

    def _note_status(self, packet: Packet, _: Address) -> None:
        status = flow.parsed_status(packet.payload)
        for endpoint in self._at(packet):
            endpoint.output.told(status)

    def _do_command(self, packet: Packet, sender: Address) -> None:
        command = flow.parsed_command(packet.payload)
        self._links.learn(command.source, sender)
        for endpoint in self._at(packet):
            endpoint.input.command(endpoint.endpoint_id, command, packet.num_bytes)

    def _transmit(self, packet: Packet, _: Address) -> None:
        for endpoint in self._at(packet):
            self._transmitters[endpoint.number].take(packet)

    def _at(self, packet: Packet) -> Sequence[StreamEndpoint]:
        """The endpoint that a packet goes to; none if there is no such."""
        return [e for e in self._endpoints if e.endpoint_id == packet.endpoint][:1]
