"""One burst, sounded by stations of this process: in which order, and what a failure costs."""

from pathlib import Path

import numpy as np
import pytest

from drivers.capture import Capture
from sim_backend.ether import Ether
from sim_backend.impairments import PRESETS
from sim_backend.radio import SimRadio
from testbed.build import build_burst, build_scene
from testbed.choreography import LocalStations, sound
from testbed.radio_source import StationSource
from testbed.radio_station import RadioStation
from testbed.runs.setup import simulate
from testbed.site import Site, load_site
from testbed.stations import Cue, PilotStation

LAB = Path(__file__).parents[3] / "examples" / "lab.yaml"
CUE = Cue("sensing", 0, "a", "sensing")


@pytest.fixture(scope="module")
def lab() -> Site:
    return load_site(LAB)


class Noted(LocalStations):
    """Local stations that note in which order they are asked."""

    def __init__(self, site: Site, preset: str) -> None:
        nodes = simulate(site, 3).source.nodes
        ether = Ether(build_scene(site, nodes, 3))
        burst = build_burst(site)
        self.radios = {n.node_id: SimRadio(ether, i, PRESETS[preset]) for i, n in enumerate(nodes)}
        stations = {
            name: RadioStation(name, nodes, radio, burst, world=ether, wait_s=ether.advance)
            for name, radio in self.radios.items()
        }
        super().__init__(stations, burst)
        self.asked: list[tuple] = []

    def arm(self, rx_ids, cue, start_tick, faults):
        self.asked.append(("arm", tuple(rx_ids)))
        super().arm(rx_ids, cue, start_tick, faults)

    def transmit(self, cue, start_tick, faults):
        self.asked.append(("transmit",))
        return super().transmit(cue, start_tick, faults)

    def fetch(self, rx_ids, cue, start_tick, sent):
        self.asked.append(("fetch", tuple(rx_ids)))
        return super().fetch(rx_ids, cue, start_tick, sent)

    def stop(self, tx_id):
        self.asked.append(("stop",))
        super().stop(tx_id)


def same(one: Capture, other: Capture) -> bool:
    return np.array_equal(one.rx_pilots, other.rx_pilots) and all(
        getattr(one, name) == getattr(other, name)
        for name in Capture.__slots__
        if name != "rx_pilots"
    )


def test_receivers_are_armed_before_a_timed_burst(lab):
    stations = Noted(lab, "ideal")
    captures = sound(stations, CUE, ("d", "e"))
    assert [capture.quality.problem for capture in captures] == [None, None]
    assert stations.asked == [("arm", ("d", "e")), ("transmit",), ("fetch", ("d", "e"))]


def test_an_untimed_burst_repeats_until_all_have_listened(lab):
    stations = Noted(lab, "pluto")
    sound(stations, CUE, ("d", "e"))
    assert stations.asked == [
        ("transmit",), ("arm", ("d", "e")), ("fetch", ("d", "e")), ("stop",)
    ]  # fmt: skip


def test_a_burst_is_scheduled_as_far_ahead_as_the_site_says(lab):
    burst = build_burst(lab)
    stations = {"a": PilotStation(simulate(lab, 3).source, "a")}  # whose time is always 0
    ticks = [LocalStations(stations, burst, lead_s).start_tick(("a",), {}) for lead_s in (0.1, 0.3)]
    assert ticks == [round(0.1 * burst.sample_rate_hz), round(0.3 * burst.sample_rate_hz)]


@pytest.mark.parametrize(("preset", "stops"), [("ideal", []), ("pluto", [("stop",)])])
def test_nobody_waits_for_a_transmitter_that_failed(lab, preset, stops):
    stations = Noted(lab, preset)
    stations.radios["a"].faults.inject("lost")
    captures = sound(stations, CUE, ("d", "e"))
    for capture in captures:
        assert capture.quality.problem is not None
        assert capture.quality.problem.startswith("transmitter a: the device is gone")
    assert "fetch" not in {name for name, *_ in stations.asked}
    assert [asked for asked in stations.asked if asked == ("stop",)] == stops


def test_a_receiver_that_failed_is_not_asked_again(lab):
    stations = Noted(lab, "ideal")
    stations.radios["d"].faults.inject("lost")
    struck, whole = sound(stations, CUE, ("d", "e"))
    assert "the device is gone" in (struck.quality.problem or "")
    assert whole.quality.usable
    assert stations.asked == [("arm", ("e",)), ("transmit",), ("fetch", ("e",))]


def test_stations_without_radios_give_what_the_simulator_gives(lab):
    pilots = simulate(lab, 3).source
    stations = LocalStations(
        {node.node_id: PilotStation(pilots, node.node_id) for node in pilots.nodes},
        build_burst(lab),
    )
    source = StationSource(pilots.nodes, stations, pilots.grid, pilots.origin, fresh_tuning=True)
    for index in range(2):
        for ours, theirs in (
            (source.sense("a", ("e", "d"), index), pilots.sense("a", ("e", "d"), index)),
            (
                source.sense_background("b", ("a",), index),
                pilots.sense_background("b", ("a",), index),
            ),
        ):
            assert [same(*pair) for pair in zip(ours, theirs, strict=True)] == [True] * len(ours)
