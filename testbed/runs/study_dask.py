"""Chunks of a study on a Dask cluster that runs already; Dask only carries them there and back."""

import logging
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from testbed.errors import UsageError
from testbed.runs.software import differences, software_identity

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")
_CONNECT_S = 10.0
_WORKERS_WITHIN_S = 30.0
_RETRIES = 3
# Trials of two threads of one worker would share plans and the number of threads of BLAS.
_ONE_AT_A_TIME = Lock()


class _OtherSoftwareError(Exception):
    """A worker has other software than the study."""


def on_cluster(
    compute: Callable[[Chunk], Result], chunks: Sequence[Chunk], address: str
) -> Generator[tuple[int, Result], None, None]:
    """Number and result of each chunk as it is finished, whichever comes first.

    What a lost worker had is computed again by another one; workers may join at any time.

    Parameters
    ----------
    compute
        What is done with a chunk; importable on workers.
    address
        Of the scheduler: ``tcp://HOST:PORT``.

    Raises
    ------
    UsageError
        If `distributed` is not installed, the scheduler is out of reach, it has no workers, they
        have other software, a chunk has cost too many workers, or the scheduler is lost.
    """
    distributed = _distributed()
    if not chunks:
        return
    with _connected(distributed, address) as client:
        _check_workers(client, address)
        work = partial(_with_the_same_software, software_identity(), compute)
        left = {
            client.submit(work, chunk, pure=False, retries=_RETRIES): number
            for number, chunk in enumerate(chunks)
        }
        try:
            for future in distributed.as_completed(list(left), loop=client.loop):
                yield left.pop(future), _result_of(distributed, future, address)
        finally:
            client.cancel(list(left), force=True)


def _distributed() -> Any:
    try:
        import distributed
    except ModuleNotFoundError as error:
        msg = f"--scheduler needs {error.name}: pip install 'isac-testbed[dask]'"
        raise UsageError(msg) from error
    # It would print tracebacks of what ends in one line here.
    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)
    return distributed


def _connected(distributed: Any, address: str) -> Any:
    try:
        return distributed.Client(address, timeout=_CONNECT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        msg = f"{address}: no Dask scheduler answers: {error}; start one with: dask scheduler"
        raise UsageError(msg) from error


def _check_workers(client: Any, address: str) -> None:
    """Refuse a cluster without workers, or with some that would compute something else."""
    try:
        client.wait_for_workers(1, timeout=_WORKERS_WITHIN_S)
    except TimeoutError as error:
        msg = (
            f"{address}: no worker within {_WORKERS_WITHIN_S:g} s; start some with: "
            f"dask worker {address} --nthreads 1"
        )
        raise UsageError(msg) from error
    found = client.run(software_identity, on_error="return")
    problems = {worker: _problem_of(said) for worker, said in found.items()}
    refused = [f"{worker} has {problem}" for worker, problem in problems.items() if problem]
    if refused:
        msg = f"{address}: {'; '.join(refused)}; install the same version on every worker"
        raise UsageError(msg)


def _problem_of(said: object) -> str:
    if isinstance(said, Mapping):
        return ", ".join(differences(dict(said), dict(software_identity())))
    return f"no isac-testbed that answers ({said})"


def _with_the_same_software(
    expected: Mapping[str, str], compute: Callable[[Chunk], Result], chunk: Chunk
) -> Result:
    """What a worker does; also one that joined when the others had been asked."""
    other = differences(dict(software_identity()), dict(expected))
    if other:
        msg = f"worker on host {socket.gethostname()} has {', '.join(other)}"
        raise _OtherSoftwareError(msg)
    with _ONE_AT_A_TIME:
        return compute(chunk)


def _result_of(distributed: Any, future: Any, address: str) -> Any:
    try:
        return future.result()
    except _OtherSoftwareError as error:
        msg = f"{address}: {error}; install the same version on every worker"
        raise UsageError(msg) from error
    except distributed.KilledWorker as error:
        msg = (
            f"{address}: {error.allowed_failures + 1} workers were lost with the same trials, the "
            f"last at {error.last_worker.address}; see its log: is there memory enough?"
        )
        raise UsageError(msg) from error
    except distributed.CancelledError as error:
        msg = f"{address}: the scheduler was lost; with --out, the same command goes on"
        raise UsageError(msg) from error
