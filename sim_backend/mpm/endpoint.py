"""A stream endpoint: where data leaves the device for a host, and where data arrives."""

from collections.abc import Callable

from sim_backend.mpm import flow
from sim_backend.mpm.chdr import SEQUENCE_MASK, Kind, Packet
from sim_backend.mpm.flow import Amount, StreamCommand, StreamStatus

# What clients may send ahead of time. A real one has a quarter of a mebibyte; this one shares a
# computer with its client, and either may have to wait for the other's turn.
CAPACITY = Amount(1 << 16, 1 << 21)

# Registers.
_ID, _OUT_CONTROL, _OUT_DESTINATION = 0x00, 0x08, 0x0C
_OUT_BYTES_LOW, _OUT_BYTES_HIGH, _OUT_PACKETS = 0x10, 0x14, 0x18
_CAPACITY_BYTES_LOW, _CAPACITY_BYTES_HIGH, _CAPACITY_PACKETS = 0x20, 0x24, 0x28
_SEQUENCE_ERRORS, _IN_CONTROL = 0x2C, 0x38
_START = 1
_FLOW_CONTROL_ON = 1 << 31

Send = Callable[[Packet], None]


class Output:
    """Data from the device to a host, as far as the host has room.

    Attributes
    ----------
    destination
        The host's endpoint.
    """

    def __init__(self, send: Send) -> None:
        self._send = send
        self.destination = 0
        self._source = 0
        self._sequence = 0
        self._capacity = self._sent = self._taken = Amount()

    def start(self, source: int, destination: int, interval: Amount) -> None:
        """Ask a host to tell its room now, and each time that it has taken an amount."""
        self._source, self.destination = source, destination
        self._sequence = 0
        self._capacity = self._sent = self._taken = Amount()
        self._command(flow.INIT, interval)

    def told(self, status: StreamStatus) -> None:
        """Take note of what a host says."""
        self._capacity, self._taken = status.capacity, status.taken

    def resync(self) -> None:
        """Tell the host how much was sent: what got lost on the way is not on its way."""
        self._command(flow.RESYNC, self._sent)

    def sequence_numbers(self, num_packets: int) -> int:
        """The first of some numbers for packets, which are used up."""
        first = self._sequence
        self._sequence = (first + num_packets) & SEQUENCE_MASK
        return first

    def has_room(self, num_bytes: int) -> bool:
        """Whether a packet may be sent."""
        after = self._sent + Amount(1, num_bytes) - self._taken
        room = self._capacity
        return after.num_packets <= room.num_packets and after.num_bytes <= room.num_bytes

    def sent(self, num_bytes: int) -> None:
        """Count a packet that was sent."""
        self._sent += Amount(1, num_bytes)

    def _command(self, code: int, amount: Amount) -> None:
        command = flow.packed_command(StreamCommand(self._source, code, amount))
        self._send(Packet(Kind.STREAM_COMMAND, self.destination, command))


class Input:
    """Data from a host to the device, which tells the host when there is room again."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._own = self._peer = 0
        self._interval: Amount | None = None
        self._arrived = self._taken = self._told = Amount()
        self._sequence: int | None = None
        self.num_sequence_errors = 0

    def reset(self) -> None:
        """Forget the host."""
        self._interval = None
        self._arrived = self._taken = self._told = Amount()
        self._sequence = None

    def command(self, own: int, command: StreamCommand, num_bytes: int) -> None:
        """Do what a host's stream command says, and answer."""
        self._own, self._peer = own, command.source
        self._arrived += Amount(1, num_bytes)
        self._taken += Amount(1, num_bytes)
        if command.code == flow.INIT:
            self.reset()
            self._interval = command.amount
        elif command.code == flow.RESYNC:
            # What got lost on the way takes no room.
            self._taken += command.amount - self._arrived
            self._arrived = command.amount
        self._tell(flow.OKAY)

    def arrived(self, packet: Packet) -> None:
        """Count a packet, and tell the host if some are missing before it."""
        self._arrived += Amount(1, packet.num_bytes)
        expected, self._sequence = self._sequence, (packet.sequence + 1) & SEQUENCE_MASK
        if expected is not None and packet.sequence != expected:
            self.num_sequence_errors += 1
            self._tell(flow.SEQUENCE_ERROR)

    def took(self, amount: Amount) -> None:
        """Packets have left the buffer; the host is told as often as it asked for."""
        self._taken += amount
        since = self._taken - self._told
        due = self._interval is not None and (
            since.num_bytes >= self._interval.num_bytes
            or since.num_packets >= self._interval.num_packets
        )
        if due:
            self._tell(flow.OKAY)

    def _tell(self, code: int) -> None:
        self._told = self._taken
        status = StreamStatus(self._own, CAPACITY, self._taken, code)
        self._send(Packet(Kind.STREAM_STATUS, self._peer, flow.packed_status(status)))


class StreamEndpoint:
    """One endpoint with its registers.

    Attributes
    ----------
    number
        Of the endpoint in the device.
    endpoint_id
        As the host has assigned it.
    output, input
        Its two directions.
    """

    def __init__(self, number: int, send: Send) -> None:
        self.number = number
        self.endpoint_id = 0
        self.output = Output(send)
        self.input = Input(send)
        self._registers: dict[int, int] = {}

    def write(self, address: int, value: int) -> None:
        """Write a register."""
        self._registers[address] = value
        if address == _ID:
            self.endpoint_id = value & 0xFFFF
        elif address == _OUT_CONTROL and value & _START:
            registers = self._registers
            interval = Amount(
                registers.get(_OUT_PACKETS, 0),
                registers.get(_OUT_BYTES_LOW, 0) | registers.get(_OUT_BYTES_HIGH, 0) << 32,
            )
            destination = registers.get(_OUT_DESTINATION, 0) & 0xFFFF
            self.output.start(self.endpoint_id, destination, interval)
        elif address == _IN_CONTROL:
            self.input.reset()

    def read(self, address: int) -> int:
        """Read a register."""
        fixed = {
            _ID: self.endpoint_id,
            _OUT_CONTROL: _FLOW_CONTROL_ON,
            _IN_CONTROL: _FLOW_CONTROL_ON,
            _CAPACITY_BYTES_LOW: CAPACITY.num_bytes,
            _CAPACITY_BYTES_HIGH: 0,
            _CAPACITY_PACKETS: CAPACITY.num_packets,
            _SEQUENCE_ERRORS: self.input.num_sequence_errors,
        }
        return fixed.get(address, self._registers.get(address, 0))
