"""What every process of a testbed tells of itself."""

import hashlib
import logging
import os
import secrets
from collections import Counter
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import msgspec

from testbed.bus.parts import ProcessState
from testbed.site import Site

_log = logging.getLogger(__name__)

_VERSION = version("isac-testbed")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# What a coordinator may change from job to job, and where processes are found.
_NOT_OF_THE_LAB = ("sensing", "services", "name")


@dataclass
class Identity:
    """A process of a testbed.

    Attributes
    ----------
    name
        Of its place in the testbed.
    site_hash
        Of everything that all processes must agree on.
    counts
        What it did, and dropped, by name.
    instance
        Another one each time that it is started.
    sockets
        Counts of its sockets, told with its own.
    """

    name: str
    site_hash: str
    counts: Counter[str] = field(default_factory=Counter)
    instance: str = field(default_factory=lambda: secrets.token_hex(8))
    sockets: list[Counter[str]] = field(default_factory=list)

    def count(self, what: str, text: str) -> None:
        """Count something that should not be, and say it."""
        self.counts[what] += 1
        kind = f"{what}: %s"  # so that the log is not full of another kind
        _log.warning(kind, text)

    def state(self, *, queued: int = 0, stall_s: float = 0.0) -> ProcessState:
        """As it is told."""
        counts = self.counts.copy()
        for socket in self.sockets:
            counts.update({what.replace("_", " "): count for what, count in socket.items()})
        return ProcessState(
            name=self.name,
            instance=self.instance,
            version=_VERSION,
            pid=os.getpid(),
            site_hash=self.site_hash,
            memory_mb=resident_mb(),
            queued=queued,
            counts=dict(counts),
            stall_s=stall_s,
        )


def resident_mb() -> float:
    """Memory of this process that is in use, in megabytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * _PAGE_BYTES / 1e6


def hash_of_site(site: Site, seed: int | None, fidelity: str | None) -> str:
    """What tells whether two processes run the same lab, simulated alike if it is."""
    lab = {k: v for k, v in msgspec.to_builtins(site).items() if k not in _NOT_OF_THE_LAB}
    described = msgspec.json.encode([lab, seed, fidelity], order="sorted")
    return hashlib.sha256(described).hexdigest()[:16]
