"""What clients and the coordinator say to each other: jobs, their records, and the state."""

from typing import Annotated, Literal

from msgspec import Meta

from calibration.entry_checks import EntryCheck
from calibration.node_files import NodeCalibrationFile
from fusion.sensing import SensingConfig
from processing.report import LinkReport
from testbed.bus.order_messages import AgentState
from testbed.bus.parts import Count, Part, PlainName, ProcessState, Text
from testbed.bus.wire import Message
from testbed.site_types import Name

Task = Literal["localize", "calibrate", "check"]


class StatusAsked(Message, frozen=True, kw_only=True):
    """Asks for `TestbedState`."""

    request_id: int


class AgentRow(Part, frozen=True, kw_only=True):
    """An agent as the coordinator knows it; no state where it never answered."""

    agent_id: Name
    address: Text
    node_ids: list[Name]
    present: bool
    seen_s: float | None
    problem: Text | None
    latency_s: float | None
    state: AgentState | None


class WorkerRow(Part, frozen=True, kw_only=True):
    """A worker as the coordinator knows it."""

    present: bool
    seen_s: float
    state: ProcessState


class JobRow(Part, frozen=True, kw_only=True):
    """A job in short."""

    job_id: Name
    task: Name
    status: Name
    progress: Text


class TestbedState(Message, frozen=True, kw_only=True):
    """Everything that `testbed status` shows."""

    request_id: int
    process: ProcessState
    site: Name
    seed: int | None
    fidelity: Name | None
    agents: list[AgentRow]
    workers: list[WorkerRow]
    jobs: list[JobRow]


class JobOptions(Part, frozen=True, kw_only=True):
    """What a client may change of the site for one job; ``None`` leaves the site's value.

    Attributes
    ----------
    seed
        Of the simulated scene that the client believes in; ``None`` for whichever it is.
    folder
        Dictionary, a plain name in the coordinator's own folder.
    only, spread_s, update, relearn
        Of a calibration, see `testbed.runs.campaign_state.CampaignPlan`.
    resume
        Whether there must be one to go on with.
    num_captures
        Of each entry that is checked.
    """

    seed: Count | None = None
    background: Literal["learned", "none", "perfect"] = "learned"
    folder: PlainName = "dictionary"
    only: Literal["nodes", "backgrounds"] | None = None
    spread_s: Annotated[float, Meta(ge=0.0, le=1e6)] = 0.0
    update: bool = False
    relearn: bool = False
    resume: bool = False
    num_receivers: int | None = None
    max_sensings: int | None = None
    fusion: Name | None = None
    tolerance_m: float | None = None
    num_captures: Annotated[int, Meta(ge=1)] = 3


class JobAsked(Message, frozen=True, kw_only=True):
    """Starts a job; asked again, it is the same job."""

    request_id: int
    job_id: PlainName
    task: Task
    options: JobOptions


class JobFollowed(Message, frozen=True, kw_only=True):
    """Asks how a job is, and for its records from `first` on."""

    request_id: int
    job_id: PlainName
    first: Count


class JobCancelled(Message, frozen=True, kw_only=True):
    """Ends a job."""

    request_id: int
    job_id: PlainName


class SensedFields(Part, frozen=True, kw_only=True):
    """What one sensing brought: all that fusion depends on."""

    index: Count
    absent: list[Name]
    config: SensingConfig
    reports: list[LinkReport]
    problems: dict[str, Text]


class EstimateFields(Part, frozen=True, kw_only=True):
    """See `fusion.sensing.PositionEstimate`."""

    position_m: tuple[float, float]
    covariance_m2: tuple[tuple[float, float], tuple[float, float]]
    probability: float
    status: Literal["searching", "converged", "unresolved"]


class SensingTimes(Part, frozen=True, kw_only=True):
    """When what happened in a sensing, in seconds; ``None`` of what another coordinator did.

    Attributes
    ----------
    issued_s, reported_s
        When its configuration was issued and when its last report was there, on the coordinator's
        clock.
    capture_sent_s
        When the last of its captures was sent, on its agent's clock.
    worked_s
        How long the longest work on one of them took.
    """

    issued_s: float | None = None
    capture_sent_s: float | None = None
    worked_s: float | None = None
    reported_s: float | None = None


class RecordFields(Part, frozen=True, kw_only=True):
    """One record of a localization."""

    sensed: SensedFields
    estimate: EstimateFields
    error_m: float | None
    times: SensingTimes = SensingTimes()


class JobState(Message, frozen=True, kw_only=True):
    """Where a job stands, and records from the number asked for on.

    Attributes
    ----------
    status
        ``running``, ``done``, ``failed``, ``cancelled``.
    progress
        What it does now, in words; why it failed.
    done, total
        Of a calibration or a check: entries.
    result
        Of a calibration that is done: folder, entries, and how many were learned in it.
    remarks
        Of a calibration that is done: what else is to be said.
    checks
        Of a check that is done.
    calibration
        Of the nodes, as a calibration that is done found them, or as a localization that is done
        was fused by; ``None`` as surveyed.
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
    remarks: tuple[Text, ...] = ()
    checks: tuple[EntryCheck, ...] = ()
    calibration: NodeCalibrationFile | None = None
