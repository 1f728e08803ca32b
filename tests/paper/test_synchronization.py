"""Clock, carrier and time that nobody knows cost less than a decibel, direct path or not.

All grids and SNRs: ``python -m tests.paper.synchronization``.
"""

import math

import numpy as np
import pytest
from scipy import stats

from drivers.grids import preset_burst
from tests.paper.synchronization import NUM_SYMBOLS, draw_link, error_power, outcomes, perfect

PLUTO = preset_burst("pluto_20mhz", 5.8e9, num_symbols=NUM_SYMBOLS)
E320 = preset_burst("e320_50mhz", 10e9, num_symbols=NUM_SYMBOLS)
CASES = [(PLUTO, 4), (E320, 1)]  # and how many draws


@pytest.mark.parametrize("direct", [True, False])
@pytest.mark.parametrize(("burst", "num_draws"), CASES, ids=["pluto_20mhz", "e320_50mhz"])
def test_synchronization_costs_less_than_a_decibel(burst, num_draws, direct):
    snrs_db = (-10.0, 40.0)
    rows = outcomes(burst, snrs_db, num_draws, direct=direct)
    for snr_db, row in zip(snrs_db, rows, strict=True):
        assert max(one.loss_db for one in row) < 1.0, "infinite where a burst was missed"
        # What the report says: offset to a fiftieth of a subcarrier, SNR as its noise allows.
        step_ppm = burst.grid.subcarrier_spacing_hz / burst.local_oscillator_hz * 1e6
        assert all(one.clock_error_ppm < 0.02 * step_ppm for one in row)
        limit_db = 3.0 if snr_db < 0.0 else 0.5
        assert all(abs(one.snr_error_db) < limit_db for one in row)


@pytest.mark.parametrize("direct", [True, False])
def test_the_yardstick_itself(direct):
    """A receiver that knows everything gets the channel, and noise of the known variance."""
    tones = PLUTO.grid.num_subcarriers - 1
    noise, count = 0.0, 0
    for seed in range(4):
        draw = draw_link(PLUTO, 2, np.random.default_rng(seed), direct=direct)
        found = perfect(draw, draw.signal, draw.first)
        # windows are whole samples of the receiver, so tones are a little less than orthogonal
        assert error_power(PLUTO, found, draw.channel) < 1e-5
        alone = np.delete(perfect(draw, draw.noise, draw.first), PLUTO.null_index, axis=0)
        noise += float(np.sum(np.abs(alone) ** 2)) * NUM_SYMBOLS
        count += 2 * tones
    low, high = stats.chi2.ppf([0.0005, 0.9995], 2 * count) / 2
    assert low < noise < high
    assert math.isclose(np.mean(np.abs(np.delete(draw.channel, PLUTO.null_index, 0)) ** 2), 1.0)
