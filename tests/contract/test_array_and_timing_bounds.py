"""Errors embedded in arrays and clocks come back nearly as well as the Cramér–Rao bound allows.

Phases are up to 180 degrees off, gains up to 3 dB, delays up to 2 ns an element, clocks up to
100 ns; boresight and spacing are unknown as well. There is noise and no clutter, which is another
matter (decision 12). `python -m tests.paper.array_calibration` prints the full tables.
"""

import math

import numpy as np
import pytest

from tests.contract.embedded_arrays import GRIDS, Bench
from tests.contract.embedded_times import Network
from tests.contract.embedding import accuracies

SNR_DB = 30.0  # of a tone
LARGEST_RATIO = 1.2
# Ends of 95 % intervals
LOW, HIGH = 0.025, 0.975


def bench(seed: int, bandwidth_mhz: int, num_elements: int) -> Bench:
    return Bench(
        seed, GRIDS[bandwidth_mhz], num_elements, SNR_DB, boresight_std_rad=math.radians(2.0),
        spacing_std=0.01,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("bandwidth_mhz", "num_elements", "num_draws"), [(20, 4, 160), (20, 8, 60), (40, 8, 60)]
)
def test_arrays_come_back_to_the_bound(bandwidth_mhz, num_elements, num_draws):
    found = accuracies(lambda seed: bench(seed, bandwidth_mhz, num_elements), range(num_draws))
    for kind in ("phase", "gain", "delay"):
        accuracy = found[kind]
        assert accuracy.whitened_rms * accuracy.widened(HIGH) < LARGEST_RATIO, kind
        # better than the bound by more than chance: then the bound is not that of this truth
        assert accuracy.whitened_rms * accuracy.widened(HIGH) > 1.0, kind
    # one number a draw: these draws can only show that it is not clearly worse
    for kind in ("boresight", "spacing"):
        assert found[kind].ratio * found[kind].widened(LOW) < LARGEST_RATIO, kind
    limits = {"phase": math.radians(1.0), "gain": 0.1 * math.log(10.0) / 20.0, "delay": 20e-12}
    for kind, limit in limits.items():
        assert found[kind].rmse * found[kind].widened(HIGH) < limit, kind


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(("bandwidth_mhz", "num_nodes"), [(20, 5), (40, 6), (20, 4)])
def test_times_come_back_to_the_bound(bandwidth_mhz, num_nodes):
    def network(seed: int) -> Network:
        return Network(seed, GRIDS[bandwidth_mhz], num_nodes, SNR_DB, num_elements=1)

    accuracy = accuracies(network, range(900 // (num_nodes - 1)))["time"]
    assert 1.0 < accuracy.whitened_rms * accuracy.widened(HIGH) < LARGEST_RATIO
    assert accuracy.rmse * accuracy.widened(HIGH) < 20e-12


def test_the_bound_of_a_known_pose_is_that_of_the_elements_means_over_links():
    """The closed form of the docstring, against the information's inverse."""
    case = Bench(1, GRIDS[20], 8, SNR_DB)
    alone = 1.0 / (2 * 334 * 6 * 1e3 * np.abs(case.elements.gain) ** 2)
    expected = (1 - 2 / 8) * alone + alone.mean() / 8
    bound = case.bound()
    np.testing.assert_allclose(np.diag(bound["phase"]), expected, rtol=1e-9)
    np.testing.assert_allclose(np.diag(bound["gain"]), expected, rtol=1e-9)
    delay = np.diag(bound["delay"]) * (2 * np.pi * case.grid.rms_bandwidth_hz) ** 2
    np.testing.assert_allclose(delay, expected, rtol=1e-9)


def test_unknown_spacing_that_nobody_allows_for_stays():
    """With no variance of it given, the spacing is taken as built."""
    allowed_for = bench(2, 40, 4)
    taken = Bench(2, GRIDS[40], 4, SNR_DB, boresight_std_rad=math.radians(2.0))
    allowed_for.spacing = taken.spacing = 0.02
    told, left = (b.errors(b.calibrated())["spacing"][0] for b in (allowed_for, taken))
    assert abs(told) < 1e-3
    assert left == pytest.approx(-0.02)
