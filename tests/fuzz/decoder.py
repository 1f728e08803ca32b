"""What is fuzzed."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.fuzz.mutation import Frames, Tree


@dataclass(frozen=True)
class Decoder:
    """What takes bytes from elsewhere.

    Attributes
    ----------
    decode
        Takes an input or refuses it; a file is an input of one frame.
    errors
        How it may refuse.
    seeds
        Inputs that it takes.
    share
        How many inputs it gets, compared to the others.
    parse, unparse
        See `tests.fuzz.mutation.Mutator`.
    """

    name: str
    decode: Callable[[Frames], object]
    errors: tuple[type[Exception], ...]
    seeds: Sequence[Frames]
    share: float
    parse: Callable[[bytes], Tree] | None = None
    unparse: Callable[[Tree], bytes] | None = None
