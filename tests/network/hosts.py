"""A testbed over four hosts and a bad network: ``python -m tests.network.hosts``; for root.

A coordinator, two agents and a worker run in network namespaces of their own, with keys, on an
Ethernet of 20 ms delay give or take 5 ms and 2 % loss one way. The target is localized as in one
process; again and again while a cable is pulled for less than patience lasts; and while it is
pulled for longer, when the run goes on without these nodes, says so, and has them back later.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tests.integration.keyed import Keys
from tests.network.switch import Switch, why_not
from tests.unit.testbed.sites import changed, lab, write_site

SEED = 3
AGENTS = ("agent-0", "agent-1")
DEADLINE_S = 120.0
_RUN = (sys.executable, "-m", "testbed")
_ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}


class Hosts:
    """A testbed whose processes run on hosts of their own.

    Parameters
    ----------
    folder
        For keys, the site file, state and logs.
    patience_s
        See `testbed.site_services.ServicesSection`.
    """

    def __init__(self, folder: Path, switch: Switch, opened: ExitStack, patience_s: float) -> None:
        self._folder, self._switch, self._opened = folder, switch, opened
        self._keys = Keys(folder / "keys", list(AGENTS))
        raw = changed(lab(), {"sensing.max_sensings": 8, "sensing.tolerance_m": 1e-3})
        names = [node["node_id"] for node in raw["nodes"]]
        self.nodes = {agent: names[n::2] for n, agent in enumerate(AGENTS)}
        agents = [
            {"agent_id": agent, "node_ids": nodes, "address": self._address(agent)}
            for agent, nodes in self.nodes.items()
        ]
        services = {
            "coordinator": self._address("coordinator"), "agents": agents,
            "attempt_s": 2.0, "patience_s": patience_s,
        }  # fmt: skip
        self._site = write_site(folder, changed(raw, {"services": services}))

    def _address(self, host: str) -> str:
        return f"tcp://{self._switch.address[host]}:47600"

    def start(self) -> None:
        """Start all processes, and wait until every node is there."""
        for agent, nodes in self.nodes.items():
            self._start("agent", agent, *(word for node in nodes for word in ("--node", node)))
        self._start("worker", "worker", "--name", "worker")
        self._start("coordinator", "coordinator", "--state", str(self._folder / "state"))
        self.until(lambda state: _num_there(state) == 6 and bool(state["workers"]), "all nodes")

    def _start(self, kind: str, host: str, *arguments: str) -> None:
        log = self._opened.enter_context((self._folder / f"{host}.out").open("w"))
        command = [*_RUN, kind, str(self._site), "--seed", str(SEED), *arguments]
        command += ["--keys", str(self._keys.folder(host))]
        process = subprocess.Popen(
            self._switch.command(host, *command), stdout=log, stderr=log, env=_ENVIRONMENT
        )
        self._opened.enter_context(process)
        self._opened.callback(process.kill)

    def _ask(self, *arguments: str) -> Any:
        """What a command prints on the coordinator's host; ``None`` if it fails."""
        keys = str(self._keys.folder("client"))
        command = [*_RUN, arguments[0], str(self._site), *arguments[1:], "--keys", keys, "--json"]
        done = subprocess.run(
            self._switch.command("coordinator", *command), capture_output=True, text=True,
            env=_ENVIRONMENT, timeout=DEADLINE_S, check=False,
        )  # fmt: skip
        if done.returncode and arguments[0] == "localize":
            sys.stderr.write(done.stderr)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def localize(self) -> Any:
        """What ``localize --live`` prints."""
        return self._ask("localize", "--live", "--background", "perfect")

    def alone(self) -> Any:
        """The same in one process."""
        done = subprocess.run(
            [*_RUN, "localize", str(self._site), "--seed", str(SEED), "--background", "perfect",
             "--json"],
            capture_output=True, text=True, env=_ENVIRONMENT, check=True, timeout=DEADLINE_S,
        )  # fmt: skip
        return json.loads(done.stdout)

    def until(self, holds: Callable[[Any], bool], what: str) -> None:
        """Wait until something holds of the testbed's state."""
        until_s = time.monotonic() + DEADLINE_S
        while (state := self._ask("status")) is None or not holds(state):
            if time.monotonic() > until_s:
                msg = f"{what}: not within {DEADLINE_S:g} s; {state}"
                raise RuntimeError(msg)

    @contextmanager
    def localizing(self) -> Iterator[list[Any]]:
        """Results of localizations, one after the other, until the block ends."""
        results: list[Any] = []
        ended = threading.Event()

        def again_and_again() -> None:
            while not ended.is_set():
                results.append(self.localize())

        runs = threading.Thread(target=again_and_again)
        runs.start()
        try:
            yield results
        finally:
            ended.set()
            runs.join()

    def cut(self, host: str, duration_s: float) -> None:
        """Pull a host's cable for a while."""
        self._switch.set_link(host, up=False)
        threading.Event().wait(duration_s)
        self._switch.set_link(host, up=True)

    def wait_for_a_sensing(self) -> None:
        """Wait until a run is under way."""
        self.until(lambda state: "sensings" in state["jobs"][-1]["progress"], "a sensing")


def _num_there(state: Any) -> int:
    return sum(len(agent["node_ids"]) for agent in state["agents"] if agent["present"])


@contextmanager
def hosts(patience_s: float) -> Iterator[tuple[Hosts, Switch]]:
    """A testbed that runs; nothing of it is left after the block."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        names = ["coordinator", *AGENTS, "worker"]
        switch = Switch(names, delay_s=20e-3, jitter_s=5e-3, loss=0.02, seed=SEED)
        opened.callback(switch.close)
        testbed = Hosts(Path(folder), switch, opened, patience_s)
        testbed.start()
        yield testbed, switch


def check(
    patience_s: float, cut_s: float, say: Callable[[str], None] = lambda _text: None
) -> list[str]:
    """What is not as it should be; a line each."""
    with hosts(patience_s) as (testbed, switch):
        wrong = []
        wanted = testbed.alone()
        found = testbed.localize()
        say(f"localized in {found['elapsed_s']:.1f} s, {found['num_sensings']} sensings")
        wrong += _differences("undisturbed", found, wanted)

        with testbed.localizing() as results:
            testbed.wait_for_a_sensing()
            testbed.cut("agent-0", cut_s)
            testbed.until(lambda state: _num_there(state) == 6, "agent-0 is back")
        longest_s = max(result["elapsed_s"] for result in results if result)
        say(f"cut for {cut_s:g} s: {len(results)} runs, the longest took {longest_s:.1f} s")
        for result in results:
            wrong += _differences(f"with a cut of {cut_s:g} s", result, wanted)

        with testbed.localizing() as results:
            testbed.wait_for_a_sensing()
            testbed.cut("agent-1", 2.0 * patience_s + 3.0)
            testbed.until(lambda state: _num_there(state) == 6, "agent-1 is back")
        said = {name for r in results if r for s in r["sensings"] for name in s["absent"]}
        say(f"cut for longer than patience: {len(results)} runs, without {sorted(said)}")
        if None in results or said != set(testbed.nodes["agent-1"]):
            wrong.append(f"{len(results)} runs beyond patience said that {said} were absent")
        wrong += _differences("after all cuts", testbed.localize(), wanted)
        say(f"frames: {dict(switch.counts)}")
    return wrong


def _differences(when: str, found: Any, wanted: Any) -> list[str]:
    if found is None:
        return [f"{when}: a run failed"]
    parts = ("estimate_m", "covariance_m2", "num_sensings", "status")
    wrong = [
        f"{when}: {part} is {found[part]}, not {wanted[part]}"
        for part in parts
        if found[part] != wanted[part]
    ]
    return wrong + [f"{when}: {line}" for line in _first_sensing_apart(found, wanted) if wrong]


def _first_sensing_apart(found: Any, wanted: Any) -> list[str]:
    """The first sensing that differs, and with it where to look; nothing if none does."""
    pairs = zip(found["sensings"], wanted["sensings"], strict=False)
    apart = ((n, one, other) for n, (one, other) in enumerate(pairs) if one != other)
    return [f"sensing {n} is {one}, not {other}" for n, one, other in apart][:1]


def main() -> None:
    """Say what was found; status 1 if something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patience", type=float, default=10.0, help="of a run, in seconds")
    parser.add_argument("--cut", type=float, default=5.0, help="shorter than that, in seconds")
    asked = parser.parse_args()
    if reason := why_not():
        sys.exit(f"not on this machine: {reason}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that all is taken down
    wrong = check(asked.patience, asked.cut, lambda text: print(text, flush=True))  # noqa: T201
    sys.exit("\n".join(wrong) or 0)


if __name__ == "__main__":
    main()
