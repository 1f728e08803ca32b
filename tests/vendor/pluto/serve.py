"""Software Plutos for the driver's tests, here or in a process of their own to be killed or frozen.

`python -m tests.vendor.pluto.serve PERSONALITY` prints the address of each of two boards in one
hall, a line each, and serves until its input ends.
"""

import sys
from contextlib import ExitStack

from sim_backend.iiod import SoftwarePluto
from sim_backend.iiod.personalities import CHANNELS
from tests.vendor.pluto.software import software_plutos

NUM_CHANNELS = {board: sum(of_chips) for board, of_chips in CHANNELS.items()}


def boards(stack: ExitStack, personality: str) -> list[SoftwarePluto]:
    """Two boards of one hall, serving until the stack is closed."""
    num_elements = NUM_CHANNELS[personality]
    return stack.enter_context(software_plutos(personality, personality, num_elements=num_elements))


def main() -> None:
    with ExitStack() as stack:
        for board in boards(stack, sys.argv[1]):
            print(board.uri, flush=True)  # noqa: T201  to the process that started this one
        sys.stdin.read()


if __name__ == "__main__":
    main()
