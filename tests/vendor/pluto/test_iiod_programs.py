"""The vendor's own programs against the software Pluto."""

import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sim_backend.iiod import SoftwarePluto
from sim_backend.iiod.personalities import PERSONALITIES, Personality
from tests.vendor.pluto.software import (
    PATIENCE_S,
    RATE_HZ,
    complex_samples,
    expected_dbfs,
    output,
    program,
    set_up,
    software_plutos,
    strongest_tone,
    tone_bytes,
    vendors_daemon,
    wait_until_repeating,
)

RECEIVER, SENDER = "cf-ad9361-lpc", "cf-ad9361-dds-core-lpc"
IQ = ("voltage0", "voltage1")
PERIOD = 4000  # samples of a cyclic tone
CYCLES = 200  # of it, so that it is at 125 kHz
AMPLITUDE = 0.5
# Only written, on a real device, too; the last one where there is no second receiver.
NOT_READ = {
    "fastlock_recall", "gain_table_config", "multichip_sync", "dcxo_tune_coarse",
    "dcxo_tune_fine", "gaininfo_rx2",
}  # fmt: skip


@contextmanager
def cyclic_tone(pluto: SoftwarePluto, path: Path) -> Iterator[None]:
    """iio_writedev sends a tone over and over."""
    path.write_bytes(tone_bytes(CYCLES, PERIOD, AMPLITUDE))
    with path.open("rb") as source:
        sending = subprocess.Popen(
            [program("iio_writedev"), "-c", "-u", pluto.uri, "-b", str(PERIOD), SENDER, *IQ],
            stdin=source,
        )
        try:
            wait_until_repeating(pluto)
            yield
        finally:
            sending.terminate()
            sending.wait(PATIENCE_S)


def read(uri: str, num_samples: int, *, block: int = 16384) -> bytes:
    """Some samples, without the stale ones of a new buffer."""
    done = subprocess.run(
        [program("iio_readdev"), "-u", uri, "-b", str(block), "-s", str(num_samples + 4 * block),
         RECEIVER, *IQ],
        capture_output=True, timeout=PATIENCE_S, check=True,
    )  # fmt: skip
    return done.stdout[16 * block :]


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_iio_info_lists_everything(personality: Personality) -> None:
    with software_plutos(personality) as (pluto,):
        shown = output("iio_info", "-u", pluto.uri)
    assert "isac_emulated: 1" in shown
    assert "hw_serial: emulated-1-n0" in shown
    for name in ("ad9361-phy", "xadc", SENDER):
        assert f": {name}" in shown
    assert set(re.findall(r"attr +\d+: (\S+) ERROR", shown)) <= NOT_READ


@pytest.mark.parametrize("personality", PERSONALITIES)
def test_iio_attr_reads_everything(personality: Personality) -> None:
    wants = {"-c": "hardwaregain", "-d": "ensm_mode", "-D": "direct_reg_access", "-B": "watermark"}
    with software_plutos(personality) as (pluto,):
        for way, name in wants.items():
            # It ends badly where an attribute can only be written; it shows all the same.
            where = (".", ".", ".") if way == "-c" else (".", ".")
            shown = subprocess.run(
                [program("iio_attr"), "-u", pluto.uri, way, *where],
                capture_output=True, text=True, timeout=PATIENCE_S, check=False,
            )  # fmt: skip
            assert f"attr '{name}', value" in shown.stdout
            refused = re.findall(r"attr '(\S+)'.*ERROR", shown.stdout + shown.stderr)
            assert set(refused) <= NOT_READ, shown.stdout + shown.stderr


def test_iio_attr_writes_and_is_refused() -> None:
    with software_plutos("pluto") as (pluto,):
        set_up(pluto, gain_db=40.0)

        def attr(*words: str, ok: bool = True) -> str:
            return output("iio_attr", "-u", pluto.uri, *words, ok=ok)

        receive_gain = ("-i", "-c", "ad9361-phy", "voltage0", "hardwaregain")
        transmit_gain = ("-o", "-c", "ad9361-phy", "voltage0", "hardwaregain")
        carrier = ("-o", "-c", "ad9361-phy", "RX_LO", "frequency")
        assert "40.000000 dB" in attr(*receive_gain)
        attr(*transmit_gain, "-10.3")
        assert "-10.250000 dB" in attr(*transmit_gain)
        # Out of range: refused, and the old value stays.
        assert "Invalid argument (22)" in attr(*carrier, "7000000000", ok=False)
        assert "2400000000" in attr(*carrier)
        assert "Invalid argument (22)" in attr(*receive_gain, "80", ok=False)
        assert "40.000000 dB" in attr(*receive_gain)
        assert "Permission denied" in attr(*receive_gain[:4], "rssi", "1", ok=False)


def test_iio_readdev_takes_real_time() -> None:
    with software_plutos("pluto") as (pluto,):
        set_up(pluto)
        begin_s = time.monotonic()
        raw = read(pluto.uri, RATE_HZ // 2)
        elapsed_s = time.monotonic() - begin_s
    assert len(raw) == 4 * (RATE_HZ // 2)
    assert elapsed_s >= 0.5 + 4 * 16384 / RATE_HZ - 0.01


def test_iio_readdev_hears_the_tone_of_another_device(tmp_path: Path) -> None:
    with software_plutos("pluto", "pluto") as (sender, receiver):
        set_up(sender)
        set_up(receiver)
        with cyclic_tone(sender, tmp_path / "tone"):
            samples = complex_samples(read(receiver.uri, 65536), 2048.0)
            frequency_hz, level_dbfs = strongest_tone(samples[-40_000:], RATE_HZ)
        quiet = complex_samples(read(receiver.uri, 16384), 2048.0)
    assert frequency_hz == pytest.approx(RATE_HZ * CYCLES / PERIOD)
    assert level_dbfs == pytest.approx(expected_dbfs(AMPLITUDE, 40.0), abs=0.1)
    # ended with the program that sent it
    assert strongest_tone(quiet, RATE_HZ)[1] < level_dbfs - 30.0


def test_iio_writedev_streams_at_the_rate(tmp_path: Path) -> None:
    source = tmp_path / "stream"
    source.write_bytes(tone_bytes(CYCLES, PERIOD, AMPLITUDE) * (RATE_HZ // PERIOD))
    with software_plutos("pluto", "pluto") as (sender, receiver):
        set_up(sender)
        set_up(receiver)
        begin_s = time.monotonic()
        with source.open("rb") as stream:
            sending = subprocess.Popen(
                [program("iio_writedev"), "-u", sender.uri, "-b", "40000", SENDER, *IQ],
                stdin=stream,
            )
            samples = complex_samples(read(receiver.uri, RATE_HZ // 2), 2048.0)
            assert sending.wait(PATIENCE_S) == 0
        elapsed_s = time.monotonic() - begin_s
    # one second of samples, of which the last four kernel buffers may still be queued
    assert elapsed_s >= 1.0 - 5 * 40_000 / RATE_HZ
    frequency_hz, level_dbfs = strongest_tone(samples[400_000:440_000], RATE_HZ)
    assert frequency_hz == pytest.approx(RATE_HZ * CYCLES / PERIOD)
    assert level_dbfs == pytest.approx(expected_dbfs(AMPLITUDE, 40.0), abs=0.1)


def test_the_vendors_daemon_stands_between_as_a_proxy(tmp_path: Path) -> None:
    with software_plutos("pluto", "pluto") as (sender, receiver):
        set_up(sender)
        set_up(receiver)
        with cyclic_tone(sender, tmp_path / "tone"), vendors_daemon(receiver.uri) as uri:
            shown = output("iio_attr", "-u", uri, "-o", "-c", "ad9361-phy", "RX_LO", "frequency")
            samples = complex_samples(read(uri, 65536), 2048.0)
    assert "2400000000" in shown
    frequency_hz, level_dbfs = strongest_tone(samples[-40_000:], RATE_HZ)
    assert frequency_hz == pytest.approx(RATE_HZ * CYCLES / PERIOD)
    assert level_dbfs == pytest.approx(expected_dbfs(AMPLITUDE, 40.0), abs=0.1)
