"""A background is placed by its direct path or by common time, the surest first."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from calibration.array_response import ArrayResponse, ideal_response
from calibration.background import BackgroundLearner
from calibration.direct_path import direct_path_channel
from calibration.node_calibration import NodeCalibration
from calibration.placing import expected_delay_var_s2, place_background
from drivers.node_errors import survey_errors
from processing.alignment import align, shifted
from tests.unit.calibration.links import AWAY, GRID, RX, TX, link_in_a_hall, white_noise

NODES = (TX, RX)
TRUTH = direct_path_channel(TX, RX, GRID)
AHEAD_S = {"tx": 10e-9, "rx": 35e-9}  # the receiver counts 25 ns too much
GAIN = np.array([1.1, 0.9j, -1.0, 0.8 - 0.3j])
DELAY_S = np.array([0.4e-9, -0.2e-9, 0.3e-9, -0.5e-9])


def calibration(**fields) -> NodeCalibration:
    known = NodeCalibration(
        nodes=NODES, errors=survey_errors(NODES),
        responses={"tx": ideal_response(4), "rx": ArrayResponse(GAIN, DELAY_S)},
        time_s=AHEAD_S, epochs={("tx", "rx"): 3},
        power_db={"tx": (0.0, 0.0), "rx": (0.0, 0.0)}, range_scale=1.0, sine_scale=1.0,
    )  # fmt: skip
    return replace(known, **fields)


def assert_is(channel, wanted, tolerance=1e-5):
    np.testing.assert_allclose(channel, wanted, rtol=0.0, atol=tolerance * np.abs(wanted).max())


@pytest.mark.parametrize("delay_s", [0.0, 4e-9, -300e-9])
@pytest.mark.parametrize("gain", [1.0, 0.02j, -37.0])
def test_without_common_time_the_direct_path_says_how_late_it_is(delay_s, gain):
    placed = place_background(
        (shifted(TRUTH, GRID, delay_s) * gain).astype(np.complex64), TX, RX, GRID, time_var_s2=None
    )
    assert_is(placed.channel, TRUTH * gain)
    assert (placed.delay_is_absolute, placed.on_direct_path) == (True, True)
    assert 0.0 < placed.delay_var_s2 < (1e-9) ** 2
    assert placed.response is None


def test_out_of_view_or_drowned_there_is_nothing_to_place_on():
    away = direct_path_channel(TX, AWAY, GRID)
    rng = np.random.default_rng(0)
    noise = white_noise(TRUTH.shape, 30.0 * float(np.abs(TRUTH).mean()), rng)
    for rx, channel in ((AWAY, away), (RX, (TRUTH + noise).astype(np.complex64))):
        placed = place_background(channel, TX, rx, GRID, time_var_s2=None)
        assert (placed.delay_is_absolute, placed.on_direct_path) == (False, False)
        # brought to where echoes are looked for: to a cell, its first path as early as can be
        _, lay = align(placed.channel, TRUTH, GRID)
        assert abs(lay.delay_s[0]) < 1.5 / GRID.bandwidth_hz or rx is RX
        timed = place_background(channel, TX, rx, GRID, time_var_s2=1e-18)
        assert (timed.delay_is_absolute, timed.on_direct_path) == (True, False)
        assert timed.delay_var_s2 == 1e-18
        assert_is(timed.channel, channel, 0.0)


def test_the_surer_of_common_time_and_direct_path_counts():
    late = shifted(TRUTH, GRID, 4e-9)
    by_path = place_background(late, TX, RX, GRID, time_var_s2=None)
    rough = place_background(late, TX, RX, GRID, time_var_s2=2.0 * by_path.delay_var_s2)
    assert rough.on_direct_path
    assert rough.delay_var_s2 == by_path.delay_var_s2
    sure = place_background(late, TX, RX, GRID, time_var_s2=0.5 * by_path.delay_var_s2)
    assert (sure.delay_is_absolute, sure.on_direct_path) == (True, False)
    assert sure.delay_var_s2 == 0.5 * by_path.delay_var_s2
    assert_is(sure.channel, late, 0.0)
    exact = place_background(late, TX, RX, GRID, time_var_s2=0.0)
    assert (exact.delay_is_absolute, exact.on_direct_path) == (True, False)
    assert exact.delay_var_s2 == 0.0
    assert_is(exact.channel, late, 0.0)


def as_heard() -> np.ndarray:
    """The link as an array with errors hears it, by clocks that are ahead."""
    late_s = AHEAD_S["rx"] - AHEAD_S["tx"]
    return (shifted(TRUTH, GRID, DELAY_S + late_s) * GAIN).astype(np.complex64)


def test_calibrated_elements_are_taken_out():
    by_scale = [
        place_background(
            as_heard(), TX, RX, GRID, time_var_s2=None, calibration=calibration(range_scale=scale)
        )
        for scale in (1.0, 1.5)
    ]
    for placed in by_scale:
        assert_is(placed.channel, TRUTH, 1e-3)
        assert (placed.delay_is_absolute, placed.on_direct_path) == (True, True)
        response = np.exp(-2j * np.pi * GRID.offset_hz[:, None] * DELAY_S) * GAIN
        assert_is(placed.response, response)
    assert by_scale[1].delay_var_s2 == pytest.approx(1.5**2 * by_scale[0].delay_var_s2)


def test_in_halls_the_stated_variance_is_honest():
    """As of `find_direct_path`: one error in ten at most exceeds two standard deviations."""
    beyond, count = 0, 40
    for seed in range(1000, 1000 + count):
        tx, rx, channel = link_in_a_hall(seed)
        entry = shifted(channel, GRID, 30e-9).astype(np.complex64)
        placed = place_background(entry, tx, rx, GRID, time_var_s2=None)
        assert placed.on_direct_path
        _, lay = align(placed.channel, channel, GRID)
        beyond += abs(lay.delay_s[0]) > 2.0 * np.sqrt(placed.delay_var_s2)
    assert stats.binomtest(int(beyond), count, 0.1, "greater").pvalue > 0.001, beyond


def test_what_may_be_expected_is_finite_where_the_direct_path_is_in_view():
    assert 0.0 < expected_delay_var_s2(TX, RX, GRID) < (0.1 / GRID.bandwidth_hz) ** 2
    assert expected_delay_var_s2(TX, AWAY, GRID) == np.inf


def captures(count: int, seed: int) -> list[np.ndarray]:
    """The same background under another phase, delay and gain each time, and noise."""
    rng = np.random.default_rng(seed)
    truth = TRUTH
    for delay_s in rng.uniform(5e-9, 200e-9, 8):
        truth = truth + 0.2 * np.exp(2j * np.pi * rng.uniform()) * shifted(TRUTH, GRID, delay_s)
    noise = 1e-2 * float(np.abs(truth).mean())
    found = []
    for _ in range(count):
        gain = np.exp(rng.normal(0.0, 0.1) + 2j * np.pi * rng.uniform())
        capture = shifted(truth, GRID, rng.uniform(-100e-9, 100e-9)) * gain
        found.append((capture + white_noise(truth.shape, noise, rng)).astype(np.complex64))
    return found


def test_captures_of_radios_that_share_nothing_are_learned_from():
    """Suppression of a fresh capture: to its noise with alignment, hardly at all without."""
    *taken, fresh = captures(13, 2)
    suppressed_db = {}
    for grid in (GRID, None):
        learner = BackgroundLearner(len(taken), grid)
        for capture in taken:
            learner.add(capture)
        entry = learner.entry()
        aligned = align(fresh, entry, GRID)[0] if grid else fresh
        left = np.mean(np.abs(aligned - entry) ** 2) / np.mean(np.abs(entry) ** 2)
        suppressed_db[grid] = -10.0 * np.log10(left)
    assert suppressed_db[GRID] > 34.0  # noise is 37 dB down, and the entry has some of its own
    assert suppressed_db[None] < 3.0
