"""Testbeds of real processes, with keys of their own or without any, and ways to get at them."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from testbed.bus.allowed import allow
from testbed.bus.curve import ClientCurve, Role
from testbed.bus.keys import KeyRing
from testbed.bus.own_key import OwnKey, keep_own_key
from testbed.bus.sockets import Caller, new_key_pair
from testbed.services.client import LiveTestbed
from tests.integration.running import own_port
from tests.unit.testbed.sites import changed, write_site

DEADLINE_S = 60.0
SEED = 3
MAX_FRAME_BYTES = 1 << 23
_LOOK_S = 0.02
_RUN = (sys.executable, "-m", "testbed")


class Keys:
    """Folders of keys, one a process; each process takes those that it has to do with.

    Parameters
    ----------
    root
        Where the folders are.
    agents
        Names of agents.
    """

    def __init__(self, root: Path, agents: list[str]) -> None:
        self._root = root
        self.public: dict[str, str] = {}
        self._make("coordinator", "coordinator", {})
        for name in agents:
            self._make("agent", name, {"coordinator": "coordinator"})
            allow(self.folder("coordinator"), "agent", name, self.public[name])
        for name in ("worker", "worker-2"):
            servers: dict[str, Role] = {"coordinator": "coordinator"}
            self._make("worker", name, servers | dict.fromkeys(agents, "agent"))
            for server in ("coordinator", *agents):
                allow(self.folder(server), "worker", name, self.public[name])
        for name in ("client", "client-2"):
            self._make("client", name, {"coordinator": "coordinator"})
            allow(self.folder("coordinator"), "client", name, self.public[name])
        self._make("coordinator", "stranger", dict.fromkeys(agents, "agent"))
        allow(self.folder("stranger"), "client", "client", self.public["client"])

    def _make(self, role: Role, name: str, known: dict[str, Role]) -> None:
        public, secret = new_key_pair()
        keep_own_key(self.folder(name), OwnKey(role, name, public, secret))
        self.public[name] = public
        for other, its_role in known.items():
            allow(self.folder(name), its_role, other, self.public[other])

    def folder(self, name: str) -> Path:
        """Where a process has its keys."""
        return self._root / name

    def curve(self, name: str, server: str) -> ClientCurve:
        """Keys of one who connects to a server."""
        return KeyRing.load(self.folder(name)).client_curve(self.public[server])


class Tap:
    """A wire to a server, along which everything that goes there is written down."""

    def __init__(self, address: str) -> None:
        self._target = _place(address)
        self.heard: list[bytearray] = []  # of each connection
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = "tcp://{}:{}".format(*self._listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                near, _ = self._listener.accept()
                try:
                    self._join(near, socket.create_connection(self._target))
                except OSError:  # nobody listens yet
                    near.close()

    def _join(self, near: socket.socket, far: socket.socket) -> None:
        heard = bytearray()
        self.heard.append(heard)
        for source, sink, kept in ((near, far, heard), (far, near, bytearray())):
            threading.Thread(target=_carry, args=(source, sink, kept), daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # or who accepts would go on waiting
        self._listener.close()


def _carry(source: socket.socket, sink: socket.socket, kept: bytearray) -> None:
    with contextlib.suppress(OSError), source, sink:
        while content := source.recv(1 << 16):
            kept += content
            sink.sendall(content)


class Keyed:
    """A testbed whose processes run.

    Attributes
    ----------
    site_path
        Of its site file, as all but the coordinator were given it.
    keys
        ``None`` where there are none.
    addresses
        Of agents and coordinator.
    tap
        The wire from the coordinator to ``agent-0``.
    """

    def __init__(
        self, raw: dict[str, Any], folder: Path, opened: ExitStack, *, num_agents: int, keys: bool,
        **services: Any,
    ) -> None:  # fmt: skip
        self.folder = folder
        self._opened = opened
        names = [f"agent-{n}" for n in range(num_agents)]
        self.addresses = {n: opened.enter_context(own_port()) for n in ("coordinator", *names)}
        self.keys = Keys(folder / "keys", names) if keys else None
        self.tap = Tap(self.addresses["agent-0"])
        opened.callback(self.tap.close)
        self._raw, self._services = raw, services
        self._shares = {n: raw["nodes"][i::num_agents] for i, n in enumerate(names)}
        self.site_path = self.site("site.yaml")
        self._tapped_path = self.site("tapped.yaml", {"agent-0": self.tap.address})

    def site(self, name: str, elsewhere: dict[str, str] | None = None) -> Path:
        """A site file in which some addresses are other ones."""
        found = self.addresses | (elsewhere or {})
        agents = [
            {
                "agent_id": agent,
                "address": found[agent],
                "node_ids": [node["node_id"] for node in nodes],
                "worker": "remote" if self.keys else "local",
            }
            for agent, nodes in self._shares.items()
        ]
        services = {"coordinator": found["coordinator"], "agents": agents} | self._services
        return write_site(self.folder, changed(self._raw, {"services": services}), name)

    def start_all(self) -> None:
        """Start every process, and wait until all are there."""
        lines = [self.start_agent(name) for name in self._shares]
        if self.keys is not None:
            lines.append(self.start("worker", self.site_path, "--name", "worker"))
        lines.append(self.start_coordinator(self._tapped_path))
        for line in lines:
            assert "serves" in line(), "a process did not start"
        self.until(lambda state: all(agent.present for agent in state.agents), "all agents")
        if self.keys is not None:
            self.until(lambda state: any(w.present for w in state.workers), "the worker")

    def start_agent(self, name: str) -> Callable[[], str]:
        nodes = [word for node in self._shares[name] for word in ("--node", node["node_id"])]
        return self.start("agent", self.site_path, *nodes, keys=name)

    def start_coordinator(
        self, site_path: Path, keys: str = "coordinator", state: str = "state",
        opened: ExitStack | None = None,
    ) -> Callable[[], str]:  # fmt: skip
        folder, log = self.folder / state, f"{state}-logs"
        return self.start(
            "coordinator", site_path, "--state", folder, keys=keys, log=log, opened=opened
        )

    def start(
        self, kind: str, *arguments: object, keys: str | None = None, log: str = "state-logs",
        opened: ExitStack | None = None,
    ) -> Callable[[], str]:  # fmt: skip
        """Start a process, killed in the end; what gives its first line."""
        given = [str(a) for a in (*arguments, "--seed", SEED, "--log", self.folder / log)]
        if self.keys is not None:
            given += ["--keys", str(self.keys.folder(keys or kind))]
        process = subprocess.Popen(
            [*_RUN, kind, *given],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        opened = self._opened if opened is None else opened
        opened.enter_context(process)
        opened.callback(process.kill)

        def first_line() -> str:
            assert process.stdout is not None
            assert process.stderr is not None
            return process.stdout.readline() or process.stderr.read()

        return first_line

    @contextmanager
    def another(self, name: str, keys: str, address: str | None = None) -> Iterator[str]:
        """The first line of another coordinator, at an address of its own."""
        with own_port() as own, ExitStack() as opened:
            self.addresses[name] = address or own
            site_path = self.site(f"{name}.yaml", {"coordinator": self.addresses[name]})
            yield self.start_coordinator(site_path, keys, name, opened)()

    def log(self, name: str) -> str:
        """What a process has logged so far."""
        return (self.folder / "state-logs" / f"{name}.log").read_text(encoding="utf-8")

    @contextmanager
    def call(
        self, server: str, who: str | None = None, max_frame_bytes: int = MAX_FRAME_BYTES
    ) -> Iterator[Caller]:
        """A connection to a server, with the keys of somebody."""
        curve = None if who is None or self.keys is None else self.keys.curve(who, server)
        address = self.addresses[server]
        with Caller(address, max_frame_bytes=max_frame_bytes, max_frames=64, curve=curve) as caller:
            yield caller

    def state(self, coordinator: str = "coordinator") -> Any:
        """What `testbed status` shows; asked by a client."""
        with self.call(coordinator, "client") as caller:
            return LiveTestbed(caller).state()

    def counts(self, name: str) -> dict[str, int]:
        """What a process has counted, as `testbed status` shows it."""
        state = self.state()
        found = {"coordinator": state.process.counts}
        found |= {row.agent_id: row.state.process.counts for row in state.agents if row.state}
        return found.get(name, {})

    def until(
        self, holds: Callable[[Any], bool], what: str, coordinator: str = "coordinator"
    ) -> Any:
        """The state as soon as something holds of it."""
        until_s = time.monotonic() + DEADLINE_S
        while not holds(state := self.state(coordinator)):
            assert time.monotonic() < until_s, f"{what}: not within {DEADLINE_S:g} s; {state}"
            threading.Event().wait(_LOOK_S)
        return state

    @contextmanager
    def counting(self, name: str, what: str, at_least: int = 1) -> Iterator[None]:
        """Check that a process counts something, so often, because of what is done inside."""
        before = self.counts(name).get(what, 0)
        yield
        self.until(
            lambda _: self.counts(name).get(what, 0) >= before + at_least,
            f"{name} counts {at_least} more {what!r} than {before}",
        )


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.removeprefix("tcp://").rpartition(":")
    return host, int(port)


def shout(address: str, content: bytes, breaks: tuple[int, ...] = ()) -> None:
    """Send bytes to whoever listens, and wait until it hangs up.

    Parameters
    ----------
    breaks
        Where to wait for something to come back.
    """
    ends = (*breaks, len(content))
    wire = socket.create_connection(_place(address), DEADLINE_S)
    with wire, contextlib.suppress(OSError):  # it has hung up
        for start, end in zip((0, *ends), ends, strict=False):
            wire.sendall(content[start:end])
            if end in breaks:
                wire.recv(1 << 16)
        while wire.recv(1 << 16):
            pass


@contextmanager
def keyed(raw: dict[str, Any], folder: Path, **options: Any) -> Iterator[Keyed]:
    """A testbed whose processes have started; killed at the end of the block."""
    with ExitStack() as opened:
        testbed = Keyed(raw, folder, opened, **options)
        testbed.start_all()
        yield testbed
