"""A testbed of real processes for a test, and commands against it."""

import json
import random
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TESTBED = (sys.executable, "-m", "testbed")


@dataclass(frozen=True)
class Running:
    """A testbed that `testbed up` started."""

    site: str
    port: int
    folder: Path
    process: subprocess.Popen[str]

    def call(self, *arguments: str, timeout_s: float = 120.0) -> str:
        """Standard output of a command of this testbed."""
        done = subprocess.run(
            [*TESTBED, *arguments, "--port", str(self.port)], cwd=self.folder,
            capture_output=True, text=True, check=False, timeout=timeout_s,
        )  # fmt: skip
        assert done.returncode == 0, (arguments, done.stderr)
        return done.stdout

    def json(self, *arguments: str) -> Any:
        return json.loads(self.call(*arguments, "--json"))


@contextmanager
def running(site: str, folder: Path, *options: str, simulate: bool = True) -> Iterator[Running]:
    """`testbed up SITE`, until the end of the block; it must then end in order."""
    port = free_port()
    command = [*TESTBED, "up", site, "--port", str(port), "--state", "state"]
    command += ["--simulate"] * simulate
    process = subprocess.Popen(
        [*command, *options], cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        serves = next((line for line in process.stdout if " serves at tcp" in line), None)
        while serves is not None and not serves.rstrip().endswith("coordinator"):
            serves = next((line for line in process.stdout if " serves at tcp" in line), None)
        assert serves is not None, "testbed up ended before it served"
        yield Running(site, port, folder, process)
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=30)
    assert process.returncode == 0, output


def free_port() -> int:
    """A port with free ones behind it, as many as a testbed takes.

    Anywhere among those that no connection is given: who looks at the same time finds another one.
    """
    for first in random.SystemRandom().sample(range(20_000, 32_000, 10), 200):
        try:
            for port in (*range(first, first + 8), first + 500):
                with closing(socket.socket()) as probe:
                    probe.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    pytest.skip("no free ports on this machine")


@contextmanager
def own_port() -> Iterator[str]:
    """Address with a port that nobody else is given: it is bound here too, but not listened at."""
    with socket.socket() as placeholder:
        placeholder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        placeholder.bind(("127.0.0.1", 0))
        yield f"tcp://127.0.0.1:{placeholder.getsockname()[1]}"
