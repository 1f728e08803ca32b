"""Captures, backgrounds and records over the wire and back, bit by bit."""

import dataclasses
from typing import Any

import msgspec
import numpy as np
import pytest

from drivers.capture import Capture, CaptureQuality, DemodulationReport
from fusion.sensing import PositionEstimate, SensingConfig
from processing.report import Hypothesis, LinkReport
from processing.suppression import Background
from testbed.bus.job_messages import SensingTimes
from testbed.runs.links import Look
from testbed.runs.localize import SensingRecord
from testbed.services.conversion import (
    background_of_parts,
    background_parts,
    capture_fields,
    capture_of_fields,
    record_fields,
    record_of_fields,
    sensed_of_fields,
)

RNG = np.random.default_rng(1)


def over_the_wire(described: Any) -> Any:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(described), type=type(described))


def complexes(*shape: int) -> np.ndarray:
    drawn = RNG.standard_normal((*shape, 2)).view(np.complex128)[..., 0]
    return np.ascontiguousarray(drawn.astype(np.complex64))


def assert_same(one: Any, other: Any) -> None:
    """Same in every field, arrays bit by bit."""
    for field in dataclasses.fields(one):
        here, there = getattr(one, field.name), getattr(other, field.name)
        if isinstance(here, np.ndarray):
            assert (here.dtype, here.shape) == (there.dtype, there.shape)
            assert here.tobytes() == there.tobytes()
        else:
            assert type(here) is type(there)
            assert here == there


CAPTURES = [
    Capture("a", "b", complexes(8, 2), 3, "waveform"),
    Capture(
        "a", "b", complexes(8, 2), 3, "waveform", config_epoch=7, delay_is_absolute=False,
        delay_var_s2=float("inf"), needs_alignment=True, coherent_groups=((0,), (1,)),
        quality=CaptureQuality(late=True, clock_locked=True, pps_locked=False, fault="no lock"),
        first_sample_tick=2**62,
        demodulation=DemodulationReport(-1e-300, None, 0.1, float("inf"), None),
    ),
]  # fmt: skip
BACKGROUNDS = [
    Background(complexes(8, 2), "hash"),
    Background(complexes(8, 2), "hash", 3, False, True, float("inf"), complexes(8, 2)),
]


@pytest.mark.parametrize("capture", CAPTURES)
def test_a_capture_comes_back(capture):
    described = over_the_wire(capture_fields(capture))
    assert_same(capture_of_fields(described, capture.rx_pilots), capture)


def test_every_field_of_a_capture_travels():
    described = {field.name for field in dataclasses.fields(Capture)} - {"rx_pilots"}
    assert set(capture_fields(CAPTURES[0]).__struct_fields__) == described


@pytest.mark.parametrize("background", BACKGROUNDS)
def test_a_background_comes_back_and_may_be_written(background):
    described, arrays = background_parts(background)
    for array in arrays:
        array.flags.writeable = False
    back = background_of_parts(over_the_wire(described), arrays)
    assert_same(back, background)
    assert back.channel.flags.writeable


def test_no_background_is_none():
    assert background_of_parts(*background_parts(None)) is None


def report(rx_id: str, *hypotheses: Hypothesis) -> LinkReport:
    return LinkReport(
        "a", rx_id, 4, hypotheses, 12.5, 1e-9, True, 2, None, True, False, 1e-18
    )  # fmt: skip


def record(**changes: Any) -> SensingRecord:
    looks = (
        Look(report("b", Hypothesis(1e-7, 1e-19, 0.25, 1e-5, 33.0))),
        Look(report("c", Hypothesis(1e-7, float("inf"), None, None, float("inf")))),
    )
    estimate = PositionEstimate(
        np.array([1.0 / 3.0, -0.0]), np.array([[1e-3, 1e-20], [1e-20, 2.0]]), 0.7, "searching"
    )
    whole = SensingRecord(
        SensingConfig("a", ("b", "c", "d")), looks, {"d": "a -> d: gone"}, estimate, 0.5, ("e",)
    )
    return dataclasses.replace(whole, **changes)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"error_m": None, "absent": ()},
        {"looks": (), "problems": {}},
        {
            "estimate": PositionEstimate(
                np.array([5.0, 5.0]), np.array([[np.inf, 0.0], [0.0, np.inf]]), 0.0, "unresolved"
            )
        },
    ],
)
def test_a_record_comes_back(changes):
    said = record(**changes)
    back = record_of_fields(
        over_the_wire(record_fields(said, 4, SensingTimes(issued_s=1.5, worked_s=1e-3)))
    )
    assert_same(back.estimate, said.estimate)
    assert dataclasses.replace(back, estimate=said.estimate) == said


def test_a_record_holds_all_that_fusion_depends_on():
    said = record()
    described = over_the_wire(record_fields(said, 4, SensingTimes()))
    sensed = sensed_of_fields(described.sensed)
    assert sensed.looks == said.looks
    assert sensed.problems == said.problems
    assert not sensed.unheard
