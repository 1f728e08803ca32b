"""The software radios of a site, on one ether in a process of their own, to be struck one by one.

`python -m tests.vendor.faulty_hall SITE SEED` says that it serves, and does to a node's radios what
each line of its input names. It answers with the line and when that was, on the host's monotonic
clock, which all processes share.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from testbed.emulation import live_ether, radios_of_node
from testbed.services.hall import SoftwareRadio
from testbed.site import load_site

_SEED = 1
_LOOK_S = 2e-4
_PATIENCE_S = 60.0


@dataclass(frozen=True)
class FaultyHall:
    """The process that serves the radios."""

    process: subprocess.Popen[str]

    def strike(self, deed: str, node_ids: str) -> float:
        """Have the radios of some nodes do something; when that was.

        Any method of the devices (``close`` kills them); ``revive`` after that; or ``inject KIND
        TIMES`` of a fault, and that is when it has struck the first of them. After ``busy``: as
        soon as one of them receives.
        """
        self.process.stdin.write(f"{node_ids} {deed}\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline()
        assert said.startswith(f"{node_ids} {deed} at "), said
        return float(said.split()[-1])


@contextmanager
def faulty_hall(site_path: Path) -> Iterator[FaultyHall]:
    """The hall, with the target in it, until the end of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", __spec__.name, str(site_path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with process:
        try:
            assert process.stdout.readline() == "serves\n"
            yield FaultyHall(process)
        finally:
            process.kill()


class _Hall:
    def __init__(self, site_path: Path) -> None:
        self._site = load_site(site_path)
        self._ether = live_ether(self._site, _SEED)
        self._ether.target_is_present = True
        self._radios = {node.node_id: self._switched_on(node.node_id) for node in self._site.nodes}

    def _switched_on(self, node_id: str) -> list[SoftwareRadio]:
        radios = list(radios_of_node(self._site, self._ether, node_id))
        for radio in radios:
            radio.start()
        return radios

    def do(self, node_ids: str, deed: str, *what: str) -> float:
        """Do a deed; when."""
        radios = [radio for node_id in node_ids for radio in self._radios[node_id]]
        if deed == "busy":
            _wait_until(lambda: any(r.is_receiving for r in radios), f"{node_ids} hear nothing")
            return self.do(node_ids, *what)
        at_s = time.monotonic()
        if deed == "revive":
            self._radios |= {node_id: self._switched_on(node_id) for node_id in node_ids}
        elif deed == "inject":
            kind, times = what
            for radio in radios:
                radio.faults.inject(kind, int(times))
            _wait_until(
                lambda: any(not radio.faults._ordered[kind] for radio in radios),
                f"{kind} never strikes {node_ids}",
            )
            at_s = time.monotonic()
        else:
            for radio in radios:
                getattr(radio, deed)()
        return at_s


def _wait_until(holds: Callable[[], bool], otherwise: str) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while not holds():
        assert time.monotonic() < until_s, otherwise
        time.sleep(_LOOK_S)


def main() -> None:
    hall = _Hall(Path(sys.argv[1]))
    print("serves", flush=True)  # noqa: T201  to the process that started this one
    for line in sys.stdin:
        at_s = hall.do(*line.split())
        print(f"{line.strip()} at {at_s}", flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
