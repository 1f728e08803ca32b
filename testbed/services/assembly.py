"""From a site to running services: sockets, codecs, keys, and what they are given to."""

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.node import Node
from testbed.build import build_nodes
from testbed.bus.curve import ClientCurve, Role, ServerCurve
from testbed.bus.keys import KeyRing
from testbed.bus.sockets import Client, Server
from testbed.bus.wire import Codec
from testbed.errors import UsageError
from testbed.runs.rehearsal import rehearse, rehearse_learning
from testbed.runs.setup import Fidelity
from testbed.services.agent import AGENT_TAKES, Agent
from testbed.services.agent_link import AGENT_ANSWERS, AgentLink
from testbed.services.capture_desk import CaptureDesk
from testbed.services.coordinator import COORDINATOR_TAKES, Coordinator
from testbed.services.desk_thread import DeskThread
from testbed.services.ending import until
from testbed.services.exchange import Exchange
from testbed.services.identity import Identity, hash_of_site
from testbed.services.job_runs import JobRuns
from testbed.services.jobs import Jobs
from testbed.services.node_crew import crews_of
from testbed.services.opening import pilot_stations, radio_stations
from testbed.services.pending import Pending
from testbed.services.worker import WORKER_TAKES, Worker
from testbed.site import Site
from testbed.site_services import AgentSection

if TYPE_CHECKING:
    from testbed.remote_radio import AirLink

# A calibration of a hundred nodes, or a thousand records.
_MAX_HEADER_BYTES = 1 << 23


@dataclass(frozen=True)
class Lab:
    """What all processes of one testbed are started with.

    Attributes
    ----------
    site
        With its agents listed.
    seed
        Of drawn nodes, and of the scene where radios are simulated.
    fidelity
        Of the simulation; ``None`` for the site's own radios.
    keys
        Of this process; ``None`` on loopback.
    """

    site: Site
    seed: int
    fidelity: Fidelity | None
    keys: KeyRing | None = None

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """As surveyed."""
        return build_nodes(self.site, self.seed)

    @cached_property
    def max_frame_bytes(self) -> int:
        """Most that one frame holds: a capture of the largest array, or a header."""
        largest = max(node.array.num_elements for node in self.nodes)
        return max(8 * largest * self.site.waveform.num_subcarriers, _MAX_HEADER_BYTES)

    def identity(self, name: str) -> Identity:
        """A process of this testbed."""
        return Identity(name, hash_of_site(self.site, self.seed, self.fidelity))

    def codec(self, kinds: Sequence[type]) -> Codec:
        """Takes these kinds of message, of this lab's size."""
        return Codec(
            kinds, max_header_bytes=_MAX_HEADER_BYTES, max_buffer_bytes=self.max_frame_bytes
        )

    def server(self, address: str, roles: Sequence[Role]) -> tuple[Server, ServerCurve | None]:
        """A listening socket that takes peers of these roles."""
        curve = None if self.keys is None else self.keys.server_curve(roles)
        return Server(address, max_frame_bytes=self.max_frame_bytes, curve=curve), curve

    def client(self, address: str, role: Role, name: str | None = None) -> Client:
        """A connection to a process of that role."""
        return Client(
            address, max_frame_bytes=self.max_frame_bytes, curve=self._expected(role, name)
        )

    def _expected(self, role: Role, name: str | None) -> ClientCurve | None:
        if self.keys is None:
            return None
        return self.keys.client_curve(self.keys.public_key_of(role, name))

    @property
    def agents(self) -> Sequence[AgentSection]:
        """All agents of the site.

        Raises
        ------
        UsageError
            If it lists none.
        """
        if not self.site.services.agents:
            msg = "the site lists no agents: add services.agents, or start all with testbed up"
            raise UsageError(msg)
        return self.site.services.agents

    def agent_section(self, node_ids: Sequence[str]) -> AgentSection:
        """The agent that drives these nodes.

        Raises
        ------
        UsageError
            If there is none, or more than one.
        """
        agents = self.agents
        unknown = set(node_ids) - {name for agent in agents for name in agent.node_ids}
        if unknown:
            msg = f"no agent drives {', '.join(sorted(unknown))}; see services.agents"
            raise UsageError(msg)
        found = [agent for agent in agents if set(agent.node_ids) & set(node_ids)]
        if len(found) != 1:
            names = ", ".join(agent.agent_id for agent in found)
            msg = f"these nodes are driven by several agents ({names}); start one for each"
            raise UsageError(msg)
        return found[0]


def _air_link(lab: Lab, address: str | None) -> "AirLink | None":
    if lab.fidelity is None:
        return None
    if address is None:
        msg = "radios that are simulated at IQ need --air ADDRESS, the process that testbed air is"
        raise UsageError(msg)
    from testbed.remote_radio import AirLink

    return AirLink(address)


async def run_agent(
    lab: Lab, section: AgentSection, bind: str, air: str | None, stop: asyncio.Event
) -> None:
    """Be an agent until told to stop; says on standard output when it serves.

    Parameters
    ----------
    bind
        Where it listens: its address, as this host calls it.
    air
        Where the process listens that simulates its radios, if one does.
    """
    identity, desk = lab.identity(section.agent_id), None
    if section.worker == "local":
        desk = _desk(lab, identity)
    if lab.fidelity == "pilot":
        opener = pilot_stations(lab.site, lab.seed)
    else:
        opener = radio_stations(lab.site, lab.seed, _air_link(lab, air))
    crews = crews_of(section.node_ids, opener, follows_host=lab.fidelity is None)
    server, curve = lab.server(bind, ("coordinator", "worker"))
    identity.sockets.append(server.counts)
    agent = Agent(identity, crews, server, lab.codec(AGENT_TAKES), desk, curve)

    def say() -> None:
        print(f"agent {section.agent_id} serves at {server.address}", flush=True)  # noqa: T201

    await until(stop, agent.serve(say), server)


def _desk(lab: Lab, identity: Identity) -> DeskThread:
    desk = CaptureDesk(lab.site, lab.nodes, identity.name)
    rehearse(lab.site, desk.reporter(), aligned=lab.fidelity != "pilot")
    return DeskThread(desk, identity)


async def run_worker(lab: Lab, name: str, stop: asyncio.Event) -> None:
    """Be a worker until told to stop."""
    identity = lab.identity(name)
    desk = _desk(lab, identity)
    coordinator = lab.client(lab.site.services.coordinator, "coordinator")
    agents = {
        section.agent_id: lab.client(section.address, "agent", section.agent_id)
        for section in lab.agents
    }
    identity.sockets += [client.counts for client in (coordinator, *agents.values())]
    worker = Worker(identity, desk, coordinator, agents, lab.codec(WORKER_TAKES))
    print(f"worker {name} serves {lab.site.services.coordinator}", flush=True)  # noqa: T201
    await until(stop, worker.serve(), coordinator, *agents.values())


async def run_coordinator(lab: Lab, bind: str, folder: Path, stop: asyncio.Event) -> None:
    """Be the coordinator until told to stop.

    Parameters
    ----------
    bind
        As of `run_agent`.
    folder
        For jobs and dictionaries.
    """
    me = lab.identity("coordinator")
    rehearse(lab.site, CaptureDesk(lab.site, lab.nodes, me.name).reporter())
    rehearse_learning(lab.site, lab.nodes)  # what is loaded while it serves holds up its loop
    with ExitStack() as opened:
        server, curve = lab.server(bind, ("worker", "client"))
        opened.callback(server.close)
        me.sockets.append(server.counts)
        exchange = _exchange(lab, me, server, opened)
        loop = asyncio.get_running_loop()
        runs = JobRuns(lab.site, lab.seed, lab.fidelity, folder, exchange, loop)
        jobs = opened.enter_context(closing(Jobs(folder / "jobs", runs)))
        described = lab.site.name, lab.seed if lab.fidelity else None, lab.fidelity
        coordinator = Coordinator(
            me, server, lab.codec(COORDINATOR_TAKES), exchange, jobs, described, curve
        )
        print(f"coordinator serves at {server.address}", flush=True)  # noqa: T201
        await until(stop, coordinator.serve())


def _exchange(lab: Lab, me: Identity, server: Server, opened: ExitStack) -> Exchange:
    """The coordinator's side of the bus, with a connection to each agent."""
    pending, links = Pending(), []
    for section in lab.agents:
        client = lab.client(section.address, "agent", section.agent_id)
        opened.callback(client.close)
        links.append(AgentLink(section, client, lab.codec(AGENT_ANSWERS), me, pending))
    return Exchange(me, links, server, lab.codec(COORDINATOR_TAKES), pending)
