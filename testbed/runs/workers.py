"""Processes that compute for another one: out of reach of a Ctrl-C, and never left behind."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing import parent_process, resource_tracker
from threading import Thread

from drivers.interrupts import interrupts_deferred


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Processes started in here never see a Ctrl-C; this one sees it at the end.

    A terminal sends it to all of them, and each worker would print a traceback of its own; so would
    one whose parent is interrupted before it has told it what to do.
    """
    resource_tracker.ensure_running()  # it would let interrupts through again when it starts
    # What is blocked stays so in processes started in here.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        with interrupts_deferred():
            yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def leave_with_parent() -> None:
    """End this worker when the study's process is gone, however that died: no orphans compute."""

    def watch() -> None:
        parent = parent_process()
        if parent is not None:
            parent.join()
            os._exit(1)

    Thread(target=watch, daemon=True).start()
