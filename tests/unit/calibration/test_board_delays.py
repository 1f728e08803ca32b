"""Arrays of two boards, each with a phase and a time of its own, among scatterers."""

import numpy as np
import pytest

from calibration.array_response import array_response
from processing.alignment import shifted
from tests.paper.direct_paths import root_mean_square
from tests.unit.calibration.test_array_response import GRID, hall, windows_of

BOARDS = ((0, 1), (2, 3))
LATE_S = 20e-9


@pytest.fixture(scope="module")
def found():
    """Of three nodes in each of 12 halls: the second board's delay and turn, and the response."""
    rng = np.random.default_rng(7)
    responses = []
    for seed in range(12):
        nodes, channel_of = hall(seed, 4)
        for rx in range(3):
            late_s, turn = rng.uniform(-LATE_S, LATE_S), np.exp(2j * np.pi * rng.random())
            late = np.repeat([0.0, late_s], 2), np.repeat([1.0, turn], 2)

            def as_heard(tx, rx, late=late, channel_of=channel_of):
                return shifted(channel_of(tx, rx), GRID, *late)

            response = array_response(windows_of(rx, nodes, as_heard), BOARDS)
            responses.append((late_s, turn, response))
    return responses


def test_boards_are_known_to_a_hundredth_of_a_cell(found):
    """A cell is 25 ns; by elements one by one, whatever scatters beside, they are 0.6 ns off."""
    errors_s = [response.delay_s[2:].mean() - late_s for late_s, _, response in found]
    assert root_mean_square(errors_s) < 0.35e-9


def test_the_time_is_that_of_the_first_board(found):
    for _, _, response in found:
        np.testing.assert_allclose(response.delay_s[:2].mean(), 0.0, atol=1e-13)


def test_elements_of_a_board_are_late_together(found):
    """They are: what scatterers pull each of them by is no delay of theirs."""
    apart_s = [response.delay_s[[1, 3]] - response.delay_s[[0, 2]] for _, _, response in found]
    assert root_mean_square(np.ravel(apart_s)) < 0.5e-9


def test_elements_are_drawn_to_ideal_beside_their_board_s_phase(found):
    """These are ideal. With boards' phases taken for the elements' they are 0.058 off."""
    off = []
    for _, turn, response in found:
        gain = (response.gain * np.repeat([1.0, np.conj(turn)], 2)).reshape(2, 2)
        off.append(np.mean(np.abs(gain / gain.mean(axis=1, keepdims=True) - 1.0) ** 2))
        assert response.error_var < 0.3
    assert np.sqrt(np.mean(off)) < 0.054
