"""What is said to the hall of software radios: where its target stands, or that it is away."""

from typing import Annotated

from msgspec import Meta

from testbed.bus.parts import Text
from testbed.bus.wire import Message

Metres = Annotated[float, Meta(ge=-1e6, le=1e6)]

# All messages are short.
MAX_HALL_BYTES = 1 << 12


class HallAsked(Message, frozen=True, kw_only=True):
    """Asks for the state of the hall, and changes what is given before that.

    Attributes
    ----------
    target_is_present
        Whether the target is to stand in the hall; ``None`` leaves it as it is.
    target_m
        Where it is to stand; ``None`` leaves it where it is.
    """

    request_id: int
    target_is_present: bool | None = None
    target_m: tuple[Metres, Metres] | None = None


class HallState(Message, frozen=True, kw_only=True):
    """The state of the hall, or why it was not changed."""

    request_id: int
    target_is_present: bool
    target_m: tuple[float, float]
    problem: Text | None = None
