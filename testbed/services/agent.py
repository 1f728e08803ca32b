"""An agent: it owns the radios of one host, and does what the holder of its lease orders."""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

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
from testbed.bus.parts import Refused
from testbed.bus.report_messages import (
    CaptureTaken,
    LinkBackground,
    RunContext,
    RunEnded,
    WorkerHere,
)
from testbed.bus.sockets import Peer, Server
from testbed.bus.wire import Codec, Message, WireError
from testbed.services.capture_desk import CaptureDesk
from testbed.services.identity import Identity
from testbed.services.node_crew import NodeBusyError, NodeCrew
from testbed.services.order_gate import OrderGate
from testbed.services.orders import Answer, answer_to, fetched
from testbed.services.periodic import every
from testbed.services.stall import StallMeter

AGENT_TAKES: tuple[type[Message], ...] = (
    LeaseAsked, LeaseReturned, ReadClocks, ArmReceiver, SendBurst, FetchCapture, StopBurst,
    RetuneRadios, RunContext, LinkBackground, RunEnded, WorkerHere,
)  # fmt: skip

_WATCH_S = 0.1
# For stopping and closing radios, when that is all that is left to do.
_STOP_S = 1.5
_HEALTH_S = 2.0
# A worker that was silent for so long gets no captures.
_WORKER_SILENT_S = 2.0

_log = logging.getLogger(__name__)


@dataclass
class _KnownWorker:
    peer: bytes
    seen_s: float


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
        desk: CaptureDesk | None = None,
        curve: ServerCurve | None = None,
    ) -> None:
        self._identity = identity
        self._crews = crews
        self._server = server
        self._codec = codec
        self._desk = desk
        self._curve = curve
        self._gate = OrderGate()
        self._workers: dict[str, _KnownWorker] = {}
        self._desk_thread = ThreadPoolExecutor(1, thread_name_prefix="desk")
        self._tasks: set[asyncio.Task[None]] = set()
        self._stalls = StallMeter()

    async def open(self) -> None:
        """Open all radios; one that cannot be opened is tried again whenever it is needed."""
        opened = (crew.opened() for crew in self._crews.values())
        for crew, problem in zip(
            self._crews.values(), await asyncio.gather(*opened, return_exceptions=True), strict=True
        ):
            if isinstance(problem, RadioError):
                self._count("radios not opened", f"node {crew.node_id}: {problem}")
            elif problem is not None:
                raise problem

    async def serve(self) -> None:
        """Serve until cancelled; then stop whatever is on air and release the radios."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._receive())
                group.create_task(every(_WATCH_S, self._end_without_lease))
                group.create_task(every(_HEALTH_S, self._look_after))
                group.create_task(self._stalls.run())
        finally:
            await self._at_once(NodeCrew.close)
            self._desk_thread.shutdown(wait=False, cancel_futures=True)

    async def _receive(self) -> None:
        while True:
            peer, frames = await self._server.receive()
            try:
                received = self._codec.decode(frames)
            except WireError as error:
                self._count("malformed", f"dropped a message: {error}")
                continue
            if problem := self._role_problem(peer, received.message):
                self._count("forbidden", problem)
                continue
            self._take(peer, received.message, received.arrays)

    def _role_problem(self, peer: Peer, message: Message) -> str | None:
        """Why this peer may not say that; without keys everybody on this machine may."""
        if self._curve is None:
            return None
        role = self._curve.role_of(peer.key or "")
        needed: Role = "worker" if isinstance(message, WorkerHere) else "coordinator"
        if role == needed:
            return None
        return f"a key of role {role} sent {type(message).__name__}, which a {needed} may"

    def _take(self, peer: Peer, message: Message, arrays: tuple[np.ndarray, ...]) -> None:
        now_s = time.monotonic()
        match message:
            case LeaseAsked():
                self._send(peer, self._lease_answer(message, now_s))
            case LeaseReturned():
                self._gate.returned(message.lease, now_s)
            case WorkerHere():
                self._meet(peer, message, now_s)
            case RunContext() | LinkBackground() | RunEnded():
                self._start(self._tell_desk(peer, message, arrays))
            case Order():
                if problem := self._gate.problem_of(message, now_s):
                    self._count(f"orders {problem[0]}", f"refused an order: {problem[1]}")
                    self._send(peer, Refused(request_id=message.request_id, reason=problem[1]))
                else:
                    self._start(self._carry_out(peer, message))

    def _start(self, work: "asyncio._CoroutineLike[None]") -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _lease_answer(self, asked: LeaseAsked, now_s: float) -> LeaseAnswer:
        granted, reason = False, "another site file, seed or fidelity"
        if asked.site_hash == self._identity.site_hash:
            granted = self._gate.grants(asked, now_s)
            reason = "" if granted else f"its radios belong to {self._gate.holder(now_s)}"
        if not granted:
            self._count("leases refused", f"no lease for {asked.coordinator}: {reason}")
        present = [n for n, w in self._workers.items() if now_s - w.seen_s < _WORKER_SILENT_S]
        state = AgentState(
            process=self._identity.state(
                queued=sum(crew.num_waiting for crew in self._crews.values()),
                stall_s=self._stalls.worst_s,
            ),
            nodes=[crew.state() for crew in self._crews.values()],
            workers=present,
            works_itself=self._desk is not None,
        )
        return LeaseAnswer(
            request_id=asked.request_id,
            granted=granted,
            holder=self._gate.holder(now_s) or "nobody",
            reason=reason,
            clock_s=now_s,
            agent=state,
        )

    def _meet(self, peer: Peer, worker: WorkerHere, now_s: float) -> None:
        if worker.site_hash != self._identity.site_hash:
            self._count("strange workers", f"worker {worker.name} has another site file")
            return
        if worker.name not in self._workers:
            _log.info("worker %s is there", worker.name)
        self._workers[worker.name] = _KnownWorker(peer.identity, now_s)

    async def _tell_desk(
        self, peer: Peer, message: Message, arrays: tuple[np.ndarray, ...]
    ) -> None:
        if self._desk is None:
            self._count("forbidden", "was told of a run, but makes no reports itself")
            return
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._desk_thread, self._desk.told, message, arrays)
        if answer is not None:
            self._send(peer, answer)

    async def _carry_out(self, peer: Peer, order: Order) -> None:
        try:
            answer = await self._done(order)
        except NodeBusyError as busy:
            self._count("busy", str(busy))
            answer = Refused(request_id=order.request_id, reason=str(busy)), ()
        except RadioError as error:
            answer = Done(request_id=order.request_id, fault=str(error)), ()
        except Exception as error:  # noqa: BLE001  whatever it is, who waits is told
            _log.exception("an order failed")
            self._identity.counts["failed"] += 1
            reason = f"{type(error).__name__}: {error}"[:1000]
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
            loop = asyncio.get_running_loop()
            found = self._desk.found
            return await loop.run_in_executor(self._desk_thread, found, taken, pilots), ()
        return self._handed_on(order, taken, pilots)

    def _handed_on(
        self, order: FetchCapture, taken: CaptureTaken, pilots: np.ndarray
    ) -> Answer | None:
        """Send a capture to its worker, who answers; the answer if that cannot be."""
        worker = self._workers.get(order.worker or "")
        frames = self._codec.encode(taken, (pilots,))
        if worker is not None and self._server.send(worker.peer, frames):
            return None
        reason = f"worker {order.worker} is not connected to agent {self._identity.name}"
        self._count("captures dropped", f"{reason}: a capture of {order.node_id} is dropped")
        return Refused(request_id=order.request_id, reason=reason), ()

    def _send(self, peer: Peer, message: Message, buffers: Sequence[np.ndarray] = ()) -> None:
        if not self._server.send(peer.identity, self._codec.encode(message, buffers)):
            self._count("answers dropped", f"{type(message).__name__} reached nobody")

    def _count(self, what: str, text: str) -> None:
        self._identity.counts[what] += 1
        _log.warning("%s", text)

    async def _end_without_lease(self) -> None:
        if self._gate.ended(time.monotonic()):
            _log.warning("the lease has ended: nothing is sent any more")
            self._identity.counts["leases ended"] += 1
            await self._at_once(NodeCrew.stop_sending)

    async def _at_once(self, act: Callable[[NodeCrew], None]) -> None:
        """Do something with all radios, beside whatever they are doing; one that hangs is left."""
        acts = [asyncio.create_task(asyncio.to_thread(act, crew)) for crew in self._crews.values()]
        await asyncio.wait(acts, timeout=_STOP_S)

    async def _look_after(self) -> None:
        for crew in self._crews.values():
            await crew.look_after()
