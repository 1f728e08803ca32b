"""A coordinator's side of the bus: who is there, who makes reports, what strange answers cost."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import numpy as np
import pytest

from drivers.capture import Capture
from drivers.radio import TransmitReport
from processing.report import LinkReport
from testbed.bus.order_messages import (
    AgentState,
    BurstSent,
    ClockRead,
    ClocksRead,
    Done,
    FetchCapture,
    LeaseAnswer,
    LeaseAsked,
    LeaseReturned,
    NodeState,
    ReadClocks,
    SendBurst,
    StopBurst,
)
from testbed.bus.parts import Refused
from testbed.bus.report_messages import CaptureTaken, LinkFound, WorkerState
from testbed.bus.sockets import Client, Peer
from testbed.bus.wire import Codec, Message
from testbed.services.agent import AGENT_TAKES
from testbed.services.agent_link import AGENT_ANSWERS, AgentLink
from testbed.services.conversion import capture_fields
from testbed.services.exchange import Exchange
from testbed.services.identity import Identity
from testbed.services.pending import Pending
from testbed.services.remote_stations import RemoteStations
from testbed.site_services import AgentSection
from testbed.stations import Cue, Sent
from tests.unit.testbed.bus.loops import MAX_FRAME_BYTES, in_loop, serving, until

CUE = Cue("sensing", 4, "a", "sensing")
CAPTURE = Capture("a", "b", np.ones((3, 2), np.complex64), 1, "waveform")
REPORT = LinkReport("a", "b", 4, (), 3.0, 1e-9, True, 0, None)
SENT = Sent(0.0, TransmitReport(first_sample_tick=5))
SHORT_S = 0.2
LONG_S = 10.0

Answered = tuple[Message, tuple[np.ndarray, ...]]


def codec(kinds) -> Codec:
    return Codec(kinds, max_buffer_bytes=MAX_FRAME_BYTES)


def lease_answer(
    request_id: int, *, granted: bool = True, works_itself: bool = True
) -> LeaseAnswer:
    process = Identity("agent-0", "site").state()
    nodes = [NodeState(node_id=name, radio=None, follows_host=False) for name in "abc"]
    state = AgentState(process=process, nodes=nodes, workers=["w1"], works_itself=works_itself)
    return LeaseAnswer(
        request_id=request_id, granted=granted, holder="somebody", reason="taken" * (not granted),
        clock_s=1e5, agent=state,
    )  # fmt: skip


@asynccontextmanager
async def exchange_with(
    answer: Callable[[Message], Answered | None], workers: str = "remote"
) -> AsyncIterator[Exchange]:
    """A coordinator's exchange with one agent, whose answers are the test's."""
    async with serving() as agent, serving() as coordinator:
        me, pending = Identity("coordinator", "site"), Pending()
        section = AgentSection(
            agent_id="agent-0", node_ids=["a", "b", "c"], address=agent.address, worker=workers
        )
        client = Client(agent.address, max_frame_bytes=MAX_FRAME_BYTES)
        link = AgentLink(section, client, codec(AGENT_ANSWERS), me, pending)
        exchange = Exchange(me, [link], coordinator, codec(AGENT_ANSWERS), pending)
        tasks = [
            asyncio.create_task(_answering(agent, answer)),
            asyncio.create_task(exchange.serve()),
        ]
        try:
            await until(lambda: link.present)
            yield exchange
        finally:
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            client.close()


async def _answering(agent, answer: Callable[[Message], Answered | None]) -> None:
    while True:
        peer, frames = await agent.receive()
        message = codec(AGENT_TAKES).decode(frames).message
        if isinstance(message, LeaseAsked):
            answered: Answered | None = lease_answer(message.request_id), ()
        else:
            answered = answer(message)
        if answered is not None:
            agent.send(peer.identity, codec(AGENT_ANSWERS).encode(*answered))


def stations(exchange: Exchange, timeout_s: float = LONG_S, **options) -> RemoteStations:
    return RemoteStations(exchange, asyncio.get_running_loop(), 1e6, timeout_s, **options)


def taken(number: int, capture: Capture = CAPTURE) -> CaptureTaken:
    return CaptureTaken(
        request_id=number, run_id="run", index=4, capture=capture_fields(capture), sent_s=1.0
    )


def found(number: int, report: LinkReport | None = REPORT, **fields) -> LinkFound:
    return LinkFound(
        request_id=number, worker="w0", report=report, capture_sent_s=1.0, took_s=0.5,
        **{"problem": None} | fields,
    )  # fmt: skip


OTHER_LINK = replace(CAPTURE, rx_id="c")
NONE_TO_WHAT = "is none to what was asked"
ANSWERS: list[tuple[Callable[[int], Answered], str | None, bool]] = [
    (lambda n: (taken(n), (CAPTURE.rx_pilots,)), None, False),
    (lambda n: (taken(n), ()), NONE_TO_WHAT, True),
    (lambda n: (taken(n), (CAPTURE.rx_pilots,) * 2), NONE_TO_WHAT, True),
    (lambda n: (taken(n, OTHER_LINK), (CAPTURE.rx_pilots,)), NONE_TO_WHAT, True),
    (lambda n: (found(n), ()), None, False),
    (lambda n: (found(n, replace(REPORT, rx_id="c")), ()), NONE_TO_WHAT, True),
    (lambda n: (found(n, replace(REPORT, sensing_index=5)), ()), NONE_TO_WHAT, True),
    (lambda n: (found(n, None), ()), NONE_TO_WHAT, True),
    (lambda n: (found(n, None, problem="overflow"), ()), "overflow", False),
    (lambda n: (found(n, None, problem="not told", lacks_background=True), ()), "not told", True),
    (lambda n: (Done(request_id=n, fault="no lock"), ()), "no lock", False),
    (lambda n: (Done(request_id=n), ()), NONE_TO_WHAT, True),
    (lambda n: (BurstSent(request_id=n, sent=SENT), ()), NONE_TO_WHAT, True),
    (lambda n: (Refused(request_id=n, reason="busy"), ()), "busy", True),
    (lambda n: (Done(request_id=n + 1), ()), "did not answer within 0.2 s", True),
]


@pytest.mark.parametrize(("answer", "problem", "lost"), ANSWERS)
@in_loop
async def test_an_answer_is_a_capture_a_report_a_reason_or_lost(answer, problem, lost):
    async with exchange_with(lambda order: answer(order.request_id)) as exchange:
        asked = stations(exchange, SHORT_S, run_id="run", workers={"b": "w0"})
        fetched = await asyncio.to_thread(asked.fetch, ["b"], CUE, 7, SENT)
        outcome = fetched["b"]
        assert outcome.lost is lost
        if problem is None:
            assert (outcome.problem, outcome.report or outcome.capture is not None) != (None, None)
            assert outcome.report in (None, REPORT)
        else:
            assert problem in outcome.problem
            assert (outcome.report, outcome.capture) == (None, None)


@in_loop
async def test_a_transmitter_that_fails_is_at_fault_and_one_that_is_silent_is_lost():
    answers: dict[str, Callable[[int], Answered | None]] = {
        "sent": lambda n: (BurstSent(request_id=n, sent=SENT), ()),
        "late": lambda n: (Done(request_id=n, fault="too late"), ()),
        "strange": lambda n: (ClocksRead(request_id=n, clocks={}), ()),
        "silent": lambda _: None,
    }
    sent, faults, lost = {}, {}, {}
    for name, answer in answers.items():
        async with exchange_with(lambda order, answer=answer: answer(order.request_id)) as exchange:
            asked, faults[name] = stations(exchange, SHORT_S), {}
            sent[name] = await asyncio.to_thread(asked.transmit, CUE, 7, faults[name])
            lost[name] = asked.missing(CUE, "b", "").lost
    assert sent == {"sent": SENT, "late": None, "strange": None, "silent": None}
    assert faults["sent"] == {}
    assert faults["late"] == {"a": "too late"}
    assert NONE_TO_WHAT in faults["strange"]["a"]
    assert "did not answer" in faults["silent"]["a"]
    assert lost == {"sent": False, "late": False, "strange": True, "silent": True}


def clocks(**reads: ClockRead) -> Callable[[Message], Answered | None]:
    """Clocks as they are read; a node that is not named does not answer."""

    def answer(order: Message) -> Answered | None:
        assert isinstance(order, ReadClocks)
        (name,) = order.node_ids
        read = {name: reads[name]} if name in reads else None
        return read and (ClocksRead(request_id=order.request_id, clocks=read), ())

    return answer


@in_loop
async def test_a_burst_starts_after_all_clocks_that_can_be_read():
    read = {name: ClockRead(tick=tick, took_s=0.0) for name, tick in (("a", 100), ("b", 300))}
    async with exchange_with(clocks(**read)) as exchange:
        faults: dict[str, str] = {}
        asked = stations(exchange, SHORT_S)
        tick = await asyncio.to_thread(asked.start_tick, ["a", "b", "c"], faults)
        assert tick == 300 + 10_000
        assert list(faults) == ["c"]
        assert asked.missing(CUE, "c", faults["c"]).lost
        assert not asked.missing(CUE, "b", "?").lost


@in_loop
async def test_without_a_common_time_there_is_no_tick():
    read = {
        "a": ClockRead(tick=None, took_s=0.0),
        "b": ClockRead(tick=None, took_s=0.0, fault="no device"),
    }
    async with exchange_with(clocks(**read)) as exchange:
        faults: dict[str, str] = {}
        assert await asyncio.to_thread(stations(exchange).start_tick, ["a", "b"], faults) is None
        assert faults == {"b": "no device"}


@in_loop
async def test_nobody_s_clock_can_be_read():
    async with exchange_with(lambda _: None) as exchange:
        faults: dict[str, str] = {}
        await asyncio.to_thread(stations(exchange, SHORT_S).start_tick, ["a", "b"], faults)
        assert set(faults) == {"a", "b"}


@in_loop
async def test_a_stop_that_is_not_heard_of_is_not_waited_for_for_ever():
    heard: list[Message] = []
    async with exchange_with(heard.append) as exchange:
        await asyncio.to_thread(stations(exchange, SHORT_S).stop, "a")
        assert [type(order) for order in heard] == [StopBurst]


@in_loop
async def test_orders_go_up_and_end_by_the_agent_s_clock():
    heard: list[Message] = []

    def answer(order: Message) -> Answered:
        heard.append(order)
        return Done(request_id=order.request_id, fault="no"), ()

    async with exchange_with(answer) as exchange:
        asked = stations(exchange, LONG_S)
        await asyncio.to_thread(asked.transmit, CUE, None, {})
        await asyncio.to_thread(asked.fetch, ["b", "c"], CUE, None, SENT)
        assert [type(order) for order in heard] == [SendBurst, FetchCapture, FetchCapture]
        serials = [order.serial for order in heard]
        assert serials == sorted(set(serials))
        for order in heard:  # the agent's clock stood at 100,000 s just now
            assert 1e5 < order.until_s - LONG_S < 1e5 + 20.0
            assert order.lease == exchange.links[0]._me.instance


@in_loop
async def test_a_lease_is_given_back_and_not_asked_for_again():
    heard: list[Message] = []

    def answer(message: Message) -> Answered:
        heard.append(message)
        return lease_answer(message.request_id, granted=False), ()

    async with exchange_with(answer) as exchange:
        await exchange.leave()
        assert [type(message) for message in heard] == [LeaseReturned]
        assert heard[0].lease == exchange.links[0]._me.instance


def announce(exchange: Exchange, name: str, instance: str = "i", site: str = "site") -> None:
    process = replace(Identity(name, site), instance=instance).state()
    exchange.take(Peer(name.encode(), None), WorkerState(process=process))


@in_loop
async def test_workers_take_turns_those_first_that_the_agent_can_reach():
    async with exchange_with(lambda _: None) as exchange:
        assert exchange.worker_of("b") is None
        assert exchange.lacks_workers(["b"])
        for name in ("w0", "w1", "w2"):
            announce(exchange, name)
        assert not exchange.lacks_workers(["b"])
        assert [exchange.worker_of("b") for _ in range(3)] == ["w1"] * 3  # the agent named it
        exchange.doubted("w1")
        assert [exchange.worker_of("b") for _ in range(4)] == ["w0", "w2", "w0", "w2"]
        announce(exchange, "w3")  # who comes later does not get all that the others had before
        assert [exchange.worker_of("b") for _ in range(5)] == ["w0", "w2", "w0", "w2", "w3"]
        announce(exchange, "w1")
        assert exchange.worker_of("b") == "w1"
        assert [row.present for row in exchange.rows()] == [True] * 4


@in_loop
async def test_a_local_worker_is_the_agent_itself():
    async with exchange_with(lambda _: None, workers="local") as exchange:
        assert exchange.worker_of("b") == "agent-0"
        assert not exchange.lacks_workers(["b"])


@in_loop
async def test_an_agent_that_makes_no_reports_is_of_no_use_where_it_should():
    async with exchange_with(lambda _: None, workers="local") as exchange:
        (link,) = exchange.links
        link.absent_since_s = 0.0
        link._take(lease_answer(1, works_itself=False), 0.01)
        assert not link.present
        assert link.row().problem.startswith("it makes no reports itself")
        link._take(lease_answer(1), 0.01)
        assert link.present


@in_loop
async def test_workers_of_another_lab_are_none_and_counted():
    async with exchange_with(lambda _: None) as exchange:
        announce(exchange, "w0", site="elsewhere")
        assert exchange.workers == {}
        assert exchange._me.counts["strange workers"] == 1


@in_loop
async def test_a_worker_that_was_started_again_knows_nothing():
    async with exchange_with(lambda _: None) as exchange:
        announce(exchange, "w0")
        exchange.workers["w0"].told.add("run")
        announce(exchange, "w0")
        assert exchange.workers["w0"].told == {"run"}
        announce(exchange, "w0", instance="another")
        assert exchange.workers["w0"].told == set()
        assert exchange._me.counts["workers of one name"] == 1


@in_loop
async def test_very_many_workers_do_not_fill_the_memory():
    async with exchange_with(lambda _: None) as exchange:
        for number in range(300):
            announce(exchange, f"w{number}")
        assert len(exchange.workers) == 256
        assert exchange.workers.keys() == {f"w{n}" for n in range(44, 300)}
        exchange.doubted("w0")
        exchange.untold("w0", "run", "a", "b")
        exchange.forget("run")
