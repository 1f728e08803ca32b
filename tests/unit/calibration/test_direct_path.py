"""A direct path is found where it is, and its variances say how well, whatever comes after it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from calibration.direct_path import (
    DirectPath,
    direct_path_channel,
    direct_path_window,
    find_direct_path,
    usable_direct_path,
)
from drivers.array import UniformLinearArray
from drivers.geometry import ComplexArray, Pose, arrival_angle_rad
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from processing.alignment import align, shifted
from tests.unit.calibration.links import AWAY, GRID, RX, TX, link_in_a_hall, white_noise

NOISE_VAR = channel_noise_var(TX, RX, GRID)
TAIL = 0.001
NUM_HALLS = 100


def found(channel, tx=TX, rx=RX, noise_var=NOISE_VAR) -> DirectPath:
    window = direct_path_window(channel.astype(np.complex64), tx, rx, GRID, noise_var)
    assert window is not None
    return find_direct_path(window)


def test_the_direct_path_is_as_long_and_as_strong_as_the_survey_and_friis_say():
    channel = direct_path_channel(TX, RX, GRID)
    # 50 m: 166.8 ns; the wavelength of 51.7 mm over 4 pi 50 m is -81.7 dB
    assert 20.0 * np.log10(np.abs(channel).mean()) == pytest.approx(-81.69, abs=0.02)
    turn = np.angle(np.vdot(channel[:-1], channel[1:]))
    assert -turn / (2 * np.pi * 60e3) == pytest.approx(50.0 / 299_792_458.0, rel=1e-3)


@pytest.mark.parametrize("delay_s", [0.0, 4e-9, -300e-9])
@pytest.mark.parametrize("gain", [1.0, 0.02j, -37.0])
def test_whatever_clocks_and_gains_did_is_found(delay_s, gain):
    path = found(shifted(direct_path_channel(TX, RX, GRID), GRID, delay_s) * gain)
    assert path.delay_s == pytest.approx(delay_s, abs=1e-13)
    assert path.sine == pytest.approx(0.0, abs=1e-6)
    np.testing.assert_allclose(path.element_gain, gain, rtol=1e-4)
    # At this noise 1 m of 15 m cells is far off: what is stated is not the size of a cell.
    assert path.delay_var_s2 < (1e-9) ** 2


@pytest.mark.parametrize("turned_deg", [-3.0, 0.5, 2.0])
def test_a_boresight_that_is_not_as_surveyed_shows_in_the_sine(turned_deg):
    pose = Pose(RX.pose.position_m, RX.pose.boresight_rad + np.deg2rad(turned_deg))
    path = found(direct_path_channel(TX, replace(RX, pose=pose), GRID))
    sines = [np.sin(arrival_angle_rad(p, TX.pose.position_m)) for p in (pose, RX.pose)]
    assert path.sine == pytest.approx(float(sines[0] - sines[1]), abs=1e-5)
    assert path.delay_s == pytest.approx(0.0, abs=1e-12)


def test_a_node_that_is_not_as_surveyed_shows_in_the_delay():
    moved = replace(RX, pose=Pose((30.3, 40.4), RX.pose.boresight_rad))  # half a metre further
    path = found(direct_path_channel(TX, moved, GRID))
    assert path.delay_s == pytest.approx(0.5 / 299_792_458.0, rel=1e-3)
    assert path.sine == pytest.approx(0.0, abs=1e-6)


def test_one_element_has_no_sine():
    single = replace(RX, array=UniformLinearArray(1, RX.array.spacing_m))
    path = found(shifted(direct_path_channel(TX, single, GRID), GRID, 7e-9), rx=single)
    assert path.delay_s == pytest.approx(7e-9, abs=1e-13)
    assert (path.sine, path.sine_var) == (0.0, np.inf)
    assert path.element_gain.shape == (1,)


def test_elements_that_are_known_can_be_taken_out_of_a_window():
    truth = direct_path_channel(TX, RX, GRID)
    gain = np.array([1.1, 0.8j, -1.0, 0.9 - 0.3j])
    delay_s = np.array([0.4e-9, -0.2e-9, 0.3e-9, -0.5e-9])
    channel = (shifted(truth, GRID, delay_s) * gain).astype(np.complex64)
    window = direct_path_window(channel, TX, RX, GRID, NOISE_VAR)
    assert window is not None
    path = find_direct_path(window.corrected(gain, delay_s))
    assert path.delay_s == pytest.approx(0.0, abs=1e-12)
    assert path.sine == pytest.approx(0.0, abs=1e-4)
    np.testing.assert_allclose(np.abs(path.element_gain), 1.0, rtol=1e-3)
    assert np.ptp(np.angle(path.element_gain)) < 1e-3


def test_out_of_view_or_drowned_there_is_no_direct_path():
    assert usable_direct_path(TX, RX)
    assert not usable_direct_path(TX, AWAY)
    there = direct_path_channel(TX, AWAY, GRID)
    assert direct_path_window(there, TX, AWAY, GRID, NOISE_VAR) is None
    entry = direct_path_channel(TX, RX, GRID)
    amplitude = float(np.abs(entry).mean())
    for seed in range(20):
        # 32.5 dB of noise over each entry: over all 1336 of them the path is not seen either.
        noise = white_noise(entry.shape, 30.0 * amplitude, np.random.default_rng(seed))
        drowned = (entry + noise).astype(np.complex64)
        assert direct_path_window(drowned, TX, RX, GRID, 1800.0 * amplitude**2) is None


@pytest.mark.parametrize("noise_db", [-10.0, 5.0])
def test_errors_that_noise_alone_makes_are_no_larger_than_stated(noise_db):
    """Noise over each entry's power; what is stated allows for scatterers besides."""
    truth = direct_path_channel(TX, RX, GRID)
    noise_var = 10.0 ** (noise_db / 10.0) * float(np.mean(np.abs(truth) ** 2))
    rng = np.random.default_rng(1)
    normalized = []
    for _ in range(30):
        noise = white_noise(truth.shape, np.sqrt(noise_var / 2.0), rng)
        path = found(truth + noise, noise_var=noise_var)
        normalized += [path.delay_s**2 / path.delay_var_s2, path.sine**2 / path.sine_var]
    assert sum(normalized) < stats.chi2.ppf(1.0 - TAIL, len(normalized))


@pytest.fixture(scope="module")
def halls() -> list[tuple[Node, Node, ComplexArray]]:
    return [link_in_a_hall(seed) for seed in range(NUM_HALLS)]


@pytest.fixture(scope="module")
def paths_in_halls(halls) -> list[DirectPath]:
    return [found(channel, tx, rx, channel_noise_var(tx, rx, GRID)) for tx, rx, channel in halls]


@pytest.mark.parametrize("kind", ["delay", "sine"])
def test_the_variance_is_that_of_the_errors_that_scatterers_make(paths_in_halls, kind):
    """The scatterers of a hall all come later than the path, few of them near it: heavy tails.

    One error in ten at most exceeds two stated standard deviations (one in twenty if they were
    Gaussian), and the statement is not so wide that most errors are under a third of one (one in
    four if Gaussian). Exact intervals over independent halls.
    """
    if kind == "delay":
        normalized = [path.delay_s / np.sqrt(path.delay_var_s2) for path in paths_in_halls]
    else:
        normalized = [path.sine / np.sqrt(path.sine_var) for path in paths_in_halls]
    size = np.abs(normalized)
    beyond, within = int(np.sum(size > 2.0)), int(np.sum(size < 1.0 / 3.0))
    assert stats.binomtest(beyond, NUM_HALLS, 0.1, "greater").pvalue > TAIL, beyond
    assert stats.binomtest(within, NUM_HALLS, 0.5, "greater").pvalue > TAIL, within


def test_that_scatterers_come_later_is_made_use_of(halls, paths_in_halls):
    """Nearer to the truth, in most halls, than where the channel is most like a lone path."""
    nearer = 0
    for (tx, rx, channel), path in zip(halls, paths_in_halls, strict=True):
        _, lay = align(channel, direct_path_channel(tx, rx, GRID), GRID)
        nearer += abs(path.delay_s) < abs(lay.delay_s[0])
    assert stats.binomtest(int(nearer), NUM_HALLS, 0.5, "greater").pvalue < TAIL, nearer


@pytest.mark.parametrize("amplitude", [1.4, 0.2])
def test_an_amplitude_not_expected_tells_of_scatterers_that_nothing_else_tells_of(amplitude):
    path = found(direct_path_channel(TX, RX, GRID) * amplitude)
    assert path.amplitude == pytest.approx(amplitude, rel=1e-3)
    as_expected, not_expected = path.expected_at(amplitude), path.expected_at(1.0)
    assert as_expected.delay_var_s2 == pytest.approx(path.delay_var_s2, rel=1e-3)
    # A 25th of a cell for each unit of what they added over what was found, later if they added
    added_s = np.sqrt(not_expected.delay_var_s2 - path.delay_var_s2)
    expected = 0.04 * (amplitude - 1.0) / amplitude
    assert added_s * GRID.bandwidth_hz == pytest.approx(abs(expected), rel=0.05)
    later_s = path.delay_s - not_expected.delay_s
    assert later_s * GRID.bandwidth_hz == pytest.approx(expected, rel=0.05)
    assert as_expected.delay_s == pytest.approx(path.delay_s, abs=1e-6 / GRID.bandwidth_hz)
    assert not_expected.sine_var > path.sine_var


@pytest.mark.parametrize("num_elements", [1, 4])
def test_a_scatterer_that_looks_like_the_path_is_within_what_its_amplitude_tells(num_elements):
    """Half as strong and a twelfth of a cell later, whatever its phase: no fit tells it apart."""
    rx = replace(RX, array=UniformLinearArray(num_elements, RX.array.spacing_m))
    direct = direct_path_channel(TX, rx, GRID)
    off = []
    for phase in np.linspace(0.0, 2.0 * np.pi, 12, endpoint=False):
        later = 0.5 * np.exp(1j * phase) * shifted(direct, GRID, 1.0 / (12.0 * GRID.bandwidth_hz))
        path = found(direct + later, rx=rx).expected_at(1.0)
        off.append(path.delay_s / np.sqrt(path.delay_var_s2))
    assert np.sqrt(np.mean(np.square(off))) < 2.5
