"""Messages on the wire: a typed msgpack header, and raw buffers that are not copied.

Frame 0 is msgpack of ``[schema, buffers, body]``; ``buffers`` lists ``[dtype, shape]`` of the
frames that follow, each of them raw, little-endian, in C order.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Union

import msgspec
import numpy as np
from msgspec import Meta

SCHEMA = 1
MAX_BUFFERS = 16
MAX_DIMENSIONS = 4

_ITEM_BYTES = {"<c8": 8, "<c16": 16, "<f4": 4, "<f8": 8, "<i2": 2, "<i4": 4, "|u1": 1}
_DTYPES = {name: np.dtype(name) for name in _ITEM_BYTES}

Frame = bytes | memoryview


class WireError(ValueError):
    """A message that cannot be taken; one line says why."""


class Message(
    msgspec.Struct,
    frozen=True,
    forbid_unknown_fields=True,
    kw_only=True,
    tag_field="kind",
    tag=True,
):
    """What a header may hold: subclasses are kinds of message, told apart by their name."""


@dataclass(frozen=True, slots=True)
class Received:
    """A decoded message.

    Attributes
    ----------
    message
        Its header.
    arrays
        Its buffers, read-only; views of the frames wherever those are aligned.
    """

    message: Message
    arrays: tuple[np.ndarray, ...]


class _Buffer(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    dtype: str
    shape: Annotated[list[Annotated[int, Meta(ge=0)]], Meta(max_length=MAX_DIMENSIONS)]


class _Header(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    schema: int
    buffers: Annotated[list[_Buffer], Meta(max_length=MAX_BUFFERS)]
    body: msgspec.Raw


class _Version(msgspec.Struct, frozen=True, array_like=True):
    schema: int


class _Kind(msgspec.Struct, frozen=True):
    kind: str


# msgspec lets the last four through as they are: text that is no UTF-8, nesting beyond the
# interpreter's stack, numbers beyond a field's range.
_UNREADABLE = (
    msgspec.MsgspecError, UnicodeDecodeError, RecursionError, OverflowError, ValueError,
)  # fmt: skip
_ENCODER = msgspec.msgpack.Encoder()
_HEADER = msgspec.msgpack.Decoder(_Header)
_VERSION = msgspec.msgpack.Decoder(_Version)
_KIND = msgspec.msgpack.Decoder(_Kind)


class Codec:
    """Encodes messages, and decodes those of some kinds; everything else is refused.

    Parameters
    ----------
    kinds
        What is taken. Any kind can be encoded.
    max_header_bytes
        Limit of frame 0.
    max_buffer_bytes
        Limit of each other frame, checked before anything is made of its size.
    """

    def __init__(
        self, kinds: Sequence[type[Message]], *, max_header_bytes: int = 1 << 18,
        max_buffer_bytes: int,
    ) -> None:  # fmt: skip
        self._names = {str(kind.__struct_config__.tag) for kind in kinds}
        self._body: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(
            Union[tuple(kinds)]  # noqa: UP007
        )
        self._max_header_bytes = max_header_bytes
        self._max_buffer_bytes = max_buffer_bytes

    def encode(self, message: Message, buffers: Sequence[np.ndarray] = ()) -> list[Frame]:
        """Frames of a message; those of contiguous buffers are views, so leave them unchanged.

        Raises
        ------
        WireError
            If the header or a buffer is larger than the limits, or a buffer of another type than
            travels.
        """
        described = [_Buffer(buffer.dtype.str, list(buffer.shape)) for buffer in buffers]
        body = msgspec.Raw(_ENCODER.encode(message))
        header = _ENCODER.encode(_Header(SCHEMA, described, body))
        self._check_header(header)
        for number, (entry, buffer) in enumerate(zip(described, buffers, strict=True)):
            self._check_buffer(number, entry, buffer.nbytes)
        return [header, *map(_raw, buffers)]

    def decode(self, frames: Sequence[Frame]) -> Received:
        """Take a message from its frames.

        Raises
        ------
        WireError
            If it is anything else than a message of the kinds, within the limits.
        """
        if not frames:
            msg = "a message without frames"
            raise WireError(msg)
        self._check_header(frames[0])
        header = _header(frames[0])
        if len(header.buffers) != len(frames) - 1:
            msg = f"the header names {len(header.buffers)} buffers, {len(frames) - 1} came"
            raise WireError(msg)
        for number, (entry, frame) in enumerate(zip(header.buffers, frames[1:], strict=True)):
            self._check_buffer(number, entry, _num_bytes(frame))
        message = self._message(header.body)
        return Received(message, tuple(map(_array, header.buffers, frames[1:])))

    def _check_header(self, frame: Frame) -> None:
        if _num_bytes(frame) > self._max_header_bytes:
            msg = f"a header of {_num_bytes(frame)} bytes, at most {self._max_header_bytes} allowed"
            raise WireError(msg)

    def _check_buffer(self, number: int, entry: _Buffer, num_bytes: int) -> None:
        """Refuse a buffer by its description and its length alone."""
        place = f"buffer {number}"
        if entry.dtype not in _ITEM_BYTES:
            msg = f"{place} of type {_shown(entry.dtype)}; these travel: {' '.join(_ITEM_BYTES)}"
            raise WireError(msg)
        if len(entry.shape) > MAX_DIMENSIONS:
            msg = f"{place} has {len(entry.shape)} dimensions, at most {MAX_DIMENSIONS} allowed"
            raise WireError(msg)
        item_bytes = _ITEM_BYTES[entry.dtype]
        # Dimensions of zero do not hide the others: NumPy bounds their product as well.
        if math.prod(max(1, size) for size in entry.shape) * item_bytes > self._max_buffer_bytes:
            msg = f"{place} of shape {entry.shape} is above {self._max_buffer_bytes} bytes"
            raise WireError(msg)
        needed = math.prod(entry.shape) * item_bytes
        if needed != num_bytes:
            msg = f"{place} of shape {entry.shape} takes {needed} bytes, its frame has {num_bytes}"
            raise WireError(msg)

    def _message(self, body: msgspec.Raw) -> Message:
        try:
            return self._body.decode(body)
        except _UNREADABLE as error:
            reason = _shown(error)
        try:
            kind = _KIND.decode(body).kind
        except _UNREADABLE:
            kind = None
        if kind is None:
            msg = f"no message: {reason}"
        elif kind not in self._names:
            msg = f"unknown kind {_shown(kind)}; these are taken: {', '.join(sorted(self._names))}"
        else:
            msg = f"{kind}: {reason}"
        raise WireError(msg)


def _header(frame: Frame) -> _Header:
    try:
        header = _HEADER.decode(frame)
        schema = header.schema
    except _UNREADABLE as error:
        reason = _shown(error)
        header = None
        try:  # another version may have another header; it still begins with its number
            schema = _VERSION.decode(frame).schema
        except _UNREADABLE:
            schema = SCHEMA
    if schema != SCHEMA:
        msg = f"speaks schema {schema}, this version {SCHEMA}: update the older one"
        raise WireError(msg)
    if header is None:
        msg = f"not a message: {reason}"
        raise WireError(msg)
    return header


def _raw(buffer: np.ndarray) -> memoryview:
    return np.ascontiguousarray(buffer).reshape(-1).view(np.uint8).data


def _array(entry: _Buffer, frame: Frame) -> np.ndarray:
    dtype = _DTYPES[entry.dtype]
    if _num_bytes(frame) == 0:
        array = np.empty(entry.shape, dtype)
    else:
        array = np.frombuffer(frame, dtype).reshape(entry.shape)
        if not array.flags.aligned:  # a small frame inside a batch; kernels want it aligned
            array = array.copy()
    array.flags.writeable = False
    return array


def _num_bytes(frame: Frame) -> int:
    return frame.nbytes if isinstance(frame, memoryview) else len(frame)


def _shown(found: Any) -> str:
    """Text of others, made harmless: one short line of printable ASCII."""
    text = ascii(" ".join(str(found).split()))[1:-1]
    return text if len(text) <= 160 else f"{text[:157]}..."
