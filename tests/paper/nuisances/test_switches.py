"""Nuisances are switched one by one: none is missing here, and none changes another's draws."""

import re
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from drivers.array import UniformLinearArray
from drivers.geometry import FloatArray, Pose
from drivers.node import Node
from sim_backend.frontend import draw_hardware
from sim_backend.impairments import PRESETS, Impairments
from sim_backend.transceiver import Transceiver
from tests.paper.nuisances.bench import COMMON, IDEAL, Hall
from tests.paper.nuisances.intervals import CONFIDENCE

NAMES = [nuisance.name for nuisance in fields(Impairments)]
NODE = Node("a", "a", Pose((0.0, 0.0), 0.0), UniformLinearArray(2, 0.025))
# Everything that any preset has: sizes of lab, then what only pluto has.
EVERYTHING = replace(
    PRESETS["lab"],
    **{
        name: getattr(PRESETS["pluto"], name)
        for name in NAMES
        if getattr(PRESETS["lab"], name) == getattr(IDEAL, name)
    },
)


@pytest.mark.parametrize("name", NAMES)
def test_every_nuisance_is_measured_alone(name):
    tests = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("*.py"))
    assert re.search(rf"only\(\s*{name}=", tests), f"no test switches {name} on alone"


def test_every_nuisance_is_on_in_everything():
    assert [name for name in NAMES if getattr(EVERYTHING, name) == getattr(IDEAL, name)] == []


def drawn(impairments: Impairments, seed: int = 1, node_index: int = 3) -> FloatArray:
    """One node's constants, in units in which different nuisances add up."""
    hardware = draw_hardware(NODE, impairments, seed, node_index)
    elements = np.log(hardware.element_response)
    # The first weight is (1 + g exp(j phi)) / 2.
    skews = np.log([2.0 * weights[0] - 1.0 for weights in (hardware.rx_image, hardware.tx_image)])
    return np.array(
        [
            hardware.clock_offset * 1e6, hardware.clock_drift_per_s * 1e9,
            hardware.noise_figure_db, np.log(hardware.rx_gain), np.log(hardware.tx_gain),
            *elements.real, *elements.imag, *hardware.element_delay_s * 1e12,
            *skews.real, *skews.imag, *hardware.rx_dc.real, *hardware.rx_dc.imag,
            hardware.tx_leakage.real, hardware.tx_leakage.imag,
        ]
    )  # fmt: skip


def drawn_in_time(impairments: Impairments) -> FloatArray:
    """What one node draws as it goes, in units in which different nuisances add up."""
    transceiver = Transceiver(Hall().ether, 1, impairments)
    found = [transceiver.clock.zero_fs]
    for epoch in (1, 2):
        transceiver.tune(COMMON, epoch, clock_locked=True, pps_locked=True)
        found += [transceiver.clock.zero_fs, *transceiver._phase_rad]
        for noise in transceiver._noise:
            found += list(noise.phase_rad(10**12, 1e-8, 3))
        found += [transceiver.start_latency_ticks(count) for count in (1, 2)]
    return np.array(found, dtype=np.float64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("draw", [drawn, drawn_in_time])
def test_no_nuisance_changes_another_s_draws(name, draw):
    alone = replace(IDEAL, **{name: getattr(EVERYTHING, name)})
    without = replace(EVERYTHING, **{name: getattr(IDEAL, name)})
    # What switching it on changes is the same on an ideal radio and beside all the others.
    np.testing.assert_allclose(
        draw(EVERYTHING) - draw(without), draw(alone) - draw(IDEAL), rtol=1e-9, atol=1e-9
    )


def test_nuisances_and_nodes_are_independent():
    nodes = np.array([drawn(EVERYTHING, node_index=n) for n in range(400)])
    correlation = np.corrcoef(nodes.T)
    neighbours = np.corrcoef(nodes[:-1].T, nodes[1:].T)
    size = len(correlation)
    values = np.concatenate(
        (correlation[np.triu_indices(size, 1)], neighbours[:size, size:].ravel())
    )
    # Of this many coefficients of independent values (Fisher), none is larger.
    largest = stats.norm.ppf(1.0 - (1.0 - CONFIDENCE) / 2.0 / len(values)) / np.sqrt(400 - 4)
    assert np.abs(np.arctanh(values)).max() < largest


def test_seeds_are_independent_and_repeat():
    np.testing.assert_array_equal(drawn(EVERYTHING, seed=7), drawn(EVERYTHING, seed=7))
    assert np.all(drawn(EVERYTHING, seed=7) != drawn(EVERYTHING, seed=8))
