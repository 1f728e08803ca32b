"""The one thread that touches a vendor's objects, so that no caller waits longer than it said."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from drivers.radio_errors import RadioError, RadioLostError, RadioTimeoutError

T = TypeVar("T")


class VendorThread:
    """Runs actions one after the other, on one thread that the process does not wait for.

    libiio is not bounded everywhere: a buffer of a frozen device takes 5 s to fail whatever the
    context's timeout (0.24, measured). So callers wait with a deadline, and a call that is stuck
    keeps only this thread.

    Parameters
    ----------
    name
        Of the device, for the messages.
    translate
        Makes a radio error of one of the operating system's.
    """

    def __init__(self, name: str, translate: Callable[[OSError], RadioError]) -> None:
        self._name = name
        self._translate = translate
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._due: tuple[float, Callable[[], object]] | None = None
        self._lost: RadioError | None = None
        threading.Thread(target=self._run, name=f"vendor {name}", daemon=True).start()

    def ask(self, action: Callable[[], T], wait_s: float) -> T:
        """What an action returns.

        Raises
        ------
        RadioTimeoutError
            If it is not done in time; it may still be done later.
        RadioError
            Its own errors, translated.
        """
        return self.wait(self.tell(action), wait_s)

    def wait(self, answer: "Future[T]", wait_s: float) -> T:
        """What an action returns that `tell` has begun; errors as of `ask`."""
        try:
            return answer.result(wait_s)
        except TimeoutError:
            msg = f"{self._name}: the device did not answer within {wait_s:.3g} s"
            raise RadioTimeoutError(msg) from None

    def tell(self, action: Callable[[], T]) -> "Future[T]":
        """Have an action run when those before it are done, and do not wait."""
        job = _Job(action)
        self._jobs.put(job)
        return job.answer

    def run_in(self, delay_s: float, action: Callable[[], object]) -> None:
        """Have one action run later, instead of any before it; for actions of this thread."""
        self._due = time.monotonic() + delay_s, action

    def forget_due(self) -> None:
        """Take back what `run_in` said; for actions of this thread."""
        self._due = None

    def end(self, last: Callable[[], object]) -> "Future[object]":
        """Have the thread end when all is done, with one last action, even of a lost device."""
        job = _Job(last, is_last=True)
        self._jobs.put(job)
        return job.answer

    def _run(self) -> None:
        while True:
            left_s = None if self._due is None else max(0.0, self._due[0] - time.monotonic())
            if left_s == 0.0:
                self._run_due()
                continue
            try:
                job = self._jobs.get(timeout=left_s)
            except queue.Empty:
                continue
            if job.is_last:
                self._due = None  # it holds the device as well
            self._do(job)
            if job.is_last:
                return
            del job  # nothing of a job may outlive it: see `_do`

    def _run_due(self) -> None:
        if self._due is not None:
            action, self._due = self._due[1], None
            self._do(_Job(action))  # if the device is gone, the next call says so

    def _do(self, job: "_Job") -> None:
        if self._lost is not None and not job.is_last:
            job.answer.set_exception(self._lost)
            return
        try:
            job.answer.set_result(job.action())
        except OSError as error:
            # Not chained: the frames of its traceback would keep the vendor's buffer alive, to be
            # destroyed wherever the error is dropped, perhaps after its context: libiio crashes.
            failure = self._translate(error)
            if isinstance(failure, RadioLostError | RadioTimeoutError):
                self._lost = failure  # what comes next would wait as long, or get a wrong answer
            job.answer.set_exception(failure)
        except RadioError as error:
            job.answer.set_exception(error)
        except Exception as error:  # noqa: BLE001  pyadi-iio raises anything
            failure = RadioError(f"{self._name}: {type(error).__name__}: {error}")
            failure.__cause__ = error
            job.answer.set_exception(failure)


class _Job:
    """An action, and where its result goes."""

    def __init__(self, action: Callable[[], Any], *, is_last: bool = False) -> None:
        self.action = action
        self.is_last = is_last
        self.answer: Future[Any] = Future()
