"""Buffers of the software Pluto: what is stale, lost, queued, shared and refused."""

import errno
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from sim_backend.iiod import SoftwarePluto
from sim_backend.iiod.attributes import RefusedError
from sim_backend.iiod.buffers import mask_columns
from tests.unit.sim_backend.iiod_client import (
    PHY,
    RECEIVER,
    SENDER,
    Client,
    HandClock,
    plutos,
    tune,
)

SIZE = 2048
BLOCKS = 4
OVERFLOW, UNDERFLOW = 4, 1
LEAD = 31_000  # samples, a millisecond: no transmission starts earlier


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def pluto(clock: HandClock) -> Iterator[SoftwarePluto]:
    with plutos(clock, "pluto")[0] as device:
        yield device


@pytest.fixture
def client(pluto: SoftwarePluto) -> Iterator[Client]:
    with Client(pluto) as connected:
        yield connected


@pytest.fixture
def other(pluto: SoftwarePluto) -> Iterator[Client]:
    """A second connection, for the status while the first one waits."""
    with Client(pluto) as connected:
        yield connected


def test_the_first_blocks_are_as_old_as_the_buffer(clock: HandClock) -> None:
    first, second = plutos(clock, "pluto", "pluto")
    with first, second, Client(first) as sender, Client(second) as receiver:
        for client in (sender, receiver):
            tune(client)
        receiver.open(RECEIVER, SIZE)
        clock.go_on(BLOCKS * SIZE + 1)
        sender.open(SENDER, SIZE, "CYCLIC")
        sender.push(np.full((SIZE, 2), 1 << 14))
        clock.go_on(LEAD)
        levels = []
        for _ in range(BLOCKS + 1):
            receiver.ask(SIZE)
            clock.go_on(SIZE)
            levels.append(np.abs(receiver.block()).mean())
        assert receiver.status() == OVERFLOW
    assert max(levels[:BLOCKS]) < 10.0
    assert levels[BLOCKS] > 100.0


def test_a_reader_that_keeps_up_loses_nothing(clock: HandClock, client: Client) -> None:
    client.open(RECEIVER, SIZE)
    for _ in range(3 * BLOCKS):
        clock.go_on(SIZE + 1)
        client.ask(SIZE)
        client.block()
    assert client.status() == 0


def test_time_for_computing_is_not_held_against_a_reader(clock: HandClock, client: Client) -> None:
    client.open(RECEIVER, SIZE)
    # A block lasts 67 us. The server looks at the clock four times a block, once to compute.
    clock.look_ns = 20_000
    for _ in range(200):
        client.ask(SIZE)
        client.block()
    clock.look_ns = 0
    assert client.status() == 0


def test_a_slow_reader_loses_samples_and_is_told(clock: HandClock, client: Client) -> None:
    client.open(RECEIVER, SIZE)
    clock.go_on(SIZE + 1)
    client.ask(SIZE)
    client.block()
    assert client.status() == 0
    clock.go_on(BLOCKS * SIZE)
    assert client.status(clear=OVERFLOW) == OVERFLOW
    assert client.status() == OVERFLOW  # still losing
    for _ in range(BLOCKS - 1):
        client.ask(SIZE)
        client.block()
    client.status(clear=OVERFLOW)
    assert client.status() == 0


def test_one_kernel_buffer_holds_one_fresh_block(clock: HandClock, client: Client) -> None:
    assert client.number(f"SET {RECEIVER} BUFFERS_COUNT 1") == 0
    client.open(RECEIVER, SIZE)
    clock.go_on(2 * SIZE)
    client.ask(SIZE)
    client.block()
    clock.go_on(10 * SIZE)
    client.number("TIMEOUT 50")
    # Only now is it free again.
    assert client.number(f"READBUF {RECEIVER} {4 * SIZE}") == -errno.ETIMEDOUT
    clock.go_on(SIZE + 1)
    client.ask(SIZE)
    client.block()
    assert client.status() == OVERFLOW


def test_a_block_that_does_not_come_in_time_is_an_error(clock: HandClock, client: Client) -> None:
    assert client.number("TIMEOUT 50") == 0
    client.open(RECEIVER, SIZE)
    assert client.number(f"READBUF {RECEIVER} {4 * SIZE}") == -errno.ETIMEDOUT
    clock.go_on(SIZE + 1)
    client.ask(SIZE)
    client.block()


def test_a_writer_waits_until_a_kernel_buffer_is_free(
    clock: HandClock, client: Client, other: Client
) -> None:
    block = np.full((SIZE, 2), 1 << 12)
    client.open(SENDER, SIZE)
    for _ in range(BLOCKS):
        assert client.push(block) == 4 * SIZE
    assert client.number("TIMEOUT 50") == 0
    assert client.push(block) == -errno.ETIMEDOUT
    client.number("TIMEOUT 5000")
    waiting = threading.Thread(target=client.push, args=(block,))
    waiting.start()
    clock.go_on(LEAD + SIZE)
    waiting.join()
    assert other.status(SENDER) == 0
    clock.go_on(5 * SIZE)  # nothing more to send
    assert other.status(SENDER, clear=UNDERFLOW) == UNDERFLOW
    assert other.status(SENDER) == 0


def test_a_late_block_follows_an_underflow(clock: HandClock, client: Client, other: Client) -> None:
    block = np.full((SIZE, 2), 1 << 12)
    client.open(SENDER, SIZE)
    client.push(block)
    clock.go_on(LEAD + 2 * SIZE)
    client.push(block)
    assert other.status(SENDER) == UNDERFLOW


def test_a_cyclic_buffer_is_alone(client: Client, other: Client) -> None:
    block = np.full((SIZE, 2), 1 << 12)
    assert client.open(SENDER, SIZE, "CYCLIC") == 0
    assert other.open(SENDER, SIZE, "CYCLIC") == -errno.EBUSY
    assert other.open(SENDER, SIZE) == -errno.EBUSY
    assert other.open(RECEIVER, SIZE) == 0  # another device
    assert client.push(block) == 4 * SIZE
    assert client.push(block) == -errno.EBUSY
    assert client.number(f"CLOSE {SENDER}") == 0
    assert client.open(SENDER, SIZE) == 0


def test_others_share_a_device(client: Client, other: Client) -> None:
    assert client.open(RECEIVER, SIZE) == 0
    assert other.open(RECEIVER, 2 * SIZE) == 0
    assert client.open(SENDER, SIZE) == -errno.EBUSY  # one buffer a connection


def test_a_dropped_connection_frees_its_buffer(pluto: SoftwarePluto, other: Client) -> None:
    dropped = Client(pluto)
    dropped.open(SENDER, SIZE, "CYCLIC")
    dropped.push(np.full((SIZE, 2), 1 << 12))
    dropped.close()
    while pluto.is_repeating:
        assert other.status() == 0  # a moment, in which the server finds out
    while other.open(SENDER, SIZE) == -errno.EBUSY:
        pass


def test_a_client_that_drops_while_it_waits_frees_its_buffer(
    pluto: SoftwarePluto, other: Client
) -> None:
    other.number("TIMEOUT 0")
    dropped = Client(pluto)
    dropped.open(SENDER, SIZE)
    for _ in range(BLOCKS):
        dropped.push(np.full((SIZE, 2), 1 << 12))
    dropped.send(f"WRITEBUF {SENDER} {4 * SIZE}", bytes(4 * SIZE))
    dropped.close()
    while other.open(SENDER, SIZE, "CYCLIC") == -errno.EBUSY:
        pass


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        (f"OPEN nothing {SIZE} 00000003", -errno.ENODEV),
        (f"OPEN {PHY} {SIZE} 00000003", -errno.EINVAL),
        (f"OPEN {RECEIVER} {SIZE} 00000000", -errno.EINVAL),
        (f"OPEN {RECEIVER} {SIZE} 00000004", -errno.EINVAL),
        (f"OPEN {RECEIVER} {SIZE} 3", -errno.EINVAL),
        (f"OPEN {RECEIVER} {SIZE}", -errno.EINVAL),
        (f"OPEN {RECEIVER} 0 00000003", -errno.EINVAL),
        (f"OPEN {RECEIVER} 9999999999 00000003", -errno.ENOMEM),
        (f"OPEN {RECEIVER} {SIZE} 00000003 CYCLIC", -errno.EINVAL),
        (f"SET {RECEIVER} BUFFERS_COUNT 0", -errno.EINVAL),
        (f"SET {RECEIVER} BUFFERS_COUNT 65", -errno.EINVAL),
        (f"CLOSE {RECEIVER}", -errno.EBADF),
        (f"READBUF {RECEIVER} 64", -errno.EBADF),
        (f"WRITEBUF {SENDER} 64", -errno.EBADF),
    ],
)
def test_what_is_refused(client: Client, command: str, reply: int) -> None:
    assert client.number(command) == reply


def test_a_mask_names_channels() -> None:
    assert mask_columns("00000005", 4) == (0, 2)
    assert mask_columns("0000000f", 4) == (0, 1, 2, 3)
    with pytest.raises(RefusedError):
        mask_columns("-0000001", 4)


def test_more_than_a_block_comes_block_by_block(clock: HandClock, client: Client) -> None:
    client.open(RECEIVER, SIZE)
    clock.go_on(2 * SIZE + 1)
    client.ask(SIZE + 16)
    assert len(client.block()) == SIZE
    assert client.line() == str(4 * 16)  # without another mask


def test_single_channels_come_alone(clock: HandClock, pluto: SoftwarePluto) -> None:
    with Client(pluto) as both, Client(pluto) as quadrature:
        both.open(RECEIVER, SIZE)
        quadrature.number(f"OPEN {RECEIVER} {SIZE} 00000002")
        clock.go_on(SIZE + 1)
        both.ask(SIZE)
        expected = both.block()
        quadrature.send(f"READBUF {RECEIVER} {2 * SIZE}")
        assert quadrature.line() == str(2 * SIZE)
        assert quadrature.line() == "00000002"
        alone = np.frombuffer(quadrature._reader.read(2 * SIZE), "<i2")
    assert np.array_equal(alone, expected[:, 1])
