"""Messages on the wire: the same comes back, uncopied; whatever else comes is refused in a line."""

import math
import tracemalloc

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from testbed.bus.wire import MAX_BUFFERS, SCHEMA, Codec, Message, WireError
from tests.unit.testbed.bus.kinds import MAX_BUFFER_BYTES, Ping, Story, codec

DTYPES = ("<c8", "<c16", "<f4", "<f8", "<i2", "<i4", "|u1")

texts = st.text(max_size=20)
floats = st.floats(allow_nan=False)
numbers = st.integers(-(1 << 63), (1 << 64) - 1)
stories = st.recursive(
    st.builds(
        Story,
        title=texts,
        values=st.lists(floats, max_size=5),
        names=st.dictionaries(texts, numbers, max_size=5),
        near=st.none() | st.tuples(floats, floats),
        raw=st.binary(max_size=20),
    ),
    lambda inner: st.builds(Story, title=texts, values=st.just([]), inner=inner),
    max_leaves=4,
)
messages = st.builds(Ping, number=numbers) | stories
arrays = st.sampled_from(DTYPES).flatmap(
    lambda dtype: hnp.arrays(
        dtype, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
    )
)


def header(schema=SCHEMA, buffers=(), body=None):
    """Frame 0, well formed or not."""
    body = {"kind": "Ping", "number": 1} if body is None else body
    return msgspec.msgpack.encode([schema, list(buffers), body])


@given(message=messages, buffers=st.lists(arrays, max_size=3))
def test_what_was_encoded_comes_back(message, buffers):
    received = codec().decode([bytes(f) for f in codec().encode(message, buffers)])
    assert received.message == message
    assert type(received.message) is type(message)
    assert len(received.arrays) == len(buffers)
    for found, sent in zip(received.arrays, buffers, strict=True):
        assert (found.dtype, found.shape) == (sent.dtype, sent.shape)
        np.testing.assert_array_equal(found, sent)


def test_numbers_that_are_none_travel():
    story = Story(title="", values=[math.nan, math.inf, -math.inf])
    values = codec().decode(codec().encode(story)).message.values
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf]


def test_buffers_are_sent_and_received_where_they_lie():
    pilots = np.arange(6000, dtype=np.complex64).reshape(2000, 3)
    frames = codec().encode(Ping(number=1), [pilots])
    assert np.shares_memory(np.frombuffer(frames[1], np.uint8), pilots)
    (found,) = codec().decode(frames).arrays
    assert np.shares_memory(found, pilots)
    assert not found.flags.writeable


def test_arrays_of_another_order_are_sent_in_c_order():
    pilots = np.arange(6, dtype=np.float32).reshape(2, 3).T
    (found,) = codec().decode(codec().encode(Ping(number=1), [pilots])).arrays
    np.testing.assert_array_equal(found, pilots)
    assert found.flags.c_contiguous


def test_a_frame_that_is_not_aligned_becomes_an_array_that_is():
    values = np.arange(5, dtype=np.float64)
    frames = codec().encode(Ping(number=1), [values])
    shifted = memoryview(b"x" + bytes(frames[1]))[1:]
    (found,) = codec().decode([frames[0], shifted]).arrays
    assert found.flags.aligned
    assert not found.flags.writeable
    np.testing.assert_array_equal(found, values)


SMALL = [["<f4", [2]]]
HUGE = [["<f4", [0, 1 << 40, 1 << 40, 1 << 40]]]

REFUSED = [
    ([], "without frames"),
    ([b""], "not a message"),
    ([b"\xc1"], "not a message"),
    ([b"GET / HTTP/1.1\r\n\r\n"], "not a message"),
    ([b"\x93\x01\x90" + b"\x91" * 100_000], "not a message"),
    ([header() + b"\0"], "not a message"),
    ([header()[:-1]], "not a message"),
    ([b"\x93\x01\xdd\xff\xff\xff\xff"], "not a message"),
    ([bytes(1 << 19)], "a header of 524288 bytes, at most 262144"),
    ([header(schema=2)], "speaks schema 2, this version 1: update the older one"),
    ([header(schema=0)], "speaks schema 0, this version 1: update the older one"),
    ([msgspec.msgpack.encode([3, "another", "header", {}])], "speaks schema 3, this version 1"),
    ([header(schema=True)], "not a message"),
    ([header(body={"kind": "Pong"})], "unknown kind Pong; these are taken: Ping, Story"),
    ([header(body={"kind": "x\n\x1b[31m" + "y" * 999})], r"unknown kind x \\x1b\[31my+\.\.\."),
    ([header(body={"number": 1})], "no message: .*missing.*kind"),
    ([header(body=7)], "no message: .*got `int`"),
    ([header(body={"kind": "Ping"})], "Ping: .*missing required field `number`"),
    ([header(body={"kind": "Ping", "number": "1"})], r"Ping: Expected `int`, got `str`.*number"),
    ([header(body={"kind": "Ping", "number": 1, "x": 2})], "Ping: .*unknown field `x`"),
    ([header(body={"kind": "Story", "title": "", "values": [[[]]]})], "Story: Expected `float`"),
    ([b"\x93\x01\x90\x82\xa4kind\xa4Ping\xa6number" + b"\x91" * 2000 + b"\x01"], "not a message"),
    ([b"\x93\x01\x90\x82\xa4kind\xa4Ping\xa2\xff\xff\x01"], "Ping: .*utf-8"),
    ([header(buffers=SMALL)], "names 1 buffers, 0 came"),
    ([header(), bytes(8)], "names 0 buffers, 1 came"),
    ([header(buffers=SMALL * (MAX_BUFFERS + 1))], "not a message: .*length <= 16"),
    ([header(buffers=[["<f4", [2], 0]]), bytes(8)], "not a message"),
    ([header(buffers=[["|O", [2]]]), bytes(16)], "buffer 0 of type |O; these travel: <c8"),
    ([header(buffers=[[">f4", [2]]]), bytes(8)], "buffer 0 of type >f4"),
    ([header(buffers=[["<f4,<f4", [1]]]), bytes(8)], "buffer 0 of type <f4,<f4"),
    ([header(buffers=[["<f4", [1, 1, 1, 1, 2]]]), bytes(8)], "not a message: .*length <= 4"),
    ([header(buffers=[["<f4", [-2]]]), bytes(8)], "not a message: .*>= 0"),
    ([header(buffers=[["<f4", [2.0]]]), bytes(8)], "not a message"),
    ([header(buffers=SMALL), bytes(7)], "takes 8 bytes, its frame has 7"),
    ([header(buffers=SMALL), bytes(12)], "takes 8 bytes, its frame has 12"),
    ([header(buffers=[["<f4", []]]), b""], "takes 4 bytes, its frame has 0"),
    ([header(buffers=[["<c16", [1 << 62, 1 << 62]]]), b""], "is above 4194304 bytes"),
    ([header(buffers=HUGE), b""], "is above 4194304 bytes"),
]


@pytest.mark.parametrize(("frames", "reason"), REFUSED)
def test_what_is_no_message_is_refused_in_a_line(frames, reason):
    with pytest.raises(WireError, match=reason) as refusal:
        codec().decode(frames)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 300


def test_a_description_of_any_size_allocates_nothing():
    frames = [header(buffers=[["<c16", [MAX_BUFFER_BYTES // 16]]]), b""]
    codec().decode([header()])
    tracemalloc.start()
    with pytest.raises(WireError):
        codec().decode(frames)
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak_bytes < 1 << 16


def test_a_buffer_at_the_limit_passes_and_one_above_does_not():
    tight = codec(max_buffer_bytes=64)
    frames = tight.encode(Ping(number=1), [np.zeros(8)])
    assert tight.decode(frames).arrays[0].nbytes == 64
    with pytest.raises(WireError, match=r"buffer 1 of shape \[9\] is above 64 bytes"):
        tight.encode(Ping(number=1), [np.zeros(8), np.zeros(9)])
    with pytest.raises(WireError, match=r"buffer 0 of shape \[9\] is above 64 bytes"):
        tight.decode(codec().encode(Ping(number=1), [np.zeros(9)]))


def test_what_could_not_be_decoded_is_not_encoded():
    with pytest.raises(WireError, match="a header of"):
        codec(max_header_bytes=100).encode(Story(title="x" * 100, values=[]))
    for array in (
        np.zeros(1, np.int64),
        np.zeros(1, ">f4"),
        np.zeros(1, object),
        np.zeros((1,) * 5),
    ):
        with pytest.raises(WireError, match="buffer 0"):
            codec().encode(Ping(number=1), [array])


def test_a_codec_takes_only_its_own_kinds():
    frames = codec().encode(Ping(number=1))
    with pytest.raises(WireError, match="unknown kind Ping; these are taken: Story"):
        Codec([Story], max_buffer_bytes=0).decode(frames)


def test_a_kind_is_named_by_its_class():
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(Ping(number=1)))["kind"] == "Ping"
    assert issubclass(Ping, Message)


@given(frames=st.lists(st.binary(max_size=200), max_size=4))
def test_any_bytes_are_refused_and_nothing_else_happens(frames):
    with pytest.raises(WireError):
        codec().decode(frames)
