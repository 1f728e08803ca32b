"""One node of an agent: its radio's thread, the queue in front, and what goes wrong with it."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import contextmanager

import pytest

from drivers.radio import RadioInfo
from drivers.radio_errors import RadioError, RadioLostError, RadioNotFoundError
from testbed.services.node_crew import NodeBusyError, NodeCrew
from testbed.stations import PilotStation
from tests.unit.testbed.bus.loops import DEADLINE_S, in_loop, until

MOST_WAITING = 8
RETRY_S = 5.0


class HeldStation(PilotStation):
    """A station whose calls can be held, as a driver that hangs does."""

    def __init__(self) -> None:
        super().__init__(None, "a")
        self.began, self.go_on = threading.Event(), threading.Event()
        self.num_stops, self.num_closes = 0, 0
        self.info = RadioInfo("sim", "0", "none", None)

    def hold(self) -> None:
        self.began.set()
        assert self.go_on.wait(DEADLINE_S)

    def stop(self) -> None:
        self.num_stops += 1

    def close(self) -> None:
        self.num_closes += 1


class Opened:
    """Opens stations, unless it is told to fail; keeps them."""

    def __init__(self, *problems: Exception) -> None:
        self.problems = list(problems)
        self.stations: list[HeldStation] = []
        self.sessions: list[int] = []

    def __call__(self, session: int) -> HeldStation:
        if self.problems:
            raise self.problems.pop(0)
        self.sessions.append(session)
        self.stations.append(HeldStation())
        return self.stations[-1]


def lose(_station):
    raise RadioLostError("gone")


@contextmanager
def crew_of(opened: Callable, **options):
    crew = NodeCrew("a", opened, follows_host=True, **options)
    try:
        yield crew
    finally:
        for station in opened.stations:
            station.go_on.set()
        crew.close()


async def held(crew: NodeCrew, opened: Opened) -> asyncio.Task:
    """A call that hangs in the radio's thread."""
    task = asyncio.create_task(crew.does(1, HeldStation.hold))
    await until(lambda: bool(opened.stations) and opened.stations[-1].began.is_set())
    return task


@in_loop
async def test_calls_are_done_one_after_the_other_and_no_more_wait_than_may():
    opened = Opened()
    with crew_of(opened) as crew:
        done: list[int] = []
        first = await held(crew, opened)
        tasks = [
            asyncio.create_task(crew.does(1, lambda _, n=n: done.append(n)))
            for n in range(MOST_WAITING - 1)
        ]
        await until(lambda: crew.num_waiting == MOST_WAITING)
        with pytest.raises(NodeBusyError, match="node a is busy: 8 calls wait for its radio"):
            await crew.does(1, lambda _: done.append(-1))
        assert done == []
        opened.stations[0].go_on.set()
        await asyncio.gather(first, *tasks)
        assert done == list(range(MOST_WAITING - 1))
        assert crew.num_waiting == 0


@in_loop
async def test_what_waited_until_its_time_was_over_is_not_begun():
    opened, now_s = Opened(), [10.0]
    with crew_of(opened, clock=lambda: now_s[0]) as crew:
        begun: list[str] = []
        first = await held(crew, opened)
        late = asyncio.create_task(crew.does(1, lambda _: begun.append("late"), until_s=10.5))
        due = asyncio.create_task(crew.does(1, lambda _: begun.append("due"), until_s=12.0))
        await until(lambda: crew.num_waiting == 3)
        now_s[0] = 11.0
        opened.stations[0].go_on.set()
        await asyncio.gather(first, due)
        with pytest.raises(NodeBusyError, match="busy until the time of what waited was over"):
            await late
        assert begun == ["due"]


@in_loop
async def test_a_radio_that_is_lost_is_opened_again_by_the_next_call():
    opened = Opened()
    with crew_of(opened) as crew:
        await crew.opened()
        with pytest.raises(RadioLostError):
            await crew.does(1, lose)
        assert crew.state().fault.startswith("gone")
        assert opened.stations[0].num_closes == 1
        assert await crew.does(1, lambda station: station) is opened.stations[1]


@in_loop
async def test_another_failure_leaves_the_radio_open():
    def fail(_):
        raise RadioError("it did not like that", "do not do that")

    opened = Opened()
    with crew_of(opened) as crew:
        for _ in range(2):
            with pytest.raises(RadioError, match="it did not like that"):
                await crew.does(1, fail)
        assert len(opened.stations) == 1
        assert opened.stations[0].num_closes == 0


@in_loop
async def test_a_radio_that_cannot_be_opened_is_tried_again_whenever_it_is_needed():
    opened = Opened(RadioNotFoundError("no device"), ValueError("a driver's own bug"))
    with crew_of(opened) as crew:
        with pytest.raises(RadioNotFoundError):
            await crew.opened()
        assert crew.state().fault.startswith("no device")
        with pytest.raises(ValueError, match="own bug"):
            await crew.opened()
        assert await crew.does(1, lambda station: station.node_id) == "a"


class SlowToOpen(Opened):
    """Opens a first station at once, and another one when it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.let = threading.Event()

    def __call__(self, session: int) -> HeldStation:
        if self.stations:
            assert self.let.wait(DEADLINE_S)
        return super().__call__(session)


@in_loop
async def test_a_radio_that_takes_long_to_open_again_is_not_waited_for():
    opened = SlowToOpen()
    with crew_of(opened) as crew:
        for _ in range(3):  # it is being opened, and the reason stays
            with pytest.raises(RadioLostError, match="gone"):
                await crew.does(1, lose)
        assert crew.num_waiting == 0
        opened.let.set()
        await until(lambda: len(opened.stations) == 2)
        assert await crew.does(1, lambda station: station) is opened.stations[1]
        assert crew.state().fault is None


@in_loop
async def test_a_radio_that_is_not_open_is_opened_now_and_then_without_a_call():
    opened, now_s = Opened(RadioNotFoundError("no device")), [10.0]
    with crew_of(opened, clock=lambda: now_s[0]) as crew:
        with pytest.raises(RadioNotFoundError):
            await crew.opened()
        await crew.look_after()
        assert opened.stations == []
        now_s[0] += RETRY_S
        await crew.look_after()
        assert len(opened.stations) == 1
        assert crew.state().fault is None


@in_loop
async def test_it_is_known_which_radio_it_was_while_it_is_lost():
    opened = Opened()
    with crew_of(opened) as crew:
        await crew.opened()
        opened.problems.append(RadioNotFoundError("no device"))
        for _ in range(2):
            with pytest.raises((RadioLostError, RadioNotFoundError)):
                await crew.does(1, lose)
        assert crew.state().radio == ("sim", "0", "none")


@in_loop
async def test_each_session_has_a_station_of_its_own():
    opened = Opened()
    with crew_of(opened) as crew:
        both = [await crew.does(session, lambda station: station) for session in (1, 0, 1)]
        assert opened.sessions == [1, 0]
        assert both[0] is both[2]
        assert both[0] is not both[1]


@in_loop
async def test_what_is_on_air_is_stopped_beside_a_call_that_hangs():
    opened = Opened()
    with crew_of(opened) as crew:
        hanging = await held(crew, opened)
        crew.stop_sending()
        assert opened.stations[0].num_stops == 1
        assert not hanging.done()
        opened.stations[0].go_on.set()
        await hanging


@in_loop
async def test_closing_does_not_wait_for_a_call_that_hangs_and_releases_the_radio_after_it():
    opened = Opened()
    with crew_of(opened) as crew:
        hanging = await held(crew, opened)
        waiting = asyncio.create_task(crew.does(1, HeldStation.close))
        await until(lambda: crew.num_waiting == 2)
        crew.close()
        (station,) = opened.stations
        assert (station.num_stops, station.num_closes) == (1, 0)
        station.go_on.set()
        await hanging
        with pytest.raises(NodeBusyError):
            await waiting
        await until(lambda: station.num_closes == 1)


@in_loop
async def test_health_is_not_asked_of_a_radio_that_is_busy_or_not_open():
    opened = Opened()
    with crew_of(opened) as crew:
        await crew.look_after()
        assert opened.stations == []
        hanging = await held(crew, opened)
        await crew.look_after()
        assert crew.num_waiting == 1
        opened.stations[0].go_on.set()
        await hanging


@in_loop
async def test_health_that_fails_is_a_fault_and_nobody_else_s_end():
    class Broken(HeldStation):
        def health(self):
            raise OSError("the driver's library is confused")

    opened = Opened()
    opened.stations.append(Broken())
    with crew_of(opened) as crew:
        crew._open = lambda _: opened.stations[0]
        await crew.opened()
        await crew.look_after()
        assert "confused" in crew.state().fault
