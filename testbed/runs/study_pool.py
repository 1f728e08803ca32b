"""Chunks of a study on processes of this machine."""

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import active_children, get_context
from typing import TypeVar

from testbed.runs.workers import interrupts_held_back, leave_with_parent

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")


def on_processes(
    compute: Callable[[Chunk], Result], chunks: Sequence[Chunk], jobs: int
) -> Generator[tuple[int, Result], None, None]:
    """Number and result of each chunk as it is finished, whichever comes first.

    Parameters
    ----------
    compute
        What is done with a chunk; can be sent to a process.
    jobs
        Processes; with one, it is this one and chunks come in order.
    """
    if jobs == 1 or not chunks:
        yield from ((number, compute(chunk)) for number, chunk in enumerate(chunks))
        return
    others = set(active_children())
    pool = ProcessPoolExecutor(
        min(jobs, len(chunks)), mp_context=get_context("spawn"), initializer=leave_with_parent
    )
    try:
        with interrupts_held_back():
            # `map` would cancel what is left, and the pool's thread fails on what is cancelled when
            # it sees its workers die (CPython before 3.12.1).
            left = {pool.submit(compute, chunk): number for number, chunk in enumerate(chunks)}
        for future in as_completed(tuple(left)):
            yield left.pop(future), future.result()
    except BaseException:
        for worker in set(active_children()) - others:
            worker.terminate()  # what it computes is not wanted any more, and may take long
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
