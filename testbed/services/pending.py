"""Requests that wait for their answers."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from testbed.bus.parts import Refused
from testbed.bus.wire import Message


class LostError(Exception):
    """No answer came in time, or a refusal: it may be tried again."""


@dataclass(frozen=True)
class Answer:
    """An answer with its buffers."""

    message: Message
    arrays: tuple[np.ndarray, ...]


class Pending:
    """Numbers requests and brings answers to those who wait; one that nobody waits for is counted.

    Attributes
    ----------
    num_late
        Answers that came after their deadline, or twice.
    """

    def __init__(self) -> None:
        # Not from zero: no answer to a coordinator before this one is taken for one to this.
        self._next = secrets.randbits(48) << 14
        self._waiting: dict[int, asyncio.Future[Answer]] = {}
        self.num_late = 0

    async def answer(self, send: Callable[[int], bool], who: str, timeout_s: float) -> Answer:
        """Send a request and wait for its answer.

        Parameters
        ----------
        send
            Sends the request of that number; whether it went.
        who
            Answers, for errors.

        Raises
        ------
        LostError
        """
        self._next += 1
        request_id = self._next
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        try:
            if not send(request_id):
                msg = f"{who} is not connected"
                raise LostError(msg)
            answer = await asyncio.wait_for(future, timeout_s)
        except TimeoutError:
            msg = f"{who} did not answer within {timeout_s:g} s"
            raise LostError(msg) from None
        finally:
            self._waiting.pop(request_id, None)
        if isinstance(answer.message, Refused):
            raise LostError(answer.message.reason)
        return answer

    def bring(self, request_id: int, message: Message, arrays: tuple[np.ndarray, ...] = ()) -> None:
        """Bring an answer to who waits for it."""
        future = self._waiting.pop(request_id, None)
        if future is None or future.done():
            self.num_late += 1
        else:
            future.set_result(Answer(message, arrays))
