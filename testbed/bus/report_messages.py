"""What is said of captures and reports, between agents, workers and the coordinator."""

from calibration.node_files import NodeCalibrationFile
from drivers.capture import CaptureQuality, DemodulationReport
from processing.report import LinkReport
from testbed.bus.parts import Count, Part, ProcessState, Seconds, Text
from testbed.bus.wire import Message
from testbed.site_types import Name


class CaptureFields(Part, frozen=True, kw_only=True):
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


class CaptureTaken(Message, frozen=True, kw_only=True):
    """A capture, its pilots as the only buffer: to a worker, or to the coordinator."""

    request_id: int
    run_id: Name
    index: Count
    capture: CaptureFields
    sent_s: float


class WorkerHere(Message, frozen=True, kw_only=True):
    """Tells an agent, again and again, that captures may be sent here."""

    name: Name
    instance: Name
    site_hash: Name


class WorkerState(Message, frozen=True, kw_only=True):
    """Tells the coordinator, again and again, that a worker is there."""

    process: ProcessState


class LinkFound(Message, frozen=True, kw_only=True):
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


class RunContext(Message, frozen=True, kw_only=True):
    """What a worker must know of a run: the nodes as calibrated, ``None`` as surveyed."""

    run_id: Name
    calibration: NodeCalibrationFile | None


class BackgroundFields(Part, frozen=True, kw_only=True):
    """A background without its arrays; see `processing.suppression.Background`."""

    content_hash: Name
    config_epoch: int
    delay_is_absolute: bool
    on_direct_path: bool
    delay_var_s2: float
    response_var: float
    known_noise_var: float | None


class LinkBackground(Message, frozen=True, kw_only=True):
    """A link's background as placed; its channel, and the elements' response if any, as buffers."""

    request_id: int
    run_id: Name
    tx_id: Name
    rx_id: Name
    background: BackgroundFields | None


class RunEnded(Message, frozen=True, kw_only=True):
    """What belongs to a run may be forgotten."""

    run_id: Name
