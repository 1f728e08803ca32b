"""The software USRP over its sockets: streams, bursts, claims and faults."""

import socket
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from drivers.array import UniformLinearArray
from drivers.geometry import Pose
from drivers.node import Node
from sim_backend.impairments import PRESETS
from sim_backend.live_ether import LiveEther
from sim_backend.mpm import SoftwareUsrp, control, flow
from sim_backend.mpm.chdr import Kind
from sim_backend.mpm.claim import PATIENCE_S, Claim, RefusedError
from sim_backend.scene import SceneStatistics, draw_scene
from tests.unit.sim_backend.mpm_client import (
    CONTINUOUS,
    EVENT_ADDRESS,
    FINITE,
    STOP,
    Client,
    connected,
    software_usrp,
)
from tests.unit.sim_backend.mpm_client import PATIENCE_S as LONG_S

LATE, OVERRUN = 1, 2
UNDERRUN, TX_LATE, ACKNOWLEDGED = 1, 2, 3


@pytest.fixture
def usrp() -> Iterator[SoftwareUsrp]:
    with software_usrp() as usrp:
        yield usrp


@pytest.fixture
def client(usrp) -> Iterator[Client]:
    with connected(usrp) as client:
        yield client


@pytest.mark.parametrize("channel", [0, 1])
def test_a_timed_block_comes_whole_and_at_its_time(client, channel):
    client.open_receive(channel)
    at = client.time() + 50_000
    client.receive(channel, FINITE, 1234, at)
    packets, sizes = client.block()
    assert sizes == [500, 500, 234]
    assert [packet.tick for packet in packets] == [at, at + 500, at + 1000]
    assert [packet.sequence for packet in packets] == [0, 1, 2]
    assert client.time() > at + 1234


def test_an_endless_stream_goes_on_until_it_is_stopped(client):
    client.open_receive(0)
    client.receive(0, CONTINUOUS, 0, None)
    first = client.next(Kind.TIMED_DATA)
    client.receive(0, STOP, 0, None)
    packets, _ = client.block()
    ticks = [first.tick, *(packet.tick for packet in packets)]
    assert set(np.diff(ticks)) == {500}


def test_a_late_order_is_told_and_brings_nothing(client):
    client.open_receive(0)
    client.want_events("rx", 0)
    client.receive(0, FINITE, 1000, 5)
    address, code, _ = client.event()
    assert (address, code) == (EVENT_ADDRESS["rx"], LATE)
    assert not any(packet.kind is Kind.TIMED_DATA for packet in client.left)


def test_a_host_without_room_gets_no_more_than_it_has_room_for_and_then_an_overflow(client):
    client.open_receive(0, num_bytes=3 * 2016)
    client.want_events("rx", 0)
    client.receive(0, CONTINUOUS, 0, None)
    address, code, _ = client.event()
    assert (address, code) == (EVENT_ADDRESS["rx"], OVERRUN)
    assert sum(packet.kind is Kind.TIMED_DATA for packet in client.left) == 3


def test_a_burst_is_acknowledged_at_its_end(client):
    assert client.open_transmit(0).status == flow.OKAY
    client.want_events("tx", 0)
    at = client.time() + 50_000
    client.transmit(0, bytes(4 * 100), 0, at, ends=False)
    client.transmit(0, bytes(4 * 50), 1, None, ends=True)
    assert client.event() == (EVENT_ADDRESS["tx"], ACKNOWLEDGED, at + 150)
    assert client.time() >= at + 150


def test_room_comes_back_when_samples_were_sent(client):
    before = client.open_transmit(0).taken
    at = client.time() + 20_000
    for number in range(3):
        tick = at if number == 0 else None
        client.transmit(0, bytes(4 * 1000), number, tick, ends=number == 2)
    taken = client.status().taken
    assert client.time() >= at + 1000
    while taken.num_packets < before.num_packets + 3:
        taken = client.status().taken
    assert taken.num_bytes == before.num_bytes + 3 * 4008 + 8
    assert client.time() >= at + 3000


def test_a_burst_that_starves_is_told(client):
    client.open_transmit(0)
    client.want_events("tx", 0)
    at = client.time() + 20_000
    client.transmit(0, bytes(4 * 100), 0, at, ends=False)
    assert client.event() == (EVENT_ADDRESS["tx"], UNDERRUN, at + 100)


def test_a_late_burst_is_dropped_to_its_end(client):
    client.open_transmit(0)
    client.want_events("tx", 0)
    client.transmit(0, bytes(400), 0, 3, ends=False)
    client.transmit(0, bytes(400), 1, None, ends=True)
    assert client.event()[:2] == (EVENT_ADDRESS["tx"], TX_LATE)
    at = client.time() + 20_000
    client.transmit(0, bytes(400), 2, at, ends=True)
    assert client.event() == (EVENT_ADDRESS["tx"], ACKNOWLEDGED, at + 100)


def test_a_missing_packet_is_told(client):
    client.open_transmit(0)
    client.transmit(0, bytes(400), 0, None, ends=False)
    client.transmit(0, bytes(400), 2, None, ends=True)
    statuses = [client.status().status for _ in range(2)]
    assert flow.SEQUENCE_ERROR in statuses


def test_a_timed_write_waits_and_holds_up_what_follows(client):
    address = 0x1044  # nothing but a number
    client.set_register(address, 1)
    at = client.time() + 100_000
    client.command(control.WRITE, address, 2, at)
    assert client.register(address) == 2
    assert client.time() >= at


def test_one_device_at_a_time_is_somebodys(usrp, client):
    with Client(usrp) as other:
        error, _ = other.call("claim", "other")
        assert "in use" in error
        error, _ = other.call("get_clock_source", "wrong")
        assert "does not hold" in error
        assert client.ask("unclaim") is True
        other.connect()
    error, _ = client.call("get_clock_source", client.token)
    assert "does not hold" in error


def test_a_claim_ends_when_nobody_says_that_he_is_there():
    now_s, released = [100.0], []
    claim = Claim(lambda: now_s[0], lambda: released.append(now_s[0]))
    token = claim.take()
    now_s[0] += 0.9 * PATIENCE_S
    assert claim.renew(token)
    now_s[0] += 0.9 * PATIENCE_S
    with pytest.raises(RefusedError):
        claim.take()
    now_s[0] += 0.2 * PATIENCE_S
    claim.expire()
    assert released == [now_s[0]]
    assert not claim.renew(token)
    assert claim.take() != token


def test_settings_go_to_their_steps_and_limits(client):
    assert client.ask("db_0_set_gain", "RX1", 30.4) == 30.0
    assert client.ask("db_0_set_gain", "TX2", 1e9) == 89.75
    assert client.ask("db_0_catalina_tune", "RX2", 1.0) == 70e6
    assert client.ask("db_0_set_catalina_clock_rate", 1e9) == 61.44e6
    for wrong in (float("nan"), "fast", None, [1]):
        error, _ = client.call("db_0_set_catalina_clock_rate", client.token, wrong)
        assert error
    error, _ = client.call("db_0_set_gain", client.token, "RX3", 1.0)
    assert "RX1" in error


def test_a_lost_reference_unlocks_the_sensor(usrp, client):
    client.ask("set_clock_source", "external")
    assert client.ask("get_mb_sensor", "ref_locked")["value"] == "true"
    usrp.lose_reference()
    assert client.ask("get_mb_sensor", "ref_locked")["value"] == "false"
    usrp.restore_reference()
    assert client.ask("get_mb_sensor", "ref_locked")["value"] == "true"


def test_a_frozen_device_answers_nobody_until_it_thaws(usrp, client):
    usrp.freeze()
    asked = threading.Thread(target=client.time)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as looking:
        looking.settimeout(0.3)
        looking.sendto(b"MPM-DISC", (client.host, client.discovery_port))
        asked.start()
        with pytest.raises(TimeoutError):
            looking.recv(9000)
        assert asked.is_alive()
        usrp.thaw()
        looking.settimeout(LONG_S)
        assert looking.recv(9000).startswith(b"USRP-MPM;type=e3xx")
    asked.join(LONG_S)
    assert not asked.is_alive()


def test_nothing_is_left_of_a_closed_device():
    before = set(threading.enumerate())
    with software_usrp() as usrp, Client(usrp) as client:
        client.connect()
        ports = [client.data.getpeername(), (client.host, client.discovery_port)]
    assert set(threading.enumerate()) == before
    for port in ports:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as again:
            again.bind(port)


def test_a_board_has_two_receivers():
    wide = UniformLinearArray(3, 0.06)
    nodes = [
        Node(name, name, Pose((5.0, x_m), 0.0), wide) for name, x_m in (("a", 0.0), ("b", 5.0))
    ]
    ether = LiveEther(draw_scene(1, nodes, SceneStatistics((0.0, 0.0, 9.0, 9.0))))
    with pytest.raises(ValueError, match="2 receivers, got 3"):
        SoftwareUsrp(ether, 0, PRESETS["ideal"])
