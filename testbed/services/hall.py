"""The hall of software radios: the devices of a site on one ether, and who moves its target."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np

from sim_backend.live_ether import LiveEther
from testbed.bus.hall_messages import MAX_HALL_BYTES, HallAsked, HallState
from testbed.bus.sockets import Caller, Server
from testbed.bus.sparse_log import SparseLog
from testbed.bus.wire import Codec, Message, WireError
from testbed.site_services import DEFAULT_PORT, ServicesSection, port_of

_log = logging.getLogger(__name__)

# After the coordinator's port, its agents' and that of an air process.
_PORT_OFFSET = 501


class SoftwareRadio(Protocol):
    """A server that vendors' clients take for a device; its address is its own once it is made."""

    def start(self) -> None:
        """Begin to serve.

        Raises
        ------
        OSError
            If its address cannot be bound.
        """
        ...

    def close(self) -> None:
        """End, with its threads and sockets; harmless a second time."""
        ...


class Hall:
    """Software radios of one scene.

    Parameters
    ----------
    ether
        The scene.
    radios
        All on this ether.
    """

    def __init__(self, ether: LiveEther, radios: Sequence[SoftwareRadio]) -> None:
        self._ether = ether
        self._radios = radios

    def start(self) -> None:
        """Switch all radios on, or none.

        Raises
        ------
        OSError
            If an address cannot be bound.
        """
        try:
            for radio in self._radios:
                radio.start()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Switch all radios off and give their addresses back."""
        for radio in self._radios:
            radio.close()

    def answer(self, asked: HallAsked) -> HallState:
        """Move the target as asked; the state afterwards."""
        problem = None
        if asked.target_m is not None:
            x_min, y_min, x_max, y_max = self._ether.scene.statistics.area_m
            x, y = asked.target_m
            if x_min <= x <= x_max and y_min <= y <= y_max:
                target_m = np.array(asked.target_m)
                self._ether.scene = replace(self._ether.scene, target_m=target_m)
            else:
                problem = (
                    f"the target must stand within x {x_min:g} to {x_max:g} m and y {y_min:g} to "
                    f"{y_max:g} m, got ({x:g}, {y:g}) m"
                )
        if asked.target_is_present is not None and problem is None:
            self._ether.target_is_present = asked.target_is_present
        x, y = self._ether.scene.target_m.tolist()
        return HallState(
            request_id=asked.request_id,
            target_is_present=self._ether.target_is_present,
            target_m=(x, y),
            problem=problem,
        )


async def serve(hall: Hall, server: Server) -> None:
    """Answer whoever asks, until cancelled."""
    codec = _codec(HallAsked)
    refusals = SparseLog(_log)
    while True:
        peer, frames = await server.receive()
        try:
            asked = codec.decode(frames).message
        except WireError as error:
            refusals.warning("refused_message", f"{server.address}: dropped a message: {error}")
            continue
        if isinstance(asked, HallAsked):
            server.send(peer.identity, codec.encode(hall.answer(asked)))


def _codec(kind: type[Message]) -> Codec:
    return Codec((kind,), max_buffer_bytes=MAX_HALL_BYTES)


def bound(address: str) -> Server:
    """Server of a hall; errors as of `Server`."""
    return Server(address, max_frame_bytes=MAX_HALL_BYTES)


def hall_address(services: ServicesSection) -> str:
    """Where the hall of a site's software radios is asked: on this machine."""
    return f"tcp://127.0.0.1:{(port_of(services.coordinator) or DEFAULT_PORT) + _PORT_OFFSET}"


def ask_hall(
    address: str,
    target_is_present: bool | None = None,
    target_m: tuple[float, float] | None = None,
    timeout_s: float = 5.0,
) -> HallState:
    """State of a hall, after a change as of `HallAsked`.

    Raises
    ------
    BusError, WireError
        If nobody answers there, or something else.
    """
    codec = _codec(HallState)
    asked = HallAsked(request_id=1, target_is_present=target_is_present, target_m=target_m)
    with Caller(address, max_frame_bytes=MAX_HALL_BYTES) as caller:
        caller.send(codec.encode(asked))
        state = codec.decode(caller.receive(timeout_s)).message
    if not isinstance(state, HallState):
        msg = f"{address} answered by {type(state).__name__}"
        raise WireError(msg)
    return state
