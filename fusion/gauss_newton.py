"""Gauss-Newton on the measurements of P1, a row each, ranges first, compiled: see `fusion.wls`."""

import numpy as np
from numpy.typing import NDArray

from drivers.compiled import compiled
from drivers.geometry import FloatArray

# What a row holds: where transmitter and receiver stand, what was measured (metres, sine, radians),
# its noise's variance, the standard deviation of what all looks at its link share, whether its
# delay counts from the direct path; of bearings, boresight and the sine's period.
TX_X, TX_Y, RX_X, RX_Y, MEASURED, NOISE_VAR, SHARED_STD, DIRECT_PATH, BORESIGHT, PERIOD = range(10)

# A node's errors in the order of `drivers.node_errors`, as a test checks, and their number.
X_M, Y_M, BORESIGHT_RAD, SINE, SPACING, TIME_M, NUM_ERRORS = range(7)

IndexArray = NDArray[np.intp]
# Rows ``(R, 10)``; how many are ranges; whether bearings are sines, or angles; which nodes send and
# listen, ``(R, 2)``; the nodes' joint covariance ``(6 N, 6 N)``; whether rows are correlated.
Problem = tuple[FloatArray, int, bool, IndexArray, FloatArray, bool]

_MAX_HALVINGS = 8
# A direction whose singular value is this much smaller than the other's takes no step.
_LEAST_SINGULAR = 1e-9
# A direction with less information than this is undetermined: a standard deviation of 1000 km.
_MIN_INFORMATION_PER_M2 = 1e-12
# `drivers.node_errors.leg_sensitivity`: a target at a node.
_LEAST_LEG_M = 1e-9


@compiled
def _wrapped(angle_rad: float) -> float:
    """As `drivers.geometry.wrap_angle`."""
    wrapped = (angle_rad + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped if wrapped < np.pi else -np.pi


@compiled
def residuals(problem: Problem, x: float, y: float) -> FloatArray:
    """Measured minus predicted, shape ``(R,)``, eqs. (4) and (5): metres, then sines or radians."""
    rows, num_ranges, sines = problem[:3]
    left = np.empty(len(rows))
    for r in range(len(rows)):
        row = rows[r]
        rx_x, rx_y = x - row[RX_X], y - row[RX_Y]
        if r < num_ranges:
            tx_x, tx_y = x - row[TX_X], y - row[TX_Y]
            predicted_m = np.sqrt(tx_x * tx_x + tx_y * tx_y) + np.sqrt(rx_x * rx_x + rx_y * rx_y)
            left[r] = row[MEASURED] - predicted_m
        else:
            angle = np.arctan2(rx_y, rx_x) - row[BORESIGHT]
            if sines:
                half = row[PERIOD] / 2.0
                left[r] = (row[MEASURED] - np.sin(angle) + half) % row[PERIOD] - half
            else:
                left[r] = _wrapped(row[MEASURED] - angle)
    return left


@compiled
def gradients(problem: Problem, x: float, y: float) -> FloatArray:
    """Gradient of the predictions, shape ``(R, 2)``; eqs. (15) and (16). Zero at a node."""
    rows, num_ranges, sines = problem[:3]
    slope = np.empty((len(rows), 2))
    for r in range(len(rows)):
        row = rows[r]
        rx_x, rx_y = x - row[RX_X], y - row[RX_Y]
        square = rx_x * rx_x + rx_y * rx_y
        if r < num_ranges:
            tx_x, tx_y = x - row[TX_X], y - row[TX_Y]
            tx_leg_m, rx_leg_m = np.sqrt(tx_x * tx_x + tx_y * tx_y), np.sqrt(square)
            slope[r, 0] = tx_x / tx_leg_m + rx_x / rx_leg_m
            slope[r, 1] = tx_y / tx_leg_m + rx_y / rx_leg_m
        else:
            turn = np.cos(np.arctan2(rx_y, rx_x) - row[BORESIGHT]) if sines else 1.0
            slope[r, 0] = -rx_y / square * turn
            slope[r, 1] = rx_x / square * turn
        for axis in range(2):
            if np.isnan(slope[r, axis]):
                slope[r, axis] = 0.0
    return slope


@compiled
def _add_leg(errors: FloatArray, sign: float, from_x: float, from_y: float) -> None:
    """Add the derivative of a leg from a node to a point so far off by the node's errors."""
    length_m = max(np.sqrt(from_x * from_x + from_y * from_y), _LEAST_LEG_M)
    errors[X_M] -= sign * from_x / length_m
    errors[Y_M] -= sign * from_y / length_m


@compiled
def sensitivities(problem: Problem, x: float, y: float) -> FloatArray:
    """Derivative of the predictions by the errors of transmitter and receiver, ``(R, 2, 6)``.

    As `leg_sensitivity` and `sine_sensitivity` of `drivers.node_errors`.
    """
    rows, num_ranges, sines = problem[:3]
    by_error = np.zeros((len(rows), 2, NUM_ERRORS))
    for r in range(len(rows)):
        row, tx, rx = rows[r], by_error[r, 0], by_error[r, 1]
        rx_x, rx_y = x - row[RX_X], y - row[RX_Y]
        if r < num_ranges:
            _add_leg(tx, 1.0, x - row[TX_X], y - row[TX_Y])
            _add_leg(rx, 1.0, rx_x, rx_y)
            if row[DIRECT_PATH] > 0.0:  # its length is taken away, and the clocks with it
                apart_x, apart_y = row[RX_X] - row[TX_X], row[RX_Y] - row[TX_Y]
                _add_leg(tx, -1.0, apart_x, apart_y)
                _add_leg(rx, -1.0, -apart_x, -apart_y)
            else:
                tx[TIME_M] = -1.0
                rx[TIME_M] = 1.0
        else:
            angle = np.arctan2(rx_y, rx_x) - row[BORESIGHT]
            square = rx_x * rx_x + rx_y * rx_y
            cosine = np.cos(angle)
            per_sine = 1.0 if sines else 1.0 / max(abs(cosine), 1e-3)
            if square > 0.0:
                rx[X_M] = per_sine * cosine * rx_y / square
                rx[Y_M] = -per_sine * cosine * rx_x / square
            rx[BORESIGHT_RAD] = -per_sine * cosine
            rx[SINE] = per_sine
            rx[SPACING] = per_sine * np.sin(angle)
    return by_error


@compiled
def _common(first: FloatArray, second: FloatArray, block: FloatArray) -> float:
    total = 0.0
    for a in range(NUM_ERRORS):
        if first[a] != 0.0:
            along = 0.0
            for b in range(NUM_ERRORS):
                along += block[a, b] * second[b]
            total += first[a] * along
    return total


@compiled
def covariances(problem: Problem, x: float, y: float) -> FloatArray:
    """Joint covariance of the residuals, shape ``(R, R)``."""
    rows, num_ranges, _, nodes, errors, _ = problem
    by_error = sensitivities(problem, x, y)
    joint = np.zeros((len(rows), len(rows)))
    for r in range(len(rows)):
        for s in range(r + 1):
            total = 0.0
            # A bearing is free of the transmitter's errors.
            for end in range(0 if r < num_ranges else 1, 2):
                for other in range(0 if s < num_ranges else 1, 2):
                    i, j = NUM_ERRORS * nodes[r, end], NUM_ERRORS * nodes[s, other]
                    block = errors[i : i + NUM_ERRORS, j : j + NUM_ERRORS]
                    total += _common(by_error[r, end], by_error[s, other], block)
            same = nodes[r, 0] == nodes[s, 0] and nodes[r, 1] == nodes[s, 1]
            # A direct path is the same either way, with what scatterers do to it.
            by_path = rows[r, DIRECT_PATH] * rows[s, DIRECT_PATH] != 0.0
            back = by_path and nodes[r, 0] == nodes[s, 1] and nodes[r, 1] == nodes[s, 0]
            if r < num_ranges and (same or back):
                total += rows[r, SHARED_STD] * rows[s, SHARED_STD]
            joint[r, s] = joint[s, r] = total
        joint[r, r] += rows[r, NOISE_VAR]
    return joint


@compiled
def _factor(joint: FloatArray) -> None:
    """Replace a covariance by its Cholesky factor, below and on the diagonal."""
    for r in range(len(joint)):
        for s in range(r + 1):
            total = joint[r, s]
            for k in range(s):
                total -= joint[r, k] * joint[s, k]
            joint[r, s] = np.sqrt(total) if r == s else total / joint[s, s]


@compiled
def _whiten(root: FloatArray, columns: FloatArray) -> None:
    """Divide columns, shape ``(R, n)``, by the Cholesky factor."""
    for r in range(len(columns)):
        for n in range(columns.shape[1]):
            total = columns[r, n]
            for k in range(r):
                total -= root[r, k] * columns[k, n]
            columns[r, n] = total / root[r, r]


@compiled
def _principal(slope: FloatArray) -> tuple[float, float]:
    """Turn columns ``(R, 2)`` until they are orthogonal; cosine and sine of the turn.

    One-sided Jacobi: the columns are then left singular vectors times singular values, without
    the normal equations' loss of accuracy. A second turn takes out the rounding of the first.
    """
    cosine, sine = 1.0, 0.0
    for _ in range(2):
        first, second = np.sum(slope[:, 0] ** 2), np.sum(slope[:, 1] ** 2)
        product = np.sum(slope[:, 0] * slope[:, 1])
        turn = 0.5 * np.arctan2(2.0 * product, first - second)
        c, s = np.cos(turn), np.sin(turn)
        for r in range(len(slope)):
            a, b = slope[r, 0], slope[r, 1]
            slope[r, 0] = c * a + s * b
            slope[r, 1] = c * b - s * a
        cosine, sine = c * cosine - s * sine, s * cosine + c * sine
    return cosine, sine


@compiled
def _step(slope: FloatArray, left: FloatArray) -> tuple[float, float]:
    """Least-squares step of least length; `slope` is turned, see `_principal`."""
    cosine, sine = _principal(slope)
    first, second = np.sum(slope[:, 0] ** 2), np.sum(slope[:, 1] ** 2)
    least = max(first, second) * _LEAST_SINGULAR**2
    along = np.sum(slope[:, 0] * left) / first if first > least else 0.0
    across = np.sum(slope[:, 1] * left) / second if second > least else 0.0
    return cosine * along - sine * across, sine * along + cosine * across


@compiled
def _root(problem: Problem, x: float, y: float) -> FloatArray:
    """Cholesky factor of the residuals' covariance, ``(R, R)``; a diagonal if uncorrelated."""
    if problem[5]:
        root = covariances(problem, x, y)
        _factor(root)
        return root
    return np.diag(np.sqrt(problem[0][:, NOISE_VAR]))


@compiled
def _white_residuals(problem: Problem, root: FloatArray, x: float, y: float) -> FloatArray:
    left = residuals(problem, x, y)
    _whiten(root, left.reshape(-1, 1))
    return left


@compiled
def minimum(
    problem: Problem, x: float, y: float, max_iterations: int, tolerance_m: float
) -> tuple[float, float]:
    """Position that the steps from ``(x, y)`` end at; see `fusion.wls.WlsProblem.solve`."""
    for _ in range(max_iterations):
        root = _root(problem, x, y)
        left = _white_residuals(problem, root, x, y)
        slope = gradients(problem, x, y)
        _whiten(root, slope)
        step_x, step_y = _step(slope, left)
        cost = np.sum(left**2)
        halvings = 0
        while halvings < _MAX_HALVINGS:
            trial = _white_residuals(problem, root, x + step_x, y + step_y)
            if np.sum(trial**2) <= cost:
                break
            step_x, step_y = step_x / 2.0, step_y / 2.0
            halvings += 1
        if halvings == _MAX_HALVINGS:
            break  # no smaller step lowers the cost: this is the minimum to rounding
        x, y = x + step_x, y + step_y
        if np.hypot(step_x, step_y) <= tolerance_m:
            break
    return x, y


@compiled
def accuracy(problem: Problem, x: float, y: float) -> tuple[FloatArray, float, float]:
    """Covariance ``(2, 2)`` of a position, P1's cost there and the measurements' log density.

    The covariance is the inverse information, at least `_MIN_INFORMATION_PER_M2` each way.
    """
    root = _root(problem, x, y)
    cost = np.sum(_white_residuals(problem, root, x, y) ** 2)
    slope = gradients(problem, x, y)
    _whiten(root, slope)
    cosine, sine = _principal(slope)
    along = 1.0 / max(np.sum(slope[:, 0] ** 2), _MIN_INFORMATION_PER_M2)
    across = 1.0 / max(np.sum(slope[:, 1] ** 2), _MIN_INFORMATION_PER_M2)
    covariance = np.empty((2, 2))
    covariance[0, 0] = cosine * cosine * along + sine * sine * across
    covariance[1, 1] = sine * sine * along + cosine * cosine * across
    covariance[0, 1] = covariance[1, 0] = cosine * sine * (along - across)
    return covariance, cost, _log_density(root, cost)


@compiled
def _log_density(root: FloatArray, distance2: float) -> float:
    """Log of a Gaussian density from the covariance's factor and the squared distance."""
    log_det = 2.0 * np.sum(np.log(np.diag(root)))
    return -0.5 * (distance2 + log_det + len(root) * np.log(2.0 * np.pi))


@compiled
def foreseen_log_density(problem: Problem, x: float, y: float, spread_m2: FloatArray) -> float:
    """Log density of what was measured where the position is Gaussian about ``(x, y)``.

    With covariance `spread_m2`, linear about the mean.
    """
    slope = gradients(problem, x, y)
    joint = covariances(problem, x, y)
    joint += slope @ np.ascontiguousarray(spread_m2) @ slope.T
    _factor(joint)
    return _log_density(joint, np.sum(_white_residuals(problem, joint, x, y) ** 2))
