"""Interrupts that wait for the end of what must not be cut short."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread


@contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Interrupts count at the end only, also those that come by way of another thread.

    What one thread blocks the system gives to another, such as the one that draws progress, and
    Python then runs the handler in its main thread all the same.
    """
    if current_thread() is not main_thread():
        yield  # handlers do not run here
        return
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: seen.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_DFL if before is None else before)
        if seen:
            signal.raise_signal(signal.SIGINT)
