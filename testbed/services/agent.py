"""An agent: it owns the radios of one host, and does what the holder of its lease orders."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from drivers.radio_errors import RadioError
from testbed.bus.curve import Role, ServerCurve
from testbed.bus.order_messages import (
    AgentState,
    ArmReceiver,
    Done,
    FetchCapture,
    LeaseAnswer,
    LeaseAsked,
    LeaseReturned,
    Order,
    ReadClocks,
    RetuneRadios,
    SendBurst,
    StopBurst,
)
from testbed.bus.parts import Refused, as_text
from testbed.bus.report_messages import (
    CaptureTaken,
    LinkBackground,
    RunContext,
    RunEnded,
    WorkerHere,
)
from testbed.bus.sockets import Peer, Server
from testbed.bus.wire import Codec, Message, WireError
from testbed.services.desk_thread import DeskThread
from testbed.services.identity import Identity
from testbed.services.node_crew import NodeBusyError, NodeCrew
from testbed.services.order_gate import OrderGate
from testbed.services.orders import Answer, answer_to, fetched
from testbed.services.periodic import every
from testbed.services.ready_workers import ReadyWorkers
from testbed.services.stall import StallMeter

AGENT_TAKES: tuple[type[Message], ...] = (
    LeaseAsked, LeaseReturned, ReadClocks, ArmReceiver, SendBurst, FetchCapture, StopBurst,
    RetuneRadios, RunContext, LinkBackground, RunEnded, WorkerHere,
)  # fmt: skip

_OF_RUNS = (RunContext, LinkBackground, RunEnded)  # they name no lease

_WATCH_S = 0.1
# For stopping and closing radios, when that is all that is left to do.
_STOP_S = 1.5
_HEALTH_S = 2.0
# For opening radios, before those that are open are of use.
_OPEN_S = 10.0

_log = logging.getLogger(__name__)


class Agent:
    """Carries out orders, each radio in a thread of its own, and hands captures to workers.

    Parameters
    ----------
    identity
        Whose name is the agent's id.
    crews
        Of its nodes, by node id.
    server
        Where it listens.
    codec
        Of what it takes.
    desk
        Makes reports here, if it works itself.
    curve
        Roles of keys, where there are any.
    """

    def __init__(
        self,
        identity: Identity,
        crews: Mapping[str, NodeCrew],
        server: Server,
        codec: Codec,
        desk: DeskThread | None = None,
        curve: ServerCurve | None = None,
    ) -> None:
        self._identity = identity
        self._crews = crews
        self._server = server
        self._codec = codec
        self._desk = desk
        self._curve = curve
        self._gate = OrderGate()
        self._commander = b""  # the way to who holds the lease, or held it last
        self._workers = ReadyWorkers()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stalls = StallMeter()

    async def serve(self, ready: Callable[[], None] = lambda: None) -> None:
        """Open the radios and serve until cancelled; then stop what is on air and release them.

        Parameters
        ----------
        ready
            Called when the radios are open, as far as they can be.
        """
        try:
            await self._open()
            ready()
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive())
                group.create_task(every(_WATCH_S, self._end_without_lease))
                for crew in self._crews.values():
                    group.create_task(every(_HEALTH_S, crew.look_after))
                group.create_task(self._stalls.run())
        finally:
            await self._at_once(NodeCrew.close)
            if self._desk is not None:
                self._desk.close()

    async def _open(self) -> None:
        """Open all radios; one that cannot be opened is tried again whenever it is needed."""
        for crew in self._crews.values():
            self._start(self._opened(crew))
        await asyncio.wait(set(self._tasks), timeout=_OPEN_S)

    async def _opened(self, crew: NodeCrew) -> None:
        try:
            await crew.opened()
        except Exception as error:  # noqa: BLE001  the other radios are of use without it
            self._identity.count("radios not opened", f"node {crew.node_id}: {error}")

    async def _receive(self) -> None:
        while True:
            peer, frames = await self._server.receive()
            try:
                received = self._codec.decode(frames)
            except WireError as error:
                self._identity.count("malformed", f"dropped a message: {error}")
                continue
            if problem := self._problem_of(peer, received.message):
                self._refuse(peer, received.message, "forbidden", problem)
                continue
            try:
                self._take(peer, received.message, received.arrays)
            except Exception:  # noqa: BLE001  whatever a peer says, the others are served
                self._identity.counts["failed"] += 1
                _log.exception("%s could not be taken", type(received.message).__name__)

    def _problem_of(self, peer: Peer, message: Message) -> str | None:
        """Why this peer may not say that."""
        if isinstance(message, _OF_RUNS) and peer.identity != self._commander:
            return "it came from another than the holder of the lease"
        if self._curve is None:
            return None
        needed: Role = "worker" if isinstance(message, WorkerHere) else "coordinator"
        return self._curve.refusal(peer.key, needed, type(message).__name__)

    def _refuse(self, peer: Peer, message: Message, kind: str, reason: str) -> None:
        self._identity.count(kind, f"refused {type(message).__name__}: {reason}")
        if (request_id := getattr(message, "request_id", None)) is not None:
            self._send(peer, Refused(request_id=request_id, reason=reason))

    def _take(self, peer: Peer, message: Message, arrays: tuple[np.ndarray, ...]) -> None:
        now_s = time.monotonic()
        match message:
            case LeaseAsked():
                self._send(peer, self._lease_answer(peer, message, now_s))
            case LeaseReturned():
                self._gate.returned(message.lease, now_s)
                self._send(peer, self._state(message.request_id, now_s))
            case WorkerHere():
                self._meet(peer, message, now_s)
            case RunContext() | LinkBackground() | RunEnded():
                self._start(self._tell_desk(peer, message, arrays))
            case Order():
                if problem := self._gate.problem_of(message, now_s):
                    self._refuse(peer, message, f"orders {problem[0]}", problem[1])
                else:
                    self._start(self._carry_out(peer, message))

    def _start(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lease_answer(self, peer: Peer, asked: LeaseAsked, now_s: float) -> LeaseAnswer:
        granted, reason = False, "another site file, seed or fidelity"
        if asked.site_hash == self._identity.site_hash:
            granted = self._gate.grants(asked, now_s)
            reason = "" if granted else f"its radios belong to {self._gate.holder(now_s)}"
        if granted:
            self._commander = peer.identity
        else:
            self._identity.count("leases refused", f"no lease for {asked.coordinator}: {reason}")
        return self._state(asked.request_id, now_s, granted=granted, reason=reason)

    def _state(
        self, request_id: int, now_s: float, *, granted: bool = False, reason: str = ""
    ) -> LeaseAnswer:
        state = AgentState(
            process=self._identity.state(
                queued=sum(crew.num_waiting for crew in self._crews.values()),
                stall_s=self._stalls.worst_s,
            ),
            nodes=[crew.state() for crew in self._crews.values()],
            workers=self._workers.names(now_s),
            works_itself=self._desk is not None,
        )
        return LeaseAnswer(
            request_id=request_id,
            granted=granted,
            holder=self._gate.holder(now_s) or "nobody",
            reason=reason,
            clock_s=now_s,
            agent=state,
        )

    def _meet(self, peer: Peer, worker: WorkerHere, now_s: float) -> None:
        if worker.site_hash != self._identity.site_hash:
            self._identity.count("strange workers", f"worker {worker.name} has another site file")
            return
        if self._workers.meet(worker.name, peer.identity, now_s):
            _log.info("worker %s is there", worker.name)

    async def _tell_desk(
        self, peer: Peer, message: Message, arrays: tuple[np.ndarray, ...]
    ) -> None:
        if self._desk is None:
            self._identity.count("forbidden", "was told of a run, but makes no reports itself")
            return
        answer = await self._desk.answer(message, arrays)
        if answer is not None:
            self._send(peer, answer)

    async def _carry_out(self, peer: Peer, order: Order) -> None:
        try:
            answer = await self._done(order)
        except NodeBusyError as busy:
            self._identity.count("busy", str(busy))
            answer = Refused(request_id=order.request_id, reason=str(busy)), ()
        except RadioError as error:
            answer = Done(request_id=order.request_id, fault=as_text(str(error))), ()
        except Exception as error:  # noqa: BLE001  whatever it is, who waits is told
            _log.exception("an order failed")
            self._identity.counts["failed"] += 1
            reason = as_text(f"{type(error).__name__}: {error}")
            answer = Refused(request_id=order.request_id, reason=reason), ()
        if answer is not None:
            self._send(peer, *answer)

    async def _done(self, order: Order) -> Answer | None:
        self._identity.counts["orders"] += 1
        if not isinstance(order, FetchCapture):
            return await answer_to(order, self._crews), ()
        taken, pilots = await fetched(order, self._crews)
        if not isinstance(taken, CaptureTaken) or pilots is None:
            return taken, ()
        self._identity.counts["captures"] += 1
        if order.worker is None:
            return taken, (pilots,)
        if order.worker == self._identity.name and self._desk is not None:
            found = await self._desk.answer(taken, (pilots,))
            return None if found is None else (found, ())
        return self._handed_on(order, taken, pilots)

    def _handed_on(
        self, order: FetchCapture, taken: CaptureTaken, pilots: np.ndarray
    ) -> Answer | None:
        """Send a capture to its worker, who answers; the answer if that cannot be."""
        peer = self._workers.peer(order.worker or "", time.monotonic())
        frames = self._codec.encode(taken, (pilots,))
        if peer is not None and self._server.send(peer, frames):
            return None
        reason = f"worker {order.worker} is not connected to agent {self._identity.name}"
        self._identity.count(
            "captures dropped", f"{reason}: a capture of {order.node_id} is dropped"
        )
        return Refused(request_id=order.request_id, reason=reason), ()

    def _send(self, peer: Peer, message: Message, buffers: Sequence[np.ndarray] = ()) -> None:
        if not self._server.send(peer.identity, self._codec.encode(message, buffers)):
            self._identity.count("answers dropped", f"{type(message).__name__} reached nobody")

    async def _end_without_lease(self) -> None:
        if self._gate.ended(time.monotonic()):
            _log.warning("the lease has ended: nothing is sent any more")
            self._identity.counts["leases ended"] += 1
            await self._at_once(NodeCrew.stop_sending)

    async def _at_once(self, act: Callable[[NodeCrew], None]) -> None:
        """Do something with all radios, beside whatever they are doing; one that hangs is left."""
        acts = [asyncio.create_task(asyncio.to_thread(act, crew)) for crew in self._crews.values()]
        await asyncio.wait(acts, timeout=_STOP_S)
