"""Kinds of message that only tests send."""

import msgspec

from testbed.bus.wire import Codec, Message

MAX_BUFFER_BYTES = 1 << 22


class Ping(Message, frozen=True, kw_only=True):
    """As little as possible."""

    number: int


class Story(Message, frozen=True, kw_only=True):
    """Some of everything that a header can hold."""

    title: str
    values: list[float]
    names: dict[str, int] = msgspec.field(default_factory=dict)
    near: tuple[float, float] | None = None
    raw: bytes = b""
    inner: "Story | None" = None


def codec(max_buffer_bytes: int = MAX_BUFFER_BYTES, max_header_bytes: int = 1 << 18) -> Codec:
    """A codec that takes both."""
    return Codec(
        [Ping, Story], max_buffer_bytes=max_buffer_bytes, max_header_bytes=max_header_bytes
    )
