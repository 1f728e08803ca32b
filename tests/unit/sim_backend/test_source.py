"""Captures at pilot fidelity: what is in them, and how noisy they are."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from drivers.array import ElementPattern, UniformLinearArray
from drivers.capture import CaptureSource
from drivers.geometry import Pose
from drivers.link_budget import channel_noise_var
from drivers.node import Node
from drivers.waveform import OfdmGrid, pilot_symbols
from sim_backend.channel import target_channel
from sim_backend.scene import SceneStatistics, draw_scene
from sim_backend.source import SimulatedSource, complex_noise, median_var_ratio

GRID = OfdmGrid(10e9, 15e3, 512)
AREA_M = (0.0, 0.0, 60.0, 60.0)
# Two-sided 99.9 % intervals
TAIL = 0.0005


def nodes() -> list[Node]:
    array = UniformLinearArray(3, GRID.wavelength_m / 2)
    pattern = ElementPattern(kind="omnidirectional")
    positions = [(0.0, 0.0), (50.0, 5.0), (20.0, 55.0), (60.0, 60.0)]
    return [
        Node(f"n{n}", f"l{n}", Pose(p, 0.7 * n), array, pattern, noise_figure_db=3.0 * n)
        for n, p in enumerate(positions)
    ]


def source(static_model="synthesized", seed=3, **statistics) -> SimulatedSource:
    surveyed = nodes()
    scene = draw_scene(seed, surveyed, SceneStatistics(AREA_M, **statistics))
    return SimulatedSource(scene, surveyed, GRID, static_model)


def channel_of(capture) -> np.ndarray:
    """Least-squares channel of a capture; pilots have unit modulus."""
    return capture.rx_pilots * pilot_symbols(GRID).conj()[:, None]


def assert_is_noise(samples: np.ndarray, var: float) -> None:
    """Circular white Gaussian of the given variance, within 99.9 % intervals each."""
    samples = samples.astype(complex)
    low, high = stats.chi2.ppf([TAIL, 1 - TAIL], 2 * samples.size) / (2 * samples.size)
    assert low * var < np.mean(np.abs(samples) ** 2) < high * var
    # Averages of n products of independent complex samples have deviation var / sqrt(n).
    limit = var * math.sqrt(-math.log(2 * TAIL) / samples.size)
    assert abs(np.mean(samples**2)) < math.sqrt(2) * limit  # circular: real equals imaginary
    assert abs(np.mean(samples[1:] * samples[:-1].conj())) < limit * 1.01  # over tones
    assert abs(np.mean(samples[:, 1:] * samples[:, :-1].conj())) < limit * 1.3  # over elements
    assert stats.kstest(samples.real.ravel() / math.sqrt(var / 2), "norm").pvalue > 2 * TAIL


def test_it_is_a_capture_source():
    simulated: CaptureSource = source()
    assert [node.node_id for node in simulated.nodes] == ["n0", "n1", "n2", "n3"]
    assert simulated.grid == GRID
    capture = simulated.sense("n2", ("n0",), 5)[0]
    assert (capture.tx_id, capture.rx_id) == ("n2", "n0")
    assert capture.rx_pilots.shape == (512, 3)
    assert capture.rx_pilots.dtype == np.complex64
    assert capture.waveform_hash == GRID.waveform_hash
    assert capture.num_averaged == 1
    assert capture.delay_is_absolute
    assert capture.quality.usable


@pytest.mark.parametrize("link", [(0, 1), (3, 0), (0, 3)])
def test_background_captures_are_static_channel_plus_noise(link):
    simulated = source()
    tx, rx = (simulated.nodes[n] for n in link)
    captures = [simulated.sense_background(tx.node_id, (rx.node_id,), n)[0] for n in range(20)]
    noise = np.concatenate([channel_of(c) - simulated.static_channel(*link) for c in captures])
    # The noise of node n is 3 n dB higher, by its noise figure.
    assert_is_noise(noise, channel_noise_var(tx, rx, GRID))


def test_sensing_adds_the_target_with_the_rcs_of_the_look():
    simulated = source(seed=11, mean_rcs_m2=1e4)
    scene = draw_scene(11, nodes(), SceneStatistics(AREA_M, mean_rcs_m2=1e4))
    noise = []
    for look in range(20):
        target = target_channel(scene, GRID, 1, 2, scene.target_rcs_m2(1, 2, look))
        found = channel_of(simulated.sense("n1", ("n2",), look)[0])
        noise.append(found - simulated.static_channel(1, 2) - target)
    assert_is_noise(np.concatenate(noise), channel_noise_var(nodes()[1], nodes()[2], GRID))


def test_captures_are_reproducible_and_independent():
    first = source().sense("n0", ("n1",), 4)[0].rx_pilots
    np.testing.assert_array_equal(source().sense("n0", ("n1",), 4)[0].rx_pilots, first)
    # Asking for others before changes nothing.
    busy = source()
    for look in range(3):
        busy.sense("n1", ("n2",), look)[0]
    np.testing.assert_array_equal(busy.sense("n0", ("n1",), 4)[0].rx_pilots, first)

    quiet = source(static_model="cancelled", mean_rcs_m2=1e-12)  # noise alone
    noise = [
        channel_of(quiet.sense("n0", ("n1",), 4)[0]),
        channel_of(quiet.sense("n0", ("n1",), 5)[0]),
        channel_of(quiet.sense("n1", ("n0",), 4)[0]),
        channel_of(quiet.sense("n2", ("n1",), 4)[0]),
        quiet.entry_noise("n0", "n1", 4),
        channel_of(
            source(static_model="cancelled", mean_rcs_m2=1e-12, seed=4).sense("n0", ("n1",), 4)[0]
        ),
        channel_of(quiet.sense_background("n0", ("n1",), 4)[0]) - quiet.static_channel(0, 1),
    ]
    correlation = np.abs(np.corrcoef([n.ravel() for n in noise]))[np.triu_indices(len(noise), 1)]
    # Its square is exponential with mean 1/n; 21 pairs at 1 % in all.
    limit = math.sqrt(-math.log(0.01 / len(correlation)) / noise[0].size)
    assert correlation.max() < limit


def test_cancelled_is_synthesized_without_its_static_channel():
    synthesized, cancelled = source(), source(static_model="cancelled")
    static = synthesized.static_channel(0, 1)
    difference = channel_of(synthesized.sense("n0", ("n1",), 2)[0]) - channel_of(
        cancelled.sense("n0", ("n1",), 2)[0]
    )
    # complex64: 6e-8 of the largest number at each of some five roundings
    assert np.abs(difference - static).max() <= 5e-7 * np.abs(static).max()
    # Calibration sees the static channel in either model.
    np.testing.assert_array_equal(
        synthesized.sense_background("n0", ("n1",), 2)[0].rx_pilots,
        cancelled.sense_background("n0", ("n1",), 2)[0].rx_pilots,
    )


def test_static_channel_does_not_depend_on_what_is_kept():
    simulated = source()
    links = [(tx, rx) for tx in range(4) for rx in range(4) if tx != rx]  # 12: more than it keeps
    first = {link: simulated.static_channel(*link).copy() for link in links}
    for link in links:
        np.testing.assert_array_equal(simulated.static_channel(*link), first[link])
    assert len({channel.tobytes() for channel in first.values()}) == len(links)


def test_unknown_node_is_refused():
    with pytest.raises(KeyError, match="n9"):
        source().sense("n0", ("n9",), 0)[0]


def test_survey_error_is_in_the_channel_but_not_in_the_nodes():
    surveyed = [replace(node, survey=replace(node.survey, position_std_m=1.0)) for node in nodes()]
    scene = draw_scene(3, surveyed, SceneStatistics(AREA_M))
    simulated = SimulatedSource(scene, surveyed, GRID)
    assert simulated.nodes == tuple(surveyed)
    found = simulated.static_channel(0, 1)
    perfect = source().static_channel(0, 1)
    assert np.abs(found - perfect).max() > 0.1 * np.abs(perfect).max()  # 1 m is 33 wavelengths


@pytest.mark.parametrize("num_captures", [1, 4, 70])
def test_entry_noise_is_what_the_median_leaves(num_captures):
    simulated = source()
    entries = [source(seed=seed).entry_noise("n0", "n1", num_captures) for seed in range(20)]
    var = channel_noise_var(simulated.nodes[0], simulated.nodes[1], GRID) * median_var_ratio(
        num_captures
    )
    assert entries[0].shape == (512, 3)
    assert_is_noise(np.concatenate(entries), var)


def test_complex_noise_has_its_variance():
    noise = complex_noise(np.random.default_rng(5), (4000, 4), 3.7)
    assert noise.dtype == np.complex64
    assert_is_noise(noise, 3.7)


def test_complex_noise_is_gaussian_in_both_parts():
    """Kolmogorov and Smirnov at 0.1 %, over 400,000 numbers; parts do not know of each other."""
    noise = complex_noise(np.random.default_rng(6), (100_000, 4), 2.0).ravel()
    for part in (noise.real, noise.imag, (noise.real + noise.imag) / math.sqrt(2.0)):
        assert stats.kstest(part.astype(np.float64), "norm").pvalue > 1e-3
    # Beyond four deviations: 6.3e-5 of all, 25 of 400,000
    assert 8 <= np.sum(np.abs(noise.real) > 4.0) <= 50


@pytest.mark.parametrize(
    ("num_captures", "exact"),
    # n = 1, 2: the sample and the mean of two. n = 3: 1 - sqrt(3) / pi. n = 4, 5: tables of
    # order statistics (Sarhan and Greenberg 1956).
    [(1, 1.0), (2, 0.5), (3, 0.4487), (4, 0.2982), (5, 0.2868)],
)
def test_median_variance_of_few(num_captures, exact):
    assert median_var_ratio(num_captures) == pytest.approx(exact, abs=6e-5)  # printed digits


def test_median_variance_of_three_is_known_exactly():
    assert median_var_ratio(3) == pytest.approx(1 - math.sqrt(3) / math.pi, rel=1e-6)


@pytest.mark.parametrize("num_captures", [6, 7, 24, 70])
def test_median_variance_matches_monte_carlo(num_captures):
    num_draws = 20_000
    draws = np.random.default_rng(num_captures).standard_normal((num_draws, num_captures))
    medians = np.median(draws, axis=1)
    # Medians are near Gaussian: their squares add up to a chi-square.
    low, high = stats.chi2.ppf([TAIL, 1 - TAIL], num_draws) / np.sum(medians**2)
    assert 1 / high < median_var_ratio(num_captures) < 1 / low


def test_median_variance_of_many_tends_to_pi_over_2n():
    # The next order is 1 - (4 - pi) / (2 n), 0.2 % at 201; an even number does as well as the
    # odd one above it, which is another 1/n. The sum behind an even number is good to 5e-4.
    assert median_var_ratio(201) == pytest.approx(math.pi / (2 * 201) * 0.99786, rel=1e-4)
    assert median_var_ratio(200) == pytest.approx(median_var_ratio(201), rel=5e-4)
