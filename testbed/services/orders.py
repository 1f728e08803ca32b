"""What a node does when it is told to: from an order to its answer."""

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from drivers.radio_errors import RadioError
from testbed.bus.order_messages import (
    ArmReceiver,
    BurstSent,
    ClockRead,
    ClocksRead,
    Done,
    FetchCapture,
    Order,
    ReadClocks,
    RetuneRadios,
    SendBurst,
    StopBurst,
)
from testbed.bus.parts import as_text
from testbed.bus.report_messages import CaptureTaken
from testbed.bus.wire import Message
from testbed.services.conversion import capture_fields
from testbed.services.node_crew import NodeCrew, Result
from testbed.stations import Station

Answer = tuple[Message, Sequence[np.ndarray]]
_Crews = Mapping[str, NodeCrew]


async def answer_to(order: Order, crews: _Crews) -> Message:
    """Carry out an order that brings no capture.

    Raises
    ------
    RadioError
        As the radio does, and for a node that is not there.
    NodeBusyError
    """
    match order:
        case ReadClocks():
            return await _clocks(order, crews)
        case ArmReceiver(node_id=node_id, cue=cue, start_tick=tick):
            await _done(order, crews, node_id, lambda station: station.arm(cue, tick))
        case SendBurst(cue=cue, start_tick=tick):
            sent = await _done(order, crews, cue.tx_id, lambda s: s.transmit(cue, tick))
            return BurstSent(request_id=order.request_id, sent=sent)
        case StopBurst():
            await _done(order, crews, order.node_id, lambda station: station.stop())
        case RetuneRadios():
            for node_id in order.node_ids:
                await _done(order, crews, node_id, lambda station: station.retune())
    return Done(request_id=order.request_id)


async def fetched(
    order: FetchCapture, crews: _Crews
) -> tuple[CaptureTaken | Done, np.ndarray | None]:
    """The capture that an order asks for with its pilots, or why there is none; raises as above."""
    cue, tick, sent = order.cue, order.start_tick, order.sent
    capture = await _done(order, crews, order.node_id, lambda s: s.fetch(cue, tick, sent))
    if capture.quality.fault is not None:
        # With the flags: samples that were lost are why a burst is not found.
        problem = as_text(capture.quality.problem or capture.quality.fault)
        return Done(request_id=order.request_id, fault=problem), None
    taken = CaptureTaken(
        request_id=order.request_id,
        run_id=order.run_id,
        index=order.cue.index,
        capture=capture_fields(capture),
        sent_s=time.monotonic(),
    )
    return taken, capture.rx_pilots


async def _done(
    order: Order, crews: _Crews, node_id: str, call: Callable[[Station], Result]
) -> Result:
    """Result of what a node does of an order; not begun once the order's time is over."""
    if node_id not in crews:
        msg = f"node {node_id!r} is not one of this agent's"
        raise RadioError(msg, "check services.agents in the site file")
    return await crews[node_id].does(order.session, call, order.until_s)


async def _clocks(order: ReadClocks, crews: _Crews) -> ClocksRead:
    read = {}
    for node_id in order.node_ids:
        began_s = time.monotonic()
        tick, fault = None, None
        try:
            tick = await _done(order, crews, node_id, lambda station: station.common_tick())
        except RadioError as error:
            fault = as_text(str(error))
        took_s = time.monotonic() - began_s
        read[node_id] = ClockRead(tick=tick, took_s=took_s, fault=fault)
    return ClocksRead(request_id=order.request_id, clocks=read)
