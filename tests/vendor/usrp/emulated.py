"""Software USRPs of one node in a process of their own, so that it can be killed and frozen.

Run as a program it serves as many boards as its argument says on free ports, says their address,
and does what each line of its input names.
"""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from drivers.array import UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node
from sim_backend.impairments import PRESETS
from sim_backend.live_ether import LiveEther
from sim_backend.mpm import SoftwareUsrp
from sim_backend.scene import SceneStatistics, draw_scene

DEEDS = {
    "lose pps": SoftwareUsrp.lose_pulses,
    "restore pps": SoftwareUsrp.restore_pulses,
    "lose reference": SoftwareUsrp.lose_reference,
    "restore reference": SoftwareUsrp.restore_reference,
    "overflow": SoftwareUsrp.overflow,
    "drop a packet": lambda usrp: usrp.drop_packets(1),
}


@dataclass(frozen=True)
class EmulatedUsrps:
    """Where the boards are, and the process that serves them."""

    address: str
    process: subprocess.Popen[str]

    def do(self, deed: str) -> None:
        """Have all boards do one of `DEEDS`."""
        self.process.stdin.write(f"{deed}\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == f"{deed}\n"


@contextmanager
def emulated_usrps(num_boards: int) -> Iterator[EmulatedUsrps]:
    """Boards of one node, two elements each."""
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(num_boards)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            yield EmulatedUsrps(process.stdout.readline().strip(), process)
        finally:
            process.kill()


def boards(num_boards: int) -> list[SoftwareUsrp]:
    nodes = [
        Node(name, name, Pose((10.0 * n, 0.0), 0.0), UniformLinearArray(2 * num_boards, 0.05))
        for n, name in enumerate("ab")
    ]
    scene = draw_scene(1, nodes, SceneStatistics((0.0, 0.0, 10.0, 10.0), num_clutter=2))
    ether = LiveEther(scene)
    return [
        SoftwareUsrp(
            ether, 0, PRESETS["lab"], elements=slice(2 * board, 2 * board + 2), board=board,
            discovery_port=0, rpc_port=0, chdr_port=0,
        )
        for board in range(num_boards)
    ]  # fmt: skip


def address_of(usrps: list[SoftwareUsrp]) -> str:
    if len(usrps) == 1:
        return usrps[0].address
    parts = [usrp.address.replace("=", f"{n}=") for n, usrp in enumerate(usrps)]
    return ",".join(parts)


def main() -> None:
    usrps = boards(int(sys.argv[1]))
    with ExitStack() as running:
        for usrp in usrps:
            running.enter_context(usrp)
        sys.stdout.write(f"{address_of(usrps)}\n")
        sys.stdout.flush()
        for line in sys.stdin:
            for usrp in usrps:
                DEEDS[line.strip()](usrp)
            sys.stdout.write(line)
            sys.stdout.flush()


if __name__ == "__main__":
    main()
