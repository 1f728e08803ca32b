"""A coordinator's link to one agent: the lease, the orders, and whether it is there."""

import asyncio
import logging
import time
from contextlib import suppress
from typing import Any

import numpy as np

from testbed.bus.job_messages import AgentRow
from testbed.bus.order_messages import (
    AgentState,
    BurstSent,
    ClocksRead,
    Done,
    LeaseAnswer,
    LeaseAsked,
    LeaseReturned,
    Order,
)
from testbed.bus.parts import Refused
from testbed.bus.report_messages import CaptureTaken, LinkFound
from testbed.bus.sockets import Client
from testbed.bus.wire import Codec, Message, WireError
from testbed.services.identity import Identity
from testbed.services.pending import Answer, LostError, Pending
from testbed.services.periodic import every
from testbed.site_services import AgentSection

AGENT_ANSWERS: tuple[type[Message], ...] = (
    LeaseAnswer, Done, ClocksRead, BurstSent, CaptureTaken, LinkFound, Refused,
)  # fmt: skip

# How long a lease lasts, how often it is asked for, and for how long an agent may be silent.
TTL_S = 2.0
RENEW_S = 0.4
SILENT_S = 1.5
# For an answer when a lease is given back; nothing is lost if none comes, only time.
_LEAVE_S = 0.3

_log = logging.getLogger(__name__)


class AgentLink:
    """One agent, as its coordinator sees it.

    Parameters
    ----------
    section
        Who it is and where.
    client
        Connection to it.
    codec
        Of what it answers.
    me
        The coordinator.
    pending
        Where answers are brought.

    Attributes
    ----------
    state
        As the agent told it last.
    absent_since_s
        When it was found to be gone; ``None`` while it is there. Not when it was heard last: that
        may be long ago only because this process was stopped.
    """

    def __init__(
        self, section: AgentSection, client: Client, codec: Codec, me: Identity, pending: Pending
    ) -> None:
        self.section = section
        self._client = client
        self._codec = codec
        self._me = me
        self._pending = pending
        self._serial = 0
        self._seen_s: float | None = None
        self._latency_s: float | None = None
        self._ahead_s = 0.0  # the agent's clock, as it told it, less this one when that came
        self._problem: str | None = "it has not answered yet"
        self.state: AgentState | None = None
        self.absent_since_s: float | None = time.monotonic()
        self._leaves = False
        self.told: set[object] = set()  # what this instance of it knows of runs

    @property
    def who(self) -> str:
        """How it is called."""
        return f"agent {self.section.agent_id}"

    @property
    def present(self) -> bool:
        """Whether it answers, and its radios are this coordinator's."""
        return self.absent_since_s is None

    async def serve(self) -> None:
        """Hold the lease and bring answers, until cancelled."""
        if self.absent_since_s is not None:
            self.absent_since_s = time.monotonic()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._receive())
            group.create_task(every(RENEW_S, self._renew))
            group.create_task(every(SILENT_S / 10.0, self._look))

    async def leave(self) -> None:
        """Give the lease back, so that another coordinator need not wait until it runs out."""
        self._leaves = True
        with suppress(LostError):
            await self._pending.answer(
                lambda n: self.send(LeaseReturned(request_id=n, lease=self._me.instance)),
                self.who, _LEAVE_S,
            )  # fmt: skip

    async def _receive(self) -> None:
        while True:
            frames = await self._client.receive()
            try:
                received = self._codec.decode(frames)
            except WireError as error:
                self._me.counts["malformed"] += 1
                _log.warning("dropped a message of %s: %s", self.who, error)
                continue
            self._pending.bring(
                int(getattr(received.message, "request_id", -1)), received.message, received.arrays
            )

    async def _renew(self) -> None:
        if self._leaves:
            return
        asked_s = time.monotonic()

        def send(request_id: int) -> bool:
            return self.send(
                LeaseAsked(
                    request_id=request_id,
                    lease=self._me.instance,
                    coordinator=self._me.name,
                    ttl_s=TTL_S,
                    site_hash=self._me.site_hash,
                )
            )

        try:
            answer = await self._pending.answer(send, self.who, SILENT_S)
        except LostError as lost:
            self._problem = self._client.problem or str(lost)
            return
        if isinstance(answer.message, LeaseAnswer):
            self._take(answer.message, time.monotonic() - asked_s)

    def _take(self, answer: LeaseAnswer, latency_s: float) -> None:
        before = None if self.state is None else self.state.process.instance
        if before != answer.agent.process.instance:
            self.told.clear()
        self.state, self._latency_s = answer.agent, latency_s
        self._ahead_s = answer.clock_s - time.monotonic()
        refusal = self._refusal(answer)
        if refusal is not None:
            if self._problem != refusal:
                _log.warning("%s: %s", self.who, refusal)
            self._problem = refusal
            return
        if not self.present:
            _log.info("%s is there", self.who)
        self._seen_s, self._problem, self.absent_since_s = time.monotonic(), None, None

    def _refusal(self, answer: LeaseAnswer) -> str | None:
        """Why it is of no use here, though it answers."""
        if not answer.granted:
            return answer.reason
        if self.section.worker == "local" and not answer.agent.works_itself:
            return "it makes no reports itself: its site file says other services.agents"
        return None

    def _look(self) -> None:
        now_s = time.monotonic()
        if self.present and self._seen_s is not None and now_s - self._seen_s > SILENT_S:
            self.absent_since_s = now_s
            self._problem = self._problem or f"it was silent for {SILENT_S:g} s"
            self._me.counts["agents lost"] += 1
            _log.warning("%s is gone: %s", self.who, self._problem)

    async def order(self, kind: type[Order], timeout_s: float, **fields: Any) -> Answer:
        """Order something, and wait for the answer.

        Raises
        ------
        LostError
        """
        self._serial += 1
        serial, until_s = self._serial, time.monotonic() + self._ahead_s + timeout_s

        def send(request_id: int) -> bool:
            went = self.send(
                kind(
                    request_id=request_id,
                    lease=self._me.instance,
                    serial=serial,
                    until_s=until_s,
                    **fields,
                )
            )
            self._me.counts["orders dropped"] += not went
            return went

        return await self._pending.answer(send, self.who, timeout_s)

    def send(self, message: Message, buffers: tuple[np.ndarray, ...] = ()) -> bool:
        """Send something; whether it went."""
        return self._client.send(self._codec.encode(message, buffers))

    def row(self) -> AgentRow:
        """For `testbed status`."""
        seen_s = None if self._seen_s is None else time.monotonic() - self._seen_s
        return AgentRow(
            agent_id=self.section.agent_id,
            address=self.section.address,
            node_ids=self.section.node_ids,
            present=self.present,
            seen_s=seen_s,
            problem=self._problem,
            latency_s=self._latency_s,
            state=self.state,
        )
