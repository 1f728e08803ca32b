"""Time and memory of one burst on air: ``python -m tests.benchmarks.ether_speed``.

One burst of the paper's grid (6666 tones at 122.88 MS/s) at one receiver of 32 elements, over the
direct path, 68 clutter scatterers (30 and the 38 other nodes) and the target, on one thread. The
target is less than a second. Each preset runs in a process of its own, so that its peak memory is
its own.
"""

import multiprocessing
import resource
import sys
import time

import numpy as np
import threadpoolctl

from drivers.array import UniformLinearArray
from drivers.grids import preset_burst
from drivers.node import Node
from drivers.sounding import Sounding
from drivers.tuning import Tuning, transmit_power_dbm
from processing.demodulate import demodulate
from sim_backend.ether import Ether
from sim_backend.impairments import PRESETS
from sim_backend.radio import SimRadio
from sim_backend.scene import SceneStatistics, draw_scene, draw_uniform_poses

AREA_M = (0.0, 0.0, 200.0, 200.0)
NUM_NODES, NUM_ELEMENTS, NUM_REPETITIONS = 40, 32, 15
TX_GAIN_DB, RX_GAIN_DB = 84.0, 50.0
LEAD_S = 10e-3


class Bench:
    """A transmitter and a receiver of one preset in the paper's hall."""

    def __init__(self, preset: str) -> None:
        self.burst = preset_burst("paper", 10e9)
        array = UniformLinearArray(NUM_ELEMENTS, self.burst.grid.wavelength_m / 2.0)
        poses = draw_uniform_poses(1, AREA_M, NUM_NODES)
        nodes = [Node(f"n{n}", f"n{n}", pose, array) for n, pose in enumerate(poses)]
        scene = draw_scene(1, nodes, SceneStatistics(AREA_M))
        if len(scene.clutter_of_link(0, 1)[0]) != 68:
            msg = "the scene has not the paper's 68 scatterers"
            raise RuntimeError(msg)
        self.ether = Ether(scene)
        self.sender, self.receiver = (SimRadio(self.ether, n, PRESETS[preset]) for n in range(2))
        self.is_timed = self.sender.info.capabilities.timed_bursts
        able = self.sender.info.capabilities
        for radio in (self.sender, self.receiver):
            radio.configure(
                Tuning(
                    self.burst.local_oscillator_hz, self.burst.sample_rate_hz, RX_GAIN_DB,
                    TX_GAIN_DB, "external" if able.external_clock else "internal",
                    "pps" if able.pps else "none",
                )
            )  # fmt: skip
        self.samples = self.burst.samples()
        self.full_scale_dbm = transmit_power_dbm(able, TX_GAIN_DB, 1.0)

    def run(self, look: int) -> tuple[float, float]:
        """Seconds from arming to the block of a new look, and of demodulating it."""
        self.ether.look = look
        burst = self.burst
        begin = time.perf_counter()
        if self.is_timed:
            at = self.receiver.time_ticks() + int(LEAD_S * burst.sample_rate_hz)
            self.receiver.arm_receive(burst.num_samples + burst.prefix_length, at)
            self.sender.transmit(self.samples, at)
        else:  # repeated while the receiver listens for long enough to hold a whole burst
            at = None
            self.sender.transmit(self.samples, None, 0.05)
            self.ether.advance(LEAD_S)  # more than the sender takes to begin
            self.receiver.arm_receive(2 * burst.num_samples + burst.prefix_length)
        block = self.receiver.fetch()
        on_air = time.perf_counter()
        if not self.is_timed:  # finding a burst without common time is measured elsewhere
            self.sender.stop_transmit()
            return on_air - begin, float("nan")
        report = self.sender.transmit_report()
        demodulate(block, Sounding("n0", burst, at, self.full_scale_dbm, report))
        return on_air - begin, time.perf_counter() - on_air


def measure(preset: str) -> str:
    """One line of the table."""
    with threadpoolctl.threadpool_limits(1):
        bench = Bench(preset)
        bench.run(0)  # whatever is done once, plans of transforms above all
        before_mib = _peak_mib()
        times = np.array([bench.run(look) for look in range(1, 1 + NUM_REPETITIONS)])
    air, rest = (np.percentile(column, [25, 50, 75]) for column in times.T)
    demodulated = "        -" if np.isnan(rest[1]) else f"{rest[1]:9.4f}"
    return (
        f"{preset:<8}{air[1]:9.4f}{air[0]:9.4f}{air[2]:9.4f}{demodulated}"
        f"{before_mib:10.0f}{_peak_mib():10.0f}"
    )


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024.0  # Linux counts KiB


def main() -> None:
    """Print a table, a row a preset."""
    out = sys.stdout
    out.write(
        f"one burst, {NUM_ELEMENTS} elements, 68 scatterers, direct path and target; "
        f"{NUM_REPETITIONS} repetitions, one thread\n\n"
        f"{'preset':<8}{'median':>9}{'lower q.':>9}{'upper q.':>9}{'demod.':>9}"
        f"{'peak of 1':>10}{'peak':>10}\n{'':<8}{'s':>9}{'s':>9}{'s':>9}{'s':>9}"
        f"{'MiB':>10}{'MiB':>10}\n"
    )
    spawn = multiprocessing.get_context("spawn")
    for preset in PRESETS:
        with spawn.Pool(1) as pool:
            out.write(pool.apply(measure, (preset,)) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
