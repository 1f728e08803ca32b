"""A site of emulated devices with its agents, worker and coordinator as processes."""

import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from testbed.bus.job_messages import RecordFields
from testbed.bus.order_messages import NodeState
from testbed.bus.sockets import Caller
from testbed.services.client import LiveTestbed
from tests.integration.cluster import Following, wait_for
from tests.integration.running import Running, running
from tests.vendor.faulty_hall import FaultyHall

EXAMPLES = Path(__file__).parents[2] / "examples"
WITHIN_S = 2.0

_log = logging.getLogger(__name__)


def write_site(folder: Path, example: str, addresses: list[str], **waveform: float) -> Path:
    """The example at other addresses, with few captures; it senses for as long as it is let."""
    site = yaml.safe_load((EXAMPLES / example).read_text())
    site["calibration"]["num_captures"] = 1
    site["sensing"].update(max_sensings=10_000, tolerance_m=1e-6)
    site["waveform"].update(waveform)
    site.pop("services", None)
    for node, address in zip(site["nodes"], addresses, strict=True):
        node["radio"]["address"] = address
    path = folder / "lab.yaml"
    path.write_text(yaml.safe_dump(site, sort_keys=False))
    return path


@dataclass(frozen=True)
class LiveLab:
    """The processes, the hall that they sense, and clients of theirs."""

    up: Running
    hall: FaultyHall
    client: Callable[[], LiveTestbed]
    watch: LiveTestbed

    def job(self, task: str, name: str, **options: Any) -> Following:
        """A job, followed."""
        return Following(self.client(), task, name, **options)

    def node(self, node_id: str) -> NodeState:
        """A node as `testbed status` shows it."""
        rows = self.watch.state().agents
        nodes = [node for row in rows if row.state for node in row.state.nodes]
        return next(node for node in nodes if node.node_id == node_id)

    def processes(self) -> set[str]:
        """Ids of the processes that `testbed up` has started and that run."""
        pid = self.up.process.pid
        return set(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())

    def agent_pid(self, node_id: str) -> int:
        """Of the process that drives a node."""
        for pid in self.processes():
            command = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if b"agent" in command and node_id.encode() in command:
                return int(pid)
        msg = f"no agent drives {node_id}"
        raise LookupError(msg)

    def everybody_is_there(self) -> bool:
        """Whether all agents answer."""
        return all(row.present for row in self.watch.state().agents)

    def is_recorded(
        self,
        strike: Callable[[], float],
        node_ids: str,
        words: str,
        sensing: Following | None = None,
    ) -> None:
        """Fail unless a client reads in time what is wrong with a node, one of these.

        It looks at the status and at the records of a job; how long it takes to look, and the
        coordinator to hear of it from the agent (0.4 s), counts as well.

        Parameters
        ----------
        strike
            Returns when it has happened.
        words
            A regular expression.
        """
        first = sensing.num_records if sensing else 0

        def reads() -> bool:
            records = [] if sensing is None else sensing.seen()[first:]
            return any(
                re.search(words, text)
                for node_id in node_ids
                for text in (self.node(node_id).fault or "", *problems_of(records, node_id))
            )

        assert not reads()
        at_s = strike()
        wait_for(reads, f"node {node_ids}: {words}")
        took_s = time.monotonic() - at_s
        _log.info("node %s: %s: read after %.2f s", node_ids, words, took_s)
        assert took_s < WITHIN_S, f"node {node_ids}: {words}: {took_s:.2f} s"


def problems_of(records: list[RecordFields], node_id: str) -> list[str]:
    """What records say against a node, as receiver or as transmitter."""
    return [
        text
        for record in records
        for rx_id, text in record.sensed.problems.items()
        if node_id in (rx_id, record.sensed.config.tx_id)
    ]


def takes_part(record: RecordFields, node_id: str) -> bool:
    """Whether a node sends or receives in a sensing."""
    config = record.sensed.config
    return node_id in (config.tx_id, *config.rx_ids)


@contextmanager
def live_lab(site_path: Path, hall: FaultyHall, *options: str) -> Iterator[LiveLab]:
    """`testbed up` for the site, until the end of the block."""
    with ExitStack() as opened:
        up = opened.enter_context(
            running(str(site_path), site_path.parent, *options, simulate=False)
        )

        def client() -> LiveTestbed:
            caller = Caller(f"tcp://127.0.0.1:{up.port}", max_frame_bytes=1 << 23)
            return LiveTestbed(opened.enter_context(caller))

        lab = LiveLab(up, hall, client, client())
        wait_for(lab.everybody_is_there, "all agents answer")
        yield lab
