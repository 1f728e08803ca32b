"""The least that a client of the software USRP does: raw sockets, and the project's own packets."""

import socket
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgpack

from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node
from sim_backend.impairments import PRESETS
from sim_backend.live_ether import LiveEther
from sim_backend.mpm import SoftwareUsrp, chdr, control, flow, management
from sim_backend.mpm.chdr import Kind, Packet
from sim_backend.mpm.control import Control
from sim_backend.mpm.flow import Amount, StreamCommand, StreamStatus
from sim_backend.mpm.management import Management, Operation
from sim_backend.scene import Scene, SceneStatistics, draw_scene

PATIENCE_S = 10.0
RATE_HZ = 1e6
STOP, FINITE, CONTINUOUS = 0, 1, 2
RADIO_PORT = 2
# Endpoints: the host's for control and data, the device's two.
HOST, DEVICE = 1, (2, 3)
RX_BASE = 0x1000
EVENT_REGISTERS = {"rx": (0x2C, 0x30, 0x34, 0x38), "tx": (0x48, 0x4C, 0x50, 0x54)}
EVENT_ADDRESS = {"rx": 0x100, "tx": 0x200}


def free_space(separation_m: float = 10.0, **of_nodes: float) -> Scene:
    """Two nodes of two elements that hear in all directions; nothing else."""
    around, array = ElementPattern(kind="omnidirectional"), UniformLinearArray(2, 0.06)
    nodes = [
        Node(f"n{n}", f"n{n}", Pose((separation_m * n, 0.0), 0.3), array, around, **of_nodes)
        for n in range(2)
    ]
    area_m = (-1.0, -1.0, 50.0, 50.0)
    return draw_scene(1, nodes, SceneStatistics(area_m, num_clutter=0, nodes_are_clutter=False))


def software_usrp() -> SoftwareUsrp:
    """A device on free ports, not listening yet."""
    ether = LiveEther(free_space())
    return SoftwareUsrp(ether, 0, PRESETS["ideal"], discovery_port=0, rpc_port=0, chdr_port=0)


class Client:
    """One client of a device."""

    def __init__(self, usrp: SoftwareUsrp) -> None:
        pairs = dict(pair.split("=") for pair in usrp.address.split(","))
        self.host = pairs["addr"]
        self.discovery_port = int(pairs["discovery_port"])
        self.rpc_port = int(pairs["rpc_port"])
        self._calls = socket.create_connection((self.host, self.rpc_port), PATIENCE_S)
        self._unpacker = msgpack.Unpacker()
        self.token: Any = None
        self.data = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.data.settimeout(PATIENCE_S)
        self.left: deque[Packet] = deque()
        self._answers: deque[Control] = deque()
        self._events: deque[Control] = deque()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._calls.close()
        self.data.close()

    def call(self, name: str, *arguments: object) -> tuple[Any, Any]:
        """Error and result."""
        self._calls.sendall(msgpack.packb([0, 7, name, list(arguments)]))
        while True:
            for kind, number, error, result in self._unpacker:
                assert (kind, number) == (1, 7)
                return error, result
            self._unpacker.feed(self._calls.recv(1 << 16))

    def ask(self, name: str, *arguments: object) -> Any:
        """The result of a call that needs the claim."""
        error, result = self.call(name, self.token, *arguments)
        assert error is None, error
        return result

    def connect(self) -> None:
        """Claim the device and give numbers to its endpoints."""
        error, self.token = self.call("claim", "test")
        assert error is None
        (link,) = self.ask("get_chdr_link_options", "udp")
        self.data.connect((link["ipv4"], int(link["port"])))
        for number, endpoint in enumerate(DEVICE):
            self.set_endpoint(number, (0x00, endpoint))

    def set_endpoint(self, number: int, *registers: tuple[int, int]) -> None:
        """Write registers of an endpoint of the device."""
        writes = tuple(Operation(management.WRITE, a | v << 16) for a, v in registers)
        hops = (
            (Operation(management.ADVERTISE),),
            (Operation(management.SELECT, 1 + number),),
            (*writes, Operation(management.RETURN)),
        )
        payload = management.packed(Management(HOST, hops))
        self.data.send(chdr.packed(Packet(Kind.MANAGEMENT, 0, payload)))
        self.next(Kind.MANAGEMENT)

    def next(self, kind: Kind) -> Packet:
        """The next packet of a kind; others are left for later."""
        for packet in self.left:
            if packet.kind is kind:
                self.left.remove(packet)
                return packet
        while True:
            packet = chdr.parsed(self.data.recv(1 << 16))
            if packet.kind is kind:
                return packet
            self.left.append(packet)

    def command(self, code: int, address: int, value: int = 0, tick: int | None = None) -> None:
        """Send a read or write of a register of the radio."""
        wanted = Control(RADIO_PORT, HOST, code, address, (value,), tick=tick)
        self.data.send(chdr.packed(Packet(Kind.CONTROL, DEVICE[0], control.packed(wanted))))

    def register(self, address: int) -> int:
        """A register of the radio."""
        self.command(control.READ, address)
        while (answer := self._answer()).address != address:
            continue
        return answer.data[0]

    def set_register(self, address: int, value: int, tick: int | None = None) -> None:
        """Write a register of the radio, and wait for the answer."""
        self.command(control.WRITE, address, value, tick)
        self._answer()

    def time(self) -> int:
        """Ticks of the device."""
        return int(self.ask("get_timekeeper_time", 0, False))

    def want_events(self, way: str, channel: int) -> None:
        """Say where events go."""
        page = RX_BASE + 0x80 * channel
        values = (RADIO_PORT, 5, HOST, EVENT_ADDRESS[way])
        for register, value in zip(EVENT_REGISTERS[way], values, strict=True):
            self.set_register(page + register, value)

    def event(self) -> tuple[int, int, int | None]:
        """Address, code and time of the next event."""
        while not self._events:
            self._take_control()
        message = self._events.popleft()
        return message.address, message.data[0], message.tick

    def _answer(self) -> Control:
        while not self._answers:
            self._take_control()
        return self._answers.popleft()

    def _take_control(self) -> None:
        message = control.parsed(self.next(Kind.CONTROL).payload)
        (self._answers if message.is_ack else self._events).append(message)

    def open_receive(self, channel: int, num_bytes: int = 1 << 22) -> None:
        """Let a channel stream to the host, which has room for so much."""
        self.set_endpoint(channel, (0x0C, HOST), (0x08, 1))
        asked = flow.parsed_command(self.next(Kind.STREAM_COMMAND).payload)
        assert (asked.code, asked.source) == (flow.INIT, DEVICE[channel])
        self.make_room(channel, num_bytes, Amount())

    def make_room(self, channel: int, num_bytes: int, taken: Amount) -> None:
        """Say how much room there is, and what was taken."""
        status = flow.packed_status(StreamStatus(HOST, Amount(1 << 20, num_bytes), taken))
        self.data.send(chdr.packed(Packet(Kind.STREAM_STATUS, DEVICE[channel], status)))

    def receive(self, channel: int, kind: int, count: int, tick: int | None) -> None:
        """Order samples in packets of 500: `STOP`, `FINITE` or `CONTINUOUS`."""
        page = RX_BASE + 0x80 * channel
        begin = tick or 0
        for register, value in (
            (0x18, count & 0xFFFFFFFF), (0x1C, count >> 32), (0x20, begin & 0xFFFFFFFF),
            (0x24, begin >> 32), (0x28, 500),
            (0x14, kind | (1 << 31 if tick is not None else 0)),
        ):  # fmt: skip
            self.set_register(page + register, value)

    def block(self) -> tuple[list[Packet], list[int]]:
        """Packets up to the end of a burst, and how many samples each one holds."""
        packets = [self.next(Kind.TIMED_DATA)]
        while not packets[-1].ends_burst:
            packets.append(self.next(Kind.TIMED_DATA))
        return packets, [len(packet.payload) // 4 for packet in packets]

    def open_transmit(self, channel: int) -> StreamStatus:
        """Tell the device that data comes, and take its answer."""
        command = StreamCommand(HOST, flow.INIT, Amount(1, 1))
        payload = flow.packed_command(command)
        self.data.send(chdr.packed(Packet(Kind.STREAM_COMMAND, DEVICE[channel], payload)))
        return self.status()

    def status(self) -> StreamStatus:
        """The next status of a stream to the device."""
        return flow.parsed_status(self.next(Kind.STREAM_STATUS).payload)

    def transmit(
        self, channel: int, samples: bytes, sequence: int, tick: int | None, *, ends: bool
    ) -> None:
        """Send a data packet."""
        kind = Kind.DATA if tick is None else Kind.TIMED_DATA
        packet = Packet(kind, DEVICE[channel], samples, sequence, tick, ends)
        self.data.send(chdr.packed(packet))


@contextmanager
def connected(usrp: SoftwareUsrp) -> Iterator[Client]:
    """A client that has claimed a device and set its rate."""
    with Client(usrp) as client:
        client.connect()
        client.ask("db_0_set_catalina_clock_rate", RATE_HZ)
        yield client
