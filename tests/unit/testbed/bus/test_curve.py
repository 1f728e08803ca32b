"""Connections with keys: whose key is not on the list is refused and counted, others go on."""

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from testbed.bus.curve import ClientCurve, Role, ServerCurve, is_z85_key, z85, zap_reply
from testbed.bus.sockets import Caller, NoAnswerError, SecurityError, new_key_pair, public_key_of
from testbed.bus.sparse_log import SparseLog
from tests.unit.testbed.bus.loops import (
    MAX_FRAME_BYTES,
    answered,
    calling,
    echoing,
    in_loop,
    serving,
    until,
)


@dataclass
class Hall:
    """A server's keys and its list, which may change at any time."""

    public: str
    secret: str
    roles: dict[str, Role] = field(default_factory=dict)

    def server(self) -> ServerCurve:
        return ServerCurve(self.public, self.secret, self.roles.get)

    def stranger(self) -> ClientCurve:
        public, secret = new_key_pair()
        return ClientCurve(public, secret, self.public)

    def member(self, role: Role = "worker") -> ClientCurve:
        curve = self.stranger()
        self.roles[curve.public_key] = role
        return curve


@pytest.fixture
def hall() -> Iterator[Hall]:
    return Hall(*new_key_pair())


@in_loop
async def test_who_is_on_the_list_is_known_by_key(hall):
    curve = hall.member()
    async with (
        serving(curve=hall.server()) as server,
        calling(server.address, curve=curve) as client,
    ):
        await client.connected()
        assert client.send([b"here", bytes(MAX_FRAME_BYTES)])
        peer, frames = await server.receive()
        assert peer.key == curve.public_key
        assert [bytes(frame) for frame in frames] == [b"here", bytes(MAX_FRAME_BYTES)]
        assert server.send(peer.identity, [b"welcome"])
        assert bytes((await client.receive())[0]) == b"welcome"


def without_keys(hall):
    return None


def not_on_the_list(hall):
    return hall.stranger()


def for_another_server(hall):
    curve = hall.member()
    return ClientCurve(curve.public_key, curve.secret_key, new_key_pair()[0])


def with_anothers_public_key(hall):
    return ClientCurve(hall.member().public_key, new_key_pair()[1], hall.public)


@pytest.mark.parametrize(
    ("intruder", "count"),
    [
        (without_keys, "handshake_failed"),
        (not_on_the_list, "refused_key"),
        (for_another_server, "handshake_failed"),
        (with_anothers_public_key, "handshake_failed"),
    ],
)
@in_loop
async def test_others_are_refused_counted_and_logged_and_the_run_goes_on(
    hall, intruder, count, caplog
):
    async with (
        serving(curve=hall.server()) as server,
        calling(server.address, curve=hall.member()) as member,
        echoing(server),
    ):
        await member.connected()
        async with calling(server.address, curve=intruder(hall)) as client:
            for number in range(20):
                client.send([b"let me in"])
                assert await answered(member, b"%d" % number) == [b"%d" % number]
            await until(lambda: server.counts[count] > 0 and client.counts[count] > 0)
            assert not client.send([b"let me in"])
            assert client.counts["connected"] == 0
        assert server.counts["received"] == 20
        assert server.address in caplog.text


@in_loop
async def test_a_key_that_is_revoked_is_not_heard_any_more(hall):
    curve = hall.member()
    async with (
        serving(curve=hall.server()) as server,
        calling(server.address, curve=curve) as revoked,
        calling(server.address, curve=hall.member()) as member,
        echoing(server),
    ):
        await revoked.connected()
        await member.connected()
        assert await answered(revoked, b"x") == [b"x"]
        del hall.roles[curve.public_key]
        assert revoked.send([b"me again"])
        await until(lambda: server.counts["refused_key"] == 1)
        assert await answered(member, b"still here") == [b"still here"]
        assert server.counts["received"] == 2


@in_loop
async def test_a_client_that_was_refused_gets_in_once_it_is_on_the_list(hall):
    curve = hall.stranger()
    async with (
        serving(curve=hall.server()) as server,
        calling(server.address, curve=curve) as client,
        echoing(server),
    ):
        await until(lambda: client.counts["refused_key"] > 0)
        hall.roles[curve.public_key] = "worker"
        await client.connected()
        assert await answered(client, b"at last") == [b"at last"]


@in_loop
async def test_keys_do_not_get_into_a_server_without(hall):
    async with serving() as server, calling(server.address, curve=hall.member()) as client:
        await until(lambda: client.counts["handshake_failed"] > 0)
        assert server.counts["connected"] == 0


@in_loop
async def test_a_caller_that_is_refused_is_told_why(hall):
    async with serving(curve=hall.server()) as server, echoing(server):

        def ask(curve, timeout_s=5.0):
            with Caller(server.address, max_frame_bytes=100, curve=curve) as caller:
                caller.send([b"x"])
                return bytes(caller.receive(timeout_s)[0])

        assert await asyncio.to_thread(ask, hall.member()) == b"x"
        with pytest.raises(
            SecurityError, match="refuses this key; add it there with `testbed keys"
        ):
            await asyncio.to_thread(ask, hall.stranger())
        with pytest.raises(NoAnswerError, match="its handshake fails"):
            await asyncio.to_thread(ask, None, 0.5)


@in_loop
async def test_knocking_does_not_fill_the_log(hall, caplog):
    async with serving(curve=hall.server()) as server:
        for number in range(1, 8):
            async with calling(server.address):
                await until(lambda number=number: server.counts["handshake_failed"] >= number)
        said = [r for r in caplog.records if "a handshake failed" in r.getMessage()]
        assert len(said) == 1


def test_what_was_left_out_of_the_log_is_counted(caplog):
    now_s = 100.0
    sparse = SparseLog(logging.getLogger("sparse"), interval_s=10.0, clock=lambda: now_s)
    for _ in range(5):
        sparse.warning("knock", "somebody knocks")
    sparse.warning("bell", "somebody rings")
    now_s += 10.0
    sparse.warning("knock", "somebody knocks")
    sparse.warning("knock", "somebody knocks")
    assert [record.getMessage() for record in caplog.records] == [
        "somebody knocks",
        "somebody rings",
        "somebody knocks (4 more before)",
    ]


def test_keys_are_pairs_in_z85():
    public, secret = new_key_pair()
    assert public_key_of(secret) == public
    assert is_z85_key(public)
    assert is_z85_key(secret)
    # The worked example of RFC 32.
    assert z85(bytes.fromhex("864FD26FB559F75B")) == "HelloWorld"
    for text in ("", "0" * 39, "0" * 41, '"' * 40, "#" * 40, "é" * 40):
        assert not is_z85_key(text)


def test_only_curve_opens_the_gate():
    request = [b"1.0", b"7", b"testbed", b"127.0.0.1", b"", b"NULL"]
    reply, refused = zap_reply(request, {"": None}.get)
    assert reply[:3] == [b"1.0", b"7", b"400"]
    assert refused == ""


def test_secrets_are_not_shown(hall):
    assert hall.secret not in repr(hall.server())
    assert hall.member().secret_key not in repr(hall.member())
