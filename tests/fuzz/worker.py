"""The process that feeds decoders; another one watches it, because it may crash, hang or grow."""

import json
import mmap
import resource
import struct
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from random import Random
from typing import NoReturn

import msgspec

from tests.fuzz.decoder import Decoder
from tests.fuzz.mutation import Frames, Mutator

LONGEST_S = 1.0
MOST_BYTES = 1 << 26  # that any input may make the process grow, all that it leaks included
BOX_BYTES = 1 << 22

_HEAD = struct.Struct("<QI")  # inputs so far, length of the last one


class BlackBox:
    """What is being decoded, in a file that outlives the process.

    Parameters
    ----------
    path
        A file of `BOX_BYTES`.
    """

    def __init__(self, path: Path) -> None:
        with path.open("r+b") as stream:
            self._map = mmap.mmap(stream.fileno(), BOX_BYTES)

    def write(self, number: int, name: str, frames: Frames) -> None:
        """Note an input before it is decoded."""
        content = msgspec.msgpack.encode([name, frames])
        self._map[_HEAD.size : _HEAD.size + len(content)] = content
        _HEAD.pack_into(self._map, 0, number, len(content))

    def read(self) -> tuple[int, bytes]:
        """How many inputs there were, and the last one."""
        number, length = _HEAD.unpack_from(self._map, 0)
        return number, self._map[_HEAD.size : _HEAD.size + length]


def main() -> None:
    """Feed the decoders of a registry as the command line says, and print what came of it."""
    registry, box_path, num_inputs, seed, only = sys.argv[1:]
    box = BlackBox(Path(box_path))
    with tempfile.TemporaryDirectory() as scratch:
        found = list(_decoders(registry, scratch))
        chosen = [decoder for decoder in found if only in ("", decoder.name)]
        if not chosen:
            sys.exit(f"--only {only}: there are {', '.join(decoder.name for decoder in found)}")
        for decoder in chosen:
            for seed_frames in decoder.seeds:
                decoder.decode(seed_frames)
        _bound_memory()
        total = sum(decoder.share for decoder in chosen)
        fed = 0
        for decoder in chosen:
            count = max(1, round(int(num_inputs) * decoder.share / total))
            _feed(decoder, count, Random(f"{seed} {decoder.name}"), box, fed)  # noqa: S311
            fed += count


def decode_again(registry: str, content: bytes) -> object:
    """Decode an input that was kept, without any bound."""
    name, frames = msgspec.msgpack.decode(content, type=tuple[str, list[bytes]])
    with tempfile.TemporaryDirectory() as scratch:
        for decoder in _decoders(registry, scratch):
            if decoder.name == name:
                return decoder.decode(frames)
    msg = f"no decoder is called {name}"
    raise ValueError(msg)


def _decoders(registry: str, scratch: str) -> Iterator[Decoder]:
    decoders: Callable[[Path], Iterator[Decoder]] = import_module(registry).decoders
    return decoders(Path(scratch))


def _bound_memory() -> None:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def _feed(decoder: Decoder, count: int, random: Random, box: BlackBox, fed: int) -> None:
    mutator = Mutator(decoder.seeds, decoder.parse, decoder.unparse, random)
    outcomes: Counter[str] = Counter()
    slowest_s, began_s = 0.0, time.process_time()
    for number in range(fed + 1, fed + 1 + count):
        frames = mutator.draw()
        box.write(number, decoder.name, frames)
        started_s = time.perf_counter()
        outcomes[_outcome(decoder, frames)] += 1
        took_s = time.perf_counter() - started_s
        if took_s > LONGEST_S and _took_s(decoder, frames) > LONGEST_S:  # not the machine's fault
            _fail(f"took {took_s:.1f} s")
        slowest_s = max(slowest_s, took_s)
    took_s = time.process_time() - began_s
    print(json.dumps({"name": decoder.name, "count": count, "took_s": took_s,  # noqa: T201
                      "slowest_s": slowest_s, "outcomes": outcomes}), flush=True)  # fmt: skip


def _outcome(decoder: Decoder, frames: Frames) -> str:
    try:
        decoder.decode(frames)
    except decoder.errors as error:
        return type(error).__name__
    except Exception:  # noqa: BLE001
        _fail(traceback.format_exc())
    return "taken"


def _took_s(decoder: Decoder, frames: Frames) -> float:
    started_s = time.perf_counter()
    _outcome(decoder, frames)
    return time.perf_counter() - started_s


def _fail(reason: str) -> NoReturn:
    sys.exit(reason)


if __name__ == "__main__":
    main()
