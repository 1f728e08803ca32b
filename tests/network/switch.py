"""A switch between network namespaces that delays, loses, and is root's alone to make.

Each host is a namespace of its own with one Ethernet interface, whose frames this process carries.
It does what ``tc netem`` does, on kernels that were built without it too.
"""

import fcntl
import heapq
import os
import random
import selectors
import shutil
import struct
import subprocess
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path

_TUNSETIFF = 0x400454CA  # linux/if_tun.h
_IFF_TAP, _IFF_NO_PI = 0x0002, 0x1000
_TUN = Path("/dev/net/tun")
_MTU_BYTES = 9000
_MOST_WAITING = 20_000
_LOOK_S = 0.05


def why_not() -> str | None:
    """What this machine lacks for it."""
    if os.geteuid() != 0:
        return "network namespaces are root's to make"
    if shutil.which("ip") is None:
        return "there is no `ip` command (iproute2)"
    if not _TUN.exists():
        return f"there is no {_TUN}"
    probe = f"testbed-{os.getpid()}-probe"
    made = subprocess.run(
        ["ip", "netns", "add", probe], capture_output=True, text=True, check=False
    )
    if made.returncode:
        return f"no network namespace can be made: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", probe], check=False)
    return None


def run(*command: str) -> None:
    """Run a command that must succeed."""
    subprocess.run(command, check=True, capture_output=True, text=True)


class Switch:
    """Hosts on one network; gone with all that runs in them when it is closed.

    Parameters
    ----------
    names
        Of the hosts.
    delay_s, jitter_s
        Of each frame: the middle, and how far around it, evenly. Frames overtake each other.
    loss
        Probability that a frame is lost.
    seed
        Of both.

    Attributes
    ----------
    address
        IP address of each host.
    counts
        Frames carried, lost on purpose, and dropped because too many waited.
    """

    def __init__(
        self, names: list[str], *, delay_s: float, jitter_s: float, loss: float, seed: int = 0
    ) -> None:
        self._prefix = f"testbed-{os.getpid()}"
        self._delay_s, self._jitter_s, self._loss = delay_s, jitter_s, loss
        self._random = random.Random(seed)  # noqa: S311  no secrets
        self.address = {name: f"10.77.0.{n + 1}" for n, name in enumerate(names)}
        self.counts: Counter[str] = Counter()
        self._ends: dict[int, str] = {}
        self._waiting: list[tuple[float, int, int, bytes]] = []
        self._num_frames = 0
        self._port_of: dict[bytes, int] = {}
        self._is_closing = threading.Event()
        self._opened = ExitStack()
        try:
            for name in names:
                self._add(name)
        except BaseException:
            self._opened.close()
            raise
        self._thread = threading.Thread(target=self._carry, name="switch", daemon=True)
        self._thread.start()

    def namespace(self, host: str) -> str:
        """Of a host."""
        return f"{self._prefix}-{host}"

    def command(self, host: str, *command: str) -> list[str]:
        """What runs a command on a host."""
        return ["ip", "netns", "exec", self.namespace(host), *command]

    def set_link(self, host: str, *, up: bool) -> None:
        """Pull a host's cable, or put it back."""
        run(*self.command(host, "ip", "link", "set", "eth0", "up" if up else "down"))

    def close(self) -> None:
        """Take everything down."""
        self._is_closing.set()
        self._thread.join()
        self._opened.close()

    def _add(self, name: str) -> None:
        namespace = self.namespace(name)
        run("ip", "netns", "add", namespace)
        self._opened.callback(_remove, namespace)
        end = os.open(_TUN, os.O_RDWR | os.O_NONBLOCK)
        self._opened.callback(os.close, end)
        interface = f"tb{len(self._ends)}-{os.getpid()}"
        fcntl.ioctl(
            end, _TUNSETIFF, struct.pack("16sH22x", interface.encode(), _IFF_TAP | _IFF_NO_PI)
        )
        run("ip", "link", "set", interface, "netns", namespace, "name", "eth0")
        for command in (
            f"address add {self.address[name]}/24 dev eth0",
            f"link set eth0 mtu {_MTU_BYTES} up",
            "link set lo up",
        ):
            run(*self.command(name, "ip", *command.split()))
        self._ends[end] = name

    def _carry(self) -> None:
        with selectors.DefaultSelector() as selector:
            for end in self._ends:
                selector.register(end, selectors.EVENT_READ)
            while not self._is_closing.is_set():
                for key, _ in selector.select(self._wait_s()):
                    self._take(key.fd)
                self._deliver()

    def _wait_s(self) -> float:
        if not self._waiting:
            return _LOOK_S
        return min(_LOOK_S, max(0.0, self._waiting[0][0] - time.monotonic()))

    def _take(self, end: int) -> None:
        for _ in range(64):
            try:
                frame = os.read(end, _MTU_BYTES + 100)
            except OSError:  # none is there, or the link is down
                return
            self._port_of[frame[6:12]] = end
            if self._random.random() < self._loss:
                self.counts["lost"] += 1
            elif len(self._waiting) >= _MOST_WAITING:
                self.counts["dropped"] += 1
            else:
                self._num_frames += 1
                due_s = time.monotonic() + self._delay_s
                due_s += self._random.uniform(-self._jitter_s, self._jitter_s)
                heapq.heappush(self._waiting, (due_s, self._num_frames, end, frame))

    def _deliver(self) -> None:
        now_s = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now_s:
            _, _, source, frame = heapq.heappop(self._waiting)
            known = self._port_of.get(frame[:6])
            for end in self._ends if known is None else (known,):
                if end != source:
                    with suppress(OSError):  # its link is down
                        os.write(end, frame)
            self.counts["carried"] += 1


def _remove(namespace: str) -> None:
    listed = subprocess.run(
        ["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False
    )
    for pid in listed.stdout.split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), 9)
    subprocess.run(["ip", "netns", "del", namespace], check=False)
