"""Software Plutos in a hall of nothing but free space, and the vendor's programs."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

import numpy as np

from drivers.ad936x import RX_FULL_SCALE_DBM, TX_FULL_SCALE_DBM
from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import Pose
from drivers.link_budget import direct_path_gain
from drivers.node import Node
from sim_backend.iiod import SoftwarePluto
from sim_backend.iiod.personalities import Personality
from sim_backend.impairments import PRESETS
from sim_backend.live_ether import LiveEther
from sim_backend.scene import Scene, SceneStatistics, draw_scene
from tests.vendor.conftest import PLACES

PATIENCE_S = 30.0
CARRIER_HZ, RATE_HZ = 2.4e9, 2_500_000
SEPARATION_M = 10.0
IDEAL = replace(PRESETS["ideal"], adc_bits=12, clipping=True)


def free_space(num_nodes: int = 2, num_elements: int = 1) -> Scene:
    """Nodes in a row, 10 m apart, that hear in all directions; nothing else."""
    around = ElementPattern(kind="omnidirectional")
    array = UniformLinearArray(num_elements, 0.06)
    nodes = [
        Node(f"n{n}", f"n{n}", Pose((SEPARATION_M * n, 0.0), 0.0), array, around)
        for n in range(num_nodes)
    ]
    area_m = (-1.0, -1.0, 100.0, 100.0)
    return draw_scene(1, nodes, SceneStatistics(area_m, num_clutter=0, nodes_are_clutter=False))


def expected_dbfs(amplitude: float, gain_db: float) -> float:
    """Level at which a node hears a tone of the next one, which is at its full output."""
    path_gain = direct_path_gain(*free_space().nodes, 299_792_458.0 / CARRIER_HZ)
    at_antenna_dbm = TX_FULL_SCALE_DBM + 20.0 * np.log10(amplitude * path_gain)
    return float(at_antenna_dbm + gain_db - RX_FULL_SCALE_DBM)


@contextmanager
def software_plutos(
    *personalities: Personality, num_elements: int = 1
) -> Iterator[list[SoftwarePluto]]:
    """One software device a node, on one ether, listening."""
    scene = free_space(len(personalities), num_elements)
    ether = LiveEther(scene)
    with ExitStack() as running:
        yield [
            running.enter_context(SoftwarePluto(ether, n, IDEAL, personality=personality))
            for n, personality in enumerate(personalities)
        ]


def program(name: str) -> str:
    """Where a vendor's program is; without them this folder is left out."""
    path = shutil.which(name, path=PLACES)
    assert path is not None, f"{name} is not installed"
    return path


def wait_until_repeating(pluto: SoftwarePluto) -> None:
    """Wait until a cyclic buffer is sent."""
    end_s = time.monotonic() + PATIENCE_S
    while not pluto.is_repeating:
        assert time.monotonic() < end_s, "no cyclic buffer is sent"
        time.sleep(0.001)  # looked at again and again, but not all the time


@contextmanager
def vendors_daemon(uri: str) -> Iterator[str]:
    """The vendor's daemon serving a context that it has from somewhere else; its address."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port = found.getsockname()[1]
    daemon = subprocess.Popen(
        [program("iiod"), "-u", uri, "-p", str(port)], stderr=subprocess.DEVNULL
    )
    try:
        end_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < end_s and daemon.poll() is None:
            with socket.socket() as knocking:
                if knocking.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.01)  # before it is asked again
        yield f"ip:127.0.0.1:{port}"
    finally:
        daemon.kill()  # asked to end, it waits for a name service that is not there
        daemon.wait(PATIENCE_S)


def output(name: str, *arguments: str, ok: bool = True) -> str:
    """What a program prints, on both of its outputs; it ends well, or not."""
    done = subprocess.run(
        [program(name), *arguments], capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout + done.stderr


def set_up(pluto: SoftwarePluto, *, carrier_hz: float = CARRIER_HZ, gain_db: float = 40.0) -> None:
    """Set the first chip to a carrier, the common rate and manual gains, with iio_attr."""
    for words in (
        ("-i", "voltage0", "sampling_frequency", str(RATE_HZ)),
        ("-o", "RX_LO", "frequency", f"{carrier_hz:.0f}"),
        ("-o", "TX_LO", "frequency", f"{carrier_hz:.0f}"),
        ("-i", "voltage0", "gain_control_mode", "manual"),
        ("-i", "voltage0", "hardwaregain", f"{gain_db:.0f}"),
        ("-o", "voltage0", "hardwaregain", "0"),
    ):
        way, *rest = words
        output("iio_attr", "-u", pluto.uri, way, "-c", "ad9361-phy", *rest)


def complex_samples(raw: bytes, scale: float) -> np.ndarray:
    """Interleaved in-phase and quadrature, as fractions of full scale."""
    parts = np.frombuffer(raw, "<i2").astype(np.float64).reshape(-1, 2) / scale
    return parts[:, 0] + 1j * parts[:, 1]


def tone_bytes(cycles: int, length: int, amplitude: float) -> bytes:
    """A tone, as clients write it: 12 bits, left-justified in 16."""
    tone = amplitude * np.exp(2j * np.pi * cycles * np.arange(length) / length)
    parts = np.stack((tone.real, tone.imag), axis=1)
    return (np.rint(parts * 2047.0).astype("<i2") << 4).tobytes()


def strongest_tone(samples: np.ndarray, rate_hz: float) -> tuple[float, float]:
    """Frequency in hertz and power in decibels of full scale."""
    power = np.abs(np.fft.fft(samples)) ** 2 / len(samples) ** 2
    place = int(np.argmax(power))
    return float(np.fft.fftfreq(len(samples), 1.0 / rate_hz)[place]), 10.0 * float(
        np.log10(power[place])
    )
