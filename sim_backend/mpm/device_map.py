"""What the device says it consists of: two stream endpoints and one radio block.

A client asks in two ways: management packets walk from the transport over the crossbar to an
endpoint, and registers of port zero list the blocks and how they are connected.
"""

from collections.abc import Sequence

from sim_backend.mpm import management
from sim_backend.mpm.endpoint import StreamEndpoint
from sim_backend.mpm.management import Management, Operation

# Registers of the device itself; behind all other ports is the radio, the only block.
OWN_PORT = 0
# Types of nodes.
_CROSSBAR, _STREAM_ENDPOINT, _TRANSPORT = 1, 2, 3
_NUM_CROSSBAR_PORTS, _NUM_TRANSPORTS = 3, 1
# Abilities of an endpoint: data and control both ways; one port each.
_TAKES_CONTROL, _TAKES_DATA, _NUM_INPUTS, _NUM_OUTPUTS = 1, 2, 1 << 2, 1 << 8

_PROTOCOL, _DEVICE_TYPE = 1, 0xE320
_RADIO_ID = 0x12AD1000
_CONTROL_FIFO_WORDS, _NUM_EVENTS = 32, 1
# Largest packet of a block: 2 to the power of this in words.
_MTU_LOG2_WORDS = 13
# Blocks by number: zero itself, two endpoints, the radio.
_RADIO = 3
_EDGES = ((1, 0, _RADIO, 0), (2, 0, _RADIO, 1), (_RADIO, 0, 1, 0), (_RADIO, 1, 2, 0))
_BLOCK_PAGE, _EDGES_PAGE = 0x40, 0x10000

_PORT_MASK = 0x3FF


def identity_word(address: int) -> int:
    """A register of port zero: of the device, of its one block, or of its connections."""
    if address >= _EDGES_PAGE:
        index = (address - _EDGES_PAGE) // 4
        if index == 0:
            return len(_EDGES)
        if index > len(_EDGES):
            return 0
        from_block, from_port, to_block, to_port = _EDGES[index - 1]
        return from_block << 22 | from_port << 16 | to_block << 6 | to_port
    if address < _BLOCK_PAGE:
        num_endpoints, num_blocks, num_with_control, has_crossbar = 2, 1, 1, 1
        return {
            0: _PROTOCOL,
            4: num_endpoints | num_blocks << 10 | num_with_control << 20 | has_crossbar << 31,
            8: len(_EDGES),
            12: _DEVICE_TYPE << 16,
            16: _NUM_TRANSPORTS,
        }.get(address, 0)
    if address // _BLOCK_PAGE == _RADIO:
        num_inputs = num_outputs = 2
        return {
            0: _PROTOCOL | num_inputs << 6 | num_outputs << 12 | _CONTROL_FIFO_WORDS << 18
            | _NUM_EVENTS << 24,
            4: _RADIO_ID,
            8: _MTU_LOG2_WORDS << 2 | 2,
        }.get(address % _BLOCK_PAGE, 0)  # fmt: skip
    return 0


def walked(
    packet: Management, endpoints: Sequence[StreamEndpoint], device_id: int
) -> Management | None:
    """A management packet after it has walked through the device, `None` if it does not return.

    Endpoints that it meets do what it says.
    """
    at: StreamEndpoint | str = "transport"
    while packet.hops:
        operations = packet.hops[0]
        answers: list[Operation] = []
        following: StreamEndpoint | str | None = "crossbar" if at == "transport" else None
        for operation in operations:
            answer = _answer(at, operation, device_id)
            if answer is not None:
                answers.append(answer)
            if operation.code == management.SELECT:
                following = _selected(operation.payload & _PORT_MASK, endpoints)
        packet = packet.without_first_hop(tuple(answers))
        if any(operation.code == management.RETURN for operation in operations):
            return packet
        if following is None:
            return None
        at = following
    return None


def _selected(port: int, endpoints: Sequence[StreamEndpoint]) -> StreamEndpoint | str | None:
    """What is at a port of the crossbar: the transport, then the endpoints."""
    if port == 0:
        return "transport"
    return endpoints[port - 1] if port <= len(endpoints) else None


def _answer(at: StreamEndpoint | str, operation: Operation, device_id: int) -> Operation | None:
    payload = operation.payload
    if operation.code == management.ASK_INFO:
        return Operation(management.INFO, _information(at, device_id))
    if isinstance(at, StreamEndpoint) and operation.code == management.WRITE:
        at.write(payload & 0xFFFF, payload >> 16 & 0xFFFFFFFF)
    if isinstance(at, StreamEndpoint) and operation.code == management.READ:
        address = payload & 0xFFFF
        return Operation(management.READ_ANSWER, address | at.read(address) << 16)
    return None


def _information(at: StreamEndpoint | str, device_id: int) -> int:
    if isinstance(at, StreamEndpoint):
        # Only the first one takes control packets.
        able = _TAKES_DATA | (_TAKES_CONTROL if at.number == 0 else 0)
        kind, instance, extended = _STREAM_ENDPOINT, at.number, able | _NUM_INPUTS | _NUM_OUTPUTS
    elif at == "crossbar":
        kind, instance, extended = _CROSSBAR, 0, _NUM_TRANSPORTS << 8 | _NUM_CROSSBAR_PORTS
    else:
        kind, instance, extended = _TRANSPORT, 0, 0
    return device_id & 0xFFFF | kind << 16 | instance << 20 | extended << 30
