"""`testbed air` as a process: it says where it is, serves, and ends when it is told to."""

import os
import signal
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest

from drivers.radio import RadioSpec
from testbed.remote_radio import AirLink, RemoteWorld
from tests.unit.testbed.sites import ROOT, call

LAB = ROOT / "examples" / "lab.yaml"
PATIENCE_S = 40.0


@contextmanager
def air(*arguments):
    """A process, ended at the end of the block, and the line that it prints when it is ready."""
    process = subprocess.Popen(
        [sys.executable, "-m", "testbed", "air", LAB, *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    with process:
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_radios_until_it_is_told_to_end(number):
    with air("--seed", "3", "--num-elements", "4") as (process, line):
        name, _, address = line.rpartition(": ")
        assert name == "air of lab, seed 3"
        with closing(AirLink(address)) as link:
            info = RemoteWorld(link, 1).open_radio(RadioSpec("a", 4)).info
            assert (info.serial, info.capabilities.num_rx_channels) == ("sim-3-a", 4)
            process.send_signal(number)
            assert process.wait(PATIENCE_S) == 0
        told = process.stderr.read().splitlines()
        asked = f"INFO air: asked to end by {signal.Signals(number).name}"
        assert [line.partition(" ")[2] for line in told] == [asked]


def test_an_address_that_is_taken_is_named_with_status_2():
    with air() as (_, line):
        address = line.rpartition(": ")[2]
        outcome = call("air", LAB, "--bind", address)
    assert outcome.code == 2
    assert outcome.err == f"error: {address}: already in use; is another one running?\n"


def test_air_does_not_leave_the_machine():
    outcome = call("air", LAB, "--bind", "tcp://0.0.0.0:*")
    assert outcome.code == 2
    assert "only loopback addresses go without keys" in outcome.err
