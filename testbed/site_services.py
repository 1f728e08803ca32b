"""The part of a site file that says which process drives which nodes, and where it is found."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from testbed.site_types import Name, Positive, Section

Address = Annotated[str, Meta(min_length=6, max_length=256)]
Port = Annotated[int, Meta(ge=1024, le=65_000)]

# Below those that a system gives to connections: one that tries to reach an agent that is not there
# yet could be given its port, and would then be connected to itself.
DEFAULT_PORT = 27_600
_ADDRESS = re.compile(r"^tcp://.+:\d+$")


class AgentSection(Section, frozen=True):
    """One radio host.

    Attributes
    ----------
    agent_id, node_ids
        Its name, and whose radios it drives.
    address
        Where it listens.
    worker
        ``local``: reports of its captures are made on this host, and only these cross the network.
    """

    agent_id: Name
    node_ids: Annotated[list[Name], Meta(min_length=1)]
    address: Address
    worker: Literal["remote", "local"] = "remote"


class ServicesSection(Section, frozen=True):
    """The processes of a running testbed.

    Attributes
    ----------
    coordinator
        Where it listens.
    agents
        All of them; left out, `testbed up` spreads the nodes over some on this machine.
    attempt_s
        An answer that takes longer is lost.
    patience_s
        For so long a node that is lost is tried again; then the run goes on without it.
    """

    coordinator: Address = f"tcp://127.0.0.1:{DEFAULT_PORT}"
    agents: list[AgentSection] = msgspec.field(default_factory=list)
    attempt_s: Positive = 2.0
    patience_s: Positive = 10.0


_PORT = re.compile(r":(\d+)$")


def port_of(address: str) -> int | None:
    """Port of a TCP address."""
    found = _PORT.search(address)
    return None if found is None else int(found[1])


def spread(node_ids: Sequence[str], num_agents: int, port: int) -> list[AgentSection]:
    """Nodes spread over agents on this machine, whose ports follow the coordinator's."""
    shares = [list(node_ids[n::num_agents]) for n in range(num_agents)]
    return [
        AgentSection(
            agent_id=f"agent-{n}", node_ids=share, address=f"tcp://127.0.0.1:{port + 1 + n}"
        )
        for n, share in enumerate(shares)
        if share
    ]


def services_problems(services: ServicesSection, node_ids: Sequence[str]) -> Iterator[str]:
    """Broken rules of the section, one line each."""
    yield from _address_problems(services)
    if services.agents:
        yield from _agent_problems(services.agents, node_ids)


def _address_problems(services: ServicesSection) -> Iterator[str]:
    addresses = [("$.services.coordinator", services.coordinator)]
    addresses += [
        (f"$.services.agents[{n}].address", agent.address)
        for n, agent in enumerate(services.agents)
    ]
    for place, address in addresses:
        if not _ADDRESS.match(address):
            yield f"{place}: must be tcp://HOST:PORT, got {address!r}"
    for address, count in Counter(address for _, address in addresses).items():
        if count > 1:
            yield f"$.services: {count} processes listen at {address}; give each its own"


def _agent_problems(agents: Sequence[AgentSection], node_ids: Sequence[str]) -> Iterator[str]:
    place = "$.services.agents"
    for name, count in Counter(agent.agent_id for agent in agents).items():
        if count > 1:
            yield f"{place}: agent_id must be unique, {name!r} is given {count} times"
    driven = Counter(name for agent in agents for name in agent.node_ids)
    for name in node_ids:
        if driven[name] != 1:
            yield f"{place}: node {name!r} must be driven by one agent, not by {driven[name]}"
    for name in driven:
        if name not in node_ids:
            yield f"{place}: {name!r} is no node of this site"
