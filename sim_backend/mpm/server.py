"""A software USRP: a device on the network that real libuhd takes for an E320."""

import contextlib
import socket
import threading
import time
from functools import partial
from types import TracebackType
from typing import Self

from sim_backend.ether import Ether
from sim_backend.impairments import Impairments
from sim_backend.mpm.claim import Claim
from sim_backend.mpm.control_port import ControlPort
from sim_backend.mpm.data_port import DataPort, HostLinks
from sim_backend.mpm.endpoint import StreamEndpoint
from sim_backend.mpm.front_desk import FrontDesk
from sim_backend.mpm.front_end import NUM_CHANNELS, FrontEnd
from sim_backend.mpm.identity import Identity
from sim_backend.mpm.methods import Methods
from sim_backend.mpm.radio_block import RadioBlock, RxEvent
from sim_backend.mpm.receive import Receiver
from sim_backend.mpm.transmit import TxChannel


class SoftwareUsrp:
    """One board of a node's radio as a USRP E320, for clients of UHD.

    Protocol-tested against UHD 4.3.0, not against hardware.

    Parameters
    ----------
    ether
        The world that it shares with the others, in the host's time.
    node_index
        Which node of the scene it belongs to.
    impairments
        What it does wrong.
    host
        Where it listens: each device has an address of its own.
    elements
        Which elements of the node's array, at most two, its receivers are connected to.
    board
        Its number among the boards of the node.
    serial
        What it says it is.
    discovery_port, rpc_port, chdr_port
        Port 0 is any free one; the usual ones are those that clients look at.
    mpm_compat
        Version of the protocol: 4.2 for UHD 4.3, 5.3 for UHD 4.6.
    radio_compat
        Version of the radio block.
    """

    def __init__(
        self,
        ether: Ether,
        node_index: int,
        impairments: Impairments,
        host: str = "127.0.0.1",
        *,
        elements: slice = slice(None),
        board: int = 0,
        serial: str | None = None,
        discovery_port: int = 49600,
        rpc_port: int = 49601,
        chdr_port: int = 49153,
        mpm_compat: tuple[int, int] = (4, 2),
        radio_compat: tuple[int, int] = (0, 1),
    ) -> None:
        self._host = host
        self._front_end = FrontEnd(ether, node_index, impairments, elements, board)
        self._closing, self._frozen = threading.Event(), threading.Event()
        serial = serial or f"EMU{ether.scene.seed}-{node_index}-{board}"
        identity = Identity(serial, f"emulated-{node_index}-{board}", mpm_compat)
        with contextlib.ExitStack() as sockets:
            self._discovery = sockets.enter_context(_datagram_socket(host, discovery_port))
            self._data = sockets.enter_context(_datagram_socket(host, chdr_port))
            self._listener = sockets.enter_context(socket.create_server((host, rpc_port)))
            self._sockets = sockets.pop_all()
        self._links = HostLinks(self._data)
        self._data_port = self._build_data_port(radio_compat)
        claim = Claim(time.monotonic, self._release)
        methods = Methods(
            identity, self._front_end, claim, self._data.getsockname(), self._set_device_id
        )
        desk = FrontDesk(
            identity, claim, methods.call, self._discovery, self._listener,
            self._closing, self._frozen,
        )  # fmt: skip
        self._threads = [
            threading.Thread(target=serve, name=f"{serial} {name}", daemon=True)
            for name, serve in (
                ("calls", desk.serve),
                ("data", self._data_port.serve),
                ("receiver", self._receiver.serve),
            )
        ]

    @property
    def address(self) -> str:
        """Where clients find it, as UHD's device arguments."""
        discovery, rpc = (s.getsockname()[1] for s in (self._discovery, self._listener))
        return f"addr={self._host},discovery_port={discovery},rpc_port={rpc}"

    @property
    def is_receiving(self) -> bool:
        """Whether a block that was commanded is not at an end."""
        return self._receiver.is_streaming

    def start(self) -> None:
        """Begin to answer."""
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End every thread and socket, and what is on air."""
        self.die()
        for thread in self._threads:
            if thread.is_alive():
                thread.join()
        self._sockets.close()

    def die(self) -> None:
        """Be gone, as a device without power is."""
        self._closing.set()
        self._receiver.close()
        self._front_end.silence()

    def freeze(self) -> None:
        """Answer nobody, as a device whose software hangs; connections stay."""
        self._frozen.set()

    def thaw(self) -> None:
        """Answer again."""
        self._frozen.clear()

    def lose_pulses(self) -> None:
        """Pull out the pulse per second."""
        self._front_end.timekeeper.connect_pulses(are_there=False)

    def restore_pulses(self) -> None:
        """Plug the pulse per second in again."""
        self._front_end.timekeeper.connect_pulses(are_there=True)

    def lose_reference(self) -> None:
        """Pull out the reference clock: the sample clock runs free."""
        self._front_end.timekeeper.connect_reference(is_there=False)

    def restore_reference(self) -> None:
        """Plug the reference clock in again."""
        self._front_end.timekeeper.connect_reference(is_there=True)

    def overflow(self) -> None:
        """Lose samples of all streams that are received now."""
        self._receiver.overflow()

    def be_late(self) -> None:
        """Let the next timed command to receive reach each channel after its time."""
        self._receiver.late.update(range(NUM_CHANNELS))

    def underflow(self) -> None:
        """Let the next burst on each channel run out of samples before its end."""
        for transmitter in self._transmitters:
            transmitter.num_to_starve += 1

    def drop_packets(self, count: int) -> None:
        """Let the next packets of received samples get lost on their way."""
        self._links.num_to_drop += count

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _build_data_port(self, radio_compat: tuple[int, int]) -> DataPort:
        send, front_end = self._links.send, self._front_end
        endpoints = [StreamEndpoint(number, send) for number in range(NUM_CHANNELS)]

        def received(channel: int, event: RxEvent, tick: int) -> None:
            radio.tell("rx", channel, event, tick)

        self._receiver = Receiver(
            front_end, [e.output for e in endpoints], self._links.send_samples, received,
            self._frozen,
        )  # fmt: skip
        radio = RadioBlock(
            front_end.timekeeper, lambda: endpoints[0].endpoint_id, send, self._receiver,
            radio_compat,
        )  # fmt: skip
        self._transmitters = [
            TxChannel(e.number, front_end, e.input, partial(radio.tell, "tx", e.number))
            for e in endpoints
        ]
        control_port = ControlPort(radio, front_end.timekeeper, send)
        return DataPort(
            self._links,
            endpoints,
            control_port,
            self._transmitters,
            front_end.timekeeper,
            self._closing,
            self._frozen,
        )

    def _set_device_id(self, number: int) -> None:
        self._data_port.device_id = number

    def _release(self) -> None:
        """A client has gone: nothing is streamed to it any more."""
        self._receiver.clear()
        self._data_port.clear()


def _datagram_socket(host: str, port: int) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
