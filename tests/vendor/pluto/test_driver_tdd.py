"""The TDD engine as far as it can be shown without one: what it is told, and when.

The software Pluto has none, so one that only remembers is added to it; libiio and the daemon are
real. That an engine does with it what the driver hopes for awaits hardware.
"""

from contextlib import ExitStack, closing

import numpy as np
import pytest

from drivers.pluto.tdd import TDD_DEVICE
from drivers.tuning import Tuning
from sim_backend.iiod import personalities
from sim_backend.iiod.attributes import Attribute, Channel, Device, by_name
from tests.vendor.pluto.driving import opened
from tests.vendor.pluto.serve import boards

TUNING = Tuning(2.45e9, 4e6, 40.0, -10.0)
BURST = np.full(1000, 0.5, dtype=np.complex64)
DELAY_SAMPLES = 16  # 15.875 of the filter at this rate, each way


@pytest.fixture
def engine(monkeypatch):
    """A board with an engine: its address, and what was written to the engine, in order."""
    written: list[tuple[str, str]] = []

    def remembering(*names: str, where: str = "") -> dict[str, Attribute]:
        def of(name: str) -> Attribute:
            return Attribute(name, lambda: "0", lambda text: written.append((where + name, text)))

        return by_name(*map(of, names))

    def tdd(device_id: str) -> Device:
        channels = tuple(
            Channel(
                f"channel{n}", True,
                remembering("on_raw", "off_raw", "polarity", "enable", where=f"{n} "),
            )
            for n in range(3)
        )  # fmt: skip
        names = ("enable", "startup_delay_raw", "burst_count", "sync_external", "sync_soft")
        return Device(device_id, TDD_DEVICE, channels, remembering(*names))

    makers = personalities._MAKERS["pluto"]
    monkeypatch.setitem(personalities._MAKERS, "pluto", lambda board: [*makers(board), tdd])
    with ExitStack() as stack:
        yield boards(stack, "pluto")[0].uri, written


def test_it_is_left_alone_unless_it_is_asked_for(engine):
    uri, written = engine
    with closing(opened(uri)) as radio:
        assert not radio.info.capabilities.hardware_trigger
        radio.configure(TUNING)
        radio.arm_receive(4096)
        assert radio.fetch().first_sample_tick is None
    assert written == []


def test_one_pulse_starts_sending_and_receiving_and_both_carry_its_tick(engine):
    uri, written = engine
    with closing(opened(uri, tdd="auto")) as radio:
        assert radio.info.capabilities.hardware_trigger
        radio.configure(TUNING)
        radio.arm_receive(4096)
        assert written[0] == ("enable", "0")
        assert written[-1] == ("enable", "1")
        assert ("1 off_raw", "10") in written
        assert ("2 off_raw", "10") in written
        assert ("sync_soft", "1") not in written  # armed, and held back
        before = radio.time_ticks()
        radio.transmit(BURST, None, 30.0)
        after = radio.time_ticks()
        report, block = radio.transmit_report(), radio.fetch()
        assert [name for name, _ in written].count("sync_soft") == 1
        assert before <= report.first_sample_tick - DELAY_SAMPLES <= after
        assert report.first_sample_tick - block.first_sample_tick == 2 * DELAY_SAMPLES
        assert 0.0 < block.time_std_s == report.time_std_s < (after - before) / 4e6
    assert written[-1] == ("enable", "0")


def test_a_block_alone_starts_when_it_is_fetched(engine):
    uri, written = engine
    with closing(opened(uri, tdd="auto")) as radio:
        radio.configure(TUNING)
        before = radio.time_ticks()
        radio.arm_receive(4096)
        tick = radio.fetch().first_sample_tick
        assert before < tick + DELAY_SAMPLES <= radio.time_ticks()
        assert written[-1] == ("sync_soft", "1")
