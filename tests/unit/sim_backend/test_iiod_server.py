"""The software Pluto as a server: faults, its end, and what no client should send."""

import errno
import random
import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from sim_backend.iiod import SoftwarePluto
from sim_backend.live_ether import LiveEther
from tests.unit.sim_backend.iiod_client import (
    PHY,
    RECEIVER,
    SENDER,
    Client,
    HandClock,
    plutos,
    tune,
)
from tests.vendor.pluto.software import IDEAL, free_space

SIZE = 2048


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


def read_one(client: Client, clock: HandClock) -> np.ndarray:
    clock.go_on(SIZE + 1)
    client.ask(SIZE)
    return client.block()


def test_nothing_is_left_after_the_end(pluto: SoftwarePluto) -> None:
    clients = [Client(pluto) for _ in range(3)]
    for place, client in enumerate(clients):
        assert client.open(RECEIVER, SIZE) == 0
        if place:
            client.ask(SIZE)  # still waits for its block
    pluto.close()
    pluto.close()  # once more does nothing
    assert [client.line() for client in clients] == [""] * 3
    assert not [t for t in threading.enumerate() if t.name.startswith("iiod")]
    with pytest.raises(ConnectionRefusedError):
        Client(pluto)
    for client in clients:
        client.close()


def test_a_device_that_was_never_started_ends(clock: HandClock) -> None:
    device = plutos(clock, "pluto")[0]
    device.close()


def test_a_port_that_is_taken_says_so(clock: HandClock, pluto: SoftwarePluto) -> None:
    _, host, port = pluto.uri.split(":")
    ether = LiveEther(free_space(), monotonic_ns=clock)
    with pytest.raises(OSError, match="in use"):
        SoftwarePluto(ether, 0, IDEAL, host, int(port))


def test_lost_samples_are_told_or_not(
    clock: HandClock, pluto: SoftwarePluto, client: Client
) -> None:
    tune(client)
    client.open(RECEIVER, SIZE)
    pluto.faults.inject("overflow")
    assert not read_one(client, clock)[-100:].any()
    assert client.status(clear=4) == 4
    pluto.faults.inject("dropped_samples")
    assert not read_one(client, clock)[-100:].any()
    assert client.status() == 0
    assert read_one(client, clock)[-100:].any()


def test_an_underflow_on_demand(clock: HandClock, pluto: SoftwarePluto, client: Client) -> None:
    client.open(SENDER, SIZE)
    pluto.faults.inject("underflow")
    client.push(np.zeros((SIZE, 2)))
    assert client.status(SENDER) == 1


def test_gain_that_goes_its_own_way(clock: HandClock, pluto: SoftwarePluto, client: Client) -> None:
    tune(client)
    client.open(RECEIVER, SIZE)
    pluto.faults.inject("automatic_gain")
    read_one(client, clock)
    assert client.read(f"{PHY} INPUT voltage0 gain_control_mode") == "slow_attack"


def test_one_transfer_without_an_answer(
    clock: HandClock, pluto: SoftwarePluto, client: Client
) -> None:
    client.open(RECEIVER, SIZE)
    pluto.faults.inject("timeout")
    clock.go_on(SIZE + 1)
    client.ask(SIZE)
    client.socket.settimeout(0.05)
    with pytest.raises(TimeoutError):
        client.socket.recv(1)
    with Client(pluto) as other:  # the rest of the device is well
        assert other.read(f"{PHY} ensm_mode") == "fdd"


def test_a_frozen_device_answers_after_it_has_thawed(pluto: SoftwarePluto, client: Client) -> None:
    assert client.number("TIMEOUT 1000") == 0
    pluto.freeze()
    client.send("TIMEOUT 1000")
    client.socket.settimeout(0.1)
    with pytest.raises(TimeoutError):
        client.socket.recv(1)
    pluto.thaw()
    client.socket.settimeout(20.0)
    assert client.socket.recv(2) == b"0\n"


def test_a_device_that_freezes_in_a_transfer_does_not_answer(
    clock: HandClock, pluto: SoftwarePluto, client: Client
) -> None:
    client.open(RECEIVER, SIZE)
    client.ask(SIZE)  # waits for time to pass
    pluto.freeze()
    clock.go_on(SIZE + 1)
    client.socket.settimeout(0.4)  # longer than it waits at a time
    with pytest.raises(TimeoutError):
        client.socket.recv(1)


def test_a_lost_device_hangs_up_on_all(
    clock: HandClock, pluto: SoftwarePluto, client: Client
) -> None:
    client.open(RECEIVER, SIZE)
    pluto.faults.inject("lost")
    with Client(pluto) as other:
        other.number("TIMEOUT 1000")
        clock.go_on(SIZE + 1)
        client.ask(SIZE)
        assert client.line() == ""
        assert other.line() == ""
    with pytest.raises(ConnectionRefusedError):
        Client(pluto)


@pytest.mark.parametrize(
    ("command", "reply"),
    [
        ("HELLO", -errno.EINVAL),
        ("ZPRINT", -errno.EINVAL),
        ("BINARY", -errno.EINVAL),
        ("READ", -errno.ENODEV),
        (f"READ {PHY}", -errno.ENOENT),
        (f"READ {PHY} INPUT voltage0", -errno.ENOENT),
        (f"READ {PHY} INPUT voltage99 rssi", -errno.ENOENT),
        (f"READ {PHY} multichip_sync", -errno.EACCES),
        (f"GETTRIG {PHY}", -errno.ENOENT),
        (f"WRITE {PHY} ensm_mode", -errno.EINVAL),
        (f"WRITE {PHY} ensm_mode -1", -errno.EINVAL),
        (f"WRITE {PHY} ensm_mode ٣", -errno.EINVAL),
        ("TIMEOUT", -errno.EINVAL),
        ("TIMEOUT 99999999999999", -errno.EINVAL),
        (f"SET {PHY} SOMETHING 1", -errno.EINVAL),
    ],
)
def test_what_is_no_command(client: Client, command: str, reply: int) -> None:
    assert client.number(command) == reply
    assert client.read(f"{PHY} ensm_mode") == "fdd"


@pytest.mark.parametrize(
    "data",
    [
        b"X" * 2000,
        b"WRITE ad9361-phy ensm_mode 9999999999\r\n",
        b"WRITEBUF cf-ad9361-dds-core-lpc 9999999999\r\n",
        b"WRITE ad9361-phy ensm_mode 10\r\nshort",
        b"OPEN",
    ],
)
def test_a_client_that_cannot_be_understood_is_hung_up_on(
    pluto: SoftwarePluto, client: Client, data: bytes
) -> None:
    client.socket.sendall(data)
    client.socket.shutdown(socket.SHUT_WR)
    while client.line():
        pass
    with Client(pluto) as other:
        assert other.read(f"{PHY} ensm_mode") == "fdd"


def test_noise_harms_nobody_else(pluto: SoftwarePluto, client: Client) -> None:
    rng = random.Random(1)  # noqa: S311  nothing here is secret
    words = [
        b"OPEN", b"READBUF", b"WRITEBUF", b"WRITE", b"READ", b"SET", b"CLOSE", b"PRINT",
        RECEIVER.encode(), SENDER.encode(), PHY.encode(), b"00000003", b"ffffffff", b"CYCLIC",
        b"64", b"4294967296", b"-1", b"0", b"BUFFERS_COUNT", b"DEBUG", b"INPUT", b"voltage0",
        b"direct_reg_access", b"\xff\x00", b"TIMEOUT", b"hardwaregain",
    ]  # fmt: skip
    for _ in range(150):
        with Client(pluto) as noisy:
            for _ in range(rng.randrange(1, 8)):
                if rng.random() < 0.8:
                    line = b" ".join(rng.choices(words, k=rng.randrange(1, 6))) + b"\r\n"
                else:
                    line = rng.randbytes(rng.randrange(1, 100))
                try:
                    noisy.socket.sendall(line)
                except OSError:
                    break
    assert client.number("TIMEOUT 1000") == 0
    assert client.read(f"{PHY} ensm_mode") in ("fdd", "alert", "sleep", "wait")
    assert client.number(f"CLOSE {RECEIVER}") == -errno.EBADF


def test_there_are_not_more_clients_than_it_can_bear(pluto: SoftwarePluto) -> None:
    many = [Client(pluto) for _ in range(80)]
    answered = 0
    for client in many:
        try:
            client.send("TIMEOUT 1000")
            answered += client.line() == "0"
        except OSError:
            continue
    for client in many:
        client.close()
    assert answered == 64
