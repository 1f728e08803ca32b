"""All processes of a testbed on one machine, as children of one supervisor."""

from pathlib import Path

import msgspec
import yaml

from calibration.whole_files import write_atomically
from testbed.errors import UsageError
from testbed.runs.setup import Fidelity
from testbed.services.child import ChildSpec
from testbed.site import Site
from testbed.site_checks import node_ids
from testbed.site_services import DEFAULT_PORT, port_of, spread

_LOCAL = ("tcp://127.0.0.1:", "tcp://[::1]:", "tcp://localhost:")
# After the agents' ports, of which there are no more than this.
_AIR_OFFSET = 500


def on_this_machine(
    site: Site, num_agents: int, port: int | None, *, simulate: bool, local_workers: bool
) -> Site:
    """The site with its processes on loopback.

    Parameters
    ----------
    num_agents
        Over how many the nodes are spread, where the site lists none or radios are replaced.
    port
        Of the coordinator; agents have those that follow. The site's own, if left out.
    local_workers
        Whether agents make reports themselves.

    Raises
    ------
    UsageError
        If the site lists agents on other hosts.
    """
    services = site.services
    if services.agents and not simulate and port is None:
        elsewhere = [agent for agent in services.agents if not agent.address.startswith(_LOCAL)]
        if elsewhere:
            names = ", ".join(f"{agent.agent_id} ({agent.address})" for agent in elsewhere)
            msg = (
                f"these agents are on other hosts: {names}; start testbed agent there, or add "
                "--simulate to try the site on this machine"
            )
            raise UsageError(msg)
        return site
    first = port or port_of(services.coordinator) or DEFAULT_PORT
    agents = spread(node_ids(site), num_agents, first)
    if local_workers:
        agents = [msgspec.structs.replace(agent, worker="local") for agent in agents]
    changed = msgspec.structs.replace(
        services, coordinator=f"tcp://127.0.0.1:{first}", agents=agents
    )
    return msgspec.structs.replace(site, services=changed)


def write_site(site: Site, path: Path) -> None:
    """Write the site that all processes are started with."""
    text = yaml.safe_dump(msgspec.to_builtins(site), sort_keys=False)
    write_atomically(path, f"# Written by testbed up, anew each time.\n{text}".encode())


def children(
    site: Site, site_path: Path, seed: int, fidelity: Fidelity | None, state: Path, num_workers: int
) -> list[list[ChildSpec]]:
    """Who is started, in order: the air, agents, then workers and the coordinator."""
    shared: tuple[str, ...] = (str(site_path), "--seed", str(seed))
    if fidelity is not None:
        shared = (*shared, "--fidelity", fidelity)
    log = ("--log", str(state / "logs"))
    air: list[ChildSpec] = []
    heard: tuple[str, ...] = ()
    if fidelity == "iq":
        address = _beside(site.services.coordinator)
        bound = ("air", str(site_path), "--seed", str(seed), "--bind", address)
        air, heard = [ChildSpec("air", bound, "air of")], ("--air", address)
    agents = [
        ChildSpec(
            agent.agent_id,
            ("agent", *shared, *log, *heard, *(a for n in agent.node_ids for a in ("--node", n))),
            f"agent {agent.agent_id} serves",
        )
        for agent in site.services.agents
    ]
    names = [f"worker-{n}" for n in range(num_workers)]
    rest = [
        ChildSpec(name, ("worker", *shared, *log, "--name", name), f"worker {name} serves")
        for name in names
    ]
    rest.append(
        ChildSpec(
            "coordinator", ("coordinator", *shared, *log, "--state", str(state)),
            "coordinator serves",
        )
    )  # fmt: skip
    return [group for group in (air, agents, rest) if group]


def _beside(address: str) -> str:
    """Where the air listens: beside the coordinator."""
    head, _, port = address.rpartition(":")
    return f"{head}:{int(port) + _AIR_OFFSET}"
