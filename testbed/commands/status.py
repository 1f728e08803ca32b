"""`testbed status`: who is there, and how they are."""

from collections.abc import Iterable
from pathlib import Path

import click
import msgspec
from rich.box import SIMPLE_HEAD
from rich.table import Table

from testbed.bus.job_messages import AgentRow, TestbedState
from testbed.bus.order_messages import NodeState
from testbed.bus.parts import ProcessState
from testbed.commands.live_options import call_coordinator, keys_option, port_option
from testbed.commands.tables import screen
from testbed.services.client import LiveTestbed
from testbed.site import load_site


@click.command("status")
@click.argument("site_path", metavar="SITE.yaml", type=click.Path(path_type=Path))
@port_option
@keys_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
def command(site_path: Path, port: int | None, keys_folder: Path | None, as_json: bool) -> None:
    """Show nodes, locks, queues, drops and versions of a running testbed."""
    site = load_site(site_path)
    with call_coordinator(site, port, keys_folder) as caller:
        state = LiveTestbed(caller).state()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(state)).decode())
        return
    out = screen()
    out.print(_headline(state))
    for table in (_processes(state), _nodes(state.agents), _jobs(state)):
        if table.row_count:
            out.print(table)
            out.print()
    if any(agent.state and any(n.health for n in agent.state.nodes) for agent in state.agents):
        out.print("lost: blocks with overflow, bursts with underflow, commands that came late")
    for agent in state.agents:
        if not agent.present:
            out.print(f"agent {agent.agent_id} is gone: {agent.problem}", soft_wrap=True)
    for line in _drops(state):
        out.print(line, soft_wrap=True)


def _table(*names: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for name in names:
        table.add_column(name, overflow="fold")
    return table


def _headline(state: TestbedState) -> str:
    simulated = ""
    if state.fidelity is not None:
        simulated = f", simulated at {state.fidelity} fidelity, seed {state.seed}"
    present = sum(len(agent.node_ids) for agent in state.agents if agent.present)
    total = sum(len(agent.node_ids) for agent in state.agents)
    return f"{state.site}: {present} of {total} nodes are there{simulated}"


def _processes(state: TestbedState) -> Table:
    table = _table("process", "is")
    for name in ("heard", "answers", "waits", "memory", "stall", "version"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_row(state.process.name, "there", "-", "-", *_figures(state.process))
    for agent in state.agents:
        latency = "-" if agent.latency_s is None else f"{1e3 * agent.latency_s:.1f} ms"
        table.add_row(
            agent.agent_id, _is(agent), _ago(agent.seen_s), latency,
            *(_figures(agent.state.process) if agent.state else ("-",) * 4),
        )  # fmt: skip
    for worker in state.workers:
        there = "there" if worker.present else "gone"
        table.add_row(
            worker.state.name,
            there,
            _ago(worker.seen_s),
            "-",
            *_figures(worker.state),
        )
    return table


def _is(agent: AgentRow) -> str:
    return "there" if agent.present else "gone"


def _ago(seen_s: float | None) -> str:
    return "never" if seen_s is None else f"{seen_s:.1f} s ago"


def _figures(process: ProcessState) -> tuple[str, ...]:
    return (
        str(process.queued), f"{process.memory_mb:.0f} MB", f"{1e3 * process.stall_s:.0f} ms",
        process.version,
    )  # fmt: skip


def _nodes(agents: Iterable[AgentRow]) -> Table:
    table = _table("node", "agent", "radio", "clock", "PPS", "device", "lost", "fault")
    for agent in agents:
        known = {} if agent.state is None else {node.node_id: node for node in agent.state.nodes}
        for node_id in agent.node_ids:
            table.add_row(node_id, agent.agent_id, *_node(agent, known.get(node_id)))
    return table


def _node(agent: AgentRow, node: NodeState | None) -> tuple[str, ...]:
    if node is None or not agent.present:
        return ("-",) * 5 + ("its agent is gone" if not agent.present else "not driven",)
    radio = "simulated pilots" if node.radio is None else " ".join(node.radio[:2])
    if node.health is None:
        return radio, "-", "-", "-", "-", node.fault or ""
    health = node.health
    warm = "-" if health.temperature_c is None else f"{health.temperature_c:.0f} °C"
    lost = f"{health.num_overflows}/{health.num_underflows}/{health.num_lates}"
    locks = (_lock(health.clock_locked), _lock(health.pps_locked))
    return radio, *locks, warm, lost, node.fault or ""


def _lock(locked: bool | None) -> str:
    return {None: "-", True: "locked", False: "NOT LOCKED"}[locked]


def _jobs(state: TestbedState) -> Table:
    table = _table("job", "is", "progress")
    for job in state.jobs:
        table.add_row(job.job_id, job.status, job.progress)
    return table


def _drops(state: TestbedState) -> Iterable[str]:
    """What each process counted, one line each."""
    processes = [state.process]
    processes += [agent.state.process for agent in state.agents if agent.state]
    processes += [worker.state for worker in state.workers]
    for process in processes:
        counted = ", ".join(f"{count} {what}" for what, count in process.counts.items() if count)
        if counted:
            yield f"{process.name}: {counted}"
