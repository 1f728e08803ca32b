"""What a node does when it is told to: from an order to its answer."""

import time
from collections.abc import Mapping, Sequence

import numpy as np

from drivers.radio_errors import RadioError
from testbed.bus.conversion import capture_fields
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
from testbed.bus.report_messages import CaptureTaken
from testbed.bus.wire import Message
from testbed.services.node_crew import NodeCrew

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
        case ArmReceiver():
            await _crew(crews, order.node_id).does(
                order.session, lambda station: station.arm(order.cue, order.start_tick)
            )
        case SendBurst():
            sent = await _crew(crews, order.cue.tx_id).does(
                order.session, lambda station: station.transmit(order.cue, order.start_tick)
            )
            return BurstSent(request_id=order.request_id, sent=sent)
        case StopBurst():
            await _crew(crews, order.node_id).does(order.session, lambda s: s.stop())
        case RetuneRadios():
            for node_id in order.node_ids:
                await _crew(crews, node_id).does(order.session, lambda s: s.retune())
    return Done(request_id=order.request_id)


async def fetched(
    order: FetchCapture, crews: _Crews
) -> tuple[CaptureTaken | Done, np.ndarray | None]:
    """The capture that an order asks for with its pilots, or why there is none; raises as above."""
    capture = await _crew(crews, order.node_id).does(
        order.session, lambda station: station.fetch(order.cue, order.start_tick, order.sent)
    )
    if capture.quality.fault is not None:
        return Done(request_id=order.request_id, fault=capture.quality.fault), None
    taken = CaptureTaken(
        request_id=order.request_id,
        run_id=order.run_id,
        index=order.cue.index,
        capture=capture_fields(capture),
        sent_s=time.monotonic(),
    )
    return taken, capture.rx_pilots


def _crew(crews: _Crews, node_id: str) -> NodeCrew:
    if node_id not in crews:
        msg = f"node {node_id!r} is not one of this agent's"
        raise RadioError(msg, "check services.agents in the site file")
    return crews[node_id]


async def _clocks(order: ReadClocks, crews: _Crews) -> ClocksRead:
    read = {}
    for node_id in order.node_ids:
        began_s = time.monotonic()
        tick, fault = None, None
        try:
            tick = await _crew(crews, node_id).does(order.session, lambda s: s.common_tick())
        except RadioError as error:
            fault = str(error)
        took_s = time.monotonic() - began_s
        read[node_id] = ClockRead(tick=tick, took_s=took_s, fault=fault)
    return ClocksRead(request_id=order.request_id, clocks=read)
