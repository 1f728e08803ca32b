"""The coordinator: it holds the leases, takes jobs from clients, and says how everything is."""

import asyncio
import logging

from testbed.bus.curve import Role, ServerCurve
from testbed.bus.job_messages import JobAsked, JobCancelled, JobFollowed, StatusAsked, TestbedState
from testbed.bus.parts import Refused, as_text
from testbed.bus.sockets import Peer, Server
from testbed.bus.wire import Codec, Message, WireError
from testbed.services.exchange import WORKER_ANSWERS, Exchange
from testbed.services.identity import Identity
from testbed.services.jobs import Jobs
from testbed.services.stall import StallMeter

CLIENT_ASKS: tuple[type[Message], ...] = (StatusAsked, JobAsked, JobFollowed, JobCancelled)
COORDINATOR_TAKES: tuple[type[Message], ...] = (*CLIENT_ASKS, *WORKER_ANSWERS)

# For a job to give up when the coordinator ends: more than a sensing takes, if nothing is lost.
_GIVE_UP_S = 1.2

_log = logging.getLogger(__name__)


class Coordinator:
    """Moves messages, and lets a thread carry out jobs.

    Parameters
    ----------
    me
        Its name and counters.
    server, codec
        Where workers and clients are connected, and what they may say.
    exchange
        Its side of the bus.
    jobs
        Those that it runs.
    described
        Site, seed and fidelity, for `testbed status`.
    curve
        Roles of keys, where there are any.
    """

    def __init__(
        self,
        me: Identity,
        server: Server,
        codec: Codec,
        exchange: Exchange,
        jobs: Jobs,
        described: tuple[str, int | None, str | None],
        curve: ServerCurve | None = None,
    ) -> None:
        self._me = me
        self._server = server
        self._codec = codec
        self._exchange = exchange
        self._jobs = jobs
        self._described = described
        self._curve = curve
        self._stalls = StallMeter()

    async def serve(self) -> None:
        """Serve until cancelled; a job that is running is left for the next coordinator."""
        job = self._jobs.resume()
        if job is not None:
            _log.info("job %s goes on: %s", job.asked.job_id, job.asked.task)
        service = asyncio.ensure_future(self._serve())
        try:
            await asyncio.shield(service)
        finally:
            # While requests of the job are still answered.
            self._jobs.leave()
            await asyncio.to_thread(self._jobs.has_left, _GIVE_UP_S)
            await self._exchange.leave()
            service.cancel()
            await asyncio.gather(service, return_exceptions=True)

    async def _serve(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._exchange.serve())
            group.create_task(self._receive())
            group.create_task(self._stalls.run())

    async def _receive(self) -> None:
        while True:
            peer, frames = await self._server.receive()
            try:
                message = self._codec.decode(frames).message
            except WireError as error:
                self._me.count("malformed", f"dropped a message: {error}")
                continue
            if problem := self._role_problem(peer, message):
                self._me.count("forbidden", problem)
                self._refuse(peer, message, problem)
                continue
            try:
                self._take(peer, message)
            except Exception as error:  # noqa: BLE001  whatever a peer says, the others are served
                _log.exception("%s could not be taken", type(message).__name__)
                self._me.counts["failed"] += 1
                self._refuse(peer, message, f"{type(error).__name__}: {error}")

    def _take(self, peer: Peer, message: Message) -> None:
        if isinstance(message, CLIENT_ASKS):
            self._answer(peer, message)
        else:
            self._exchange.take(peer, message)

    def _refuse(self, peer: Peer, message: Message, reason: str) -> None:
        if isinstance(message, CLIENT_ASKS):  # a person waits for the answer
            request_id = getattr(message, "request_id", 0)
            self._send(peer, Refused(request_id=request_id, reason=as_text(reason)))

    def _role_problem(self, peer: Peer, message: Message) -> str | None:
        """Why this peer may not say that; without keys everybody on this machine may."""
        if self._curve is None:
            return None
        needed: Role = "client" if isinstance(message, CLIENT_ASKS) else "worker"
        return self._curve.refusal(peer.key, needed, type(message).__name__)

    def _answer(self, peer: Peer, message: Message) -> None:
        match message:
            case StatusAsked():
                self._send(peer, self._state(message.request_id))
            case JobAsked():
                refused = self._jobs.start(message)
                if refused is not None:
                    self._me.counts["jobs refused"] += 1
                    self._refuse(peer, message, refused)
                else:
                    self._send_job(peer, message)
            case JobFollowed():
                self._send_job(peer, message, message.first)
            case JobCancelled():
                self._jobs.cancel(message.job_id)
                self._send_job(peer, message)

    def _send_job(
        self, peer: Peer, message: JobAsked | JobFollowed | JobCancelled, first: int = 0
    ) -> None:
        job = self._jobs.found(message.job_id)
        if job is None:
            self._refuse(peer, message, f"no job {message.job_id} is known here")
        else:
            self._send(peer, job.state(message.request_id, first))

    def _state(self, request_id: int) -> TestbedState:
        site, seed, fidelity = self._described
        self._me.counts["late answers"] = self._exchange.pending.num_late
        return TestbedState(
            request_id=request_id,
            process=self._me.state(stall_s=self._stalls.worst_s),
            site=site,
            seed=seed,
            fidelity=fidelity,
            agents=[link.row() for link in self._exchange.links],
            workers=self._exchange.rows(),
            jobs=self._jobs.rows(),
        )

    def _send(self, peer: Peer, message: Message) -> None:
        if not self._server.send(peer.identity, self._codec.encode(message)):
            self._me.count("answers dropped", f"{type(message).__name__} reached nobody")
