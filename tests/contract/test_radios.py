"""Every radio of the project passes the contract suite."""

from contextlib import suppress

import pytest

from drivers.array import UniformLinearArray
from drivers.contract import Bench, ContractBrokenError, NotApplicableError, verdict_of
from drivers.contract_checks import CHECKS
from drivers.geometry import Pose
from drivers.interlock import TransmitBand, TransmitLimits
from drivers.interlocked_radio import InterlockedRadio
from drivers.node import Node
from drivers.tuning import Tuning
from sim_backend.ether import Ether
from sim_backend.impairments import PRESETS
from sim_backend.radio import SimRadio
from sim_backend.scene import SceneStatistics, draw_scene

TUNING = Tuning(5.8e9, 30.72e6, 40.0, 60.0)
EVERYTHING = TransmitLimits(
    bands=(TransmitBand(0.0, 1e12, 100.0),), max_transmission_s=1.0, duty_cycle=10.0
)


def sim_radio(preset: str) -> SimRadio:
    nodes = [
        Node(name, name, Pose((10.0 * n, 0.0), 0.0), UniformLinearArray(3, 0.025))
        for n, name in enumerate("ab")
    ]
    scene = draw_scene(1, nodes, SceneStatistics((0.0, 0.0, 10.0, 10.0), num_clutter=2))
    name, _, boards = preset.partition(" of ")
    return SimRadio(Ether(scene), 0, PRESETS[name], boards=int(boards or 1))


def _bench(kind: str) -> Bench:
    form, _, preset = kind.partition(" ")
    radio = sim_radio(preset)
    if form == "interlocked":
        return Bench(InterlockedRadio(radio, EVERYTHING), TUNING)
    return Bench(radio, TUNING)


KINDS = [
    "sim ideal",
    "sim lab",
    "sim lab of 3",
    "sim pluto",
    "interlocked ideal",
    "interlocked pluto",
]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_radio_keeps_the_contract(kind, check):
    bench = _bench(kind)
    with suppress(NotApplicableError):
        check(bench)
    bench.radio.close()


@pytest.mark.parametrize("kind", KINDS)
def test_the_whole_suite_runs_on_one_radio(kind):
    bench = _bench(kind)
    verdicts = [verdict_of(check, bench) for check in CHECKS]
    assert [v for v in verdicts if v.outcome == "broken"] == []
    left_out = {v.check for v in verdicts if v.outcome == "not applicable"}
    if "pluto" in kind:
        assert left_out == {"starts on time", "reports late blocks", "sends on time"}
    else:
        assert left_out == {"refuses times it cannot keep"}


class Broken(SimRadio):
    """A radio that breaks the contract in one way."""

    def __init__(self, way: str) -> None:
        inner = sim_radio("ideal")
        self.__dict__.update(inner.__dict__)
        self._way = way

    def configure(self, tuning):
        applied = super().configure(tuning)
        if self._way == "silent retune":
            self._epoch = 1
        return applied

    def time_ticks(self):
        ticks = super().time_ticks()
        return -ticks if self._way == "backward" else ticks

    def fetch(self):
        block = super().fetch()
        from dataclasses import replace

        if self._way == "wrong tick":
            return replace(block, first_sample_tick=block.first_sample_tick + 1)
        if self._way == "wrong type":
            return replace(block, samples=block.samples.astype("complex128"))
        if self._way == "wrong scale":
            return replace(block, full_scale_dbm=block.full_scale_dbm + 6.0)
        return block

    def close(self):
        if self._way != "stays open":
            super().close()


@pytest.mark.parametrize(
    ("way", "caught_by"),
    [
        ("silent retune", "counts epochs"),
        ("backward", "counts ticks"),
        ("wrong tick", "starts on time"),
        ("wrong type", "gives blocks"),
        ("wrong scale", "gives blocks"),
        ("stays open", "closes"),
    ],
)
def test_the_suite_catches_a_radio_that_breaks_it(way, caught_by):
    bench = Bench(Broken(way), TUNING)
    broken = {v.check for v in (verdict_of(c, bench) for c in CHECKS) if v.outcome == "broken"}
    assert caught_by in broken


def test_a_radio_that_raises_what_nobody_expects_breaks_the_contract():
    bench = Bench(Broken(""), TUNING)
    bench.radio.faults.inject("timeout", 3)
    with pytest.raises(Exception, match="in time"):
        CHECKS[4](bench)
    assert verdict_of(CHECKS[4], bench).outcome == "broken"
    assert issubclass(ContractBrokenError, Exception)
