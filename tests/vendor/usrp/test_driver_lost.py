"""What becomes of a USRP radio whose device is killed or frozen: lost in time, nothing hangs."""

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from drivers.radio import Radio
from drivers.radio_errors import (
    RadioError,
    RadioLostError,
    RadioNotFoundError,
)
from drivers.tuning import Tuning
from tests.vendor.usrp.one_board import BURST, LONG_BURST, TUNING, open_on

WITHIN_S = 2.0


@contextmanager
def others_keep_running(longest_s: float = 1.0) -> Iterator[None]:
    """Fail if another thread of this process stood still for that long."""
    stop, gaps_s = threading.Event(), []

    def tick() -> None:
        before_s = time.monotonic()
        while not stop.wait(0.01):
            now_s = time.monotonic()
            gaps_s.append(now_s - before_s)
            before_s = now_s

    thread = threading.Thread(target=tick)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert max(gaps_s, default=0.0) < longest_s


def is_lost_in_time(action: Callable[[], object]) -> None:
    begin_s = time.monotonic()
    with others_keep_running(), pytest.raises(RadioLostError):
        action()
    assert time.monotonic() - begin_s < WITHIN_S


def closes_in_time(radio: Radio) -> None:
    begin_s = time.monotonic()
    radio.close()
    assert time.monotonic() - begin_s < WITHIN_S


@pytest.fixture(params=[signal.SIGKILL, signal.SIGSTOP], ids=["killed", "frozen"])
def strike(request, usrps) -> Callable[[], None]:
    def until_it_has_happened() -> None:
        usrps.process.send_signal(request.param)
        os.waitid(os.P_PID, usrps.process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    return until_it_has_happened


def test_a_device_is_lost_while_receiving(radio, strike):
    radio.arm_receive(4_000_000)
    threading.Timer(0.15, strike).start()
    time_left_s = 0.15
    begin_s = time.monotonic()
    with others_keep_running(), pytest.raises(RadioLostError):
        radio.fetch()
    assert time.monotonic() - begin_s < WITHIN_S + time_left_s
    closes_in_time(radio)


def test_a_device_is_lost_long_before_a_block_begins(radio, strike):
    radio.arm_receive(1000, radio.time_ticks() + 10**9)
    strike()
    is_lost_in_time(radio.fetch)
    closes_in_time(radio)


def test_a_device_is_lost_while_sending(radio, strike):
    radio.transmit(LONG_BURST, radio.time_ticks() + 2_000_000)
    strike()
    is_lost_in_time(radio.transmit_report)
    closes_in_time(radio)


def test_a_device_is_lost_before_a_tune(radio, strike):
    """The call for which libuhd stops all threads of its process for a minute."""
    strike()
    is_lost_in_time(lambda: radio.configure(Tuning(2.5e9, 10e6, 40.0, 60.0)))
    closes_in_time(radio)


@pytest.mark.parametrize("call", ["time_ticks", "health", "arm_receive", "transmit"])
def test_a_device_is_lost_between_calls(radio, strike, call):
    strike()
    arguments = {"arm_receive": (1000,), "transmit": (BURST,)}.get(call, ())
    is_lost_in_time(lambda: getattr(radio, call)(*arguments))
    is_lost_in_time(lambda: radio.configure(TUNING))  # and stays lost
    radio.stop_transmit()
    closes_in_time(radio)


def test_a_device_is_lost_before_it_is_let_go_of(radio, strike):
    strike()
    closes_in_time(radio)


def test_a_device_is_lost_while_it_is_opened(usrps, strike):
    timer = threading.Timer(1.0, strike)
    timer.start()
    begin_s = time.monotonic()
    with pytest.raises(RadioError):
        open_on(usrps).configure(TUNING)
    timer.join()
    assert time.monotonic() - begin_s < 1.0 + WITHIN_S


def test_a_device_that_is_gone_is_not_found(usrps, strike):
    strike()
    begin_s = time.monotonic()
    with pytest.raises(RadioNotFoundError, match=usrps.address):
        open_on(usrps)
    assert time.monotonic() - begin_s < WITHIN_S


AGENT = """
import sys
from drivers.radio import RadioSpec
from drivers.usrp import open_usrp_radio
radio = open_usrp_radio(RadioSpec("a", 2, sys.argv[1]))
print(radio._vendor._process.pid, flush=True)
sys.stdin.read()
"""


def test_the_vendors_process_ends_with_an_agent_that_is_killed(usrps):
    """And lets go of the device."""
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, usrps.address],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with agent:
        vendor = os.pidfd_open(int(agent.stdout.readline()))
        agent.kill()
    ended, _, _ = select.select([vendor], [], [], 10.0)  # readable when the process has ended
    os.close(vendor)
    assert ended
    open_on(usrps).close()
