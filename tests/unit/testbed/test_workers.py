"""Interrupts wait until workers have started, whichever thread the system gives them to."""

import os
import signal
import threading
import time

import pytest

from testbed.runs.workers import interrupts_held_back


@pytest.fixture(autouse=True)
def _interruptible():
    """As at a terminal; a shell's background jobs start with interrupts ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def bystander():
    """A thread that blocks no signal, as the one that draws progress."""
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    yield
    stop.set()
    thread.join()


def interrupt_and_go_on(reached: list[str]) -> None:
    os.kill(os.getpid(), signal.SIGINT)
    deadline_s = time.monotonic() + 0.1
    while time.monotonic() < deadline_s:  # any time for a handler to run
        pass
    reached.append("end")


def test_an_interrupt_counts_at_the_end():
    reached: list[str] = []
    with pytest.raises(KeyboardInterrupt), interrupts_held_back():
        interrupt_and_go_on(reached)
    assert reached == ["end"]


def test_an_interrupt_by_way_of_another_thread_counts_at_the_end(bystander):
    reached: list[str] = []
    with pytest.raises(KeyboardInterrupt), interrupts_held_back():
        interrupt_and_go_on(reached)
    assert reached == ["end"]


def test_who_ignores_interrupts_goes_on(bystander):
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    reached: list[str] = []
    with interrupts_held_back():
        interrupt_and_go_on(reached)
    assert reached == ["end"]
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_without_an_interrupt_all_is_as_before(bystander):
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with interrupts_held_back():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == mask
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_another_thread_than_the_main_one_can_hold_them_back():
    reached: list[str] = []

    def run() -> None:
        with interrupts_held_back():
            reached.append("end")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert reached == ["end"]
