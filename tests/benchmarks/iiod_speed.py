"""Samples a second through the software Pluto: ``python -m tests.benchmarks.iiod_speed``.

The vendor's iio_readdev reads to nowhere and iio_writedev writes from a file of zeros and from a
tone, each against software devices in one process. With both at once they share that process. A
device is set to a rate of 61.44 MS/s, so that the time of the air does not limit it; what it
cannot deliver it counts as lost, as a device does. The second figure is per second that this
process computes: what the first one would be if it never had to wait, and all that is worth
anything on a busy machine.
"""

import os
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import threadpoolctl

from sim_backend.iiod import SoftwarePluto
from sim_backend.impairments import PRESETS
from sim_backend.live_ether import LiveEther
from tests.vendor.pluto.software import (
    PATIENCE_S,
    free_space,
    output,
    program,
    tone_bytes,
    wait_until_repeating,
)

RECEIVER, SENDER, IQ = "cf-ad9361-lpc", "cf-ad9361-dds-core-lpc", ("voltage0", "voltage1")
BLOCK = 1 << 16
RATE_HZ = 61_440_000
NUM_SAMPLES = 400 * BLOCK
NUM_ON_AIR = 60 * BLOCK


def reading(uri: str, num_samples: int) -> subprocess.Popen[bytes]:
    """A client that reads."""
    return subprocess.Popen(
        [program("iio_readdev"), "-T", "60000", "-u", uri, "-b", str(BLOCK), "-s",
         str(num_samples), RECEIVER, *IQ],
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


def writing(uri: str, source: Path, *, cyclic: bool = False) -> subprocess.Popen[bytes]:
    """A client that writes a file."""
    words = ["-c"] if cyclic else []
    with source.open("rb") as stream:
        return subprocess.Popen(
            [program("iio_writedev"), *words, "-T", "60000", "-u", uri, "-b", str(BLOCK), SENDER,
             *IQ],
            stdin=stream,
        )  # fmt: skip


def rate_msps(num_samples: int, *clients: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Millions of samples a second of clients that have just begun, and a computed second."""
    begin_s, computed_s = time.perf_counter(), time.process_time()
    for client in clients:
        if client.wait(10 * PATIENCE_S) != 0:
            msg = f"{client.args!r} ended badly"
            raise RuntimeError(msg)
    taken_s = time.perf_counter() - begin_s, time.process_time() - computed_s
    return num_samples / taken_s[0] / 1e6, num_samples / taken_s[1] / 1e6


def measure(
    first: SoftwarePluto, second: SoftwarePluto, files: Path
) -> list[tuple[str, tuple[float, float]]]:
    """What was measured, and how fast it was."""
    silence, tone = files / "silence", files / "tone"
    silence.write_bytes(bytes(4 * NUM_SAMPLES))
    tone.write_bytes(tone_bytes(BLOCK // 16, BLOCK, 0.5) * (NUM_ON_AIR // BLOCK))
    measured = [
        ("receive, silent ether", rate_msps(NUM_SAMPLES, reading(first.uri, NUM_SAMPLES))),
        ("send, zeros", rate_msps(NUM_SAMPLES, writing(first.uri, silence))),
        ("send, a tone", rate_msps(NUM_ON_AIR, writing(first.uri, tone))),
    ]
    both = reading(first.uri, NUM_SAMPLES), writing(first.uri, silence)
    measured.append(("receive and send at once, each", rate_msps(NUM_SAMPLES, *both)))
    sending = writing(second.uri, tone, cyclic=True)
    wait_until_repeating(second)
    hearing = rate_msps(NUM_ON_AIR, reading(first.uri, NUM_ON_AIR))
    measured.append(("receive, a tone of another on air", hearing))
    sending.terminate()
    sending.wait(PATIENCE_S)
    return measured


def main() -> None:
    """Print a table."""
    ether = LiveEther(free_space())
    with ExitStack() as running, threadpoolctl.threadpool_limits(1):
        files = Path(running.enter_context(tempfile.TemporaryDirectory()))
        plutos = [
            running.enter_context(SoftwarePluto(ether, n, PRESETS["pluto"])) for n in range(2)
        ]
        for pluto in plutos:
            for words in (
                ("-i", "-c", "ad9361-phy", "voltage0", "sampling_frequency", str(RATE_HZ)),
                ("-o", "-c", "ad9361-phy", "RX_LO", "frequency", "2450000000"),
            ):
                output("iio_attr", "-u", pluto.uri, *words)
        load = os.getloadavg()[0]
        sys.stdout.write(f"{os.cpu_count()} processors, load {load:.1f} before; MS/s\n")
        for what, (msps, computed_msps) in measure(plutos[0], plutos[1], files):
            sys.stdout.write(f"{msps:8.1f}{computed_msps:8.1f}  {what}\n")


if __name__ == "__main__":
    main()
