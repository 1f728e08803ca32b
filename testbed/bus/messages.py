"""What coordinator, agents, workers and clients tell each other.

Who says what to whom is in `docs/decisions/0015-processes.md`. A `request_id` comes back in the
answer; times called ``sent_s`` are of the sender's own monotonic clock.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from calibration.node_files import NodeCalibrationFile
from drivers.capture import CaptureQuality, DemodulationReport
from drivers.radio import RadioHealth
from fusion.sensing import SensingConfig
from processing.report import LinkReport
from testbed.bus.wire import Message
from testbed.site_types import Name
from testbed.stations import Cue, Sent

Count = Annotated[int, Meta(ge=0)]
Seconds = Annotated[float, Meta(ge=0.0, le=1e7)]
Text = Annotated[str, Meta(max_length=4096)]
Counts = dict[str, int]
# Becomes a folder's name.
PlainName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}$")]


class Part(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Part of a message."""


# From a coordinator to an agent.


class LeaseAsked(Message):
    """Asks for the sole right to command an agent's radios, or for more time."""

    request_id: int
    lease: Name
    coordinator: Name
    ttl_s: Annotated[float, Meta(gt=0.0, le=60.0)]
    site_hash: Name
    sent_s: float


class LeaseReturned(Message):
    """Gives it back."""

    lease: Name


class Order(Message):
    """What only the holder of the lease may ask.

    Attributes
    ----------
    serial
        Goes up with every order under one lease.
    sent_s, valid_s
        When it was sent, and for how long it may be carried out.
    session
        Of simulated radios: 0 is the one that backgrounds are learned in; real ones have only 1.
    """

    request_id: int
    lease: Name
    serial: Count
    sent_s: float
    valid_s: Seconds
    session: Annotated[int, Meta(ge=0, le=1)]


class ReadClocks(Order):
    """Asks for the device times of nodes now."""

    node_ids: Annotated[list[Name], Meta(max_length=1024)]


class ArmReceiver(Order):
    """See `testbed.stations.Station.arm`."""

    node_id: Name
    cue: Cue
    start_tick: int | None


class SendBurst(Order):
    """See `testbed.stations.Station.transmit`."""

    cue: Cue
    start_tick: int | None


class FetchCapture(Order):
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


class StopBurst(Order):
    """See `testbed.stations.Station.stop`."""

    node_id: Name


class RetuneRadios(Order):
    """See `testbed.stations.Station.retune`."""

    node_ids: Annotated[list[Name], Meta(max_length=1024)]


# From an agent to its coordinator.


class NodeState(Part):
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
    config_epoch: int = 0
    fault: Text | None = None


class ProcessState(Part):
    """What every process tells of itself.

    Attributes
    ----------
    instance
        Another one each time that it is started.
    queued
        Captures that wait in it.
    counts
        What it did, and dropped, by name.
    stall_s
        Longest time that its loop was not served.
    """

    name: Name
    instance: Name
    version: Name
    pid: int
    site_hash: Name
    memory_mb: float
    queued: Count
    counts: Counts
    stall_s: float


class AgentState(Part):
    """An agent, its nodes, and the workers that are connected to it."""

    process: ProcessState
    nodes: list[NodeState]
    workers: list[Name]
    works_itself: bool


class LeaseAnswer(Message):
    """Whether the lease was granted, and to whom it belongs."""

    request_id: int
    granted: bool
    holder: Name
    reason: Text
    agent: AgentState


class Done(Message):
    """An order was carried out, or failed for the reason given."""

    request_id: int
    fault: Text | None = None


class ClockRead(Part):
    """Device time of a node; ``None`` where it cannot be commanded by.

    Attributes
    ----------
    took_s
        How long it took to be read: the time is that of some instant in between.
    """

    tick: int | None
    took_s: Seconds
    fault: Text | None = None


class ClocksRead(Message):
    """Answers `ReadClocks`."""

    request_id: int
    clocks: dict[str, ClockRead]


class BurstSent(Message):
    """Answers `SendBurst`."""

    request_id: int
    sent: Sent | None
    fault: Text | None = None


class Refused(Message):
    """A request that was not carried out, and why."""

    request_id: int
    reason: Text


class CaptureFields(Part):
    """A capture without its pilots; see `drivers.capture.Capture`."""

    tx_id: Name
    rx_id: Name
    num_averaged: int
    waveform_hash: Name
    config_epoch: int
    delay_is_absolute: bool
    delay_var_s2: float
    needs_alignment: bool
    coherent_groups: tuple[tuple[int, ...], ...]
    quality: CaptureQuality
    first_sample_tick: int | None
    demodulation: DemodulationReport | None


class CaptureTaken(Message):
    """A capture, its pilots as the only buffer: to a worker, or to the coordinator."""

    request_id: int
    run_id: Name
    index: Count
    capture: CaptureFields
    sent_s: float


# From workers, and from agents that work themselves.


class WorkerHere(Message):
    """Tells an agent, again and again, that captures may be sent here."""

    name: Name
    instance: Name
    site_hash: Name


class WorkerState(Message):
    """Tells the coordinator, again and again, that a worker is there."""

    process: ProcessState


class LinkFound(Message):
    """What a worker made of a capture: a report, or why there is none.

    Attributes
    ----------
    request_id
        Of the order that the capture answers.
    capture_sent_s, took_s
        When the agent sent the capture, and how long it was worked on.
    lacks_background
        Whether the capture can be worked on once the worker has been told its background.
    """

    request_id: int
    worker: Name
    report: LinkReport | None
    problem: Text | None
    capture_sent_s: float
    took_s: Seconds
    lacks_background: bool = False


# From a coordinator to a worker.


class RunContext(Message):
    """What a worker must know of a run: the nodes as calibrated, ``None`` as surveyed."""

    run_id: Name
    calibration: NodeCalibrationFile | None


class BackgroundFields(Part):
    """A background without its arrays; see `processing.suppression.Background`."""

    content_hash: Name
    config_epoch: int
    delay_is_absolute: bool
    on_direct_path: bool
    delay_var_s2: float


class LinkBackground(Message):
    """A link's background as placed; its channel, and the elements' response if any, as buffers."""

    request_id: int
    run_id: Name
    tx_id: Name
    rx_id: Name
    background: BackgroundFields | None


class RunEnded(Message):
    """What belongs to a run may be forgotten."""

    run_id: Name


# Between clients and the coordinator.


class StatusAsked(Message):
    """Asks for `TestbedState`."""

    request_id: int


class AgentRow(Part):
    """An agent as the coordinator knows it; no state where it never answered."""

    agent_id: Name
    address: Text
    node_ids: list[Name]
    present: bool
    seen_s: float | None
    problem: Text | None
    latency_s: float | None
    state: AgentState | None


class WorkerRow(Part):
    """A worker as the coordinator knows it."""

    present: bool
    seen_s: float
    state: ProcessState


class JobRow(Part):
    """A job in short."""

    job_id: Name
    task: Name
    status: Name
    progress: Text


class TestbedState(Message):
    """Everything that `testbed status` shows."""

    request_id: int
    process: ProcessState
    site: Name
    seed: int | None
    fidelity: Name | None
    agents: list[AgentRow]
    workers: list[WorkerRow]
    jobs: list[JobRow]


class JobOptions(Part):
    """What a client may change of the site for one job; ``None`` leaves the site's value.

    Attributes
    ----------
    seed
        Of the simulated scene that the client believes in; ``None`` for whichever it is.
    folder
        Dictionary, a plain name in the coordinator's own folder.
    """

    seed: Count | None = None
    background: Literal["learned", "none", "perfect"] = "learned"
    folder: PlainName = "dictionary"
    num_receivers: int | None = None
    max_sensings: int | None = None
    fusion: Name | None = None
    tolerance_m: float | None = None


class JobAsked(Message):
    """Starts a job; asked again, it is the same job."""

    request_id: int
    job_id: PlainName
    task: Literal["localize", "calibrate"]
    options: JobOptions


class JobFollowed(Message):
    """Asks how a job is, and for its records from `first` on."""

    request_id: int
    job_id: PlainName
    first: Count


class JobCancelled(Message):
    """Ends a job."""

    request_id: int
    job_id: PlainName


class SensedFields(Part):
    """What one sensing brought: all that fusion depends on."""

    index: Count
    absent: list[Name]
    config: SensingConfig
    reports: list[LinkReport]
    problems: dict[str, Text]


class EstimateFields(Part):
    """See `fusion.sensing.PositionEstimate`."""

    position_m: tuple[float, float]
    covariance_m2: tuple[tuple[float, float], tuple[float, float]]
    probability: float
    status: Literal["searching", "converged", "unresolved"]


class RecordFields(Part):
    """One record of a localization."""

    sensed: SensedFields
    estimate: EstimateFields
    error_m: float | None


class JobState(Message):
    """Where a job stands, and records from the number asked for on.

    Attributes
    ----------
    status
        ``running``, ``done``, ``failed``, ``cancelled``.
    progress
        What it does now, in words; why it failed.
    done, total
        Of a calibration: entries.
    result
        Of a calibration that is done: folder, entries, and how many were learned in it.
    """

    request_id: int
    job_id: Name
    status: Literal["running", "done", "failed", "cancelled"]
    progress: Text
    seed: int
    target_m: tuple[float, float] | None
    records: list[RecordFields]
    done: Count = 0
    total: Count = 0
    result: tuple[str, int, int] | None = None
