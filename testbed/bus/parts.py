"""What all messages between the processes of a testbed are made of.

Who says what to whom is in `docs/decisions/0015-processes.md`. A `request_id` comes back in the
answer; times called ``sent_s`` are of the sender's own monotonic clock.
"""

from typing import Annotated

from msgspec import Meta, Struct

from testbed.bus.wire import Message
from testbed.site_types import Name

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0.0, le=1e7)]
Text = Annotated[str, Meta(max_length=4096)]
Counts = dict[str, int]
# Becomes a folder's name.
PlainName = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}\Z")]

_MOST_WORDS = 1000


class Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Part of a message."""


class ProcessState(Part, frozen=True, kw_only=True):
    """What every process tells of itself.

    Attributes
    ----------
    instance
        Another one each time that it is started.
    queued
        Captures that wait in it.
    counts
        What it did, and dropped, by name.
    stall_s
        Longest time that its loop was not served.
    """

    name: Name
    instance: Name
    version: Name
    pid: int
    site_hash: Name
    memory_mb: float
    queued: Count
    counts: Counts
    stall_s: float


class Refused(Message, frozen=True, kw_only=True):
    """A request that was not carried out, and why."""

    request_id: int
    reason: Text


def as_text(words: str) -> str:
    """Words as a message takes them: not too many, and without what is no text."""
    return words[:_MOST_WORDS].encode("utf-8", "replace").decode()
