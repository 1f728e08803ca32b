"""The air process: scene, virtual time and simulated radios for processes that share one world."""

import logging
import secrets
from dataclasses import dataclass
from functools import singledispatchmethod
from typing import cast

import numpy as np

from drivers.radio import Radio, RadioSpec
from drivers.radio_errors import BurstRefusedError, RadioError, RadioLostError, RadioNotFoundError
from sim_backend.ether import Ether
from testbed.build import build_nodes, build_scene
from testbed.bus.air_messages import (
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    REQUESTS,
    Advance,
    AirAnswer,
    AirRequest,
    ArmReceive,
    Close,
    Configure,
    Done,
    Fetch,
    GetHealth,
    GetReport,
    GetTicks,
    HealthTold,
    Open,
    Opened,
    RadioRequest,
    Reported,
    Session,
    StopTransmit,
    Ticks,
    Transmit,
    Tuned,
    block_answer,
    failed,
)
from testbed.bus.sockets import Server
from testbed.bus.sparse_log import SparseLog
from testbed.bus.wire import Codec, WireError
from testbed.radios import simulated_radios
from testbed.site import Site

_log = logging.getLogger(__name__)

# What one request may let pass: time that goes on without end has no precision left.
_LONGEST_WAIT_S = 1e6

Arrays = tuple[np.ndarray, ...]


@dataclass(frozen=True, slots=True)
class _On:
    """A radio that is switched on."""

    node_id: str
    session: Session
    radio: Radio


class Air:
    """One simulated hall in two sessions, and the radios that are on in each.

    Requests are served one at a time: what a radio hears depends on all that was sent before.

    Parameters
    ----------
    site
        All of whose radios are simulated.
    seed
        Of the scene.
    """

    def __init__(self, site: Site, seed: int) -> None:
        nodes = build_nodes(site, seed)
        scene = build_scene(site, nodes, seed)
        sessions: tuple[Session, ...] = (0, 1)
        self._num_elements = {node.node_id: node.array.num_elements for node in nodes}
        self._ethers = {session: Ether(scene, session) for session in sessions}
        self._factories = {
            session: simulated_radios(site, ether) for session, ether in self._ethers.items()
        }
        self._on: dict[int, _On] = {}

    def answer(self, request: AirRequest, arrays: Arrays) -> tuple[AirAnswer, Arrays]:
        """Serve one request; what fails is an answer as well."""
        try:
            return self._do(request, arrays)
        except RadioError as error:
            return failed(request.request_id, error), ()
        except Exception as error:  # noqa: BLE001  one caller must not take the air from others
            _log.exception("%s failed", type(request).__name__)
            msg = f"the air process failed: {type(error).__name__}: {error}"
            return failed(request.request_id, RadioError(msg)), ()

    def _radio(self, request: RadioRequest) -> Radio:
        if request.radio_id not in self._on:
            msg = "this radio is on no more: its node was opened again, or the air process started"
            raise RadioLostError(msg, "open it again")
        return self._on[request.radio_id].radio

    @singledispatchmethod
    def _do(self, request: AirRequest, arrays: Arrays) -> tuple[AirAnswer, Arrays]:
        raise NotImplementedError

    @_do.register
    def _(self, request: Open, _: Arrays) -> tuple[AirAnswer, Arrays]:
        node_id, session = request.node_id, request.session
        if node_id not in self._num_elements:
            msg = f"there is no node {node_id!a} in this air"
            raise RadioNotFoundError(msg, "start air and nodes with the same site file")
        for number, on in list(self._on.items()):
            if (on.node_id, on.session) == (node_id, session):
                self._on.pop(number).radio.close()
        radio = self._factories[session](RadioSpec(node_id, self._num_elements[node_id]))
        # Drawn, not counted: numbers that an air before this one gave are unknown here.
        radio_id = secrets.randbits(62)
        self._on[radio_id] = _On(node_id, session, radio)
        return Opened(request_id=request.request_id, radio_id=radio_id, info=radio.info), ()

    @_do.register
    def _(self, request: Advance, _: Arrays) -> tuple[AirAnswer, Arrays]:
        if not 0.0 <= request.duration_s <= _LONGEST_WAIT_S:
            msg = f"time moves on by 0 to {_LONGEST_WAIT_S:g} s, not by {request.duration_s} s"
            raise RadioError(msg, "wait for less")
        self._ethers[request.session].advance(request.duration_s)
        return Done(request_id=request.request_id), ()

    @_do.register
    def _(self, request: Configure, _: Arrays) -> tuple[AirAnswer, Arrays]:
        applied = self._radio(request).configure(request.tuning)
        return Tuned(request_id=request.request_id, tuning=applied), ()

    @_do.register
    def _(self, request: GetTicks, _: Arrays) -> tuple[AirAnswer, Arrays]:
        return Ticks(request_id=request.request_id, ticks=self._radio(request).time_ticks()), ()

    @_do.register
    def _(self, request: Transmit, arrays: Arrays) -> tuple[AirAnswer, Arrays]:
        radio = self._radio(request)
        if len(arrays) != 1:
            msg = f"a burst is one buffer, {len(arrays)} came"
            raise BurstRefusedError(msg)
        self._ethers[self._on[request.radio_id].session].look = request.look
        radio.transmit(arrays[0], request.at_tick, request.repeat_s)
        return Done(request_id=request.request_id), ()

    @_do.register
    def _(self, request: StopTransmit, _: Arrays) -> tuple[AirAnswer, Arrays]:
        self._radio(request).stop_transmit()
        return Done(request_id=request.request_id), ()

    @_do.register
    def _(self, request: GetReport, _: Arrays) -> tuple[AirAnswer, Arrays]:
        report = self._radio(request).transmit_report()
        return Reported(request_id=request.request_id, report=report), ()

    @_do.register
    def _(self, request: ArmReceive, _: Arrays) -> tuple[AirAnswer, Arrays]:
        self._radio(request).arm_receive(request.num_samples, request.at_tick)
        return Done(request_id=request.request_id), ()

    @_do.register
    def _(self, request: Fetch, _: Arrays) -> tuple[AirAnswer, Arrays]:
        block = self._radio(request).fetch()
        return block_answer(request.request_id, block), (block.samples,)

    @_do.register
    def _(self, request: GetHealth, _: Arrays) -> tuple[AirAnswer, Arrays]:
        return HealthTold(request_id=request.request_id, health=self._radio(request).health()), ()

    @_do.register
    def _(self, request: Close, _: Arrays) -> tuple[AirAnswer, Arrays]:
        self._radio(request).close()
        del self._on[request.radio_id]
        return Done(request_id=request.request_id), ()


async def serve(air: Air, server: Server) -> None:
    """Answer what is asked, one after the other, until cancelled."""
    codec = Codec(REQUESTS, max_buffer_bytes=MAX_ANSWER_BYTES)
    refusals = SparseLog(_log)
    while True:
        peer, frames = await server.receive()
        try:
            received = codec.decode(frames)
        except WireError as error:
            server.counts["refused_message"] += 1
            refusals.warning("refused_message", f"{server.address}: dropped a message: {error}")
            continue
        request = cast(AirRequest, received.message)
        answer, buffers = air.answer(request, received.arrays)
        try:
            answered = codec.encode(answer, buffers)
        except WireError as error:
            refusal = BurstRefusedError(f"the block cannot travel: {error}", "ask for less")
            answered = codec.encode(failed(request.request_id, refusal))
        server.send(peer.identity, answered)


def bound(address: str) -> Server:
    """Server of an air process; errors as of `Server`."""
    return Server(address, max_frame_bytes=MAX_REQUEST_BYTES)
