"""Radios that an air process simulates, as the processes that drive them see them."""

import itertools
import threading
import time
from contextlib import suppress
from typing import TypeVar

import numpy as np

from drivers.geometry import ComplexArray
from drivers.radio import IqBlock, RadioHealth, RadioInfo, RadioSpec, TransmitReport
from drivers.radio_errors import RadioClosedError, RadioError, RadioLostError
from drivers.tuning import Tuning
from testbed.bus.air_messages import (
    ANSWERS,
    MAX_ANSWER_BYTES,
    Advance,
    AirAnswer,
    AirRequest,
    ArmReceive,
    Block,
    Close,
    Configure,
    Done,
    Failed,
    Fetch,
    GetHealth,
    GetReport,
    GetTicks,
    HealthTold,
    Open,
    Opened,
    RadioRequest,
    Reported,
    Session,
    StopTransmit,
    Ticks,
    Transmit,
    Tuned,
)
from testbed.bus.errors import BusError
from testbed.bus.sockets import Caller
from testbed.bus.wire import Codec, WireError

# Whoever is about to end does not wait long for an air that may have ended before.
_CLOSE_TIMEOUT_S = 1.0

_Answer = TypeVar("_Answer", bound=AirAnswer)


class AirLink:
    """One connection to an air process, for all radios of this one; any thread may ask.

    Parameters
    ----------
    address
        Of the air process.
    timeout_s
        For each answer.

    Attributes
    ----------
    num_late
        Answers that came after nobody waited for them any more, and were dropped.
    """

    def __init__(self, address: str, timeout_s: float = 10.0) -> None:
        self._timeout_s = timeout_s
        self._caller = Caller(address, max_frame_bytes=MAX_ANSWER_BYTES)
        self._codec = Codec(ANSWERS, max_buffer_bytes=MAX_ANSWER_BYTES)
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self.num_late = 0

    def ask(
        self, answer: type[_Answer], request: type[AirRequest], *buffers: np.ndarray,
        timeout_s: float | None = None, **fields: object,
    ) -> tuple[_Answer, tuple[np.ndarray, ...]]:  # fmt: skip
        """The answer to a request, and its buffers.

        Parameters
        ----------
        answer, request
            Kinds of message.
        buffers, fields
            Of the request.
        timeout_s
            If not the link's own.

        Raises
        ------
        RadioLostError
            If the air does not answer in time, or not in this version's words.
        RadioError
            As it was raised there.
        """
        with self._lock:
            number = next(self._numbers)
            asked = request(request_id=number, **fields)
            try:
                self._caller.send(self._codec.encode(asked, buffers))
                said, arrays = self._received(number, timeout_s or self._timeout_s)
            except (BusError, WireError) as error:
                msg = f"the air process: {error}"
                raise RadioLostError(msg) from error
        if isinstance(said, Failed):
            raise said.raised()
        if not isinstance(said, answer):
            msg = f"the air process answered {request.__name__} by {type(said).__name__}"
            raise RadioLostError(msg)
        return said, arrays

    def _received(self, number: int, timeout_s: float) -> tuple[AirAnswer, tuple[np.ndarray, ...]]:
        deadline_s = time.monotonic() + timeout_s
        while True:
            frames = self._caller.receive(max(0.0, deadline_s - time.monotonic()))
            received = self._codec.decode(frames)
            if isinstance(received.message, AirAnswer) and received.message.request_id == number:
                return received.message, received.arrays
            self.num_late += 1

    def close(self) -> None:
        """Close the connection; the radios in the air stay on until they are opened again."""
        with self._lock:
            self._caller.close()


class RemoteWorld:
    """One session of an air process (`testbed.radio_station.World`).

    Attributes
    ----------
    look
        Sensing index of the bursts that are sent from here from now on, ``None`` without a target.
    """

    def __init__(self, link: AirLink, session: Session) -> None:
        self._link = link
        self._session = session
        self.look: int | None = None

    def wait_s(self, duration_s: float) -> None:
        """Let virtual time pass.

        Raises
        ------
        RadioError
        """
        self._link.ask(Done, Advance, session=self._session, duration_s=duration_s)

    def open_radio(self, spec: RadioSpec) -> "RemoteRadio":
        """Switch a node's radio on (`drivers.registry.RadioFactory`)."""
        opened, _ = self._link.ask(Opened, Open, node_id=spec.node_id, session=self._session)
        return RemoteRadio(self._link, self, opened)


class RemoteRadio:
    """A radio of an air process (`drivers.radio.Radio`); see `RemoteWorld.open_radio`.

    Where the air does not answer in time, every call raises `RadioLostError`.
    """

    def __init__(self, link: AirLink, world: RemoteWorld, opened: Opened) -> None:
        self._link = link
        self._world = world
        self._radio_id = opened.radio_id
        self._info = opened.info
        self._is_closed = False

    @property
    def info(self) -> RadioInfo:
        """Identity and capabilities."""
        return self._info

    def configure(self, tuning: Tuning) -> Tuning:
        """Apply a tuning."""
        return self._ask(Tuned, Configure, tuning=tuning)[0].tuning

    def time_ticks(self) -> int:
        """Device time now."""
        return self._ask(Ticks, GetTicks)[0].ticks

    def transmit(
        self, samples: ComplexArray, at_tick: int | None = None, repeat_s: float = 0.0
    ) -> None:
        """Put a burst on air, with the world's look of now."""
        self._ask(
            Done, Transmit, samples, at_tick=at_tick, repeat_s=repeat_s, look=self._world.look
        )

    def stop_transmit(self) -> None:
        """End a transmission at once."""
        if not self._is_closed:
            self._ask(Done, StopTransmit)

    def transmit_report(self) -> TransmitReport:
        """What became of the last transmission."""
        return self._ask(Reported, GetReport)[0].report

    def arm_receive(self, num_samples: int, at_tick: int | None = None) -> None:
        """Prepare a block."""
        self._ask(Done, ArmReceive, num_samples=num_samples, at_tick=at_tick)

    def fetch(self) -> IqBlock:
        """Return the armed block; its samples are read-only."""
        described, (samples,) = self._ask(Block, Fetch)
        return described.with_samples(samples)

    def health(self) -> RadioHealth:
        """Locks and counters."""
        return self._ask(HealthTold, GetHealth)[0].health

    def close(self) -> None:
        """Switch it off; in an air that does not answer nothing is left on that matters."""
        if not self._is_closed:
            with suppress(RadioError):
                self._ask(Done, Close, timeout_s=_CLOSE_TIMEOUT_S)
            self._is_closed = True

    def _ask(
        self, answer: type[_Answer], request: type[RadioRequest], *buffers: np.ndarray,
        timeout_s: float | None = None, **fields: object,
    ) -> tuple[_Answer, tuple[np.ndarray, ...]]:  # fmt: skip
        if self._is_closed:
            msg = "this radio was closed"
            raise RadioClosedError(msg)
        return self._link.ask(
            answer, request, *buffers, timeout_s=timeout_s, radio_id=self._radio_id, **fields
        )
