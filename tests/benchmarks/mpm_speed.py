"""What the software USRP keeps up with: ``python -m tests.benchmarks.mpm_speed``.

One device in one process, on a silent ether and with a tone of another node on air, and the
vendor's ``benchmark_rate`` on one channel, receiving, sending (zeros) and both at once, at rising
rates. A rate is kept up with if the host has lost nothing. Client and device share the computer;
the target is 8 MS/s both ways. The last column is how much of one processor the device computes:
on a busy machine it loses samples long before that is 1.
"""

import itertools
import multiprocessing
import re
import subprocess
import sys
import time
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import threadpoolctl

from drivers.array import UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node
from drivers.tuning import Tuning
from sim_backend.impairments import PRESETS
from sim_backend.live_ether import LiveEther
from sim_backend.mpm import SoftwareUsrp
from sim_backend.scene import SceneStatistics, draw_scene
from sim_backend.transceiver import Transceiver

PROGRAM = Path("/usr/libexec/uhd/examples/benchmark_rate")
RATES_HZ = (4e6, 8e6, 12e6, 16e6, 20e6)
DURATION_S = 5
CARRIER_HZ = 2.4e9  # as the program leaves it
LOSSES = ("Num dropped samples", "Num overruns detected", "Num underruns detected",
          "Num late commands", "Num sequence errors (Rx)", "Num sequence errors (Tx)")  # fmt: skip
WAYS = {"receive": ("--rx_rate",), "send": ("--tx_rate",), "both": ("--rx_rate", "--tx_rate")}


def serve(preset: str, air: str, told: Connection) -> None:
    """Be a device beside a sender whose rates one is told, until a rate is zero."""
    array = UniformLinearArray(2, 0.05)
    nodes = [Node(name, name, Pose((x_m, 0.0), 0.0), array) for name, x_m in (("a", 0), ("b", 9))]
    ether = LiveEther(draw_scene(1, nodes, SceneStatistics((0.0, 0.0, 10.0, 10.0))))
    sender = Transceiver(ether, 1, PRESETS[preset])
    tone = np.exp(0.1j * np.pi * np.arange(1000)).astype(np.complex64)
    usrp = SoftwareUsrp(ether, 0, PRESETS[preset], discovery_port=0, rpc_port=0, chdr_port=0)
    with usrp, threadpoolctl.threadpool_limits(1):
        told.send(usrp.address)
        while (rate_hz := told.recv()) != 0.0:
            sender.silence()
            sender.tune(
                Tuning(CARRIER_HZ, rate_hz, 0.0, 0.0), 1, clock_locked=True, pps_locked=True
            )
            if air == "tone":
                sender.emit(tone, sender.now_tick(), 1 << 60, port_dbm=0.0)
            told.send(time.process_time())


def measured(address: str, way: str, rate_hz: float, device: Connection) -> str:
    """Samples received and sent as shares of what the rate makes of the time, and losses."""
    computed_s = computed_by(device, rate_hz)
    options = [word for option in WAYS[way] for word in (option, str(rate_hz))]
    done = subprocess.run(
        [PROGRAM, "--args", address, "--duration", str(DURATION_S), *options],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    counts = {
        name.strip(): int(number)
        for name, number in re.findall(r"^\s*(Num [^:]+):\s+(\d+)", done.stdout, re.MULTILINE)
    }
    due = rate_hz * DURATION_S
    received, sent = (counts[f"Num {what} samples"] / due for what in ("received", "transmitted"))
    lost = [f"{name.removeprefix('Num ')} {counts[name]}" for name in LOSSES if counts[name]]
    busy = (computed_by(device, rate_hz) - computed_s) / DURATION_S
    return f"{received:9.3f}{sent:9.3f}{busy:10.2f}  {', '.join(lost) or 'nothing lost'}"


def computed_by(device: Connection, rate_hz: float) -> float:
    """Seconds that a device has computed so far; what is on air is from now on of this rate."""
    device.send(rate_hz)
    return float(device.recv())


def main() -> None:
    """Print a table, a row a run."""
    out = sys.stdout
    out.write(
        f"{'preset':<8}{'air':<8}{'way':<9}{'MS/s':>5}{'received':>9}{'sent':>9}{'processor':>10}\n"
    )
    spawn = multiprocessing.get_context("spawn")
    for preset, air in itertools.product(("ideal", "lab"), ("silent", "tone")):
        here, there = spawn.Pipe()
        device = spawn.Process(target=serve, args=(preset, air, there))
        device.start()
        address = here.recv()
        for way in WAYS:
            for rate_hz in RATES_HZ:
                row = measured(address, way, rate_hz, here)
                out.write(f"{preset:<8}{air:<8}{way:<9}{rate_hz / 1e6:5.0f}{row}\n")
                out.flush()
                if "nothing" not in row:
                    break
        here.send(0.0)
        device.join()


if __name__ == "__main__":
    main()
