"""One node of an agent: its radio has a thread of its own, and a bounded queue in front of it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from drivers.radio import RadioHealth, RadioInfo
from drivers.radio_errors import RadioError, RadioLostError
from testbed.bus.order_messages import NodeState
from testbed.bus.parts import as_text
from testbed.stations import Station

Result = TypeVar("Result")

# Calls that wait for a radio; more than a burst ever needs.
_MOST_WAITING = 8
# How long a call waits for a radio that was lost, or did not open: what it then says of it must
# be heard before a coordinator takes the agent for gone. A device that is frozen takes 8 s.
_REOPEN_S = 0.5
# Between attempts to open such a radio while nobody calls: vendors' libraries take a second of
# the processor for it.
_RETRY_S = 5.0

# Makes the station of a session; see `testbed.bus.order_messages.Order.session`.
OpenStation = Callable[[int], Station]


class NodeBusyError(Exception):
    """A radio has not finished what it was told before, or not in time."""


class NodeCrew:
    """Calls one node's stations, one call after the other, in a thread of its own.

    Parameters
    ----------
    node_id
        Whose it is.
    open_station
        Opens the radio, in a session.
    follows_host
        Whether device time goes on with the host's.
    clock
        Seconds, as of `does`.
    """

    def __init__(
        self, node_id: str, open_station: OpenStation, *, follows_host: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self.node_id = node_id
        self._open = open_station
        self._follows_host = follows_host
        self._clock = clock
        self._stations: dict[int, Station] = {}
        self._openings: dict[int, asyncio.Future[None]] = {}
        self._unopened: dict[int, Exception] = {}  # sessions whose radio was lost, or not opened
        self._tried_s = 0.0
        self._info: RadioInfo | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"node-{node_id}")
        self._is_closed = False
        self.num_waiting = 0
        self.fault: str | None = None
        self._health: RadioHealth | None = None

    async def opened(self, session: int = 1) -> None:
        """Open the radio now, and not when it is first needed.

        Raises
        ------
        RadioError
        """
        await self.does(session, lambda _station: None)

    async def does(
        self, session: int, call: Callable[[Station], Result], until_s: float = float("inf")
    ) -> Result:
        """Result of a call.

        Parameters
        ----------
        until_s
            When it is too late to begin.

        Raises
        ------
        NodeBusyError
            If too many calls wait already, or those before took too long.
        RadioError
            As the call does, and if the radio cannot be opened. The next call tries again; if that
            takes long it is not waited for, and what was wrong before is raised.
        """
        if self.num_waiting >= _MOST_WAITING:
            msg = f"node {self.node_id} is busy: {self.num_waiting} calls wait for its radio"
            raise NodeBusyError(msg)
        self.num_waiting += 1
        try:
            await self._await_radio(session)
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._called, session, call, until_s)
        except Exception as error:
            self.fault = as_text(str(error))
            raise
        finally:
            self.num_waiting -= 1

    async def _await_radio(self, session: int) -> None:
        """Wait until the radio is open; raises why it is not."""
        if session in self._stations:
            return
        before = self._unopened.get(session)
        opening = self._openings.get(session)
        if opening is None or opening.done():
            loop = asyncio.get_running_loop()
            opening = loop.run_in_executor(self._thread, self._open_now, session)
            self._openings[session] = opening
        await asyncio.wait({opening}, timeout=None if before is None else _REOPEN_S)
        problem = self._unopened.get(session, before) if opening.done() else before
        if problem is not None and session not in self._stations:
            raise problem.with_traceback(None)

    def _open_now(self, session: int) -> None:
        """In the radio's thread: open it, or note why that cannot be."""
        try:
            self._check_time()
            station = self._stations[session] = self._open(session)
        except Exception as error:  # noqa: BLE001  raised where the radio is needed
            self._unopened[session] = error
            return
        finally:
            self._tried_s = self._clock()
        self._info = station.info
        if self._unopened.pop(session, None) is not None:
            self.fault = None

    def _called(self, session: int, call: Callable[[Station], Result], until_s: float) -> Result:
        self._check_time(until_s)
        if session not in self._stations:  # a call before this one lost it
            raise self._unopened[session]
        try:
            return call(self._stations[session])
        except RadioLostError as lost:
            self._unopened[session] = lost
            with suppress(RadioError):
                self._stations.pop(session).close()
            raise

    def _check_time(self, until_s: float = float("inf")) -> None:
        if self._is_closed or self._clock() > until_s:
            msg = f"node {self.node_id} was busy until the time of what waited was over"
            raise NodeBusyError(msg)

    def stop_sending(self) -> None:
        """End what is on air, beside whatever the radio's thread waits for."""
        for station in list(self._stations.values()):
            with suppress(RadioError):
                station.stop()

    async def look_after(self) -> None:
        """Ask for the radio's health, unless it is busy; open one that was lost, now and then."""
        is_due = 1 in self._stations or (
            1 in self._unopened and self._clock() - self._tried_s >= _RETRY_S
        )
        if self.num_waiting == 0 and is_due:
            with suppress(Exception):  # it is kept as the fault
                self._health = await self.does(1, lambda station: station.health())

    def state(self) -> NodeState:
        """For the coordinator; the radio is that which was open last."""
        info = self._info
        return NodeState(
            node_id=self.node_id,
            radio=None if info is None else (info.kind, info.serial, info.software),
            follows_host=self._follows_host,
            health=self._health,
            fault=self.fault,
        )

    def close(self) -> None:
        """Stop and release the radio; does not wait for a call that hangs.

        What waits behind that is not begun any more.
        """
        if self._is_closed:
            return
        self._is_closed = True
        self.stop_sending()
        self._thread.submit(self._release)
        self._thread.shutdown(wait=False, cancel_futures=False)

    def _release(self) -> None:
        for station in self._stations.values():
            with suppress(RadioError):
                station.close()


def crews_of(
    node_ids: list[str], open_station: Callable[[str, int], Station], *, follows_host: bool
) -> Mapping[str, NodeCrew]:
    """One crew a node."""

    def opener(node_id: str) -> OpenStation:
        return lambda session: open_station(node_id, session)

    return {
        node_id: NodeCrew(node_id, opener(node_id), follows_host=follows_host)
        for node_id in node_ids
    }
