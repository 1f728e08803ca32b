"""Least-squares channel and background suppression; eqs. (2) and (9)."""

import numpy as np
import pytest

from drivers.waveform import OfdmGrid, pilot_symbols
from processing.channel import channel_estimate, suppress_background


def test_estimate_takes_the_pilots_away():
    rng = np.random.default_rng(1)
    channel = rng.standard_normal((33, 4)) + 1j * rng.standard_normal((33, 4))
    pilots = pilot_symbols(OfdmGrid(10e9, 15e3, 33))
    found = channel_estimate(pilots[:, None] * channel, pilots)
    # pilots are complex64: 6e-8 each, and their squared modulus twice that
    np.testing.assert_allclose(found, channel, rtol=5e-7)


def test_background_is_subtracted():
    channel = np.array([[3 + 1j, 2.0], [1.0, -1j]])
    background = np.array([[1 + 1j, 2.0], [0.5, 1j]])
    np.testing.assert_array_equal(
        suppress_background(channel, background), [[2.0, 0.0], [0.5, -2j]]
    )


def test_without_background_the_channel_stays():
    channel = np.ones((3, 2), dtype=complex)
    np.testing.assert_array_equal(suppress_background(channel, None), channel)


@pytest.mark.parametrize("shape", [(8, 3), (7, 4), (8, 1), (1, 4), (8,)])
def test_background_of_another_shape_is_refused(shape):
    # Shapes that NumPy would broadcast without a word are refused as well.
    with pytest.raises(ValueError, match="calibrate this link again") as raised:
        suppress_background(np.zeros((8, 4), complex), np.zeros(shape, complex))
    assert str(shape) in str(raised.value)
    assert "(8, 4)" in str(raised.value)
