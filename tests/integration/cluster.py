"""A whole testbed in one event loop of this process, over loopback; its services stop and start."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

from testbed.bus.job_messages import JobOptions, JobState, RecordFields, TestbedState
from testbed.bus.order_messages import LeaseAnswer, LeaseAsked, Order
from testbed.bus.sockets import Caller, NoAnswerError
from testbed.bus.wire import Message
from testbed.services.agent_link import AGENT_ANSWERS
from testbed.services.assembly import Lab, run_agent, run_coordinator, run_worker
from testbed.services.client import LiveTestbed
from testbed.site import Site
from tests.integration.running import own_port
from tests.unit.testbed.sites import as_site, changed, write_site

DEADLINE_S = 30.0
SEED = 3
_LOOK_S = 0.01


class Service:
    """One service that runs in the cluster's loop."""

    def __init__(self, run: Callable[[asyncio.Event], Any]) -> None:
        self._stop = asyncio.Event()
        self._task = asyncio.ensure_future(run(self._stop))

    async def end(self) -> None:
        """Stop it as a signal would; raises what it died of."""
        self._stop.set()
        await self._task


class Cluster:
    """Agents, workers and a coordinator of a site.

    Parameters
    ----------
    raw
        The site file's content; agents are added here: the nodes in two shares.
    folder
        Of the coordinator.
    services
        Settings of the site's ``services`` section.
    """

    def __init__(self, raw: dict[str, Any], folder: Path, opened: ExitStack, **services) -> None:
        names = [node["node_id"] for node in raw["nodes"]]
        shares = names[: len(names) // 2], names[len(names) // 2 :]
        first, *others = (opened.enter_context(own_port()) for _ in range(3))
        section = {
            "coordinator": first,
            "agents": [
                {"agent_id": f"agent-{n}", "node_ids": share, "address": address}
                for n, (share, address) in enumerate(zip(shares, others, strict=True))
            ],
        }
        whole = changed(raw, {"services": section | services})
        self.site: Site = as_site(whole)
        self.site_path = write_site(folder, whole)
        self.folder = folder
        self.lab = Lab(self.site, SEED, "pilot")
        self._opened = opened
        self._running: dict[str, Service] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="cluster")
        self._thread.start()
        self.testbed = self.client()

    def client(self, address: str | None = None) -> LiveTestbed:
        """Another client, for one thread, of this or another coordinator."""
        caller = Caller(address or self.site.services.coordinator, max_frame_bytes=1 << 23)
        return LiveTestbed(self._opened.enter_context(closing(caller)), DEADLINE_S)

    @contextmanager
    def agent_caller(self, agent_id: str) -> Iterator["AgentCaller"]:
        """A connection to an agent."""
        (section,) = (a for a in self.site.services.agents if a.agent_id == agent_id)
        with Caller(section.address, max_frame_bytes=1 << 23) as caller:
            yield AgentCaller(caller, self.lab)

    def another_address(self) -> str:
        """An address that is free."""
        return self._opened.enter_context(own_port())

    def start(self, *names: str, lab: Lab | None = None, folder: Path | None = None) -> None:
        """Start services: ``coordinator``, ``agent-N``, or a worker of any other name."""
        for name in names:
            assert name not in self._running, name
            run = self._runner(name, lab or self.lab, folder or self.folder)
            self._running[name] = self._in_loop(_made(Service, run))

    def _runner(self, name: str, lab: Lab, folder: Path) -> Callable[[asyncio.Event], Any]:
        if name.startswith("coordinator"):
            address = lab.site.services.coordinator
            return lambda stop: run_coordinator(lab, address, folder, stop)
        for section in lab.site.services.agents:
            if section.agent_id == name:
                return lambda stop: run_agent(lab, section, section.address, None, stop)
        return lambda stop: run_worker(lab, name, stop)

    def stop(self, *names: str) -> None:
        """Stop services, one after the other."""
        for name in names:
            self._in_loop(self._running.pop(name).end())

    def until(
        self, holds: Callable[[TestbedState], bool], what: str, asked: LiveTestbed | None = None
    ) -> TestbedState:
        """What `testbed status` shows, as soon as something holds of it."""

        def held() -> TestbedState | None:
            try:
                state = (asked or self.testbed).state()
            except NoAnswerError:  # not there yet
                return None
            return state if holds(state) else None

        return wait_for(held, what)

    def whole(self, *names: str) -> TestbedState:
        """State as soon as all of these, or all that were started, are there."""
        wanted = set(names or self._running) - {"coordinator"}
        return self.until(lambda state: wanted <= present(state), f"{wanted} are there")

    def start_all(self) -> None:
        """Start two agents, two workers and the coordinator; wait until all have met all."""
        self.start("agent-0", "agent-1", "coordinator", "w0", "w1")
        self.whole()
        # A worker that an agent has not met yet loses its first capture, and is doubted for it.
        self.until(
            lambda state: all(
                row.state is not None and {"w0", "w1"} <= set(row.state.workers)
                for row in state.agents
            ),
            "agents have met the workers",
        )

    def close(self) -> None:
        """End everything; raises what a service died of."""
        try:
            self.stop(*self._running)
        finally:
            self._in_loop(_cancel_others())
            self._in_loop(self._loop.shutdown_default_executor())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(DEADLINE_S)
            self._loop.close()

    def _in_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_S)


class AgentCaller:
    """Speaks to an agent as a coordinator does."""

    def __init__(self, caller: Caller, lab: Lab) -> None:
        self._caller = caller
        self._codec = lab.codec(AGENT_ANSWERS)
        self._site_hash = lab.identity("test").site_hash

    def asked(self, message: Message) -> Message:
        """The answer to a message."""
        self._caller.send(self._codec.encode(message))
        return self._codec.decode(self._caller.receive(DEADLINE_S)).message

    def lease(self, ttl_s: float, site_hash: str | None = None) -> LeaseAnswer:
        """The answer to a request for the lease."""
        answer = self.asked(
            LeaseAsked(
                request_id=1, lease="mine", coordinator="test", ttl_s=ttl_s,
                site_hash=site_hash or self._site_hash,
            )
        )  # fmt: skip
        assert isinstance(answer, LeaseAnswer)
        return answer

    def order(self, kind: type[Order], serial: int, until_s: float = 1e12, **fields: Any) -> Order:
        """An order under that lease."""
        return kind(request_id=2, lease="mine", serial=serial, until_s=until_s, session=1, **fields)


class Following(threading.Thread):
    """A job, followed in a thread of its own.

    Attributes
    ----------
    states
        Everything that the client was shown.
    """

    def __init__(self, testbed: LiveTestbed, task: Any, job_id: str, **options: Any) -> None:
        super().__init__(name=f"following-{job_id}")
        self.job_id = job_id
        self.states: list[JobState] = []
        self.end: JobState | Exception | None = None
        self._run = lambda: testbed.run(
            task, JobOptions(**options), self.states.append, job_id=job_id
        )
        self.start()

    def run(self) -> None:
        try:
            self.end = self._run()
        except Exception as error:  # noqa: BLE001  for the thread that asks
            self.end = error

    @property
    def latest(self) -> JobState | None:
        """As it was told last."""
        return self.states[-1] if self.states else None

    def seen(self) -> list[RecordFields]:
        """Records so far."""
        return [record for state in list(self.states) for record in state.records]

    @property
    def num_records(self) -> int:
        return len(self.seen())

    def until(self, holds: Callable[["Following"], Any], what: str) -> None:
        """Wait until something holds of a job that has not ended."""
        wait_for(lambda: self.end is not None or (self.latest and holds(self)), what)
        assert self.end is None, self.end

    def result(self) -> JobState:
        """Its last state, once the job is done."""
        self.join(DEADLINE_S)
        assert isinstance(self.end, JobState), self.end
        return self.end

    def records(self) -> list[RecordFields]:
        """All records, once the job is done."""
        self.result()
        return self.seen()

    def cancel(self, testbed: LiveTestbed) -> None:
        """Let another client cancel it, and wait for its end."""
        testbed.cancel(self.job_id)
        self.join(DEADLINE_S)
        assert str(self.end).endswith("cancelled: cancelled")


def present(state: TestbedState) -> set[str]:
    """Agents and workers that are there."""
    return {row.agent_id for row in state.agents if row.present} | {
        row.state.name for row in state.workers if row.present
    }


def wait_for(found: Callable[[], Any], what: str) -> Any:
    """What is found, as soon as it is something; fails at the deadline."""
    until_s = time.monotonic() + DEADLINE_S
    while not (it := found()):
        assert time.monotonic() < until_s, f"{what}: not within {DEADLINE_S:g} s"
        threading.Event().wait(_LOOK_S)
    return it


async def _made(kind: Callable[..., Any], *arguments: Any) -> Any:
    return kind(*arguments)


async def _cancel_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


@contextmanager
def cluster(raw: dict[str, Any], folder: Path, **services: Any) -> Iterator[Cluster]:
    """A cluster of which nothing runs yet; ended at the end of the block."""
    with ExitStack() as opened:
        testbed = Cluster(raw, folder, opened, **services)
        opened.callback(testbed.close)
        yield testbed
