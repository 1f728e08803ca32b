"""The example laboratory, small enough that its runs take a second, as a testbed of processes."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from testbed.bus.job_messages import TestbedState
from testbed.bus.sockets import Caller, NoAnswerError
from testbed.services.client import LiveTestbed
from tests.integration.running import Running, running

EXAMPLE = Path(__file__).parents[2] / "examples" / "lab.yaml"
NUM_AGENTS, NUM_WORKERS = 6, 2
PROCESSES = (
    *(f"agent-{n}" for n in range(NUM_AGENTS)), *(f"worker-{n}" for n in range(NUM_WORKERS)),
    "coordinator",
)  # fmt: skip
END_S = 3.0
_MAX_FRAME_BYTES = 1 << 23


def write_site(folder: Path, patience_s: float) -> Path:
    """The site file: six nodes of four elements, 256 tones, eight captures a background."""
    site = yaml.safe_load(EXAMPLE.read_text())
    site["waveform"].update(num_subcarriers=256, subcarrier_spacing_khz=120.0)
    site["node_defaults"]["array"]["num_elements"] = 4
    site["calibration"]["num_captures"] = 8
    site["services"] = {"patience_s": patience_s, "attempt_s": 1.0}
    path = folder / "lab.yaml"
    path.write_text(yaml.safe_dump(site, sort_keys=False))
    return path


@dataclass(frozen=True)
class SmallLab:
    """The testbed that runs."""

    up: Running

    @property
    def state_folder(self) -> Path:
        return self.up.folder / "state"

    def pids(self) -> dict[str, int]:
        """Process ids of those that run now, by name."""
        up = self.up.process.pid
        found = {}
        for pid in Path(f"/proc/{up}/task/{up}/children").read_text().split():
            with suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                if name := _name_of(command):
                    found[name] = int(pid)
        return found

    @contextmanager
    def client(self, patience_s: float = 30.0, waiting=lambda _text: None) -> Iterator[LiveTestbed]:
        """A client; for one thread."""
        address = f"tcp://127.0.0.1:{self.up.port}"
        with Caller(address, max_frame_bytes=_MAX_FRAME_BYTES) as caller:
            yield LiveTestbed(caller, patience_s, waiting)

    def end(self) -> float:
        """End all by a SIGTERM to `testbed up`; how long that took, in seconds."""
        began_s = time.monotonic()
        self.up.process.send_signal(signal.SIGTERM)
        self.up.process.wait(30.0)
        return time.monotonic() - began_s

    def left(self) -> list[int]:
        """Processes of this testbed that run."""
        site = str(Path("state") / "site.yaml").encode()
        found = []
        for folder in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                command = (folder / "cmdline").read_bytes()
                if site in command and (folder / "cwd").resolve() == self.up.folder:
                    found.append(int(folder.name))
        return found


def _name_of(command: list[str]) -> str | None:
    if "coordinator" in command:
        return "coordinator"
    if "worker" in command:
        return command[command.index("--name") + 1]
    if "agent" in command:
        return f"agent-{'abcdef'.index(command[command.index('--node') + 1])}"
    return None


@contextmanager
def small_lab(folder: Path, patience_s: float = 30.0) -> Iterator[SmallLab]:
    """The testbed, until the end of the block at the latest."""
    site = write_site(folder, patience_s)
    counts = ("--agents", str(NUM_AGENTS), "--workers", str(NUM_WORKERS))
    with running(str(site), folder, *counts, "--log", "state/logs") as up:
        lab = SmallLab(up)
        _wait_for_all(lab)
        yield lab


def _wait_for_all(lab: SmallLab) -> None:
    """Wait until the coordinator has met everybody."""
    until_s = time.monotonic() + 60.0
    with lab.client() as client:
        while not _is_complete(client.state()):
            if time.monotonic() > until_s:
                msg = f"not all of {', '.join(PROCESSES)} met within a minute"
                raise RuntimeError(msg)
            os.sched_yield()


def _is_complete(state: TestbedState) -> bool:
    present = [agent for agent in state.agents if agent.present]
    return len(present) == NUM_AGENTS and len(state.workers) == NUM_WORKERS


def state_of(client: LiveTestbed) -> TestbedState | None:
    """What the coordinator tells; ``None`` while it does not answer."""
    try:
        return client.state()
    except NoAnswerError:
        return None
