"""Inputs that are nearly right: what decoders must refuse, drawn from what they take."""

import math
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Frames = list[bytes]
Tree = Any

# Headers of msgpack that announce four billion items or bytes, and JSON and YAML that go on.
_BLOWN_UP = (
    b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff", b"\xc9\xff\xff\xff\xff\x01", b"\xdc\xff\xff", b"\xde\xff\xff",
    b"\xcf" + b"\xff" * 8, b"\xd3\x80" + bytes(7), b"\xcb\x7f\xf8" + bytes(6), b"\xc1",
    b"\xd7\xff" + b"\xff" * 8, b"\xc7\x0c\xff" + b"\xff" * 12,
    b"[", b"{", b'"', b"\\ud800", b"1e999", b"-", b"&a [*a]", b"<<: ", b"!!python/none ", b"\xff",
)  # fmt: skip
_DEEP = (b"\x91" * 400, b"\x81\xa1x" * 400, b"[" * 400, b'{"x":' * 400)


def _nested(depth: int) -> Tree:
    return (_nested(depth - 1),) if depth else ()


# Lists as tuples, which no later change of the tree can change.
_VALUES: tuple[Tree, ...] = (
    None, True, -1, 0, 1, 2, 255, 256, 1 << 31, (1 << 63) - 1, -(1 << 63), (1 << 64) - 1,
    0.0, -0.0, 0.5, 1e308, -1e308, math.inf, -math.inf, math.nan, 5e-324,
    "", "x", "\0", "..", "\u202e", "x" * 300, b"", b"\xff" * 9, (), (0,) * 300, ((),) * 9,
    _nested(90), ("<c8", (1 << 40, 1 << 40)),
)  # fmt: skip


class Mutator:
    """Draws inputs.

    Parameters
    ----------
    seeds
        What the decoder takes.
    parse, unparse
        Between the first frame and what it holds; where given, single values are changed as well.
    random
        Everything is drawn from it.
    """

    def __init__(
        self,
        seeds: Sequence[Frames],
        parse: Callable[[bytes], Tree] | None,
        unparse: Callable[[Tree], bytes] | None,
        random: Random,
    ) -> None:
        self._seeds = seeds
        self._parse = parse
        self._unparse = unparse
        self._random = random
        self._uniform = random.random
        self._edits = (
            self._flip, self._flip, self._cut, self._splice, self._blow_up, self._repeat,
            self._delete, self._insert,
        )  # fmt: skip

    def draw(self) -> Frames:
        """Draw the next input."""
        frames = list(self._one_of(self._seeds))
        way = self._uniform()
        if way < 0.02:
            return [self._random.randbytes(self._below(300)) for _ in range(self._below(4))]
        if way < 0.06:
            return self._change_frames(frames)
        if way < 0.4 and self._parse is not None and self._unparse is not None:
            tree = self._parse(frames[0])
            for _ in range(self._one_of((1, 1, 1, 2, 4))):
                self._change_value(tree)
            frames[0] = self._unparse(tree)
            return frames
        if way < 0.41:
            return frames
        place = 0 if self._uniform() < 0.9 else self._below(len(frames))
        for _ in range(self._one_of((1, 1, 1, 2, 5))):
            frames[place] = self._one_of(self._edits)(frames[place])
        return frames

    def _change_frames(self, frames: Frames) -> Frames:
        place = self._below(len(frames) + 1)
        match self._below(4):
            case 0:
                del frames[place : place + 1]
            case 1:
                frames.insert(place, self._random.randbytes(self._one_of((0, 1, 8, 64))))
            case 2:
                self._random.shuffle(frames)
            case _:
                frames += self._one_of(self._seeds)
        return frames

    def _change_value(self, tree: Tree) -> None:
        """Go down to some value and put another in its place, or take it away."""
        while isinstance(tree, dict | list) and tree:
            key = self._one_of(list(tree)) if isinstance(tree, dict) else self._below(len(tree))
            below = tree[key]
            if isinstance(below, dict | list) and below and self._uniform() < 0.8:
                tree = below
                continue
            match self._below(8):
                case 0:
                    del tree[key]
                case 1 if isinstance(tree, list):
                    tree.append(below)
                case 2 if isinstance(tree, dict):
                    tree[str(self._one_of(_VALUES))] = below
                case _:
                    tree[key] = {} if self._uniform() < 0.05 else self._one_of(_VALUES)
            return

    def _flip(self, frame: bytes) -> bytes:
        changed = bytearray(frame or b"\0")
        for _ in range(self._one_of((1, 1, 2, 8))):
            place = self._below(len(changed))
            changed[place] ^= 1 << self._below(8)
        return bytes(changed)

    def _cut(self, frame: bytes) -> bytes:
        return frame[: self._below(len(frame) + 1)]

    def _splice(self, frame: bytes) -> bytes:
        other = self._one_of(self._seeds)[0]
        return self._cut(frame) + other[self._below(len(other) + 1) :]

    def _blow_up(self, frame: bytes) -> bytes:
        place = self._below(len(frame) + 1)
        deep = self._uniform() < 0.02
        content = self._one_of(_DEEP if deep else _BLOWN_UP)
        kept = place + self._one_of((0, 1, len(content)))
        return frame[:place] + content + frame[kept:]

    def _repeat(self, frame: bytes) -> bytes:
        first, last = sorted(self._below(len(frame) + 1) for _ in range(2))
        return frame[:last] + frame[first:]

    def _delete(self, frame: bytes) -> bytes:
        first = self._below(len(frame) + 1)
        return frame[:first] + frame[first + self._below(16) :]

    def _insert(self, frame: bytes) -> bytes:
        place = self._below(len(frame) + 1)
        return frame[:place] + self._random.randbytes(1 + self._below(8)) + frame[place:]

    def _below(self, limit: int) -> int:
        return int(self._uniform() * limit)  # a third of the time that `randrange` takes

    def _one_of(self, choices: Sequence[Any]) -> Any:
        return choices[int(self._uniform() * len(choices))]
