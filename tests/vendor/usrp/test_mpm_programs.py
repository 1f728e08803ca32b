"""The vendor's own programs against software USRPs, over the network as they would a device."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from drivers.ad936x import RX_FULL_SCALE_DBM, TX_FULL_SCALE_DBM
from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import Pose
from drivers.link_budget import direct_path_gain
from drivers.node import Node
from sim_backend.impairments import PRESETS
from sim_backend.live_ether import LiveEther
from sim_backend.mpm import SoftwareUsrp
from sim_backend.scene import Scene, SceneStatistics, draw_scene
from tests.vendor.usrp.emulated import address_of

EXAMPLES = (Path("/usr/libexec/uhd/examples"), Path("/usr/lib/uhd/examples"))
PATIENCE_S = 50.0
CARRIER_HZ = 2.4e9
IDEAL = replace(PRESETS["ideal"], adc_bits=12, clipping=True)
FULL_SCALE = 32768.0


def hall() -> Scene:
    """Three nodes in a row, 10 m apart, that hear in all directions; nothing else."""
    around = ElementPattern(kind="omnidirectional")
    array = UniformLinearArray(2, 0.06)
    nodes = [Node(f"n{n}", f"n{n}", Pose((10.0 * n, 0.0), 0.0), array, around) for n in range(3)]
    area_m = (-1.0, -1.0, 100.0, 100.0)
    return draw_scene(1, nodes, SceneStatistics(area_m, num_clutter=0, nodes_are_clutter=False))


@contextmanager
def software_usrps(count: int) -> Iterator[list[SoftwareUsrp]]:
    ether = LiveEther(hall())
    with ExitStack() as running:
        yield [
            running.enter_context(
                SoftwareUsrp(ether, n, IDEAL, discovery_port=0, rpc_port=0, chdr_port=0)
            )
            for n in range(count)
        ]


@pytest.fixture
def usrp() -> Iterator[SoftwareUsrp]:
    with software_usrps(1) as (one,):
        yield one


def program(name: str) -> str:
    """Where a vendor's program is; the test is left out if it is not installed."""
    for folder in EXAMPLES:
        if (folder / name).is_file():
            return str(folder / name)
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed (Debian package uhd-host)")
    return found


def output(name: str, address: str, *arguments: str, ok: bool = True) -> str:
    """What a program prints, on both of its outputs; it ends well, or not."""
    done = subprocess.run(
        [program(name), "--args", address, *arguments],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
    )  # fmt: skip
    assert (done.returncode == 0) == ok, done.stdout + done.stderr
    return done.stdout + done.stderr


@contextmanager
def running(
    name: str, address: str, *arguments: str, until: str
) -> Iterator[subprocess.Popen[str]]:
    """A program that has printed something."""
    process = subprocess.Popen(
        ["stdbuf", "-oL", program(name), "--args", address, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    with process:
        try:
            assert any(until in line for line in process.stdout)
            yield process
        finally:
            process.terminate()


def counted(text: str, what: str) -> int:
    found = re.search(rf"{re.escape(what)}\s*(?:->)?\s*(\d+)", text)
    assert found is not None, text
    return int(found[1])


def test_it_is_found_and_says_that_it_is_emulated(usrp):
    found = output("uhd_find_devices", usrp.address)
    assert "product: e320" in found
    assert "fpga: emulated" in found
    assert "serial: EMU1-0-0" in found


def test_it_has_two_channels_each_way_and_tells_of_its_locks(usrp):
    tree = output("uhd_usrp_probe", usrp.address)
    for way in ("RX", "TX"):
        for channel in (0, 1):
            assert f"{way} Frontend: {channel}" in tree
    sensors = output("usrp_list_sensors", usrp.address)
    assert "ref_locked: locked" in sensors
    assert sensors.count("lo_locked: locked") == 4


def test_three_boards_receive_at_the_same_time_after_a_pulse():
    with software_usrps(3) as usrps:
        told = output(
            "rx_multi_samples", address_of(usrps), "--sync", "pps", "--rate", "2e6",
            "--nsamps", "10000", "--channels", "0,1,2,3,4,5",
        )  # fmt: skip
    assert told.count("2000 samples, 1 full secs, 0.50") == 5
    assert "1 full secs, 0.504000 frac secs" in told


def test_a_timed_block_begins_at_its_time(usrp):
    told = output("rx_timed_samples", usrp.address, "--rate", "5e6", "--nsamps", "10000")
    assert "2000 samples, 1 full secs, 0.500000 frac secs" in told
    assert "2000 samples, 1 full secs, 0.501600 frac secs" in told
    assert "Done!" in told


def test_the_pulse_is_seen(usrp):
    assert "Success!" in output("test_pps_input", usrp.address, "--source", "external")


def test_without_a_pulse_none_is_seen(usrp):
    usrp.lose_pulses()
    told = output("test_pps_input", usrp.address, "--source", "external", ok=False)
    assert "Success!" not in told


def test_answers_reach_the_air_in_time(usrp):
    told = output("latency_test", usrp.address, "--nruns", "20", "--rate", "1e6", "--rtt", "0.05")
    assert "ACKs received:    20/20" in told
    assert counted(told, "Underruns:") == 0
    assert counted(told, "Late packets:") == 0


def test_every_event_that_can_be_provoked_comes(usrp):
    told = output("test_messages", usrp.address, "--ntests", "12")
    kinds = ("Test Burst ACK", "Test Underflow", "Test Time Error", "Test Late Command")
    assert sum(counted(told, kind) for kind in kinds) == 12
    for kind in kinds:
        assert re.search(rf"{kind}\s*->\s*\d+ successes,\s*0 failures", told), told


def test_a_burst_is_acknowledged(usrp):
    # More than the buffer holds: what it waits for is then soon to come.
    told = output(
        "tx_bursts", usrp.address, "--nsamps", "1000000", "--rate", "5e6", "--secs", "0.5"
    )
    assert "Waiting for async burst ACK... success" in told


# With several channels the program begins a quarter of a second later.
@pytest.mark.parametrize(("channels", "delay_s"), [("0", 0.0), ("0,1", 0.25)])
def test_as_much_is_sent_as_the_rate_says(usrp, channels, delay_s):
    # Long enough that what the buffer holds at the end is little of it.
    rate_hz, duration_s = 4e6, 9
    told = output(
        "benchmark_rate", usrp.address, "--tx_rate", str(rate_hz), "--duration", str(duration_s),
        "--channels", channels,
    )  # fmt: skip
    sent = counted(told, "Num transmitted samples:") / (1 + channels.count(","))
    assert sent == pytest.approx(rate_hz * (duration_s - delay_s), rel=0.02)


@pytest.mark.parametrize("channels", ["0", "0,1"])
def test_as_much_is_received_as_the_rate_says(usrp, channels):
    rate_hz, duration_s = 1e6, 4
    told = output(
        "benchmark_rate", usrp.address, "--rx_rate", str(rate_hz), "--duration", str(duration_s),
        "--channels", channels,
    )  # fmt: skip
    received = counted(told, "Num received samples:") / (1 + channels.count(","))
    assert received == pytest.approx(rate_hz * duration_s, rel=0.02)
    assert counted(told, "Num dropped samples:") == 0


def test_an_overflow_and_lost_packets_are_noticed(usrp):
    arguments = ("--rx_rate", "1e6", "--duration", "4")
    with running("benchmark_rate", usrp.address, *arguments, until="Testing receive") as receiving:
        time.sleep(1.0)  # of what it counts
        usrp.drop_packets(3)
        time.sleep(0.5)  # in which the gap is noticed, before the overflow hides it
        usrp.overflow()
        told, _ = receiving.communicate(timeout=PATIENCE_S)
    assert counted(told, "Num overruns detected:") == 1
    assert counted(told, "Num sequence errors (Rx):") == 1
    assert counted(told, "Num dropped samples:") > 0


def test_a_second_client_is_refused_until_the_first_is_gone(usrp):
    arguments = ("--rx_rate", "1e6", "--duration", "60")
    with running("benchmark_rate", usrp.address, *arguments, until="Testing receive") as first:
        assert "claimed: True" in output("uhd_find_devices", usrp.address)
        assert "claim" in output("rx_timed_samples", usrp.address, ok=False)
        os.kill(first.pid, signal.SIGKILL)  # without a farewell
        gone_s = time.monotonic()
    while "claimed: True" in output("uhd_find_devices", usrp.address):
        assert time.monotonic() < gone_s + 5.0
    assert "Done!" in output("rx_timed_samples", usrp.address, "--rate", "1e6", "--secs", "0.2")


def test_a_tone_arrives_at_its_frequency_and_level(tmp_path):
    rate_hz, tone_hz, amplitude, tx_gain_db, rx_gain_db = 2e6, 250e3, 0.5, 70.0, 60.0
    common = ("--rate", str(rate_hz), "--freq", str(CARRIER_HZ), "--ref", "external")
    with software_usrps(2) as (sender, receiver):
        sending = running(
            "tx_waveforms", sender.address, *common, "--pps", "external",
            "--gain", str(tx_gain_db), "--wave-type", "SINE", "--wave-freq", str(tone_hz),
            "--ampl", str(amplitude), until="Press Ctrl",
        )  # fmt: skip
        with sending:
            output(
                "rx_samples_to_file", receiver.address, *common, "--gain", str(rx_gain_db),
                "--nsamps", "200000", "--setup", "0.5", "--file", str(tmp_path / "heard"),
            )  # fmt: skip
    parts = np.fromfile(tmp_path / "heard", "<i2").reshape(-1, 2) / FULL_SCALE
    heard = (parts[:, 0] + 1j * parts[:, 1])[-(1 << 16) :]
    power = np.abs(np.fft.fft(heard * np.hanning(len(heard)))) ** 2
    place = int(np.argmax(power))
    assert np.fft.fftfreq(len(heard), 1.0 / rate_hz)[place] == pytest.approx(tone_hz, abs=40.0)
    nodes = hall().nodes
    loss_db = -20.0 * np.log10(direct_path_gain(nodes[0], nodes[1], 299_792_458.0 / CARRIER_HZ))
    sent_dbm = TX_FULL_SCALE_DBM - (89.75 - tx_gain_db) + 20.0 * np.log10(amplitude)
    expected_dbfs = sent_dbm - loss_db + rx_gain_db - RX_FULL_SCALE_DBM
    found_dbfs = 10.0 * np.log10(np.mean(np.abs(heard) ** 2))
    assert found_dbfs == pytest.approx(expected_dbfs, abs=0.2)
