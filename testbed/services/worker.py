"""A worker: it takes captures from the agents, and tells the coordinator what was in them."""

import asyncio
from collections.abc import Mapping

import numpy as np

from testbed.bus.report_messages import (
    CaptureTaken,
    LinkBackground,
    LinkFound,
    RunContext,
    RunEnded,
    WorkerHere,
    WorkerState,
)
from testbed.bus.sockets import Client
from testbed.bus.wire import Codec, Message, WireError
from testbed.services.desk_thread import DeskThread
from testbed.services.identity import Identity
from testbed.services.periodic import every
from testbed.services.stall import StallMeter

WORKER_TAKES: tuple[type[Message], ...] = (CaptureTaken, RunContext, LinkBackground, RunEnded)

ANNOUNCE_S = 0.5


class Worker:
    """One process's share of the reports.

    Parameters
    ----------
    identity
        Whose name the coordinator gives to agents.
    desk
        Where the work is done.
    coordinator, agents
        Connections to the coordinator, and to each agent by its id.
    codec
        Of what it takes.
    """

    def __init__(
        self,
        identity: Identity,
        desk: DeskThread,
        coordinator: Client,
        agents: Mapping[str, Client],
        codec: Codec,
    ) -> None:
        self._identity = identity
        self._desk = desk
        self._coordinator = coordinator
        self._agents = agents
        self._codec = codec
        self._tasks: set[asyncio.Task[None]] = set()
        self._stalls = StallMeter()

    async def serve(self) -> None:
        """Serve until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(every(ANNOUNCE_S, self._announce))
                group.create_task(self._listen(self._coordinator))
                for client in self._agents.values():
                    group.create_task(self._listen(client))
                group.create_task(self._stalls.run())
        finally:
            self._desk.close()

    def _announce(self) -> None:
        name, instance = self._identity.name, self._identity.instance
        here = WorkerHere(name=name, instance=instance, site_hash=self._identity.site_hash)
        state = self._identity.state(queued=self._desk.num_waiting, stall_s=self._stalls.worst_s)
        # Who is not there does not miss it.
        self._coordinator.send(self._codec.encode(WorkerState(process=state)))
        frames = self._codec.encode(here)
        for client in self._agents.values():
            client.send(frames)

    async def _listen(self, client: Client) -> None:
        while True:
            frames = await client.receive()
            try:
                received = self._codec.decode(frames)
            except WireError as error:
                self._identity.count("malformed", f"dropped a message: {error}")
                continue
            if self._is_in_place(client, received.message):
                self._take(received.message, received.arrays)

    def _is_in_place(self, client: Client, message: Message) -> bool:
        """Whether this comes from where it must: captures from agents, all else from above."""
        in_place = isinstance(message, CaptureTaken) == (client is not self._coordinator)
        if not in_place:
            self._identity.count(
                "forbidden", f"{type(message).__name__} came from the wrong process"
            )
        return in_place

    def _take(self, message: Message, arrays: tuple[np.ndarray, ...]) -> None:
        task = asyncio.get_running_loop().create_task(self._work(message, arrays))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, message: Message, arrays: tuple[np.ndarray, ...]) -> None:
        answer = await self._desk.answer(message, arrays)
        self._identity.counts["captures"] += isinstance(answer, LinkFound)
        if answer is not None:
            self._tell(answer)

    def _tell(self, message: Message) -> None:
        if not self._coordinator.send(self._codec.encode(message)):
            self._identity.count("answers dropped", f"{type(message).__name__} did not get through")
