"""The coordinator's side of the bus: its agents, its workers, and requests to them."""

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

import msgspec
import numpy as np

from testbed.bus.job_messages import WorkerRow
from testbed.bus.order_messages import Done
from testbed.bus.parts import ProcessState, Refused
from testbed.bus.report_messages import LinkBackground, LinkFound, RunContext, RunEnded, WorkerState
from testbed.bus.sockets import Peer, Server
from testbed.bus.wire import Codec, Message
from testbed.services.agent_link import AgentLink
from testbed.services.identity import Identity
from testbed.services.pending import LostError, Pending

WORKER_ANSWERS: tuple[type[Message], ...] = (WorkerState, LinkFound, Done, Refused)

_SILENT_S = 1.5
# A worker that was silent for so long is forgotten; so are the longest silent of very many.
_FORGET_S = 600.0
_MOST_WORKERS = 256

Send = Callable[[Message, tuple[np.ndarray, ...]], bool]

_log = logging.getLogger(__name__)


@dataclass
class KnownWorker:
    """A worker, as the coordinator sees it.

    Attributes
    ----------
    peer
        The way to it.
    seen_s
        When it was heard last.
    is_doubted
        Whether something was lost there since.
    told
        Runs and links that it knows of.
    num_asked
        Captures that it was to have: workers take turns.
    """

    peer: bytes
    state: ProcessState
    seen_s: float
    is_doubted: bool = False
    told: set[object] = field(default_factory=set)
    num_asked: int = 0

    def is_there(self, now_s: float) -> bool:
        """Whether it may be asked."""
        return not self.is_doubted and now_s - self.seen_s < _SILENT_S


class Exchange:
    """Knows who is there, and asks.

    Parameters
    ----------
    me
        The coordinator.
    links
        To all agents.
    server
        Where workers are connected.
    codec
        Of what workers are told.
    pending
        Where answers are brought.
    """

    def __init__(
        self,
        me: Identity,
        links: Collection[AgentLink],
        server: Server,
        codec: Codec,
        pending: Pending,
    ) -> None:
        self._me = me
        self.links = tuple(links)
        self._by_node = {name: link for link in links for name in link.section.node_ids}
        self._server = server
        self._codec = codec
        self.pending = pending
        self.workers: dict[str, KnownWorker] = {}

    async def serve(self) -> None:
        """Ask for all leases, and hold them, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for link in self.links:
                group.create_task(link.serve())

    def count(self, what: str) -> None:
        """Count something that `testbed status` shows."""
        self._me.counts[what] += 1

    async def leave(self) -> None:
        """Give all leases back."""
        await asyncio.gather(*(link.leave() for link in self.links))

    def link(self, node_id: str) -> AgentLink:
        """Link to the agent of a node."""
        return self._by_node[node_id]

    def absent(self, for_s: float) -> frozenset[str]:
        """Nodes whose agents were not there for that long."""
        now_s = time.monotonic()
        # Each is read once: the event loop may change it meanwhile.
        since_s = {name: link.absent_since_s for name, link in self._by_node.items()}
        return frozenset(n for n, s in since_s.items() if s is not None and now_s - s >= for_s)

    def take(self, peer: Peer, message: Message) -> None:
        """Take in what a worker says."""
        if isinstance(message, WorkerState):
            self._meet(peer, message.process)
        else:
            self.pending.bring(int(getattr(message, "request_id", -1)), message)

    def _meet(self, peer: Peer, state: ProcessState) -> None:
        if state.site_hash != self._me.site_hash:
            self._me.counts["strange workers"] += 1
            _log.warning("worker %s has another site file, seed or fidelity", state.name)
            return
        known, now_s = self.workers.get(state.name), time.monotonic()
        if known is None or known.state.instance != state.instance:
            if known is not None and known.is_there(now_s):
                self._me.counts["workers of one name"] += 1
            _log.info("worker %s is there", state.name)
            turn = max((other.num_asked for other in self.workers.values()), default=0)
            known = KnownWorker(peer.identity, state, now_s, num_asked=turn)
            self.workers[state.name] = known
            self._forget_workers(now_s)
        known.peer, known.state = peer.identity, state
        known.seen_s, known.is_doubted = now_s, False

    def _forget_workers(self, now_s: float) -> None:
        for name, known in sorted(self.workers.items(), key=lambda item: item[1].seen_s):
            if now_s - known.seen_s > _FORGET_S or len(self.workers) > _MOST_WORKERS:
                del self.workers[name]

    def doubted(self, name: str) -> None:
        """Take a worker that lost something as gone, until it is heard again."""
        known = self.workers.get(name)
        if known is not None:
            self._me.counts["workers doubted"] += 1
            known.is_doubted = True

    def worker_of(self, rx_id: str) -> str | None:
        """Who makes the report of a receiver's capture; ``None`` while nobody is there."""
        link = self.link(rx_id)
        if link.section.worker == "local":
            return link.section.agent_id if link.present else None
        connected = set(link.state.workers) if link.state is not None else set()
        now_s = time.monotonic()
        ready = [item for item in list(self.workers.items()) if item[1].is_there(now_s)]
        if not ready:
            return None
        name, worker = min(
            ready, key=lambda item: (item[0] not in connected, item[1].num_asked, item[0])
        )
        worker.num_asked += 1
        return name

    def lacks_workers(self, rx_ids: Iterable[str]) -> bool:
        """Whether some of these receivers' captures need a worker, and none was heard lately."""
        now_s = time.monotonic()
        return any(self.link(rx_id).section.worker == "remote" for rx_id in rx_ids) and not any(
            now_s - worker.seen_s < _SILENT_S for worker in list(self.workers.values())
        )

    async def tell(
        self,
        name: str,
        context: RunContext,
        background: LinkBackground,
        buffers: tuple[np.ndarray, ...],
        timeout_s: float,
    ) -> None:
        """Make sure that a worker knows a run and a link's background.

        Parameters
        ----------
        background
            Its `request_id` is set here.

        Raises
        ------
        LostError
        """
        way = self._way_to(name)
        if way is None:
            msg = f"worker {name} is gone"
            raise LostError(msg)
        told, send = way
        link = background.run_id, background.tx_id, background.rx_id
        if link in told:
            return
        if context.run_id not in told and send(context, ()):
            told.add(context.run_id)

        def ask(request_id: int) -> bool:
            return send(msgspec.structs.replace(background, request_id=request_id), buffers)

        answer = await self.pending.answer(ask, f"worker {name}", timeout_s)
        fault = answer.message.fault if isinstance(answer.message, Done) else "no answer"
        if fault is not None:
            told.discard(context.run_id)
            raise LostError(fault)
        told.add(link)

    def forget(self, run_id: str) -> None:
        """Let everybody forget a run."""
        names = [*self.workers, *(link.section.agent_id for link in self.links)]
        for told, send in filter(None, map(self._way_to, names)):
            if run_id in told:
                told -= {
                    k for k in told if k == run_id or (isinstance(k, tuple) and k[0] == run_id)
                }
                send(RunEnded(run_id=run_id), ())

    def untold(self, name: str, run_id: str, tx_id: str, rx_id: str) -> None:
        """Take back that a worker knows a link: it says that it does not."""
        if way := self._way_to(name):
            told, _ = way
            told -= {run_id, (run_id, tx_id, rx_id)}

    def _way_to(self, name: str) -> tuple[set[object], Send] | None:
        """What a worker was told already, and how to tell it more; ``None`` if it is gone."""
        for link in self.links:
            if link.section.worker == "local" and link.section.agent_id == name:
                return link.told, link.send
        known = self.workers.get(name)
        if known is None:
            return None

        def send(message: Message, buffers: tuple[np.ndarray, ...]) -> bool:
            return self._server.send(known.peer, self._codec.encode(message, buffers))

        return known.told, send

    def rows(self) -> list[WorkerRow]:
        """Workers for `testbed status`."""
        now_s = time.monotonic()
        return [
            WorkerRow(
                present=known.is_there(now_s),
                seen_s=now_s - known.seen_s,
                state=known.state,
            )
            for known in self.workers.values()
        ]
