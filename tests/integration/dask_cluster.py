"""A Dask cluster of real processes for a test."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.integration.running import free_port


class DaskCluster:
    """A scheduler on loopback, and workers of one thread without a nanny, which would revive them.

    Attributes
    ----------
    address
        Of the scheduler.
    scheduler, workers
        As they were started.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.workers: list[subprocess.Popen[bytes]] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        port = free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        self.scheduler = self._start("scheduler", "--host", "127.0.0.1", "--port", str(port))

    def add_worker(self, **environment: str) -> None:
        """Start another worker, which comes when it is ready."""
        options = ("--nthreads", "1", "--no-nanny")
        self.workers.append(self._start("worker", self.address, *options, **environment))

    def _start(self, kind: str, *options: str, **environment: str) -> subprocess.Popen[bytes]:
        log = self._folder / f"{len(self._processes)}-{kind}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", "dask", kind, "--no-dashboard", *options],
                stdout=stream, stderr=stream, cwd=self._folder,
                env={**os.environ, "OPENBLAS_NUM_THREADS": "1", **environment},
            )  # fmt: skip
        self._processes.append(process)
        return process

    def close(self) -> None:
        """Kill all of it."""
        for process in self._processes:
            process.kill()
            process.wait()


@contextmanager
def dask_cluster(folder: Path, num_workers: int) -> Iterator[DaskCluster]:
    """A cluster until the end of the block."""
    cluster = DaskCluster(folder)
    try:
        for _ in range(num_workers):
            cluster.add_worker()
        yield cluster
    finally:
        cluster.close()
