"""Boards that die or freeze under the Pluto driver: the right error in under two seconds."""

import os
import signal
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
import pytest

from drivers.radio_errors import (
    RadioClosedError,
    RadioError,
    RadioLostError,
    RadioNotFoundError,
    RadioTimeoutError,
)
from drivers.tuning import Tuning
from tests.vendor.pluto import driving

ROOT = Path(__file__).parents[3]
TUNING = Tuning(2.45e9, 4e6, 40.0, -10.0)
OTHER = Tuning(2.5e9, 5e6, 40.0, -10.0)
BURST = np.full(1000, 0.5, dtype=np.complex64)
LIMIT_S = 2.0
TIMEOUT_S = 0.6  # leaves a busy machine room below the limit


@contextmanager
def board():
    """Process and address of a board."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.vendor.pluto.serve", "pluto"],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process, process.stdout.readline().strip()
        finally:
            process.kill()


def strike(process: subprocess.Popen, how: signal.Signals) -> None:
    """Kill or freeze a process, and wait until all its threads have taken notice."""
    os.kill(process.pid, how)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)


def opened(uri: str):
    return driving.opened(uri, timeout_s=TIMEOUT_S)


def ready_to_fetch(radio):
    radio.arm_receive(200_000)  # 50 ms
    return radio.fetch


def repeating(radio):
    radio.transmit(BURST, None, 30.0)
    return radio


# What the device is at when it goes, and what is asked of it then.
CALLS = {
    "fetch": ready_to_fetch,
    "arm": lambda radio: lambda: radio.arm_receive(4096),
    "configure": lambda radio: lambda: radio.configure(OTHER),
    "configure armed": lambda radio: ready_to_fetch(radio) and (lambda: radio.configure(OTHER)),
    "transmit": lambda radio: lambda: radio.transmit(BURST, None, 1.0),
    "stop while a block comes": lambda radio: (
        ready_to_fetch(repeating(radio)) and radio.stop_transmit
    ),
    "stop": lambda radio: repeating(radio).stop_transmit,
    "report": lambda radio: repeating(radio).transmit_report,
    "health": lambda radio: radio.health,
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_device_that_goes_is_an_error_in_time(how, call):
    with board() as (process, uri), closing(opened(uri)) as radio:
        radio.configure(TUNING)
        action = CALLS[call](radio)
        strike(process, how)
        before_s = time.monotonic()
        with pytest.raises((RadioLostError, RadioTimeoutError), match=uri):
            action()
        assert time.monotonic() - before_s < LIMIT_S
        with pytest.raises(RadioLostError, match="given up"):
            radio.health()
        before_s = time.monotonic()
        radio.close()
        assert time.monotonic() - before_s < LIMIT_S
        with pytest.raises(RadioClosedError):
            radio.health()
        radio.stop_transmit()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def test_a_device_that_goes_while_it_sends_and_receives_can_be_closed(how):
    with board() as (process, uri):
        radio = opened(uri)
        radio.configure(TUNING)
        ready_to_fetch(repeating(radio))
        strike(process, how)
        before_s = time.monotonic()
        radio.close()
        assert time.monotonic() - before_s < LIMIT_S


def test_a_device_that_freezes_is_not_opened_for_ever():
    with board() as (process, uri):
        strike(process, signal.SIGSTOP)
        before_s = time.monotonic()
        with pytest.raises((RadioNotFoundError, RadioTimeoutError), match=uri):
            opened(uri)
        assert time.monotonic() - before_s < 10.0


def test_a_device_that_thaws_sends_no_more_and_can_be_opened_again():
    with board() as (process, uri):
        with closing(opened(uri)) as radio:
            radio.configure(TUNING)
            repeating(radio)
            strike(process, signal.SIGSTOP)
            with pytest.raises(RadioError):
                radio.health()
        os.kill(process.pid, signal.SIGCONT)
        with closing(opened(uri)) as again:
            again.configure(TUNING)
            # until the device has seen that the connection is gone
            assert driving.until(lambda: driving.sends(again))
