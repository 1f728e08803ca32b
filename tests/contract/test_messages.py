"""One contract for every kind of message: what was said arrives, and nothing else is taken."""

import msgspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from testbed.bus.air_messages import ANSWERS, REQUESTS
from testbed.bus.wire import SCHEMA, Codec, Message, WireError
from testbed.services.agent import AGENT_TAKES
from testbed.services.agent_link import AGENT_ANSWERS
from testbed.services.client import CLIENT_TAKES
from testbed.services.coordinator import COORDINATOR_TAKES
from testbed.services.worker import WORKER_TAKES
from tests.contract.messages import broken, changed_at, drawn, kinds, plain

KINDS = kinds()
BUFFERS = (
    np.arange(12, dtype=np.complex64).reshape(3, 4) * np.float32(np.pi),
    np.array([np.inf, -0.0, 5e-324]),
)
each_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__qualname__)
few = settings(max_examples=10, suppress_health_check=list(HealthCheck))


def codec(*taken: type[Message]) -> Codec:
    return Codec(taken, max_header_bytes=1 << 22, max_buffer_bytes=1 << 12)


def frames(body: dict) -> list[bytes]:
    """A message without buffers whose body is this."""
    return [msgspec.msgpack.encode([SCHEMA, [], body])]


def test_every_kind_is_taken_by_somebody():
    taken = {
        *AGENT_TAKES, *AGENT_ANSWERS, *WORKER_TAKES, *COORDINATOR_TAKES, *CLIENT_TAKES,
        *REQUESTS, *ANSWERS,
    }  # fmt: skip
    assert set(KINDS) == taken


@each_kind
@few
@given(data=st.data())
def test_what_is_said_arrives(kind, data):
    said = data.draw(drawn(kind))
    received = codec(kind).decode(codec(kind).encode(said, BUFFERS))
    assert received.message == said
    assert type(received.message) is kind
    assert msgspec.msgpack.encode(received.message) == msgspec.msgpack.encode(said)
    for sent, came in zip(BUFFERS, received.arrays, strict=True):
        assert sent.dtype == came.dtype
        assert sent.tobytes() == came.tobytes()


@each_kind
@few
@given(data=st.data())
def test_nothing_else_is_taken(kind, data):
    """An unknown field, one that is missing, a wrong type, a value out of range; at any depth."""
    fields = plain(data.draw(drawn(kind)))
    assert codec(kind).decode(frames(fields))
    places = list(broken(kind, fields))
    assert places
    for place, value in places:
        with pytest.raises(WireError):
            codec(kind).decode(frames(changed_at(fields, place, value)))


@each_kind
@few
@given(data=st.data())
def test_it_is_refused_where_another_kind_is_expected(kind, data):
    other = KINDS[KINDS.index(kind) - 1]
    with pytest.raises(WireError, match="unknown kind"):
        codec(other).decode(frames(plain(data.draw(drawn(kind)))))


@each_kind
@few
@given(data=st.data())
def test_a_part_of_it_is_refused(kind, data):
    (header,) = codec(kind).encode(data.draw(drawn(kind)))
    length = data.draw(st.integers(0, len(header) - 1))
    with pytest.raises(WireError):
        codec(kind).decode([header[:length]])
