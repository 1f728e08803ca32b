"""A client of a running testbed: it starts a job, follows it, and waits for a coordinator."""

import itertools
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from testbed.bus.job_messages import (
    JobAsked,
    JobCancelled,
    JobFollowed,
    JobOptions,
    JobState,
    StatusAsked,
    Task,
    TestbedState,
)
from testbed.bus.parts import Refused
from testbed.bus.sockets import Caller, NoAnswerError
from testbed.bus.wire import Codec, Message, WireError
from testbed.errors import UsageError

CLIENT_TAKES: tuple[type[Message], ...] = (TestbedState, JobState, Refused)

_ANSWER_S = 2.0
_FOLLOW_S = 0.1


class LiveTestbed:
    """A running testbed, asked from outside.

    Every request may be asked again without harm, so one that gets no answer is: a coordinator that
    was killed and started again goes on with the job.

    Parameters
    ----------
    caller
        Connection to the coordinator.
    patience_s
        For how long nobody may answer.
    waiting
        Told, in words, when nobody answers.
    """

    def __init__(
        self,
        caller: Caller,
        patience_s: float = 30.0,
        waiting: Callable[[str], None] = lambda _text: None,
    ) -> None:
        self._caller = caller
        self._codec = Codec(CLIENT_TAKES, max_header_bytes=1 << 23, max_buffer_bytes=0)
        self._patience_s = patience_s
        self._waiting = waiting
        self._was_there = False
        self._numbers = itertools.count(secrets.randbits(48))

    def state(self) -> TestbedState:
        """Everything that `testbed status` shows; raises if nobody answers at once.

        Raises
        ------
        NoAnswerError
        """
        number = next(self._numbers)
        answer = self._asked_once(StatusAsked(request_id=number), number)
        if isinstance(answer, Refused):
            raise UsageError(answer.reason)
        if not isinstance(answer, TestbedState):
            msg = f"the coordinator answered with {type(answer).__name__}"
            raise UsageError(msg)
        return answer

    def run(
        self,
        task: Task,
        options: JobOptions,
        follow: Callable[[JobState], None],
        job_id: str | None = None,
    ) -> JobState:
        """Start a job and follow it to its end; interrupted, it is cancelled.

        Parameters
        ----------
        follow
            Shown each state, with the records that are new.
        job_id
            Of a job that may be running already; a new one, if left out.

        Raises
        ------
        UsageError
            If it is refused, fails, or is cancelled.
        NoAnswerError
            If nobody answers for longer than patience.
        """
        job_id = job_id or f"{task}-{secrets.token_hex(8)}"
        try:
            return self._followed(job_id, task, options, follow)
        except KeyboardInterrupt:
            with suppress(NoAnswerError):
                self.cancel(job_id)
            raise

    def cancel(self, job_id: str) -> None:
        """End a job.

        Raises
        ------
        NoAnswerError
        """
        number = next(self._numbers)
        self._asked_once(JobCancelled(request_id=number, job_id=job_id), number)

    def _followed(
        self,
        job_id: str,
        task: Task,
        options: JobOptions,
        follow: Callable[[JobState], None],
    ) -> JobState:
        state = self._job(JobAsked, job_id=job_id, task=task, options=options)
        num_records = 0
        while True:
            follow(state)
            num_records += len(state.records)
            if state.status == "done":
                return state
            if state.status != "running":
                msg = f"{task} {state.status}: {state.progress}"
                raise UsageError(msg)
            time.sleep(_FOLLOW_S)
            state = self._job(JobFollowed, job_id=job_id, first=num_records)

    def _job(self, request: type[JobAsked | JobFollowed], **fields: Any) -> JobState:
        """State of a job, asked for until somebody answers or patience ends."""
        until_s = time.monotonic() + self._patience_s
        while True:
            number = next(self._numbers)
            try:
                answer = self._asked_once(request(request_id=number, **fields), number)
            except NoAnswerError:
                if not self._was_there or time.monotonic() >= until_s:
                    raise
                self._waiting("the coordinator does not answer; waiting for it")
                continue
            self._was_there = True
            if isinstance(answer, JobState):
                return answer
            reason = answer.reason if isinstance(answer, Refused) else type(answer).__name__
            raise UsageError(reason)

    def _asked_once(self, request: Message, number: int) -> Message:
        self._caller.send(self._codec.encode(request))
        until_s = time.monotonic() + _ANSWER_S
        while True:
            frames = self._caller.receive(max(0.0, until_s - time.monotonic()))
            try:
                answer = self._codec.decode(frames).message
            except WireError as error:
                msg = f"the coordinator's answer cannot be read: {error}"
                raise UsageError(msg) from error
            if getattr(answer, "request_id", None) == number:  # an older one's may come as well
                return answer
