"""Decoders that break in every way that the fuzzer must find."""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.fuzz.decoder import Decoder
from tests.fuzz.mutation import Frames

_RIGHT = [b"right"]


def decoders(scratch: Path) -> Iterator[Decoder]:
    """One for each way."""
    breaks: dict[str, Callable[[], object]] = {
        "undeclared": lambda: {}["no such key"],
        "crashing": os.abort,
        "slow": lambda: time.sleep(1.1),
        "hanging": lambda: time.sleep(60.0),
        "allocating": lambda: bytearray(1 << 28),
        "sound": lambda: int("no number"),
    }
    for name, broken in breaks.items():
        yield Decoder(name, _unless_right(broken), (ValueError,), [_RIGHT], 1.0)


def _unless_right(broken: Callable[[], object]) -> Callable[[Frames], object]:
    return lambda frames: None if frames == _RIGHT else broken()
