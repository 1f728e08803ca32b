"""Covariances of positions along an ellipse of delays, which is bent."""

from dataclasses import replace

import numpy as np
import pytest

from fusion.measurement import Measurement
from fusion.wls import WlsProblem
from tests.unit.fusion.halls import C_M_PER_S, hypothesis_at, make_node
from tests.unit.fusion.test_wls import SINE_PERIOD, TARGET_M, measurements


@pytest.mark.parametrize("bearing", ["sine", "angle"])
def test_a_covariance_knows_that_an_ellipse_of_delays_bends(bearing):
    """A monostatic range of 70 m to 2 cm, its bearing to 6 degrees: an arc of a circle."""
    tx, rx = make_node("tx", (60.0, 20.0)), make_node("r0", (60.0, 20.0), 0.48, 8)
    exact = hypothesis_at(tx, rx, rx.pose.position + 70.0 * np.array([0.8, 0.6]), 1e3)
    coarse = replace(exact, delay_var_s2=(0.02 / C_M_PER_S) ** 2, sine_var=0.1**2)
    problem = WlsProblem([Measurement(tx, rx, coarse, SINE_PERIOD)], bearing)
    solution = problem.solve(rx.pose.position + np.array([56.0, 42.0]))
    bent = problem.bent(solution.position_m, solution.covariance_m2)
    along_m = np.sqrt(np.linalg.eigvalsh(solution.covariance_m2)[1])
    assert np.linalg.eigvalsh(bent)[1] == pytest.approx(along_m**2, rel=1e-3)
    # By u along it a circle bends by u^2 / 2 R; its mean square is three times that of u = 1 std.
    sag_m = np.sqrt(np.linalg.eigvalsh(bent)[0])
    assert sag_m == pytest.approx(np.sqrt(3.0) * along_m**2 / 140.0, rel=0.05)


def test_a_bend_takes_nothing_from_short_axes_and_is_never_longer_than_the_axis():
    problem = WlsProblem(measurements())
    solution = problem.solve(TARGET_M)
    np.testing.assert_allclose(
        problem.bent(solution.position_m, solution.covariance_m2), solution.covariance_m2, rtol=1e-3
    )
    far_m2 = np.diag([1.0, 1e4])
    assert np.linalg.eigvalsh(problem.bent(TARGET_M, far_m2))[0] < 3.1 * 1e4
