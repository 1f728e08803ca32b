"""The stations of all agents, for the choreography of a burst."""

import asyncio
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drivers.capture import Capture
from processing.report import LinkReport
from testbed.bus.order_messages import (
    ArmReceiver,
    BurstSent,
    ClocksRead,
    Done,
    FetchCapture,
    Order,
    ReadClocks,
    RetuneRadios,
    SendBurst,
    StopBurst,
)
from testbed.bus.report_messages import CaptureTaken, LinkFound
from testbed.choreography import LEAD_S
from testbed.services.common_time import ClockReading, start_tick
from testbed.services.conversion import capture_of_fields
from testbed.services.exchange import Exchange
from testbed.services.pending import Answer, LostError
from testbed.stations import Cue, Sent

_Reply = Answer | LostError


@dataclass(frozen=True)
class Outcome:
    """What became of one receiver's part in a burst: one of the three.

    Attributes
    ----------
    problem
        Why there is neither capture nor report.
    lost
        Whether that is for want of an answer, so that it may be tried again.
    capture_sent_s
        When the agent sent the capture to the worker, on the agent's clock.
    worked_s
        How long the worker worked on it.
    """

    capture: Capture | None = None
    report: LinkReport | None = None
    problem: str | None = None
    lost: bool = False
    capture_sent_s: float | None = None
    worked_s: float | None = None


class RemoteStations:
    """Stations whose agents are asked at once (`testbed.choreography.Stations`).

    Called from a thread beside the event loop.

    Parameters
    ----------
    exchange, loop
        Who asks, and where.
    rate_hz
        Ticks a second.
    timeout_s
        For each answer.
    session
        See `testbed.bus.order_messages.Order`.
    run_id
        Whose backgrounds workers take.
    workers
        Who makes the report of each receiver's capture; captures come here, if left out.
    lead_s
        A burst is scheduled this far ahead, besides what the network takes.
    """

    def __init__(
        self,
        exchange: Exchange,
        loop: asyncio.AbstractEventLoop,
        rate_hz: float,
        timeout_s: float,
        session: int = 1,
        run_id: str = "none",
        workers: Mapping[str, str] | None = None,
        lead_s: float = LEAD_S,
    ) -> None:
        self._exchange = exchange
        self._loop = loop
        self._rate_hz = rate_hz
        self._timeout_s = timeout_s
        self._session = session
        self._run_id = run_id
        self._workers = workers
        self._lead_s = lead_s
        self._lost: set[str] = set()

    def start_tick(self, node_ids: Sequence[str], faults: dict[str, str]) -> int | None:
        """Tick ahead of all device times; nodes whose second is another one are at fault."""
        asked_s = time.monotonic()
        orders = {
            name: self._order(name, ReadClocks, node_ids=[name]) for name in dict.fromkeys(node_ids)
        }
        readings, untimed = {}, False
        for name, (reply, answered_s) in self._all(orders).items():
            if isinstance(reply, LostError) or not isinstance(reply.message, ClocksRead):
                self._lose(name, reply, faults)
                continue
            read = reply.message.clocks.get(name)
            if read is None or read.fault is not None:
                faults[name] = (read and read.fault) or "its agent did not read its clock"
            elif read.tick is None:
                untimed = True
            else:
                follows = self._follows_host(name)
                readings[name] = ClockReading(read.tick, asked_s, answered_s, follows)
        if untimed:
            return None
        return start_tick(readings, time.monotonic(), self._rate_hz, self._lead_s, faults)

    def arm(
        self, rx_ids: Sequence[str], cue: Cue, start_tick: int | None, faults: dict[str, str]
    ) -> None:
        """Make receivers ready, all at once."""
        orders = {
            name: self._order(name, ArmReceiver, node_id=name, cue=cue, start_tick=start_tick)
            for name in rx_ids
        }
        for name, (reply, _) in self._all(orders).items():
            if isinstance(reply, LostError) or not isinstance(reply.message, Done):
                self._lose(name, reply, faults)
            elif reply.message.fault is not None:
                faults[name] = reply.message.fault

    def transmit(self, cue: Cue, start_tick: int | None, faults: dict[str, str]) -> Sent | None:
        """Let the transmitter send."""
        order = self._order(cue.tx_id, SendBurst, cue=cue, start_tick=start_tick)
        reply, _ = self._all({cue.tx_id: order})[cue.tx_id]
        if not isinstance(reply, LostError):
            match reply.message:
                case BurstSent(sent=Sent() as sent):
                    return sent
                case BurstSent(fault=str(fault)) | Done(fault=str(fault)):
                    faults[cue.tx_id] = fault
                    return None
        self._lose(cue.tx_id, reply, faults)
        return None

    def fetch(
        self, rx_ids: Sequence[str], cue: Cue, start_tick: int | None, sent: Sent
    ) -> dict[str, Outcome]:
        """Captures, or what workers made of them."""
        orders = {
            name: self._order(
                name, FetchCapture, node_id=name, cue=cue, start_tick=start_tick, sent=sent,
                run_id=self._run_id, worker=self._workers[name] if self._workers else None,
            )
            for name in rx_ids
        }  # fmt: skip
        replies = self._all(orders)
        return {name: self._outcome(name, cue, reply) for name, (reply, _) in replies.items()}

    def _outcome(self, rx_id: str, cue: Cue, reply: _Reply) -> Outcome:
        worker = self._workers[rx_id] if self._workers else None
        if isinstance(reply, LostError):
            if worker is not None:
                self._exchange.doubted(worker)
            return Outcome(problem=str(reply), lost=True)
        link = cue.tx_id, rx_id
        match reply.message, reply.arrays:
            case CaptureTaken(capture=taken), (pilots,) if (taken.tx_id, taken.rx_id) == link:
                return Outcome(capture=capture_of_fields(taken, pilots))
            case LinkFound(lacks_background=True, problem=problem), _:
                self._exchange.untold(worker or "", self._run_id, *link)
                return Outcome(problem=problem, lost=True)
            case LinkFound(report=LinkReport() as report) as found, _ if _is_of(report, cue, rx_id):
                return Outcome(
                    report=report, capture_sent_s=found.capture_sent_s, worked_s=found.took_s
                )
            case ((LinkFound(problem=str(problem)) | Done(fault=str(problem))), _):
                return Outcome(problem=problem)
        return Outcome(problem=_strange(reply), lost=True)

    def missing(self, cue: Cue, rx_id: str, fault: str) -> Outcome:
        """What stands for a link that gave nothing."""
        return Outcome(problem=fault, lost=rx_id in self._lost or cue.tx_id in self._lost)

    def stop(self, tx_id: str) -> None:
        """End a transmission; one that is not heard of ends with the lease."""
        self._all({tx_id: self._order(tx_id, StopBurst, node_id=tx_id)})

    def retune(self, node_ids: Sequence[str]) -> None:
        """Tune radios away and back."""
        self._all({name: self._order(name, RetuneRadios, node_ids=[name]) for name in node_ids})

    def _follows_host(self, node_id: str) -> bool:
        state = self._exchange.link(node_id).state
        nodes = state.nodes if state is not None else []
        return any(node.follows_host for node in nodes if node.node_id == node_id)

    def _lose(self, node_id: str, reply: _Reply, faults: dict[str, str]) -> None:
        faults[node_id] = str(reply) if isinstance(reply, LostError) else _strange(reply)
        self._lost.add(node_id)

    async def _order(self, at: str, kind: type[Order], /, **fields: Any) -> tuple[_Reply, float]:
        link = self._exchange.link(at)
        try:
            reply: _Reply = await link.order(kind, self._timeout_s, session=self._session, **fields)
        except LostError as lost:
            reply = lost
        return reply, time.monotonic()

    def _all(
        self, orders: Mapping[str, Coroutine[Any, Any, tuple[_Reply, float]]]
    ) -> dict[str, tuple[_Reply, float]]:
        """All replies, each with when it was there."""

        async def gathered() -> list[tuple[_Reply, float]]:
            return await asyncio.gather(*orders.values())

        if not orders:
            return {}
        replies = asyncio.run_coroutine_threadsafe(gathered(), self._loop).result()
        return dict(zip(orders, replies, strict=True))


def _is_of(report: LinkReport, cue: Cue, rx_id: str) -> bool:
    return (report.tx_id, report.rx_id, report.sensing_index) == (cue.tx_id, rx_id, cue.index)


def _strange(reply: Answer) -> str:
    return f"its answer, of kind {type(reply.message).__name__}, is none to what was asked"
