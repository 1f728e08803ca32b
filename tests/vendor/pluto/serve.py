"""A software Pluto in a process of its own, so that a test can kill or freeze it.

`python -m tests.vendor.pluto.serve PERSONALITY` prints the address of each of two boards in one
hall, a line each, and serves until its input ends.
"""

import sys
from contextlib import ExitStack, closing

from drivers.array import UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node
from sim_backend.iiod import SoftwarePluto
from sim_backend.impairments import PRESETS
from sim_backend.live_ether import LiveEther
from sim_backend.scene import SceneStatistics, draw_scene

NUM_CHANNELS = {"pluto": 1, "fmcomms2": 2, "fmcomms5": 4}


def hall(num_elements: int, num_nodes: int = 2) -> LiveEther:
    """Nodes in a row, 5 m apart, that look at each other."""
    nodes = [
        Node(name, name, Pose((5.0 * n, 0.0), 0.0), UniformLinearArray(num_elements, 0.025))
        for n, name in enumerate("abcdef"[:num_nodes])
    ]
    return LiveEther(draw_scene(1, nodes, SceneStatistics((0.0, 0.0, 10.0, 10.0), num_clutter=0)))


def boards(stack: ExitStack, personality: str, preset: str = "ideal") -> list[SoftwarePluto]:
    """Two boards of one hall, serving until the stack is closed."""
    ether = hall(NUM_CHANNELS[personality])
    started = []
    for index in range(2):
        board = SoftwarePluto(
            ether, index, PRESETS[preset], "127.0.0.1", 0, personality=personality,
            serial=f"soft-{index}",
        )  # fmt: skip
        board.start()
        started.append(stack.enter_context(closing(board)))
    return started


def main() -> None:
    with ExitStack() as stack:
        for board in boards(stack, sys.argv[1]):
            print(board.uri, flush=True)  # noqa: T201
        sys.stdin.read()


if __name__ == "__main__":
    main()
