"""Each fault of a radio: the right error or flag, the capture refused, and the run goes on."""

import re
from pathlib import Path

import msgspec
import numpy as np
import pytest

from drivers.radio_errors import LateCommandError, RadioLostError, RadioTimeoutError
from drivers.tuning import Tuning
from sim_backend.ether import Ether
from sim_backend.faults import FAULT_KINDS, FaultKind, Faults
from sim_backend.impairments import PRESETS
from sim_backend.radio import SimRadio
from testbed.build import build_burst, build_scene
from testbed.radio_source import RadioSource
from testbed.runs.backgrounds import no_background
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.localize import Localization
from testbed.runs.setup import simulate
from testbed.site import Site, load_site

ROOT = Path(__file__).parents[2]
TX, STRUCK, WHOLE = "a", "d", "e"


@pytest.fixture(scope="module")
def lab() -> Site:
    return load_site(ROOT / "examples" / "lab.yaml")


class Bench:
    """The radios of a site with handles on each of them."""

    def __init__(self, site: Site, preset: str = "ideal", seed: int = 3) -> None:
        simulation = simulate(site, seed)
        self.ether = Ether(build_scene(site, simulation.source.nodes, seed))
        self.radios = {
            node.node_id: SimRadio(self.ether, n, PRESETS[preset])
            for n, node in enumerate(simulation.source.nodes)
        }
        self.blocks = []
        self.source = RadioSource(
            simulation.source.nodes, self.radios, build_burst(site), "a test",
            world=self.ether, wait_s=self.ether.advance,
            listener=lambda phase, index, rx_id, block, sounding: self.blocks.append(
                (rx_id, block)
            ),
        )  # fmt: skip

    @staticmethod
    def block(radio: SimRadio):
        radio.arm_receive(100)
        return radio.fetch()

    def sense(self, index: int = 0):
        struck, whole = self.source.sense(TX, (STRUCK, WHOLE), index)
        assert (struck.rx_id, whole.rx_id) == (STRUCK, WHOLE)
        return struck, whole


@pytest.fixture
def bench(lab) -> Bench:
    return Bench(lab)


RECEIVING: list[tuple[FaultKind, str]] = [
    ("late_receive", "reached the device too late"),
    ("overflow", "samples were lost .overflow."),
    ("dropped_samples", "not one stretch"),
    ("stale_buffer", "does not hold the burst"),
    ("automatic_gain", "AGC is on"),
    ("clock_unlock", "clock is not locked"),
    ("pps_loss", "pulse per second is not there"),
    ("timeout", "did not deliver its block in time"),
    ("lost", "the device is gone"),
]
SENDING: list[tuple[FaultKind, str]] = [
    ("late_transmit", "missed its time"),
    ("underflow", "ran out of samples"),
    ("clock_unlock", "clock is not locked"),
    ("pps_loss", "pulse per second is not there"),
    ("lost", "the device is gone"),
]


def test_every_fault_is_tested():
    assert {kind for kind, _ in (*RECEIVING, *SENDING)} == set(FAULT_KINDS)


@pytest.mark.parametrize(("kind", "reason"), RECEIVING)
def test_a_fault_of_a_receiver_costs_its_own_capture_and_no_other(bench, kind, reason):
    assert all(capture.quality.usable for capture in bench.sense())
    bench.radios[STRUCK].faults.inject(kind)
    struck, whole = bench.sense()
    assert not struck.quality.usable
    assert re.search(reason, struck.quality.problem)
    assert whole.quality.usable
    again, _ = bench.sense()
    # A reference that is gone and a device that is gone stay so; all else has passed.
    assert again.quality.usable == (kind not in ("clock_unlock", "pps_loss", "lost"))


@pytest.mark.parametrize(("kind", "reason"), SENDING)
def test_a_fault_of_the_transmitter_costs_all_captures_of_its_burst(bench, kind, reason):
    assert all(capture.quality.usable for capture in bench.sense())
    bench.radios[TX].faults.inject(kind)
    for capture in bench.sense():
        assert not capture.quality.usable
        assert re.search(reason, capture.quality.problem)


def test_a_late_burst_is_not_sent(bench):
    bench.sense()
    bench.radios[TX].faults.inject("late_transmit")
    bench.sense()
    sent, silent = (
        np.mean(np.abs(block.samples) ** 2) for rx_id, block in bench.blocks if rx_id == WHOLE
    )
    assert silent < 1e-2 * sent  # thermal noise, 25 dB below the direct path
    assert bench.radios[TX].health().num_lates == 1


@pytest.mark.parametrize("kind", ["overflow", "dropped_samples"])
def test_samples_lost_without_notice_are_found_in_the_burst_itself(lab, kind):
    """A radio without overflow detection cannot tell: what a Pluto does without its status bit."""
    raw = msgspec.to_builtins(lab)
    raw["waveform"]["num_symbols"] = 8
    bench = Bench(msgspec.convert(raw, Site), "pluto")
    radio = bench.radios[STRUCK]
    struck, whole = bench.sense()
    assert struck.quality.usable, struck.quality.problem
    assert whole.quality.usable, whole.quality.problem
    bench.blocks.clear()
    radio.faults.inject(kind)
    struck, whole = bench.sense()
    assert not struck.quality.usable
    assert whole.quality.usable
    (block,) = (block for rx_id, block in bench.blocks if rx_id == STRUCK)
    assert not block.overflow
    assert not block.discontinuity
    assert np.all(block.samples[-10:] == 0.0)
    assert radio.health().num_overflows == 0


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("late_receive", LateCommandError),
        ("timeout", RadioTimeoutError),
        ("lost", RadioLostError),
    ],
)
def test_the_radio_itself_raises(bench, kind, error):
    radio = bench.radios[STRUCK]
    radio.faults.inject(kind)
    with pytest.raises(error) as caught:
        Bench.block(radio)
    assert str(caught.value).endswith(caught.value.remedy)


def test_a_device_that_is_gone_stays_gone_and_sends_no_more(bench):
    radio = bench.radios[TX]
    radio.transmit(np.full(1000, 0.5, dtype=np.complex64), None, 1.0)
    radio.faults.inject("lost")
    for _ in range(2):
        with pytest.raises(RadioLostError):
            radio.time_ticks()
    listener = bench.radios[WHOLE]
    listener.arm_receive(1000)
    power = np.mean(np.abs(listener.fetch().samples) ** 2)
    listener.arm_receive(1000)
    assert power == pytest.approx(np.mean(np.abs(listener.fetch().samples) ** 2), rel=0.5)


def test_references_come_back_with_a_new_tuning_in_a_new_epoch(bench):
    radio = bench.radios[STRUCK]
    radio.faults.inject("clock_unlock")
    struck, _ = bench.sense()
    assert struck.quality.clock_locked is False
    tuning = Tuning(5.8e9, 61.44e6, 30.0, 60.0, "external", "pps")
    radio.configure(tuning)
    assert radio.health().clock_locked is True


def test_a_run_goes_on_without_the_links_that_fail(lab):
    """Half of all blocks fail in one way or another; the run ends, and says what was missing."""
    bench = Bench(lab)
    kinds: list[FaultKind] = ["late_receive", "overflow", "timeout", "stale_buffer"]
    for n, radio in enumerate(bench.radios.values()):
        radio.faults = Faults(7, n, dict.fromkeys(kinds, 0.15))
    run = Localization(
        lab, LocalLinks(lab, bench.source, no_background, Processors(lab)), np.random.default_rng(0)
    )
    records = list(run.run())
    looked = sum(len(record.looks) for record in records)
    missing = sum(len(record.problems) for record in records)
    assert looked + missing == sum(len(record.config.rx_ids) for record in records)
    assert missing > 0
    assert looked > 0


def test_a_random_fault_strikes_as_often_as_it_says_and_alike_for_alike_seeds():
    def strikes(seed: int) -> list[bool]:
        faults = Faults(seed, 1, {"overflow": 0.2})
        return [faults.strikes("overflow") for _ in range(2000)]

    first = strikes(3)
    assert first == strikes(3)
    assert first != strikes(4)
    # 2000 draws of 0.2: 400, standard deviation 18
    assert 330 < sum(first) < 470
    with pytest.raises(ValueError, match="no fault 'overflw'"):
        Faults(0, 0).inject("overflw")
