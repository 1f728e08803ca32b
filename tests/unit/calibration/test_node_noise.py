"""Noise figures of receivers as measured, whatever their captures average."""

import numpy as np
import pytest

from calibration.direct_path import direct_path_channel
from calibration.node_calibration import NodeCalibrator
from drivers.capture import Capture
from drivers.link_budget import channel_noise_var
from drivers.waveform import pilot_symbols
from tests.unit.calibration.links import GRID, RX, TX, white_noise


def sounding(rng: np.random.Generator, num_averaged: int, noisier_db: float) -> Capture:
    """The direct path alone, by a receiver noisier than it is said to be."""
    noise_var = channel_noise_var(TX, RX, GRID) * 10.0 ** (noisier_db / 10.0) / num_averaged
    channel = direct_path_channel(TX, RX, GRID)
    heard = channel + white_noise(channel.shape, np.sqrt(noise_var / 2.0), rng)
    pilots = (heard * pilot_symbols(GRID)[:, None]).astype(np.complex64)
    return Capture("tx", "rx", pilots, num_averaged, GRID.waveform_hash)


@pytest.mark.parametrize("num_averaged", [1, 8])
@pytest.mark.parametrize("noisier_db", [0.0, 4.0])
def test_a_noise_figure_is_that_of_one_symbol(num_averaged, noisier_db):
    rng = np.random.default_rng(3)
    calibrator = NodeCalibrator([TX, RX], GRID)
    assert calibrator.add(sounding(rng, num_averaged, noisier_db))
    calibrator.add_pair(*(sounding(rng, num_averaged, noisier_db) for _ in range(2)))
    found = calibrator.solved().node("rx")
    # 334 tones and four elements: a variance to 0.12 dB
    assert found.noise_figure_db == pytest.approx(RX.noise_figure_db + noisier_db, abs=0.5)
