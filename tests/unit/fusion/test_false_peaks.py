"""How often noise alone makes a refined peak: the belief's formula against noise maps."""

import math

import numpy as np
import pytest
from scipy import stats

from drivers.array import UniformLinearArray
from drivers.capture import Capture
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.pipeline import LinkProcessor
from processing.search import ProcessingSettings
from sim_backend.source import complex_noise

GRID = OfdmGrid(carrier_hz=10e9, subcarrier_spacing_hz=400e3, num_subcarriers=256)
CELL_S = 1 / GRID.bandwidth_hz
NUM_DELAY_CELLS = 30


def false_levels(num_elements: int, num_maps: int) -> np.ndarray:
    """Matched power over the noise's of all hypotheses that unit noise causes.

    A report's SNR has one noise power less. Its floor is estimated from a few hundred cells, which
    would blur the level: the true floor, which the formula is about, is put back.
    """
    array = UniformLinearArray(num_elements, GRID.wavelength_m / 2)
    # Low thresholds, so that the levels of the test are clear of what the detector cuts off.
    settings = ProcessingSettings(
        false_alarm_probability=1e-2, max_hypotheses=100, delay_oversampling=2
    )
    link = LinkProcessor(GRID, array, (NUM_DELAY_CELLS + 10) * CELL_S, settings)
    limits_s = 5 * CELL_S, (5 + NUM_DELAY_CELLS) * CELL_S
    rng = np.random.default_rng(num_elements)
    levels = []
    for _ in range(num_maps):
        noise = complex_noise(rng, (GRID.num_subcarriers, num_elements), 1.0)
        pilots = pilot_symbols(GRID)[:, None]
        capture = Capture("tx", "rx", pilots * noise, 1, GRID.waveform_hash)
        report = link.report(capture, None, sensing_index=0, delay_limits_s=limits_s)
        levels += [
            (hypothesis.snr + 1.0) * report.noise_var
            for hypothesis in report.hypotheses
            if limits_s[0] <= hypothesis.delay_s < limits_s[1]
        ]
    return np.array(levels)


@pytest.mark.parametrize(("num_elements", "num_maps"), [(1, 2000), (4, 400)])
def test_false_peaks_are_as_many_as_the_formula_says(num_elements, num_maps):
    levels = false_levels(num_elements, num_maps)
    for level in (7.5, 8.5):
        count = int(np.sum(levels > level))
        if num_elements == 1:
            density = math.sqrt(math.pi * level / 3) * math.exp(-level)
        else:
            density = num_elements * math.pi / 6 * (2 * level - 1) * math.exp(-level)
        expected = density * NUM_DELAY_CELLS * num_maps
        assert expected > 30  # so that chance is within the factor
        # Exact 99.9 % interval of a Poisson mean, against the formula within a factor of 1.5
        # (suppression of neighbours, a detector that wants more where its training is high).
        low = stats.chi2.ppf(0.0005, 2 * count) / 2
        high = stats.chi2.ppf(0.9995, 2 * count + 2) / 2
        assert low < 1.5 * expected
        assert high > expected / 1.5
        assert expected / 1.8 < count < 1.8 * expected  # an offset of one in level is a factor e
