"""What alignment leaves of an echo: the values of the notes, and of a projection done by hand."""

import numpy as np
import pytest

from drivers.array import UniformLinearArray
from drivers.waveform import OfdmGrid
from processing.accuracy import shares_left
from processing.near_background import NearBackground
from processing.report import Hypothesis
from tests.unit.processing.echoes import CELL_S, GRID, echo, half_wavelength_array


@pytest.mark.parametrize(
    ("cells", "left_db"), [(0.1, -17.0), (0.25, -9.6), (0.5, -4.2), (1.0, -0.6)]
)
def test_one_element_loses_what_a_projection_of_its_waves_says(cells, left_db):
    # calculated once from the waves themselves; the closed form is of a mean over phases
    assert 10.0 * np.log10(float(shares_left(cells, 0.0, 1)[0])) == pytest.approx(left_db, abs=1.0)


def test_elements_tell_what_one_does_not():
    assert float(shares_left(0.0, 0.0, 8)[0]) == pytest.approx(0.0, abs=1e-3)
    assert float(shares_left(0.0, 1.0, 8)[0]) == pytest.approx(1.0, abs=1e-9)  # a null of the beam
    assert np.all(np.diff(shares_left(np.linspace(0.0, 1.0, 9), 0.3, 8)[0]) > 0.0)


def hypothesis(delay_s: float, array: UniformLinearArray) -> Hypothesis:
    sine = (0.3, 1e-8) if array.num_elements > 1 else (None, None)
    return Hypothesis(delay_s, 1e-20, *sine, 1e3)


@pytest.mark.parametrize("num_elements", [1, 4])
def test_bounds_grow_beside_the_background_and_only_there(num_elements):
    array = half_wavelength_array(num_elements)
    background = NearBackground(echo(40.0 * CELL_S, 0.3, array, 60.0), GRID, array, ())
    far, _ = background.bounded(hypothesis(70.0 * CELL_S, array))
    near, share = background.bounded(hypothesis(40.3 * CELL_S, array))
    assert far.delay_var_s2 == pytest.approx(1e-20, rel=0.02)
    assert near.delay_var_s2 > 5e-20
    assert share < 0.3


def test_each_group_of_coherent_elements_has_unknowns_of_its_own():
    grid = OfdmGrid(5.8e9, 30e3, 300)
    background = np.ones((300, 2), dtype=np.complex64)
    near = NearBackground(background, grid, half_wavelength_array(2, grid), ((0,), (1,)))
    assert near.energy == pytest.approx([300.0, 300.0])
    # the slope holds nothing that a gain does
    alike = np.sum(near.background.conj() * near.slope, axis=0)
    assert np.abs(alike).max() < 1e-3 * 300.0
