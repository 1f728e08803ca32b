"""What a coordinator and an agent say to each other: leases, orders, answers."""

from typing import Annotated

from msgspec import Meta

from drivers.radio import RadioHealth
from testbed.bus.parts import Count, Part, ProcessState, Seconds, Text
from testbed.bus.wire import Message
from testbed.site_types import Name
from testbed.stations import Cue, Sent


class LeaseAsked(Message, frozen=True, kw_only=True):
    """Asks for the sole right to command an agent's radios, or for more time."""

    request_id: int
    lease: Name
    coordinator: Name
    ttl_s: Annotated[float, Meta(gt=0.0, le=60.0)]
    site_hash: Name


class LeaseReturned(Message, frozen=True, kw_only=True):
    """Gives it back; the answer says that nobody holds it."""

    request_id: int
    lease: Name


class Order(Message, frozen=True, kw_only=True):
    """What only the holder of the lease may ask.

    Attributes
    ----------
    serial
        Goes up with every order under one lease.
    until_s
        When its time is over, on the agent's clock, which `LeaseAnswer` tells.
    session
        Of simulated radios: 0 is the one that backgrounds are learned in; real ones have only 1.
    """

    request_id: int
    lease: Name
    serial: Count
    until_s: float
    session: Annotated[int, Meta(ge=0, le=1)]


class ReadClocks(Order, frozen=True, kw_only=True):
    """Asks for the device times of nodes now."""

    node_ids: Annotated[list[Name], Meta(max_length=1024)]


class ArmReceiver(Order, frozen=True, kw_only=True):
    """See `testbed.stations.Station.arm`."""

    node_id: Name
    cue: Cue
    start_tick: int | None


class SendBurst(Order, frozen=True, kw_only=True):
    """See `testbed.stations.Station.transmit`."""

    cue: Cue
    start_tick: int | None


class FetchCapture(Order, frozen=True, kw_only=True):
    """See `testbed.stations.Station.fetch`.

    Attributes
    ----------
    worker
        Who makes the report; ``None`` where the capture itself is wanted.
    run_id
        Whose backgrounds the worker takes.
    """

    node_id: Name
    cue: Cue
    start_tick: int | None
    sent: Sent
    run_id: Name
    worker: Name | None


class StopBurst(Order, frozen=True, kw_only=True):
    """See `testbed.stations.Station.stop`."""

    node_id: Name


class RetuneRadios(Order, frozen=True, kw_only=True):
    """See `testbed.stations.Station.retune`."""

    node_ids: Annotated[list[Name], Meta(max_length=1024)]


class NodeState(Part, frozen=True, kw_only=True):
    """One node of an agent.

    Attributes
    ----------
    radio
        Kind, serial and software; ``None`` where pilots are simulated.
    follows_host
        Whether its device time goes on with the host's: virtual time does not.
    fault
        The last thing that went wrong.
    """

    node_id: Name
    radio: tuple[str, str, str] | None
    follows_host: bool
    health: RadioHealth | None = None
    fault: Text | None = None


class AgentState(Part, frozen=True, kw_only=True):
    """An agent, its nodes, and the workers that are connected to it."""

    process: ProcessState
    nodes: list[NodeState]
    workers: list[Name]
    works_itself: bool


class LeaseAnswer(Message, frozen=True, kw_only=True):
    """Whether the lease was granted, and to whom it belongs.

    Attributes
    ----------
    clock_s
        The agent's monotonic clock when it answered.
    """

    request_id: int
    granted: bool
    holder: Name
    reason: Text
    clock_s: float
    agent: AgentState


class Done(Message, frozen=True, kw_only=True):
    """An order was carried out, or failed for the reason given."""

    request_id: int
    fault: Text | None = None


class ClockRead(Part, frozen=True, kw_only=True):
    """Device time of a node; ``None`` where it cannot be commanded by.

    Attributes
    ----------
    took_s
        How long it took to be read: the time is that of some instant in between.
    """

    tick: int | None
    took_s: Seconds
    fault: Text | None = None


class ClocksRead(Message, frozen=True, kw_only=True):
    """Answers `ReadClocks`."""

    request_id: int
    clocks: dict[str, ClockRead]


class BurstSent(Message, frozen=True, kw_only=True):
    """Answers `SendBurst`."""

    request_id: int
    sent: Sent | None
    fault: Text | None = None
