"""CHDR packets with 64-bit words: their header, and received samples cut into packets.

The format is that of the RFNoC specification, as real clients of UHD 4.3 speak it: little-endian,
one packet a datagram, padded to whole words.
"""

import struct
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

WORD_BYTES = 8
BYTES_PER_SAMPLE = 4
SEQUENCE_MASK = 0xFFFF
# Times are counted modulo 2^64.
TICK_MASK = (1 << 64) - 1
# Header and time stamp.
TIMED_HEADER_BYTES = 2 * WORD_BYTES

_LENGTH, _SEQUENCE, _METADATA, _KIND, _END_OF_BURST = 16, 32, 48, 53, 57


class MalformedError(ValueError):
    """A datagram that is no packet of this protocol."""


class Kind(IntEnum):
    """What a packet holds."""

    MANAGEMENT = 0
    STREAM_STATUS = 1
    STREAM_COMMAND = 2
    CONTROL = 4
    DATA = 6
    TIMED_DATA = 7


@dataclass(frozen=True, slots=True)
class Packet:
    """One packet.

    Attributes
    ----------
    endpoint
        Where it goes.
    sequence
        Number of the packet among those of its kind and stream, modulo 65536.
    payload
        What follows header and time stamp.
    tick
        Time stamp.
    num_bytes
        Length of the packet without padding, which flow control counts.
    """

    kind: Kind
    endpoint: int
    payload: bytes | memoryview
    sequence: int = 0
    tick: int | None = None
    ends_burst: bool = False
    num_bytes: int = 0


def packed(packet: Packet) -> bytes:
    """A packet as a datagram; its length is computed."""
    head = words(
        _header(
            packet.kind,
            packet.endpoint,
            WORD_BYTES * (1 + (packet.tick is not None)) + len(packet.payload),
            packet.sequence,
            packet.ends_burst,
        )
    )
    if packet.tick is not None:
        head += words(packet.tick)
    return head + packet.payload + bytes(-len(packet.payload) % WORD_BYTES)


def parsed(datagram: bytes) -> Packet:
    """The packet in a datagram.

    Raises
    ------
    MalformedError
        If it is too short for what it says of itself, or of an unknown kind.
    """
    if len(datagram) < WORD_BYTES:
        msg = f"a packet has at least one word, got {len(datagram)} bytes"
        raise MalformedError(msg)
    (header,) = struct.unpack_from("<Q", datagram)
    code, num_bytes = header >> _KIND & 7, header >> _LENGTH & 0xFFFF
    try:
        kind = Kind(code)
    except ValueError:
        msg = f"packets have no kind {code}"
        raise MalformedError(msg) from None
    begin = WORD_BYTES * (1 + (kind is Kind.TIMED_DATA) + (header >> _METADATA & 31))
    if not begin <= num_bytes <= len(datagram):
        msg = f"a packet of {num_bytes} bytes, {begin} of them before its payload, came in "
        raise MalformedError(msg + f"a datagram of {len(datagram)}")
    tick = struct.unpack_from("<Q", datagram, WORD_BYTES)[0] if kind is Kind.TIMED_DATA else None
    return Packet(
        kind, header & 0xFFFF, memoryview(datagram)[begin:num_bytes],
        header >> _SEQUENCE & SEQUENCE_MASK, tick, bool(header >> _END_OF_BURST & 1), num_bytes,
    )  # fmt: skip


def sample_packets(
    samples: np.ndarray,
    tick: int,
    samples_per_packet: int,
    endpoint: int,
    sequence: int,
    *,
    ends_burst: bool,
) -> list[memoryview]:
    """Timed data packets of one channel's samples, as datagrams.

    Parameters
    ----------
    samples
        In-phase and quadrature, int16, shape ``(N, 2)``.
    tick, sequence
        Of the first sample and packet.
    ends_burst
        Whether the last packet ends a burst.
    """
    whole = len(samples) // samples_per_packet
    size = samples_per_packet * BYTES_PER_SAMPLE
    stride = TIMED_HEADER_BYTES + size + -size % WORD_BYTES
    rows = np.zeros((whole, stride), dtype=np.uint8)
    number = np.arange(whole, dtype=np.uint64)
    head = rows[:, :TIMED_HEADER_BYTES].view("<u8")
    head[:, 0] = _header(Kind.TIMED_DATA, endpoint, TIMED_HEADER_BYTES + size, 0, False)
    head[:, 0] |= ((number + np.uint64(sequence)) & np.uint64(SEQUENCE_MASK)) << np.uint64(
        _SEQUENCE
    )
    head[:, 1] = np.uint64(tick & TICK_MASK) + number * np.uint64(samples_per_packet)
    octets = np.ascontiguousarray(samples, dtype="<i2").view(np.uint8).reshape(-1)
    rows[:, TIMED_HEADER_BYTES : TIMED_HEADER_BYTES + size] = octets[: whole * size].reshape(
        whole, size
    )
    rest = octets[whole * size :]
    if ends_burst and whole and not len(rest):
        head[-1, 0] |= np.uint64(1 << _END_OF_BURST)
    flat = rows.reshape(-1).data
    packets = [flat[n * stride : (n + 1) * stride] for n in range(whole)]
    if len(rest):
        last = Packet(
            Kind.TIMED_DATA, endpoint, rest.tobytes(), sequence + whole,
            (tick + whole * samples_per_packet) & TICK_MASK, ends_burst,
        )  # fmt: skip
        packets.append(memoryview(packed(last)))
    return packets


def words(*values: int) -> bytes:
    """64-bit words, little-endian."""
    return struct.pack(f"<{len(values)}Q", *values)


def _header(kind: Kind, endpoint: int, num_bytes: int, sequence: int, ends_burst: bool) -> int:
    return (
        endpoint
        | num_bytes << _LENGTH
        | (sequence & SEQUENCE_MASK) << _SEQUENCE
        | kind << _KIND
        | ends_burst << _END_OF_BURST
    )
