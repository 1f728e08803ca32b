"""Captures that come over the wire give the reports that they give in one process."""

import asyncio
import dataclasses
import threading

import msgspec
import numpy as np
import pytest

from drivers.capture import Capture, CaptureQuality
from processing.suppression import Background
from testbed.build import build_nodes
from testbed.bus.order_messages import Done
from testbed.bus.parts import Refused
from testbed.bus.report_messages import (
    CaptureTaken,
    LinkBackground,
    LinkFound,
    RunContext,
    RunEnded,
)
from testbed.bus.wire import Codec, Message
from testbed.runs.backgrounds import perfect_background
from testbed.runs.links import LinkReporter, Processors
from testbed.runs.setup import Simulation, simulate
from testbed.services.capture_desk import CaptureDesk
from testbed.services.conversion import background_parts, capture_fields
from testbed.services.desk_thread import DeskThread
from testbed.services.identity import Identity
from testbed.site import Site
from tests.unit.testbed.bus.loops import DEADLINE_S, in_loop, until
from tests.unit.testbed.sites import as_site, changed, lab

SEED = 3
NUM_RUNS = 4
NUM_BACKGROUNDS = 32
CODEC = Codec((CaptureTaken, LinkBackground, LinkFound, RunContext), max_buffer_bytes=1 << 20)


@pytest.fixture(scope="module")
def site() -> Site:
    return as_site(changed(lab(), {"waveform.num_subcarriers": 128}))


@pytest.fixture(scope="module")
def simulation(site) -> Simulation:
    return simulate(site, SEED)


@pytest.fixture
def desk(site) -> CaptureDesk:
    return CaptureDesk(site, build_nodes(site, SEED), "w0")


@pytest.fixture(scope="module")
def captures(simulation) -> tuple[Capture, ...]:
    return simulation.source.sense("a", ("b", "c"), 2)


def over_the_wire(message: Message, arrays=()) -> tuple[Message, tuple[np.ndarray, ...]]:
    received = CODEC.decode([bytes(frame) for frame in CODEC.encode(message, arrays)])
    return received.message, received.arrays


def taken(capture: Capture, run_id: str = "run", index: int = 2) -> CaptureTaken:
    return CaptureTaken(
        request_id=5, run_id=run_id, index=index, capture=capture_fields(capture), sent_s=12.5
    )


def background_told(
    background: Background | None, link: tuple[str, str], run_id: str = "run"
) -> tuple[Message, tuple[np.ndarray, ...]]:
    described, arrays = background_parts(background)
    told = LinkBackground(
        request_id=6, run_id=run_id, tx_id=link[0], rx_id=link[1], background=described
    )
    return over_the_wire(told, arrays)


def begin(desk: CaptureDesk, *run_ids: str) -> None:
    for run_id in run_ids or ("run",):
        assert desk.told(RunContext(run_id=run_id, calibration=None), ()) is None


def bits(report) -> bytes:
    return msgspec.msgpack.encode(report)


@pytest.mark.parametrize("with_background", [True, False])
def test_reports_are_those_of_one_process_bit_by_bit(
    desk, site, simulation, captures, with_background
):
    reporter = LinkReporter(site, simulation.source.nodes, Processors(site))
    background_of = perfect_background(simulation.source)
    begin(desk)
    for capture in captures:
        link = capture.tx_id, capture.rx_id
        background = background_of(*link) if with_background else None
        assert desk.told(*background_told(background, link)) == Done(request_id=6, fault=None)
        message, (pilots,) = over_the_wire(taken(capture), (capture.rx_pilots,))
        found = desk.found(message, pilots)
        assert bits(found.report) == bits(reporter.look(capture, background, 2).report)
        assert (found.problem, found.lacks_background) == (None, False)
        assert (found.request_id, found.worker, found.capture_sent_s) == (5, "w0", 12.5)
        answer, _ = over_the_wire(found)
        assert bits(answer.report) == bits(found.report)


def test_a_run_or_a_link_that_was_not_told_is_lacking(desk, captures):
    unknown = desk.found(taken(captures[0]), captures[0].rx_pilots)
    begin(desk)
    untold = desk.found(taken(captures[0]), captures[0].rx_pilots)
    for found in (unknown, untold):
        assert (found.report, found.lacks_background) == (None, True)
        assert found.problem == "worker w0 was not told the background of a -> b"
    desk.told(*background_told(None, ("a", "b")))
    assert desk.found(taken(captures[0]), captures[0].rx_pilots).report is not None
    desk.told(RunEnded(run_id="run"), ())
    assert desk.found(taken(captures[0]), captures[0].rx_pilots).lacks_background


def test_a_background_of_a_run_that_is_not_known_is_not_kept(desk):
    told = desk.told(*background_told(None, ("a", "b")))
    assert told == Done(request_id=6, fault="run run is not known")


def test_a_capture_that_is_refused_gives_a_problem(desk, captures):
    begin(desk)
    desk.told(*background_told(None, ("a", "b")))
    cut = dataclasses.replace(captures[0], quality=CaptureQuality(overflow=True))
    found = desk.found(taken(cut), cut.rx_pilots)
    assert (found.report, found.lacks_background) == (None, False)
    assert found.problem == "a -> b: samples were lost (overflow)"


def test_it_holds_the_runs_that_were_used_last(desk, captures):
    pilots = captures[0].rx_pilots
    names = [f"run-{n}" for n in range(NUM_RUNS)]
    begin(desk, *names)
    for name in names:
        desk.told(*background_told(None, ("a", "b"), name))
    assert desk.found(taken(captures[0], names[0]), pilots).report is not None
    begin(desk, names[1], "another")  # one that is begun again stays as it is
    lacking = {n: desk.found(taken(captures[0], n), pilots).lacks_background for n in names}
    assert lacking == {names[0]: False, names[1]: False, names[2]: True, names[3]: False}


def test_it_holds_the_backgrounds_that_were_used_last(desk, captures):
    begin(desk)
    links = [("a", "b"), ("a", "c"), *((f"n{n}", "b") for n in range(NUM_BACKGROUNDS - 2))]
    for link in links:
        desk.told(*background_told(None, link))
    (first, second), pilots = captures, captures[0].rx_pilots
    assert desk.found(taken(first), pilots).report is not None
    desk.told(*background_told(None, ("d", "e")))
    assert not desk.found(taken(first), pilots).lacks_background
    assert desk.found(taken(second), second.rx_pilots).lacks_background


class HeldDesk(CaptureDesk):
    """A desk that is not done with what it is told before it is let go on."""

    def __init__(self, *known) -> None:
        super().__init__(*known)
        self.go_on = threading.Event()

    def told(self, message, arrays):
        assert self.go_on.wait(DEADLINE_S)
        return super().told(message, arrays)


def on_a_thread(desk) -> DeskThread:
    return DeskThread(desk, Identity("w0", "site"))


@in_loop
async def test_a_desk_at_work_answers_whatever_it_is_told(desk, captures):
    """No run, no arrays, too many, of another shape, of a node that is not of this site."""
    worker = on_a_thread(desk)
    begin(desk)
    desk.told(*background_told(None, ("a", "b")))
    capture = captures[0]
    strange = dataclasses.replace(capture, rx_id="nobody")
    desk.told(*background_told(None, ("a", "nobody")))
    described, _ = background_parts(Background(capture.rx_pilots, "hash"))
    without_arrays = LinkBackground(
        request_id=5, run_id="run", tx_id="a", rx_id="b", background=described
    )
    wrong = [
        (taken(capture), ()),
        (taken(capture), (capture.rx_pilots, capture.rx_pilots)),
        (taken(capture), (capture.rx_pilots[:3],)),
        (taken(strange), (strange.rx_pilots,)),
        (without_arrays, ()),
    ]
    for message, arrays in wrong:
        answer = await worker.answer(message, arrays)
        assert isinstance(answer, Refused), answer
        assert (answer.request_id, bool(answer.reason)) == (5, True)
    assert worker.num_waiting == 0
    assert isinstance(await worker.answer(taken(capture), (capture.rx_pilots,)), LinkFound)
    assert await worker.answer(RunEnded(run_id="run"), ()) is None
    worker.close()


@in_loop
async def test_a_desk_at_work_turns_away_what_is_too_much(site, captures):
    desk = HeldDesk(site, build_nodes(site, SEED), "w0")
    worker = on_a_thread(desk)
    begun = [asyncio.create_task(worker.answer(*background_told(None, ("a", "b"))))]
    await until(lambda: worker.num_waiting == 1)
    begun += [
        asyncio.create_task(worker.answer(taken(captures[0]), (captures[0].rx_pilots,)))
        for _ in range(7)
    ]
    await until(lambda: worker.num_waiting == 8)
    answer = await worker.answer(taken(captures[0]), (captures[0].rx_pilots,))
    assert answer == Refused(request_id=5, reason="w0 has 8 messages waiting")
    assert await worker.answer(RunEnded(run_id="run"), ()) is None
    assert worker._identity.counts["turned away"] == 2
    desk.go_on.set()
    assert len(await asyncio.gather(*begun)) == 8
    assert worker.num_waiting == 0
    worker.close()
