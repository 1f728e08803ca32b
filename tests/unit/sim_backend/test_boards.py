"""Simulated arrays of two boards: each has phases and a time of its own."""

import numpy as np
import pytest

from drivers.array import UniformLinearArray
from drivers.burst import SoundingBurst
from drivers.geometry import ComplexArray, Pose
from drivers.node import Node
from drivers.tuning import Tuning, transmit_power_dbm
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.alignment import Alignment, align
from processing.demodulate import Sounding, demodulate
from sim_backend.ether import Ether
from sim_backend.impairments import Impairments
from sim_backend.radio import SimRadio
from sim_backend.scene import Scene, SceneStatistics

GRID = OfdmGrid(5.8e9, 60e3, 332)
BURST = SoundingBurst(GRID, 30.72e6, prefix_length=128)
TUNING = Tuning(BURST.local_oscillator_hz, BURST.sample_rate_hz, 50.0, 84.0, "external", "pps")
JITTER_NS = 10.0
APART = Impairments(retune_phase="random", pps_jitter_ns=JITTER_NS)
ARRAY = UniformLinearArray(4, GRID.wavelength_m / 2.0)


def heard(impairments: Impairments, boards: int, session: int = 0) -> ComplexArray:
    """Channel of a direct path that reaches four elements alike, shape ``(K, 4)``."""
    nodes = tuple(
        Node(name, name, Pose(at_m, turn_rad), ARRAY, noise_figure_db=-200.0)
        for name, at_m, turn_rad in (("tx", (0.0, 0.0), 0.0), ("rx", (20.0, 0.0), np.pi))
    )
    none = np.zeros((0, 2)), np.zeros(0), 0
    statistics = SceneStatistics((0.0, -10.0, 20.0, 10.0))
    ether = Ether(Scene(3, nodes, np.zeros(2), *none, statistics), session)
    sender = SimRadio(ether, 0, impairments)
    listener = SimRadio(ether, 1, impairments, boards=boards)
    for radio in (sender, listener):
        radio.configure(TUNING)
    listener.arm_receive(BURST.num_samples + BURST.prefix_length, 12_345)
    sender.transmit(BURST.samples(), 12_345)
    block = listener.fetch()
    full_scale_dbm = transmit_power_dbm(sender.info.capabilities, 84.0, 1.0)
    sounding = Sounding("tx", BURST, 12_345, full_scale_dbm, sender.transmit_report())
    return demodulate(block, sounding)[0] * pilot_symbols(GRID).conj()[:, None]


def lay_to_the_first(channel: ComplexArray) -> Alignment:
    """How each element lies to the first."""
    first = np.repeat(channel[:, :1], 4, axis=1)
    return align(channel, first, GRID, [[m] for m in range(4)])[1]


@pytest.mark.parametrize("boards", [1, 2, 4])
def test_boards_without_faults_are_one(boards):
    lay = lay_to_the_first(heard(Impairments(), boards))
    np.testing.assert_allclose(lay.gain, 1.0, atol=1e-3)
    np.testing.assert_allclose(lay.delay_s, 0.0, atol=1e-11)


def test_each_board_has_a_phase_and_a_time_of_its_own_in_every_session():
    lays = [lay_to_the_first(heard(APART, 2, session)) for session in range(6)]
    for lay in lays:
        np.testing.assert_allclose(lay.gain[[0, 1]], 1.0, atol=1e-3)
        np.testing.assert_allclose(lay.gain[2], lay.gain[3], atol=1e-3)
        np.testing.assert_allclose(lay.delay_s[[1, 3]], lay.delay_s[[0, 2]], atol=1e-11)
    phases = np.angle([lay.gain[2] for lay in lays])
    assert np.ptp(phases) > 1.0
    late_ns = 1e9 * np.array([lay.delay_s[2] for lay in lays])
    assert np.ptp(late_ns) > JITTER_NS / 2.0
    assert np.max(np.abs(late_ns)) < 2.0 * JITTER_NS


def test_the_first_board_is_the_radio_that_has_one():
    one, two = (heard(APART, boards) for boards in (1, 2))
    np.testing.assert_allclose(two[:, :2], one[:, :2], rtol=1e-3)
    assert not np.allclose(two[:, 2:], one[:, 2:], rtol=0.1)


def test_groups_are_the_boards():
    scene = Scene(
        3, (Node("a", "a", Pose((0.0, 0.0), 0.0), ARRAY),), np.zeros(2), np.zeros((0, 2)),
        np.zeros(0), 0, SceneStatistics((0.0, 0.0, 10.0, 10.0)),
    )  # fmt: skip
    radio = SimRadio(Ether(scene), 0, APART, boards=2)
    assert radio.info.capabilities.coherent_groups == ((0, 1), (2, 3))
