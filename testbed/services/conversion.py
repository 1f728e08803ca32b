"""Captures, backgrounds and records as parts of messages, and back."""

from dataclasses import fields

import numpy as np

from drivers.capture import Capture
from drivers.geometry import ComplexArray
from fusion.sensing import PositionEstimate
from processing.suppression import Background
from testbed.bus.job_messages import EstimateFields, RecordFields, SensedFields, SensingTimes
from testbed.bus.report_messages import BackgroundFields, CaptureFields
from testbed.runs.links import Look, Sensed
from testbed.runs.localize import SensingRecord

_CAPTURE_FIELDS = tuple(field.name for field in fields(Capture) if field.name != "rx_pilots")


def capture_fields(capture: Capture) -> CaptureFields:
    """A capture without its pilots."""
    return CaptureFields(**{name: getattr(capture, name) for name in _CAPTURE_FIELDS})


def capture_of_fields(described: CaptureFields, pilots: ComplexArray) -> Capture:
    """The capture with its pilots, shape ``(K, M)``."""
    known = {name: getattr(described, name) for name in _CAPTURE_FIELDS}
    return Capture(rx_pilots=pilots, **known)


def background_parts(
    background: Background | None,
) -> tuple[BackgroundFields | None, tuple[ComplexArray, ...]]:
    """A background without its arrays, and these."""
    if background is None:
        return None, ()
    described = BackgroundFields(
        content_hash=background.content_hash,
        config_epoch=background.config_epoch,
        delay_is_absolute=background.delay_is_absolute,
        on_direct_path=background.on_direct_path,
        delay_var_s2=background.delay_var_s2,
        response_var=background.response_var,
        known_noise_var=background.known_noise_var,
    )
    if background.response is None:
        return described, (background.channel,)
    return described, (background.channel, background.response)


def background_of_parts(
    described: BackgroundFields | None, arrays: tuple[np.ndarray, ...]
) -> Background | None:
    """The background; the arrays are copied."""
    if described is None:
        return None
    return Background(
        channel=arrays[0],
        content_hash=described.content_hash,
        config_epoch=described.config_epoch,
        delay_is_absolute=described.delay_is_absolute,
        on_direct_path=described.on_direct_path,
        delay_var_s2=described.delay_var_s2,
        response=arrays[1] if len(arrays) > 1 else None,
        response_var=described.response_var,
        known_noise_var=described.known_noise_var,
    )


def sensed_of_fields(described: SensedFields) -> Sensed:
    """What a sensing brought."""
    looks = tuple(Look(report) for report in described.reports)
    return Sensed(looks, dict(described.problems))


def record_fields(record: SensingRecord, index: int, times: SensingTimes) -> RecordFields:
    """A record of a localization, with its times."""
    estimate = record.estimate
    (xx, xy), (yx, yy) = estimate.covariance_m2.tolist()
    return RecordFields(
        sensed=SensedFields(
            index=index,
            absent=list(record.absent),
            config=record.config,
            reports=list(record.reports),
            problems=record.problems,
        ),
        estimate=EstimateFields(
            position_m=(float(estimate.position_m[0]), float(estimate.position_m[1])),
            covariance_m2=((xx, xy), (yx, yy)),
            probability=estimate.probability,
            status=estimate.status,
        ),
        error_m=record.error_m,
        times=times,
    )


def record_of_fields(described: RecordFields) -> SensingRecord:
    """The record; captures and backgrounds stay where they are."""
    sensed = sensed_of_fields(described.sensed)
    estimate = PositionEstimate(
        position_m=np.array(described.estimate.position_m),
        covariance_m2=np.array(described.estimate.covariance_m2),
        probability=described.estimate.probability,
        status=described.estimate.status,
    )
    return SensingRecord(
        described.sensed.config,
        sensed.looks,
        sensed.problems,
        estimate,
        described.error_m,
        tuple(described.sensed.absent),
    )
