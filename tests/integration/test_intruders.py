"""Who may not is refused, counted and logged, and the run in progress does not notice."""

import threading
import time
from contextlib import contextmanager

import msgspec
import numpy as np
import pytest

from testbed.bus import job_messages
from testbed.bus.allowed import allow, revoke
from testbed.bus.curve import ClientCurve
from testbed.bus.errors import NoAnswerError, SecurityError
from testbed.bus.job_messages import JobAsked, JobOptions, JobState, StatusAsked
from testbed.bus.order_messages import LeaseAnswer, LeaseAsked, SendBurst, StopBurst
from testbed.bus.parts import Refused
from testbed.bus.report_messages import LinkFound, RunEnded, WorkerHere, WorkerState
from testbed.bus.sockets import Caller, new_key_pair
from testbed.bus.wire import Codec
from testbed.services.client import LiveTestbed
from testbed.services.identity import Identity
from testbed.stations import Cue
from tests.integration.keyed import MAX_FRAME_BYTES, SEED, keyed, shout
from tests.unit.testbed.sites import call, changed, lab, write_site

# ruff: noqa: SIM117  what is checked around an intrusion stands before who intrudes
pytestmark = pytest.mark.timeout(240)

TAKES = (LeaseAnswer, Refused, job_messages.TestbedState, JobState)
CODEC = Codec(TAKES, max_header_bytes=MAX_FRAME_BYTES, max_buffer_bytes=MAX_FRAME_BYTES)
PATIENCE_S = 20.0
BURST = Cue(phase="sensing", index=0, tx_id="a", burst="sensing")
SERVERS = ("agent-0", "coordinator")
GREETING = 64  # bytes, of ZMTP 3


@pytest.fixture(scope="module")
def testbed(tmp_path_factory):
    """Two agents, a worker, a coordinator, each with a key; and what an undisturbed run finds."""
    raw = changed(lab(), {"sensing.max_sensings": 4, "sensing.tolerance_m": 1e-3})
    folder = tmp_path_factory.mktemp("keyed")
    with keyed(raw, folder, num_agents=2, keys=True, attempt_s=5.0) as running:
        running.found = localized(running)
        yield running


def localized(testbed):
    """Where a run finds the target: all that it says of it."""
    with testbed.call("coordinator", "client") as caller:
        states = []
        LiveTestbed(caller).run("localize", JobOptions(background="perfect"), states.append)
    return [record.estimate for state in states for record in state.records]


@contextmanager
def unharmed(testbed):
    """Check that runs go on and find the same, while something is tried."""
    found, ended = [], threading.Event()

    def again_and_again():
        while not ended.is_set() or not found:
            found.append(localized(testbed))

    runs = threading.Thread(target=again_and_again)
    runs.start()
    try:
        yield
    finally:
        ended.set()
        runs.join()
    assert found
    assert all(estimates == testbed.found for estimates in found)


def answer(caller, message, buffers=()):
    """What a server answers."""
    caller.send(CODEC.encode(message, buffers))
    return CODEC.decode(caller.receive(PATIENCE_S)).message


def lease_asked(testbed, lease="mine", coordinator="intruder"):
    site_hash = testbed.state().process.site_hash
    return LeaseAsked(
        request_id=1, lease=lease, coordinator=coordinator, ttl_s=60.0, site_hash=site_hash
    )


def burst(lease, serial=1, until_s=1e12):
    return SendBurst(
        request_id=2, lease=lease, serial=serial, until_s=until_s, session=1, cue=BURST,
        start_tick=None,
    )  # fmt: skip


def stop(lease, serial=1, until_s=1e12):
    return StopBurst(
        request_id=3, lease=lease, serial=serial, until_s=until_s, session=1, node_id="a"
    )


def refused(caller, message):
    """Why a server does not do what it is told."""
    said = answer(caller, message)
    assert isinstance(said, Refused), said
    return said.reason


@pytest.mark.parametrize("server", SERVERS)
def test_without_a_key_nobody_gets_in(testbed, server):
    with unharmed(testbed), testbed.counting(server, "handshake failed"):
        with testbed.call(server) as caller:
            caller.send(CODEC.encode(StatusAsked(request_id=1)))
            with pytest.raises(NoAnswerError, match="do both have keys"):
                caller.receive(2.0)
    assert "a handshake failed: no ZeroMQ, no key" in testbed.log(server)


@pytest.mark.parametrize("server", SERVERS)
def test_a_key_that_is_not_listed_is_refused(testbed, server):
    public, secret = new_key_pair()
    curve = ClientCurve(public, secret, testbed.keys.public[server])
    address = testbed.addresses[server]
    with unharmed(testbed), testbed.counting(server, "refused key"):
        with Caller(address, max_frame_bytes=MAX_FRAME_BYTES, curve=curve) as caller:
            caller.send(CODEC.encode(StatusAsked(request_id=1)))
            with pytest.raises(SecurityError, match="refuses this key; add it there with"):
                caller.receive(PATIENCE_S)
    assert f"refused the key {public}" in testbed.log(server)


def test_a_workers_key_commands_no_radio(testbed):
    lease = testbed.state().process.instance
    with unharmed(testbed), testbed.counting("agent-0", "forbidden", 4):
        with testbed.call("agent-0", "worker") as caller:
            reason = "a key of role worker sent {}, which takes a key of role coordinator"
            asked = lease_asked(testbed)
            assert refused(caller, asked) == reason.format("LeaseAsked")
            assert refused(caller, msgspec.structs.replace(asked, lease=lease)).endswith(
                "coordinator"
            )
            assert refused(caller, burst(lease, serial=1 << 40)) == reason.format("SendBurst")
            assert refused(caller, stop(lease, serial=1 << 41)) == reason.format("StopBurst")
    assert "a key of role worker sent SendBurst" in testbed.log("agent-0")


def test_a_workers_key_asks_for_nothing(testbed):
    with unharmed(testbed), testbed.counting("coordinator", "forbidden", 2):
        with testbed.call("coordinator", "worker") as caller:
            reason = "a key of role worker sent {}, which takes a key of role client"
            assert refused(caller, StatusAsked(request_id=1)) == reason.format("StatusAsked")
            options = JobOptions(background="perfect")
            job = JobAsked(request_id=2, job_id="intrusion", task="localize", options=options)
            assert refused(caller, job) == reason.format("JobAsked")
    assert "a key of role worker sent JobAsked" in testbed.log("coordinator")


def test_a_clients_key_makes_no_reports(testbed):
    site_hash = testbed.state().process.site_hash
    false = LinkFound(
        request_id=7, worker="worker", report=None, problem="none", capture_sent_s=0.0, took_s=0.0
    )
    state = WorkerState(process=Identity("worker", site_hash).state())
    with unharmed(testbed), testbed.counting("coordinator", "forbidden", 2):
        with testbed.call("coordinator", "client-2") as caller:
            caller.send(CODEC.encode(state))
            caller.send(CODEC.encode(false))
            answer(caller, StatusAsked(request_id=1))  # they have gone before
    with testbed.counting("agent-0", "refused key"):
        with testbed.call("agent-0", "client-2") as caller:
            caller.send(CODEC.encode(WorkerHere(name="worker", instance="x", site_hash=site_hash)))
            with pytest.raises(SecurityError, match="refuses this key"):
                caller.receive(PATIENCE_S)
    assert "a key of role client sent LinkFound" in testbed.log("coordinator")
    assert all(row.state.instance != state.process.instance for row in testbed.state().workers)


def test_orders_need_the_lease_that_counts_now(testbed):
    with unharmed(testbed), testbed.counting("agent-0", "orders without lease", 2):
        with testbed.call("agent-0", "coordinator") as caller:
            for order in (burst("stale"), stop("stale")):
                reason = "an order needs the lease; it belongs to coordinator"
                assert refused(caller, order) == reason


def test_an_order_is_carried_out_once(testbed):
    lease = testbed.state().process.instance
    with unharmed(testbed), testbed.counting("agent-0", "orders replayed", 2):
        with testbed.call("agent-0", "coordinator") as caller:
            for order in (burst(lease), stop(lease)):
                assert "is not newer than" in refused(caller, order)
    assert "refused SendBurst: order 1 is not newer" in testbed.log("agent-0")


def test_what_was_written_down_on_the_wire_opens_no_connection(testbed):
    with unharmed(testbed), testbed.counting("agent-0", "handshake failed", 1):
        shout(testbed.addresses["agent-0"], bytes(testbed.tap.heard[0]))


def test_backgrounds_come_from_the_holder_of_the_lease(testbed):
    run_id = testbed.state().jobs[-1].job_id
    with unharmed(testbed), testbed.counting("agent-0", "forbidden"):
        with testbed.call("agent-0", "coordinator") as caller:
            caller.send(CODEC.encode(RunEnded(run_id=run_id)))
            refused(caller, stop("stale"))
    assert "RunEnded: it came from another than the holder" in testbed.log("agent-0")


@pytest.mark.parametrize(("server", "who"), [("agent-0", "worker-2"), ("coordinator", "client-2")])
def test_an_oversized_frame_ends_its_connection(testbed, server, who):
    frame = bytes(MAX_FRAME_BYTES + 1024)
    with unharmed(testbed), testbed.counting(server, "disconnected"):
        with testbed.call(server, who, max_frame_bytes=2 * len(frame)) as caller:
            caller.send([frame])
            with pytest.raises(NoAnswerError):
                caller.receive(1.0)
    assert "a connection ended, by its peer or for too large a frame" in testbed.log(server)


@pytest.mark.parametrize(("server", "who"), [("agent-0", "worker-2"), ("coordinator", "client-2")])
def test_too_many_frames_are_dropped(testbed, server, who):
    with unharmed(testbed), testbed.counting(server, "too many frames", 3):
        with testbed.call(server, who) as caller:
            for count in (5, 8, 60):
                caller.send([b"x"] * count)
            with pytest.raises(NoAnswerError):
                caller.receive(0.5)
    assert "dropped a message of too many frames" in testbed.log(server)


@pytest.mark.parametrize(("server", "who"), [("agent-0", "worker-2"), ("coordinator", "client-2")])
def test_truncated_messages_and_noise_are_dropped(testbed, server, who):
    draws = np.random.default_rng(SEED)
    (whole,) = CODEC.encode(lease_asked(testbed))
    cut = [whole[:length] for length in range(len(whole))]
    noise = [draws.bytes(draws.integers(200)) for _ in range(100)]
    with unharmed(testbed), testbed.counting(server, "malformed", len(cut) + len(noise)):
        with testbed.call(server, who) as caller:
            for number, frame in enumerate(cut + noise):
                caller.send([frame])
                if number % 32 == 31:  # its queue is bounded: let it be read
                    with pytest.raises(NoAnswerError):
                        caller.receive(0.1)
            with pytest.raises(NoAnswerError):
                caller.receive(0.1)
    assert "dropped a message: " in testbed.log(server)


@pytest.mark.parametrize("server", SERVERS)
def test_noise_on_the_wire_is_no_handshake(testbed, server):
    draws = np.random.default_rng(SEED)
    with unharmed(testbed), testbed.counting(server, "handshake failed"):
        for length in (0, 1, 9, 64, 4096):
            shout(testbed.addresses[server], draws.bytes(length))
        shout(testbed.addresses[server], b"GET / HTTP/1.1\r\nHost: testbed\r\n\r\n")


def test_a_second_coordinator_gets_no_radios(testbed):
    with unharmed(testbed), testbed.counting("agent-0", "leases refused", 2):
        asked = lease_asked(testbed)
        with testbed.call("agent-0", "coordinator") as caller:
            for _ in range(2):
                said = answer(caller, asked)
                assert (said.granted, said.holder) == (False, "coordinator")
                assert said.reason == "its radios belong to coordinator"
    assert "no lease for intruder: its radios belong to coordinator" in testbed.log("agent-0")


def test_a_second_coordinator_gets_no_address(testbed):
    with unharmed(testbed):
        address = testbed.addresses["coordinator"]
        with testbed.another("second", "coordinator", address) as line:
            pass
    assert f"error: {address}: already in use; is another one running?" in line


def test_a_coordinator_that_agents_do_not_list_says_what_to_do(testbed):
    with unharmed(testbed), testbed.another("stranger", "stranger") as line:
        assert "serves" in line
        state = testbed.until(
            lambda state: all("refuses" in agent.problem for agent in state.agents),
            "all agents refuse the stranger", "stranger",
        )  # fmt: skip
    address = testbed.addresses["agent-0"]
    assert state.agents[0].problem == (
        f"{address} refuses this process's key; add it there with `testbed keys add`"
    )
    assert not state.agents[0].present


def test_a_coordinator_whose_key_is_revoked_loses_its_radios(testbed):
    folder, public = testbed.keys.folder("agent-1"), testbed.keys.public["coordinator"]
    with testbed.counting("agent-1", "leases ended"):
        with testbed.counting("agent-1", "refused key"):
            revoke(folder, "coordinator")
            try:
                state = testbed.until(lambda state: not state.agents[1].present, "agent-1 is lost")
            finally:
                wait_for_log(testbed, "agent-1", "the lease has ended: nothing is sent any more")
                allow(folder, "coordinator", "coordinator", public)
            assert "silent" in state.agents[1].problem
            assert f"dropped a message of the key {public}" in testbed.log("agent-1")
            testbed.until(lambda state: state.agents[1].present, "agent-1 is back")
    assert localized(testbed) == testbed.found


def test_a_clients_key_that_is_revoked_counts_no_more_at_once(testbed):
    folder, public = testbed.keys.folder("coordinator"), testbed.keys.public["client-2"]
    with unharmed(testbed), testbed.counting("coordinator", "refused key", 2):
        with testbed.call("coordinator", "client-2") as caller:
            assert isinstance(answer(caller, StatusAsked(request_id=1)), job_messages.TestbedState)
            revoke(folder, "client-2")
            try:
                for _ in range(2):
                    caller.send(CODEC.encode(StatusAsked(request_id=2)))
                    with pytest.raises(NoAnswerError):
                        caller.receive(0.5)
            finally:
                allow(folder, "client", "client-2", public)
    assert f"dropped a message of the key {public}" in testbed.log("coordinator")


def test_a_workers_key_that_is_revoked_counts_no_more_at_once(testbed):
    folder, public = testbed.keys.folder("coordinator"), testbed.keys.public["worker-2"]
    site_hash = testbed.state().process.site_hash
    state = WorkerState(process=Identity("worker-2", site_hash).state())
    with testbed.counting("coordinator", "refused key"):
        with testbed.call("coordinator", "worker-2") as caller:
            caller.send(CODEC.encode(state))
            testbed.until(lambda state: is_there(state, "worker-2"), "the second worker is there")
            revoke(folder, "worker-2")
            try:
                caller.send(CODEC.encode(state))
                testbed.until(lambda state: not is_there(state, "worker-2"), "it has gone")
            finally:
                allow(folder, "worker", "worker-2", public)
    assert localized(testbed) == testbed.found


def is_there(state, worker):
    return any(row.present for row in state.workers if row.state.name == worker)


def wait_for_log(testbed, name, text):
    until_s = time.monotonic() + PATIENCE_S
    while text not in testbed.log(name):
        assert time.monotonic() < until_s, testbed.log(name)
        threading.Event().wait(0.05)


def test_commands_say_what_is_wrong_with_a_key(testbed):
    keys, site_path = testbed.keys, testbed.site_path
    with unharmed(testbed):
        none = call("status", site_path)
        assert (none.code, "do both have keys" in none.err) == (2, True), none.err
        wrong = call("status", site_path, "--keys", keys.folder("worker"))
        assert wrong.code == 2
        assert wrong.err == (
            "error: a key of role worker sent StatusAsked, which takes a key of role client\n"
        )
        wrong = call("localize", site_path, "--live", "--keys", keys.folder("worker"))
        assert (wrong.code, "takes a key of role client" in wrong.err) == (2, True), wrong.err
        unlisted = call("status", site_path, "--keys", keys.folder("agent-0"))
        assert (unlisted.code, "refuses this key; add it" in unlisted.err) == (2, True)
        missing = call("status", site_path, "--keys", keys.folder("stranger"))
        assert missing.code == 2
        assert "the public key of one coordinator is needed" in missing.err


def test_commands_talk_to_a_testbed_with_keys(testbed):
    keys = testbed.keys.folder("client")
    run = call(
        "localize", testbed.site_path, "--live", "--keys", keys, "--background", "perfect", "--json"
    )
    assert len(run.result["sensings"]) == len(testbed.found)
    status = call("status", testbed.site_path, "--keys", keys)
    assert status.code == 0, status.err
    assert "6 of 6 nodes are there" in status.out
    assert "handshake failed" in status.out


@pytest.mark.parametrize("command", ["agent", "coordinator", "worker"])
def test_nothing_leaves_the_machine_without_keys(tmp_path, command):
    agents = [{"agent_id": "g", "address": "tcp://192.0.2.1:27601", "node_ids": list("abcdef")}]
    services = {"coordinator": "tcp://0.0.0.0:27600", "agents": agents}
    path = write_site(tmp_path, changed(lab(), {"services": services}))
    options = {"agent": ["--node", "a"], "coordinator": ["--state", tmp_path / "s"], "worker": []}
    refusal = call(command, path, *options[command])
    assert refusal.code == 2
    assert "only loopback addresses go without keys; run `testbed keys init`" in refusal.err


@pytest.fixture(scope="module")
def keyless(tmp_path_factory):
    """One agent that makes its reports itself and a coordinator, on loopback without keys."""
    raw = changed(lab(), {"sensing.max_sensings": 4, "sensing.tolerance_m": 1e-3})
    folder = tmp_path_factory.mktemp("keyless")
    with keyed(raw, folder, num_agents=1, keys=False, attempt_s=5.0) as running:
        running.found = localized(running)
        yield running


def test_what_was_written_down_on_an_open_wire_is_not_done_again(keyless):
    keyless.until(
        lambda _: keyless.counts("agent-0").get("orders", 0) >= 8, "its orders are counted"
    )
    num_orders = keyless.counts("agent-0")["orders"]
    heard = bytes(keyless.tap.heard[-1])
    with keyless.counting("agent-0", "orders replayed", num_orders):
        shout(keyless.addresses["agent-0"], heard, (GREETING, GREETING + 2 + heard[GREETING + 1]))
    assert keyless.counts("agent-0")["orders"] == num_orders
    assert localized(keyless) == keyless.found


def test_a_second_coordinator_without_keys_gets_no_radios(keyless):
    with unharmed(keyless), keyless.counting("agent-0", "leases refused"):
        with keyless.another("second", "none") as line:
            assert "serves" in line
            keyless.until(
                lambda state: state.agents[0].problem == "its radios belong to coordinator",
                "the agent is another one's", "second",
            )  # fmt: skip


def test_a_frame_that_is_too_large_or_none_harms_nobody_without_keys(keyless):
    greeting = b"\xff" + bytes(8) + b"\x7f\x03\x00NULL" + bytes(48)
    ready = b"\x05READY\x0bSocket-Type\x00\x00\x00\x06DEALER"
    opened = greeting + b"\x04" + bytes([len(ready)]) + ready
    huge = b"\x02" + (1 << 62).to_bytes(8, "big") + b"x"
    for server in SERVERS:
        with unharmed(keyless), keyless.counting(server, "disconnected"):
            shout(keyless.addresses[server], opened + huge, (GREETING, len(opened)))
            shout(keyless.addresses[server], greeting[:11])
