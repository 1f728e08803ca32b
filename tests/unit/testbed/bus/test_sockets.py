"""Sockets over loopback: bounded, counted, never waiting to send; a link comes back by itself."""

import asyncio
import os
import signal
import socket
import struct
import subprocess
import sys
import threading

import numpy as np
import pytest

from testbed.bus.curve import ServerCurve
from testbed.bus.sockets import (
    AddressInUseError,
    BusError,
    Caller,
    NoAnswerError,
    SecurityError,
    Server,
    check_libzmq,
    new_key_pair,
)
from tests.unit.testbed.bus.kinds import MAX_BUFFER_BYTES, Ping, codec
from tests.unit.testbed.bus.loops import (
    MAX_FRAME_BYTES,
    answered,
    cable_to,
    calling,
    echoing,
    in_loop,
    serving,
    until,
)

ANYWHERE = "tcp://127.0.0.1:*"


@in_loop
async def test_messages_go_there_and_back():
    async with serving() as server, calling(server.address) as client, echoing(server):
        await client.connected()
        assert await answered(client, b"header", b"", b"buffer") == [b"header", b"", b"buffer"]
        for number in range(200):
            assert await answered(client, b"%d" % number) == [b"%d" % number]
        assert (client.counts["sent"], client.counts["received"]) == (201, 201)
        assert (server.counts["sent"], server.counts["received"]) == (201, 201)


@in_loop
async def test_answers_go_to_whom_asked():
    async with serving() as server, calling(server.address) as one, calling(server.address) as two:
        await one.connected()
        await two.connected()
        assert one.send([b"one"])
        assert two.send([b"two"])
        for _ in range(2):
            peer, (frame,) = await server.receive()
            assert peer.key is None
            assert server.send(peer.identity, [b"to " + bytes(frame)])
        assert bytes((await one.receive())[0]) == b"to one"
        assert bytes((await two.receive())[0]) == b"to two"


@in_loop
async def test_captures_arrive_as_views_of_what_came():
    pilots = np.arange(6666 * 32, dtype=np.float32).view(np.complex64).reshape(3333, 32)
    limits = {"max_frame_bytes": MAX_BUFFER_BYTES}
    async with serving(**limits) as server, calling(server.address, **limits) as client:
        await client.connected()
        assert client.send(codec().encode(Ping(number=7), [pilots]))
        _, frames = await server.receive()
        received = codec().decode(frames)
        assert received.message == Ping(number=7)
        np.testing.assert_array_equal(received.arrays[0], pilots)
        assert np.shares_memory(received.arrays[0], np.frombuffer(frames[1], np.uint8))
        assert received.arrays[0].flags.aligned


@in_loop
async def test_a_waiting_receiver_is_woken_while_its_task_sends():
    async with serving() as server, calling(server.address) as client:
        await client.connected()
        assert client.send([b"here"])
        peer, _ = await server.receive()
        waiting = asyncio.create_task(server.receive())
        for number in range(50):
            assert client.send([b"%d" % number])
            assert server.send(peer.identity, [b"x"])
            assert bytes((await waiting)[1][0]) == b"%d" % number
            waiting = asyncio.create_task(server.receive())
        waiting.cancel()


@in_loop
async def test_a_receiver_that_gives_up_loses_nothing():
    async with serving() as server, calling(server.address) as client:
        await client.connected()
        for _ in range(20):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(server.receive(), 0.001)
        assert client.send([b"late"])
        assert bytes((await server.receive())[1][0]) == b"late"


@in_loop
async def test_a_flood_of_messages_leaves_others_their_turn():
    room = {"high_water_mark": 1000}
    async with serving(**room) as server, calling(server.address, **room) as client:
        await client.connected()
        for _ in range(500):
            assert client.send([b"x"])
        turns = 0

        async def count_turns():
            nonlocal turns
            while True:
                await asyncio.sleep(0)
                turns += 1

        other = asyncio.create_task(count_turns())
        for _ in range(500):
            await server.receive()
        other.cancel()
        assert turns >= 5


@in_loop
async def test_a_message_of_too_many_frames_is_dropped_and_counted():
    async with serving(max_frames=2) as server, calling(server.address) as client:
        await client.connected()
        assert client.send([b"x"] * 3)
        assert client.send([b"x"] * 20_000)
        assert client.send([b"a", b"b"])
        _, frames = await server.receive()
        assert [bytes(frame) for frame in frames] == [b"a", b"b"]
        assert server.counts["too_many_frames"] == 2
        assert server.counts["received"] == 1


@in_loop
async def test_a_receiver_that_gives_up_in_a_long_message_does_not_take_its_end_for_one():
    async with serving(max_frames=2) as server, calling(server.address) as client:
        await client.connected()
        assert client.send([b"x"] * 20_000)
        assert client.send([b"good"])
        while not server.counts["too_many_frames"]:
            task = asyncio.create_task(server.receive())
            await asyncio.sleep(0)
            task.cancel()
        assert bytes((await server.receive())[1][0]) == b"good"


@in_loop
async def test_an_oversized_frame_ends_its_connection_and_harms_no_other():
    async with (
        serving() as server,
        calling(server.address) as loud,
        calling(server.address) as other,
        echoing(server),
    ):
        await loud.connected()
        await other.connected()
        assert loud.send([b"x", bytes(MAX_FRAME_BYTES + 1000)])
        await until(lambda: server.counts["disconnected"] == 1)
        assert await answered(other, b"still here") == [b"still here"]
        await until(lambda: loud.counts["connected"] == 2)
        assert await answered(loud, b"again") == [b"again"]
        assert server.counts["received"] == 2


@in_loop
async def test_a_frame_that_only_claims_to_be_huge_is_refused_before_it_comes():
    async with serving() as server, calling(server.address) as other, echoing(server):
        await other.connected()
        with _raw_peer(server) as peer:
            peer.sendall(b"\x02" + struct.pack(">Q", 1 << 62) + b"the beginning of it")
            await until(lambda: server.counts["disconnected"] == 1)
        assert await answered(other, b"still here") == [b"still here"]


@in_loop
async def test_a_message_that_breaks_off_is_none():
    async with serving() as server, calling(server.address) as other:
        await other.connected()
        with _raw_peer(server) as peer:
            peer.sendall(b"\x01\x03one" + b"\x00\x08half")
        await until(lambda: server.counts["disconnected"] == 1)
        assert other.send([b"whole"])
        assert bytes((await server.receive())[1][0]) == b"whole"
        assert server.counts["received"] == 1


@pytest.mark.parametrize(
    "noise", [b"GET / HTTP/1.0\r\n\r\n", b"\xff" * 64, b"\xff\0\0\0\0\0\0\0\1\x7f"]
)
@in_loop
async def test_what_is_no_zeromq_is_ended_and_harms_nobody(noise):
    async with serving() as server, calling(server.address) as other, echoing(server):
        await other.connected()
        host, port = server.address.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(noise)
        await until(lambda: server.counts["disconnected"] == 1)
        assert await answered(other, b"still here") == [b"still here"]


def _raw_peer(server):
    """A TCP connection that has said all that a DEALER without keys says first."""
    host, port = server.address.removeprefix("tcp://").split(":")
    peer = socket.create_connection((host, int(port)))
    peer.sendall(b"\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL" + bytes(48))
    ready = b"\x05READY\x0bSocket-Type" + struct.pack(">I", 6) + b"DEALER"
    ready += b"\x08Identity" + struct.pack(">I", 0)
    peer.sendall(b"\x04" + bytes([len(ready)]) + ready)
    return peer


@in_loop
async def test_a_full_queue_is_counted_and_holds_up_nobody():
    # Nobody receives: what does not fit into the queues of both ends and the system is dropped.
    room = {"high_water_mark": 2}
    async with serving(**room) as server, calling(server.address, **room) as client:
        await client.connected()
        outcomes = [client.send([bytes(MAX_FRAME_BYTES)] * 4) for _ in range(5000)]
        assert not outcomes[-1]
        assert client.counts["full"] == outcomes.count(False) > 0
        assert client.counts["sent"] == outcomes.count(True)


@in_loop
async def test_a_peer_that_does_not_read_costs_only_its_own_messages():
    room = {"high_water_mark": 2}
    async with (
        serving(**room) as server,
        calling(server.address, **room) as deaf,
        calling(server.address) as other,
    ):
        await deaf.connected()
        await other.connected()
        assert deaf.send([b"here"])
        deaf_peer, _ = await server.receive()
        while server.send(deaf_peer.identity, [bytes(MAX_FRAME_BYTES)] * 4):
            pass
        assert server.counts["full"] == 1
        async with echoing(server):
            assert await answered(other, b"still here") == [b"still here"]


@in_loop
async def test_a_peer_that_is_gone_is_unroutable():
    async with serving() as server:
        async with calling(server.address) as client:
            await client.connected()
            assert client.send([b"here"])
            peer, _ = await server.receive()
        await until(lambda: not server.send(peer.identity, [b"too late"]))
        assert server.counts["unroutable"] == 1
        assert not server.send(b"nobody", [b"x"])
        assert server.counts["unroutable"] == 2


@in_loop
async def test_a_client_finds_a_server_that_comes_back():
    async with serving() as server:
        address = server.address
        async with calling(address) as client:
            await client.connected()
            server.close()
            await until(lambda: not client.send([b"nobody there"]))
            assert client.counts["unconnected"] == 1
            async with serving(address) as again, echoing(again):
                await client.connected()
                assert await answered(client, b"new") == [b"new"]


@in_loop
async def test_a_link_that_falls_silent_is_left_for_another():
    async with (
        serving() as server,
        echoing(server),
        cable_to(server) as cable,
        calling(cable.address) as client,
    ):
        await client.connected()
        assert await answered(client, b"x") == [b"x"]
        cable.cut()
        async with asyncio.timeout(6.0):
            await until(lambda: client.counts["disconnected"] == 1)
            await until(lambda: server.counts["disconnected"] == 1)
            await client.connected()
        assert await answered(client, b"again") == [b"again"]


@in_loop
async def test_a_client_without_a_server_sends_nothing_that_would_come_late():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    async with calling(address) as client:
        assert not client.send([b"early"])
        assert client.counts["unconnected"] == 1
        async with serving(address) as server:
            await client.connected()
            assert client.send([b"now"])
            assert bytes((await server.receive())[1][0]) == b"now"


@in_loop
async def test_closing_ends_whoever_waits_and_frees_the_address():
    async with serving() as server, calling(server.address) as client:
        waiting = [asyncio.create_task(port.receive()) for port in (server, client)]
        await asyncio.sleep(0)
        address = server.address
        server.close()
        client.close()
        for task in waiting:
            with pytest.raises(BusError, match="closed"):
                await task
        assert not client.send([b"x"])
        assert not server.send(b"x", [b"x"])
        assert client.counts["closed"] == server.counts["closed"] == 1
        async with serving(address):
            pass


def test_both_ends_may_close_at_once_in_the_middle_of_a_message():
    # libzmq aborts the process where sockets are closed without any time to linger.
    script = """
import asyncio
from testbed.bus.sockets import Client, Server
async def close_both():
    room = {"max_frame_bytes": 1 << 17, "high_water_mark": 2}
    server = Server("tcp://127.0.0.1:*", **room)
    clients = [Client(server.address, **room) for _ in range(4)]
    for client in clients:
        await client.connected()
        client.send([b"here"])
    for _ in clients:
        peer, _ = await server.receive()
        while server.send(peer.identity, [bytes(1 << 16)] * 4):
            pass
    for client in clients:
        client.close()
    server.close()
for _ in range(60):
    asyncio.run(close_both())
"""
    finished = subprocess.run([sys.executable, "-c", script], timeout=50, check=False)
    assert finished.returncode == 0


@in_loop
async def test_an_address_is_bound_once():
    async with serving() as server:
        with pytest.raises(AddressInUseError, match=f"{server.address}: already in use"):
            Server(server.address, max_frame_bytes=100)


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("tcp://0.0.0.0:5000", "testbed keys init"),
        ("tcp://*:5000", "testbed keys init"),
        ("tcp://192.0.2.1:5000", "testbed keys init"),
        ("tcp://[::]:5000", "testbed keys init"),
        ("tcp://lab-server:5000", "testbed keys init"),
        ("tcp://localhost.example.org:5000", "testbed keys init"),
    ],
)
@in_loop
async def test_nothing_leaves_this_machine_without_keys(address, reason):
    with pytest.raises(SecurityError, match=reason):
        Server(address, max_frame_bytes=100)
    with pytest.raises(SecurityError, match=reason):
        async with calling(address):
            pass
    with pytest.raises(SecurityError, match=reason):
        Caller(address, max_frame_bytes=100)


@pytest.mark.parametrize("address", [
    "", "127.0.0.1:5000", "tcp://127.0.0.1", "udp://127.0.0.1:1",
    "inproc://x", "tcp://127.0.0.1:65536", "tcp://127.0.0.1:1;192.0.2.1:1",
])  # fmt: skip
@in_loop
async def test_what_is_no_address_is_named(address):
    with pytest.raises(BusError, match="tcp://HOST:PORT"):
        Server(address, max_frame_bytes=100)


@in_loop
async def test_an_address_of_another_host_cannot_be_bound():
    public, secret = new_key_pair()
    curve = ServerCurve(public, secret, lambda _: None)
    with pytest.raises(BusError, match=r"^tcp://192\.0\.2\.1:5000: cannot be bound: [^(]*$"):
        Server("tcp://192.0.2.1:5000", max_frame_bytes=100, curve=curve)


@in_loop
async def test_ipv6_has_a_loopback_too():
    async with serving("tcp://[::1]:*") as server, calling(server.address) as client:
        await client.connected()


@in_loop
async def test_a_caller_asks_and_gets_its_answer():
    async with serving() as server, echoing(server):

        def ask():
            with Caller(server.address, max_frame_bytes=MAX_FRAME_BYTES) as caller:
                caller.send([b"what", b"ever"])
                return [bytes(frame) for frame in caller.receive(5.0)]

        assert await asyncio.to_thread(ask) == [b"what", b"ever"]


def test_a_caller_without_an_answer_says_where_it_asked():
    with socket.socket() as silent:  # accepts, in the system's queue, and never says a word
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with Caller(address, max_frame_bytes=100) as caller:
            caller.send([b"hello?"])
            with pytest.raises(NoAnswerError, match=rf"{address} within 0\.05 s; is it running\?"):
                caller.receive(0.05)


def test_a_caller_can_be_interrupted():
    def interrupted(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, interrupted)
    try:
        with Caller("tcp://127.0.0.1:1", max_frame_bytes=100) as caller:
            timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
            timer.start()
            with pytest.raises(KeyboardInterrupt):
                caller.receive(20.0)
            timer.join()
    finally:
        signal.signal(signal.SIGINT, before)


def test_questions_that_nobody_takes_do_not_pile_up():
    with Caller("tcp://127.0.0.1:1", max_frame_bytes=100) as caller:
        for _ in range(64):
            caller.send([b"x"])
        with pytest.raises(NoAnswerError, match=r"nobody answers at .*; is it running"):
            caller.send([b"x"])


def test_an_old_libzmq_is_refused():
    check_libzmq()
    with pytest.raises(BusError, match=r"libzmq 4\.3\.4 is too old, 4\.3\.5 is needed"):
        check_libzmq((4, 3, 4))
