"""A desk at work: in a thread of its own, with a bounded queue in front of it."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from testbed.bus.parts import Refused, as_text
from testbed.bus.report_messages import CaptureTaken
from testbed.bus.wire import Message
from testbed.services.capture_desk import CaptureDesk
from testbed.services.identity import Identity

# What waits; more is turned away at once, so that others may have it.
_MOST_WAITING = 8

_log = logging.getLogger(__name__)


class DeskThread:
    """Lets a desk work on one message after the other, beside the event loop.

    Parameters
    ----------
    desk
        Where the work is done.
    identity
        Of the process; counts what is turned away, and what fails.
    """

    def __init__(self, desk: CaptureDesk, identity: Identity) -> None:
        self._desk = desk
        self._identity = identity
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="desk")
        self.num_waiting = 0

    async def answer(self, message: Message, arrays: tuple[np.ndarray, ...]) -> Message | None:
        """What the desk answers to a message, if anything; or why it could not be worked on."""
        if self.num_waiting >= _MOST_WAITING:
            reason = f"{self._identity.name} has {self.num_waiting} messages waiting"
            return self._refused("turned away", message, reason)
        self.num_waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._work, message, arrays)
        except Exception as error:  # noqa: BLE001  whatever it is, who waits is told
            _log.exception("%s could not be worked on", type(message).__name__)
            return self._refused("failed", message, f"{type(error).__name__}: {error}")
        finally:
            self.num_waiting -= 1

    def _work(self, message: Message, arrays: tuple[np.ndarray, ...]) -> Message | None:
        if isinstance(message, CaptureTaken):
            (pilots,) = arrays
            return self._desk.found(message, pilots)
        return self._desk.told(message, arrays)

    def _refused(self, what: str, message: Message, reason: str) -> Refused | None:
        self._identity.counts[what] += 1
        _log.warning("%s: %s", type(message).__name__, reason)
        request_id = getattr(message, "request_id", None)
        return (
            None if request_id is None else Refused(request_id=request_id, reason=as_text(reason))
        )

    def close(self) -> None:
        """Begin nothing any more; does not wait for what is worked on."""
        self._thread.shutdown(wait=False, cancel_futures=True)
