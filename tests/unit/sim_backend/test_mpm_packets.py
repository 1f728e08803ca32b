"""Packets of the software USRP: against words written by hand, and there and back again."""

import struct
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim_backend.mpm import chdr, control, flow, management
from sim_backend.mpm.chdr import Kind, MalformedError, Packet
from sim_backend.mpm.control import Control
from sim_backend.mpm.flow import Amount, StreamCommand, StreamStatus
from sim_backend.mpm.management import Management, Operation

words = st.integers(0, 2**32 - 1)
ids = st.integers(0, 2**16 - 1)
ports = st.integers(0, 1023)
ticks = st.none() | st.integers(0, 2**64 - 1)


def test_a_packet_by_hand():
    packet = Packet(Kind.TIMED_DATA, 0x1234, b"abcd", sequence=0x5678, tick=9, ends_burst=True)
    # length 20 in bits 16 to 31, sequence from 32, kind 7 from 53, end of burst in 57
    header = 0x1234 | 20 << 16 | 0x5678 << 32 | 7 << 53 | 1 << 57
    assert chdr.packed(packet) == struct.pack("<QQ", header, 9) + b"abcd\0\0\0\0"


@given(
    kind=st.sampled_from(Kind), endpoint=ids, sequence=ids, tick=st.integers(0, 2**64 - 1),
    ends=st.booleans(), payload=st.binary(max_size=64),
)  # fmt: skip
def test_packets_there_and_back(kind, endpoint, sequence, tick, ends, payload):
    time = tick if kind is Kind.TIMED_DATA else None
    back = chdr.parsed(chdr.packed(Packet(kind, endpoint, payload, sequence, time, ends)))
    assert bytes(back.payload) == payload
    assert (back.kind, back.endpoint, back.sequence) == (kind, endpoint, sequence)
    assert (back.tick, back.ends_burst) == (time, ends)
    assert back.num_bytes == 8 + 8 * (time is not None) + len(payload)


def test_metadata_words_are_passed_over():
    header = 7 | (8 + 16 + 4) << 16 | 2 << 48 | 6 << 53
    datagram = struct.pack("<QQQ", header, 1, 2) + b"wxyz\0\0\0\0"
    assert bytes(chdr.parsed(datagram).payload) == b"wxyz"


@pytest.mark.parametrize(
    "datagram",
    [b"", b"1234567", struct.pack("<Q", 16 << 16), struct.pack("<Q", 8 << 16 | 5 << 53),
     struct.pack("<Q", 8 << 16 | 7 << 53), struct.pack("<Q", 0)],
)  # fmt: skip
def test_what_is_no_packet_is_refused(datagram):
    with pytest.raises(MalformedError):
        chdr.parsed(datagram)


@pytest.mark.parametrize(("count", "per_packet"), [(1, 10), (10, 10), (25, 10), (21, 7), (30, 5)])
@pytest.mark.parametrize("ends", [False, True])
def test_samples_are_cut_as_packet_by_packet(count, per_packet, ends):
    samples = np.arange(2 * count, dtype=np.int16).reshape(-1, 2)
    found = chdr.sample_packets(samples, 1000, per_packet, 3, 0xFFFF, ends_burst=ends)
    literal = [
        chdr.packed(
            Packet(
                Kind.TIMED_DATA, 3, samples[first : first + per_packet].tobytes(),
                0xFFFF + first // per_packet, 1000 + first, ends and first + per_packet >= count,
            )
        )
        for first in range(0, count, per_packet)
    ]  # fmt: skip
    assert [bytes(packet) for packet in found] == literal


def test_a_control_packet_by_hand():
    # Write 7 to register 0x1014 of block 2 at tick 5, from endpoint 1, number 3.
    command = Control(2, 1, control.WRITE, 0x1014, (7,), source_port=2, sequence=3, tick=5)
    head = 2 | 2 << 10 | 1 << 20 | 3 << 24 | 1 << 30 | 1 << 32
    assert control.packed(command) == struct.pack(
        "<QQQ", head, 5, 0x1014 | 0xF << 20 | 1 << 24 | 7 << 32
    )


@given(
    port=ports, source_port=ports, source=ids, code=st.integers(0, 15), sequence=st.integers(0, 63),
    address=st.integers(0, 2**20 - 1), data=st.lists(words, min_size=1, max_size=15), tick=ticks,
    is_ack=st.booleans(), status=st.integers(0, 3),
)  # fmt: skip
def test_control_there_and_back(data, **fields):
    command = Control(data=tuple(data), **fields)
    assert control.parsed(control.packed(command)) == command


@given(
    source=ids,
    hops=st.lists(
        st.lists(
            st.builds(Operation, st.integers(0, 255), st.integers(0, 2**48 - 1)),
            min_size=1, max_size=5,
        ).map(tuple),
        max_size=5,
    ),
)  # fmt: skip
def test_management_there_and_back(source, hops):
    message = Management(source, tuple(hops), 1 << 48)
    assert management.parsed(management.packed(message)) == message


amounts = st.builds(Amount, st.integers(0, 2**24 - 1), st.integers(0, 2**40 - 1))


@given(command=st.builds(StreamCommand, ids, st.integers(0, 15), amounts))
def test_stream_commands_there_and_back(command):
    assert flow.parsed_command(flow.packed_command(command)) == command


@given(status=st.builds(StreamStatus, ids, amounts, amounts, st.integers(0, 15)))
def test_stream_status_there_and_back(status):
    assert flow.parsed_status(flow.packed_status(status)) == status


@given(payload=st.binary(max_size=80))
def test_any_payload_is_understood_or_refused(payload):
    for parse in (
        chdr.parsed, control.parsed, management.parsed, flow.parsed_command, flow.parsed_status,
    ):  # fmt: skip
        with suppress(MalformedError):
            parse(payload)
