"""One node of an agent: its radio has a thread of its own, and a bounded queue in front of it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from drivers.radio import RadioHealth
from drivers.radio_errors import RadioError, RadioLostError
from testbed.bus.order_messages import NodeState
from testbed.bus.parts import as_text
from testbed.stations import Station

Result = TypeVar("Result")

# Calls that wait for a radio; more than a burst ever needs.
_MOST_WAITING = 8

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
            As the call does, and if the radio cannot be opened; the next call tries again.
        """
        if self.num_waiting >= _MOST_WAITING:
            msg = f"node {self.node_id} is busy: {self.num_waiting} calls wait for its radio"
            raise NodeBusyError(msg)
        self.num_waiting += 1
        try:
            loop = asyncio.get_running_loop()
            return await loop.run_in_executor(self._thread, self._called, session, call, until_s)
        except Exception as error:
            self.fault = as_text(str(error))
            raise
        finally:
            self.num_waiting -= 1

    def _called(self, session: int, call: Callable[[Station], Result], until_s: float) -> Result:
        if self._is_closed or self._clock() > until_s:
            msg = f"node {self.node_id} was busy until the time of what waited was over"
            raise NodeBusyError(msg)
        if session not in self._stations:
            self._stations[session] = self._open(session)
        try:
            return call(self._stations[session])
        except RadioLostError:  # opened again by the next call
            with suppress(RadioError):
                self._stations.pop(session).close()
            raise

    def stop_sending(self) -> None:
        """End what is on air, beside whatever the radio's thread waits for."""
        for station in list(self._stations.values()):
            with suppress(RadioError):
                station.stop()

    async def look_after(self) -> None:
        """Ask for the radio's health, unless it is busy."""
        if self.num_waiting == 0 and 1 in self._stations:
            with suppress(Exception):  # it is kept as the fault
                self._health = await self.does(1, lambda station: station.health())

    def state(self) -> NodeState:
        """For the coordinator."""
        station = self._stations.get(1)
        info = None if station is None else station.info
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
