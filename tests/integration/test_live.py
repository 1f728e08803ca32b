"""A testbed of several services: it finds what one process finds, whoever leaves and comes back."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from calibration.campaign_lock import campaign_lock
from testbed.bus.job_messages import JobOptions, JobState, RecordFields, SensingTimes
from testbed.bus.order_messages import BurstSent, SendBurst
from testbed.errors import UsageError
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization
from testbed.runs.preparation import prepared
from testbed.runs.setup import simulate
from testbed.services.assembly import Lab
from testbed.services.conversion import record_fields
from testbed.site import Site
from testbed.stations import Cue
from tests.integration.cluster import SEED, Cluster, Following, cluster, present, wait_for
from tests.unit.testbed.sites import as_site, call, changed, contents, lab

SMALL = changed(
    lab(),
    {
        "waveform.num_subcarriers": 128,
        "waveform.subcarrier_spacing_khz": 120.0,
        "node_defaults.array.num_elements": 2,
        "calibration.num_captures": 3,
        "simulation.num_clutter": 3,
    },
)
NUM_SENSINGS = 40
# Runs that do not end before somebody has left and come back.
LONG = changed(SMALL, {"sensing.tolerance_m": 1e-6, "sensing.max_sensings": NUM_SENSINGS})
AGENT_1 = {"d", "e", "f"}
CUE = Cue("sensing", 0, "a", "sensing")


@pytest.fixture
def testbed(tmp_path) -> Iterator[Cluster]:
    """Everything is there."""
    with cluster(SMALL, tmp_path) as found:
        found.start_all()
        yield found


@pytest.fixture
def long_run(tmp_path) -> Iterator[Cluster]:
    """Everything is there, and runs take a while."""
    with cluster(LONG, tmp_path) as found:
        found.start_all()
        yield found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> list[RecordFields]:
    """Records of a long run of one process."""
    site: Site = as_site(LONG)
    setup, root = simulate(site, SEED), tmp_path_factory.mktemp("alone") / "dictionary"
    with prepared(site, setup, "learned", root) as known:
        links = LocalLinks(site, setup.source, known.background_of, Processors(site))
        run = Localization(site, links, setup.planning_rng(), setup.target_m)
        return [record_fields(record, n, SensingTimes()) for n, record in enumerate(run.run())]


def bits(records: list[RecordFields]) -> list[bytes]:
    """What was found, without when."""
    return [
        msgspec.msgpack.encode(msgspec.structs.replace(r, times=SensingTimes())) for r in records
    ]


def printed(*arguments: object) -> dict:
    found = json.loads(call(*arguments, "--json").out)
    del found["elapsed_s"]
    return found


def test_a_localization_prints_what_one_process_prints(testbed, tmp_path):
    kept = ("--dictionary", tmp_path / "alone")
    alone = printed("localize", testbed.site_path, "--seed", SEED, *kept)
    assert alone["num_sensings"] > 1
    assert printed("localize", testbed.site_path, "--live") == alone
    assert drifts(tmp_path / "dictionary") == drifts(tmp_path / "alone")
    # Once more, with backgrounds that are known, and with fewer receivers
    options = ("--num-receivers", 1, "--max-sensings", 4)
    alone = printed("localize", testbed.site_path, "--seed", SEED, *options)
    assert printed("localize", testbed.site_path, "--live", *options) == alone


def drifts(folder: Path) -> list[dict[str, object]]:
    """What captures showed of entries, but for when."""
    found = json.loads((folder / "drift.json").read_text())["drifts"]
    assert len(found) > 1
    for drift in found:
        del drift["last"]
    return found


def test_a_calibration_keeps_what_one_process_keeps(testbed, tmp_path):
    alone = call("calibrate", testbed.site_path, "--seed", SEED, "--out", tmp_path / "alone")
    live = call("calibrate", testbed.site_path, "--live", "--out", "live")
    assert (alone.code, live.code) == (0, 0)
    assert "30 entries, 30 learned now, 0 kept" in live.out
    assert entries(tmp_path / "live") == entries(tmp_path / "alone")
    again = call("calibrate", testbed.site_path, "--live", "--out", "live")
    assert "30 entries, 0 learned now, 30 kept" in again.out


def test_a_check_finds_what_one_process_finds(testbed, tmp_path):
    """And what it has found counts for localizations that come after."""
    live = call("calibrate", testbed.site_path, "--live", "--out", "live")
    assert live.code == 0, live.err
    shutil.copytree(tmp_path / "live", tmp_path / "alone")
    command = "dictionary", "check", testbed.site_path
    alone = call(*command, tmp_path / "alone", "--seed", SEED, "--captures", 2, "--json").result
    live = call(*command, "live", "--live", "--captures", 2, "--json").result
    assert len(live["entries"]) == 30
    for entry in (*live["entries"], *alone["entries"]):
        del entry["checked"]
    assert live == alone
    assert (tmp_path / "live" / "checks.json").exists()
    assert "30 valid" in call(*command, "live", "--live").out
    nowhere = call(*command, "nowhere", "--live")
    assert nowhere.code == 2
    assert "nowhere: no such directory; testbed calibrate makes one" in nowhere.err
    assert "plain name" in call(*command, tmp_path / "live", "--live").err


def test_a_calibration_beside_another_campaign_is_refused(testbed, tmp_path):
    options = JobOptions(folder="taken")
    with (
        campaign_lock(tmp_path / "taken"),
        pytest.raises(UsageError, match=r"^calibrate failed: .*is calibrating into it"),
    ):
        testbed.testbed.run("calibrate", options, lambda _: None)
    testbed.testbed.run("calibrate", options, lambda _: None)
    assert len(list((tmp_path / "taken").glob("*.entry.json"))) == 30


def entries(folder: Path) -> dict[str, object]:
    """All that a dictionary holds, byte by byte, but for when it was made, and its report."""
    found: dict[str, object] = {}
    for name, content in contents(folder).items():
        if name.endswith(".json"):
            found[name] = json.loads(content)
            del found[name]["created"]
        elif name != "report.html":
            found[name] = content
    assert len(found) == 61
    return found


def test_who_leaves_in_the_middle_and_comes_back_soon_costs_nothing(long_run, undisturbed):
    following = Following(long_run.testbed, "localize", "job")
    following.until(lambda it: it.num_records >= 1, "a sensing")
    for name in ("w0", "agent-0", "agent-1"):
        long_run.stop(name)
        long_run.start(name)
    long_run.stop("w1")
    assert bits(following.records()) == bits(undisturbed)


def test_without_any_worker_a_run_says_so(tmp_path):
    with cluster(LONG, tmp_path, patience_s=0.5) as testbed:
        testbed.start("agent-0", "agent-1", "coordinator")
        testbed.whole()
        following = Following(testbed.testbed, "localize", "job")
        following.join()
        assert isinstance(following.end, UsageError)
        assert str(following.end) == (
            "localize failed: no worker is there to make reports, waited 0.5 s; start one with "
            "testbed worker, and this again"
        )
        # It was no sensing, so the next run has all of them.
        testbed.start("w0")
        testbed.whole()
        again = Following(testbed.testbed, "localize", "again", max_sensings=3)
        assert [record.sensed.index for record in again.records()] == [0, 1, 2]


def test_nodes_that_stay_away_leave_the_choice_and_come_back(tmp_path):
    raw = changed(LONG, {"sensing.max_sensings": 100_000})
    with cluster(raw, tmp_path, patience_s=1.0) as testbed:
        testbed.start_all()
        following = Following(testbed.client(), "localize", "job", background="perfect")
        following.until(lambda it: uses(it.seen()) & AGENT_1 != set(), "agent-1 is used")
        testbed.stop("agent-1")
        following.until(lambda it: without_agent_1(it.seen()), "its nodes have left")
        state = testbed.until(lambda state: present(state) == {"agent-0", "w0", "w1"}, "it is gone")
        assert state.agents[1].problem
        testbed.start("agent-1")
        testbed.whole()
        num_before = following.num_records
        following.until(
            lambda it: uses(it.seen()[num_before:]) & AGENT_1 != set(), "it is used again"
        )
        records = following.seen()
        without = without_agent_1(records)
        assert uses(without) == {"a", "b", "c"}
        assert all(record.sensed.problems == {} for record in without)
        assert not records[-1].sensed.absent
        following.cancel(testbed.testbed)


def test_a_calibration_without_some_nodes_says_which_agent_is_gone(tmp_path):
    with cluster(SMALL, tmp_path, patience_s=0.5) as testbed:
        testbed.start("agent-0", "coordinator")
        testbed.whole()
        following = Following(testbed.testbed, "calibrate", "job", folder="live")
        following.join()
        said = str(following.end)
        assert said.startswith(
            "calibrate failed: 24 of 30 entries could not be learned: a -> d, a -> e, a -> f and 6 "
            "more links: a capture is not usable: agent agent-1 is not connected; d -> a, d -> b, "
            "d -> c and 2 more links: a capture is not usable: transmitter d: agent agent-1 "
        )
        assert said.endswith("The others are kept: run it again when this is mended")
        # What was learned is kept.
        testbed.start("agent-1")
        testbed.whole()
        again = Following(testbed.testbed, "calibrate", "again", folder="live").result()
        assert again.result[1:] == (30, 24)


def uses(records: list[RecordFields]) -> set[str]:
    """Nodes that were chosen."""
    return {n for r in records for n in (r.sensed.config.tx_id, *r.sensed.config.rx_ids)}


def without_agent_1(records: list[RecordFields]) -> list[RecordFields]:
    return [record for record in records if set(record.sensed.absent) == AGENT_1]


def test_a_localization_goes_on_where_its_coordinator_ended(long_run, undisturbed):
    following = Following(long_run.testbed, "localize", "job")
    following.until(lambda it: it.num_records >= 1, "a sensing")
    long_run.stop("w0", "w1")  # it waits for them, so it is in the middle
    assert following.end is None
    long_run.stop("coordinator")
    long_run.start("w0", "w1", "coordinator")
    assert bits(following.records()) == bits(undisturbed)
    assert bits(Following(long_run.client(), "localize", "job").records()) == bits(undisturbed)


def test_a_calibration_goes_on_where_its_coordinator_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("testbed.runs.campaign._MOST_BYTES", 1)  # one receiver listens at a time
    with cluster(SMALL, tmp_path) as testbed:
        testbed.start("agent-0", "coordinator")
        testbed.whole()
        following = Following(testbed.testbed, "calibrate", "job", folder="live")
        # The third link needs a node that is not there.
        following.until(lambda it: (it.latest.done, it.latest.total) == (2, 30), "two")
        testbed.stop("coordinator")
        testbed.start("agent-1", "coordinator")
        assert following.result().result == (str(tmp_path / "live"), 30, 28)
        call("calibrate", testbed.site_path, "--seed", SEED, "--out", tmp_path / "alone")
        assert entries(tmp_path / "live") == entries(tmp_path / "alone")


def test_campaigns_are_spread_and_updated_as_in_one_process(testbed, tmp_path):
    alone = ("calibrate", testbed.site_path, "--seed", SEED, "--out", tmp_path / "alone")
    for options, asked in (
        (("--spread", "1"), {"spread_s": 60.0}),
        (("--update",), {"update": True}),
    ):
        following = Following(testbed.testbed, "calibrate", options[0][2:], folder="live", **asked)
        assert following.result().result[1:] == (30, 30)
        assert call(*alone, *options).code == 0
        assert entries(tmp_path / "live") == entries(tmp_path / "alone")
    for job_id, asked, why in (
        ("mistyped", {"folder": "lvie", "resume": True}, "lvie: no such directory"),
        ("nodes", {"folder": "live", "only": "nodes"}, "pilot fidelity has no radios"),
    ):
        following = Following(testbed.testbed, "calibrate", job_id, **asked)
        following.join()
        assert why in str(following.end)


def test_a_second_coordinator_gets_no_radios_until_the_first_has_left(long_run, undisturbed):
    address = long_run.another_address()
    services = msgspec.structs.replace(long_run.site.services, coordinator=address)
    site = msgspec.structs.replace(long_run.site, services=services)
    lab_2 = Lab(site, SEED, "pilot")
    following = Following(long_run.client(), "localize", "job")
    long_run.start("coordinator-2", lab=lab_2, folder=long_run.folder / "second")
    second = long_run.client(address)
    refusal = "its radios belong to coordinator"
    long_run.until(
        lambda state: [row.problem for row in state.agents] == [refusal, refusal],
        "it is refused", second,
    )  # fmt: skip
    state = long_run.until(
        lambda state: all(row.state.process.counts.get("leases refused") for row in state.agents),
        "that is counted",
    )
    assert present(state) == {"agent-0", "agent-1", "w0", "w1"}
    assert bits(following.records()) == bits(undisturbed)
    long_run.stop("coordinator")
    long_run.until(lambda state: all(row.present for row in state.agents), "it is not", second)
    assert Following(second, "calibrate", "other").result().result[1:] == (30, 30)


def test_another_lab_is_refused_and_told_so(testbed):
    address = testbed.another_address()
    services = msgspec.structs.replace(testbed.site.services, coordinator=address)
    other = Lab(msgspec.structs.replace(testbed.site, services=services), SEED + 1, "pilot")
    testbed.start("coordinator-2", lab=other, folder=testbed.folder / "second")
    testbed.start("stranger", lab=Lab(testbed.site, SEED + 1, "pilot"))
    problem = "another site file, seed or fidelity"
    testbed.until(
        lambda state: [row.problem for row in state.agents] == [problem, problem],
        "another coordinator is refused", testbed.client(address),
    )  # fmt: skip
    state = testbed.until(
        lambda state: bool(state.process.counts.get("strange workers")), "the worker is counted"
    )
    testbed.until(
        lambda state: all(row.state.process.counts.get("strange workers") for row in state.agents),
        "by agents as well",
    )
    assert present(state) == {"agent-0", "agent-1", "w0", "w1"}


def test_an_interrupted_client_takes_its_job_with_it(long_run):
    def interrupt(state: JobState) -> None:
        if state.records:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        long_run.testbed.run("localize", JobOptions(), interrupt, job_id="job")
    rows = long_run.until(lambda state: state.jobs[-1].status != "running", "it ended").jobs
    assert [(row.job_id, row.status) for row in rows] == [("job", "cancelled")]
    # and nobody has to wait for it.
    assert Following(long_run.testbed, "localize", "next", max_sensings=2).records()


def test_one_job_at_a_time(long_run):
    following = Following(long_run.client(), "localize", "job")
    following.until(lambda it: it.num_records >= 1, "it runs")
    with pytest.raises(UsageError, match=r"^busy: job job \(localize\) is running: .+; wait"):
        long_run.testbed.run("calibrate", JobOptions(), lambda _: None)
    following.cancel(long_run.testbed)


def test_jobs_that_cannot_be_done_say_why(testbed):
    wrong = [
        ({"num_receivers": 6}, "num_receivers"),
        ({"max_sensings": -1}, "max_sensings"),
        ({"fusion": "nonsense"}, "fusion"),
        ({"seed": SEED + 1}, f"this testbed simulates seed {SEED}, asked for is {SEED + 1}"),
        ({"folder": "jobs"}, "not empty and no dictionary"),
    ]
    for options, words in wrong:
        with pytest.raises(UsageError, match=f"^localize failed: .*{words}"):
            testbed.testbed.run("localize", JobOptions(**options), lambda _: None)


def test_an_agent_does_nothing_for_a_lease_that_has_run_out(tmp_path):
    with cluster(SMALL, tmp_path) as testbed, testbed.agent_caller("agent-0") as agent:
        testbed.start("agent-0")
        burst = agent.order(SendBurst, serial=1, cue=CUE, start_tick=0)
        assert agent.asked(burst).reason == "an order needs the lease; nobody holds it"
        assert agent.lease(ttl_s=60.0).granted
        assert isinstance(agent.asked(burst), BurstSent)
        assert agent.asked(burst).reason == "order 1 is not newer than 1, which was done"
        late = agent.order(SendBurst, serial=2, cue=CUE, start_tick=0, until_s=0.0)
        assert "after its time was over" in agent.asked(late).reason
        assert agent.lease(ttl_s=0.05).granted
        # Somebody of another lab gets none, but learns who has it.
        wait_for(lambda: agent.lease(60.0, site_hash="x").holder == "nobody", "it runs out")
        burst = agent.order(SendBurst, serial=3, cue=CUE, start_tick=0)
        assert agent.asked(burst).reason == "an order needs the lease; nobody holds it"
        counts = agent.lease(60.0, site_hash="x").agent.process.counts
        refused = {what: n for what, n in counts.items() if what.startswith("orders ")}
        assert refused == {"orders without lease": 2, "orders replayed": 1, "orders late": 1}
        assert counts["orders"] == 1
        wait_for(
            lambda: agent.lease(60.0, site_hash="x").agent.process.counts.get("leases ended"),
            "the end of the lease is counted",
        )
