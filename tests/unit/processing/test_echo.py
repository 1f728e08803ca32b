"""Inner products from sums over sub-bands, and what follows from them, are those of the waves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.waveform import OfdmGrid
from processing.alignment import Alignment, alignment_of, shifted
from processing.near_background import NearBackground
from processing.near_residual import NearResidual
from processing.remainder import remainder, remainder_again
from processing.report import Hypothesis
from processing.waves import waves_between
from tests.unit.processing.echoes import (
    CELL_S,
    GRID,
    echo,
    half_wavelength_array,
    remainder_of,
    unit_noise,
)

GROUPS = ((0, 1), (2, 3, 4))
ARRAY = half_wavelength_array(5)


def wave(delay_s: float, sine: float) -> np.ndarray:
    """Plane wave of amplitude one, shape ``(K, M)``."""
    late_s = delay_s + ARRAY.element_delay_s(sine)
    return np.exp(-2j * np.pi * GRID.frequency_hz[:, None] * late_s)


def background(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    paths = [
        echo(rng.uniform(35.0, 60.0) * CELL_S, rng.uniform(-0.9, 0.9), ARRAY, 60.0)
        * np.exp(2j * np.pi * rng.uniform())
        for _ in range(5)
    ]
    return np.sum(paths, axis=0).astype(np.complex64)


@given(cells=st.floats(38.0, 50.0), off=st.floats(-0.5, 0.5), sine=st.floats(-0.95, 0.95))
def test_products_are_those_of_all_tones(cells, off, sine):
    """Of wave and derivatives with residual, background and slope, within half a cell."""
    near = NearBackground(background(), GRID, ARRAY, GROUPS)
    residual = unit_noise(np.random.default_rng(1), ARRAY).astype(np.complex64)
    delay_s = (cells + off) * CELL_S
    found = near.banded(cells * CELL_S, near.sums(residual)).at(delay_s, sine)

    own = wave(delay_s, sine)
    turn = -2j * np.pi * GRID.carrier_hz * ARRAY.element_delay_s(1.0)
    literal = (own, -2j * np.pi * GRID.offset_hz[:, None] * own, turn * own)
    for row, derivative in enumerate(literal):
        norm = np.linalg.norm(derivative)
        assert found.energy[row] == pytest.approx(norm**2, rel=2e-3)
        # Noise inside a sub-band is taken at its middle: 1/32 of a deviation, five times.
        products = derivative.conj() * residual
        assert abs(found.residual[row] - products.sum()) < 5.0 / 32.0 * norm
        for column, channel in enumerate((near.background, near.slope)):
            for group, members in enumerate(GROUPS):
                exact = np.sum((derivative.conj() * channel)[:, list(members)])
                most = 0.01 * norm * np.linalg.norm(channel[:, list(members)])
                assert abs(found.columns[row, column, group] - exact) < most


def test_waves_are_held_against_each_other():
    places = [(40.2 * CELL_S, 0.3), (40.7 * CELL_S, -0.2), (55.0 * CELL_S, 0.3)]
    waves = np.array([wave(*at).ravel() for at in places])
    found = waves_between(places, GRID, ARRAY)
    np.testing.assert_allclose(found, waves.conj() @ waves.T, atol=1e-6 * waves.shape[1])


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("groups", [(), GROUPS])
def test_leaving_an_echo_out_finds_the_alignment_without_it(seed, groups):
    """What is left of the pull is of second order: under 3 % of it."""
    rng = np.random.default_rng(seed)
    own = background(seed)
    delay_s, sine = rng.uniform(40.0, 55.0) * CELL_S, rng.uniform(-0.8, 0.8)
    target = echo(delay_s, sine, ARRAY, 40.0) * np.exp(2j * np.pi * rng.uniform())
    capture = (own + target).astype(np.complex64)

    lay = alignment_of(capture, own, GRID, groups)  # the echo has pulled at it
    left = remainder(capture, own, GRID, lay)
    near = NearBackground(own, GRID, ARRAY, groups)
    hypothesis = Hypothesis(delay_s, 1e-24, sine, 1e-8, 1e4)
    still = NearResidual(near, left).realignment([hypothesis])
    pulled = np.abs(lay.gain - 1.0).max()
    assert pulled > 1e-4
    assert np.abs(lay.gain * still.gain - 1.0).max() < 0.03 * pulled
    total_s = lay.delay_s + still.delay_s
    assert np.abs(total_s).max() < 0.03 * np.abs(lay.delay_s).max() + 1e-5 * CELL_S


@pytest.mark.parametrize("num_tones", [1, 63, 64, 65, 300])
def test_a_remainder_is_what_is_left_with_its_products(num_tones):
    grid = OfdmGrid(5.8e9, 30e3, num_tones)
    rng = np.random.default_rng(num_tones)
    channel, own = (
        rng.standard_normal((num_tones, 3, 2)).astype(np.float32).view(np.complex64)[..., 0]
        for _ in range(2)
    )
    lay = Alignment(np.array([1.0, 2.0, -0.5j]), np.array([0.0, 3e-9, -40e-9]))
    left = remainder(channel, own, grid, lay)
    literal = shifted(channel, grid, -lay.delay_s) / lay.gain - own
    np.testing.assert_allclose(left.residual, literal, atol=2e-5)
    again = remainder_again(channel - own, own, grid, lay)
    np.testing.assert_allclose(again.residual, literal, atol=2e-5)
    expected = remainder_of(literal, own).likeness
    for found in (left, again):
        np.testing.assert_allclose(found.likeness, expected, atol=1e-4 * num_tones**1.5)
