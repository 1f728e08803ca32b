"""Captures through radios: what is set up, what is refused, and what it costs to be wrong."""

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest

from drivers.radio_errors import BurstRefusedError, RadioError, TuningError
from drivers.waveform import pilot_symbols
from sim_backend.ether import Ether
from sim_backend.impairments import PRESETS
from sim_backend.radio import SimRadio
from testbed.build import build_burst, build_grid, build_nodes, build_scene
from testbed.errors import UsageError
from testbed.gains import tx_gain_db
from testbed.radio_source import RadioSource
from testbed.runs.setup import opened_setup, simulate
from testbed.site import Site, load_site

LAB = Path(__file__).parents[2] / "examples" / "lab.yaml"


@pytest.fixture(scope="module")
def lab() -> Site:
    return load_site(LAB)


def changed(site: Site, **sections: dict) -> Site:
    raw = msgspec.to_builtins(site)
    for name, values in sections.items():
        raw[name].update(values)
    return msgspec.convert(raw, Site)


def radios_of(site: Site, seed: int, preset: str = "ideal"):
    nodes = build_nodes(site, seed)
    ether = Ether(build_scene(site, nodes, seed))
    return nodes, ether, {
        node.node_id: SimRadio(ether, n, PRESETS[preset]) for n, node in enumerate(nodes)
    }  # fmt: skip


def channel_of(capture, site: Site) -> np.ndarray:
    return capture.rx_pilots * pilot_symbols(build_grid(site)).conj()[:, None]


def test_at_iq_the_same_hall_is_heard_as_at_pilot_fidelity(lab):
    """Same seed, same look: the difference is noise, of twice the variance of one of them."""
    pilot = simulate(lab, 3)
    with opened_setup(lab, 3, "iq") as iq:
        for look in range(3):
            (at_iq,) = iq.source.sense("a", ("e",), look)
            (at_pilot,) = pilot.source.sense("a", ("e",), look)
            difference = channel_of(at_iq, lab) - channel_of(at_pilot, lab)
            (background,) = pilot.source.sense_background("a", ("e",), look)
            noise = channel_of(background, lab) - pilot.source.static_channel(0, 4)
            ratio = np.mean(np.abs(difference) ** 2) / np.mean(np.abs(noise) ** 2)
            # 1331 x 8 values on each side: 2 plus or minus four standard deviations of 1.4 %
            assert ratio == pytest.approx(2.0, abs=0.12)
            assert at_iq.quality.usable


def test_the_gain_makes_the_pilots_carry_the_nodes_power(lab):
    nodes, _, radios = radios_of(lab, 0)
    burst = build_burst(lab)
    able = radios["a"].info.capabilities
    gain = tx_gain_db(nodes[0], able, burst)
    symbol = burst.samples()[burst.first_symbol_sample :][: burst.symbol_length]
    mean_dbfs = 10.0 * np.log10(np.mean(np.abs(symbol) ** 2))
    sent_dbm = able.tx_full_scale_dbm - (able.tx_gain_range_db[1] - gain) + mean_dbfs
    assert sent_dbm == pytest.approx(nodes[0].tx_power_dbm, abs=1e-3)
    loud = replace(nodes[0], tx_power_dbm=60.0)
    with pytest.raises(TuningError, match="node 'a': tx_power_dbm is 60, its radio sends"):
        tx_gain_db(loud, able, burst)


def test_a_burst_that_a_radio_cannot_send_is_refused_with_the_node_and_what_fits(lab):
    nodes, ether, radios = radios_of(lab, 0)
    able = replace(radios["b"].info.capabilities, max_bandwidth_hz=20e6)
    radios["b"]._info = replace(radios["b"].info, capabilities=able)
    with pytest.raises(BurstRefusedError, match=r"node 'b'.*20 MHz wide.*nearest.*666 tones"):
        RadioSource(nodes, radios, build_burst(lab), "a test", world=ether)


def test_an_array_larger_than_its_radio_is_refused(lab):
    nodes, ether, radios = radios_of(lab, 0)
    able = replace(radios["c"].info.capabilities, num_rx_channels=2)
    radios["c"]._info = replace(radios["c"].info, capabilities=able)
    with pytest.raises(TuningError, match="node 'c': its array has 8 elements, its radio 2"):
        RadioSource(nodes, radios, build_burst(lab), "a test", world=ether)


def test_simulated_and_real_radios_do_not_mix(lab):
    raw = msgspec.to_builtins(lab)
    raw["nodes"][0]["radio"] = {"kind": "cable", "address": "x"}
    mixed = msgspec.convert(raw, Site)
    with (
        pytest.raises(UsageError, match="kind sim cannot hear those of kind cable"),
        opened_setup(mixed, 0, "iq"),
    ):
        pass  # fmt: skip


def test_all_radios_that_cannot_be_opened_are_named(lab):
    raw = msgspec.to_builtins(lab)
    for node, kind in zip(raw["nodes"], ("one", "two", "two", "two", "two", "two"), strict=True):
        node["radio"] = {"kind": kind}
    with pytest.raises(RadioError) as caught, opened_setup(msgspec.convert(raw, Site), 0, "iq"):
        pass
    assert "node 'a': no installed package provides a radio of kind 'one'" in str(caught.value)
    assert "node 'f': no installed package provides a radio of kind 'two'" in str(caught.value)


def test_walls_and_floor_are_heard_at_both_fidelities(lab):
    walled = changed(lab, simulation={"surfaces": {"margin_m": 2.0}})
    open_hall, hall = simulate(lab, 3).source, simulate(walled, 3).source
    assert open_hall.origin != hall.origin
    reflected = hall.static_channel(0, 1) - open_hall.static_channel(0, 1)
    share_db = 20.0 * np.log10(
        np.linalg.norm(reflected) / np.linalg.norm(open_hall.static_channel(0, 1))
    )
    assert -20.0 < share_db < 0.0
    with opened_setup(walled, 3, "iq") as iq:
        (capture,) = iq.source.sense_background("a", ("b",), 0)
    found = channel_of(capture, walled)
    assert np.linalg.norm(found - hall.static_channel(0, 1)) < 0.3 * np.linalg.norm(reflected)
