"""Writers of a dictionary that are killed; run as ``python -m`` with the dictionary's parent.

Reads commands from standard input and forks a writer for each, so that Python starts once:

``at N DIRECTORY``
    write a fixed list of entries and be killed at the N-th operation on files;
``on DIRECTORY``
    write on and on, a line for every entry, until killed.

Each answers the writer's process id first and ``killed`` or ``finished`` last.
"""

import os
import signal
import sys
from itertools import count
from pathlib import Path

import numpy as np

from calibration.dictionary import BackgroundDictionary, Provenance

PROVENANCE = Provenance("waveform", "simulated seed 7", 3)
SHAPE = (2048, 8)
# The first link twice: learned again.
LINKS = [("a", "b"), ("b", "a"), ("a", "b"), ("b", "c")]
_FILE_EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.truncate"}


def entry(version: int) -> np.ndarray:
    """Entry of which every number tells the version."""
    return np.full(SHAPE, version - 1j * version, dtype=np.complex64)


def _answer(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _write_and_die(number: int, root: Path) -> None:
    left = number

    def die(event: str, arguments: tuple) -> None:
        nonlocal left
        if event in _FILE_EVENTS and root.name in str(arguments[0]):
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    sys.addaudithook(die)
    dictionary = BackgroundDictionary(root, PROVENANCE)
    for version, link in enumerate(LINKS, start=1):
        dictionary.put(*link, entry(version))


def _write_on(root: Path) -> None:
    dictionary = BackgroundDictionary(root, PROVENANCE)
    for version in count(1):
        dictionary.put(*LINKS[version % len(LINKS)], entry(version))
        _answer("put")


def main() -> None:
    for line in sys.stdin:
        command, *arguments = line.split()
        pid = os.fork()
        if pid == 0:
            _answer(str(os.getpid()))
            if command == "at":
                _write_and_die(int(arguments[0]), Path(arguments[1]))
            else:
                _write_on(Path(arguments[0]))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        _answer("killed" if os.WIFSIGNALED(status) else "finished")


if __name__ == "__main__":
    main()
