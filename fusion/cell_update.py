"""Passes over the cells of a grid that take in one report, compiled.

Between them stand NumPy's exponentials and logarithms of whole arrays, which are several times
faster than one at a time. `fusion.grid` says what is computed.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.compiled import compiled
from drivers.geometry import FloatArray

IndexArray = NDArray[np.intp]

# What a link holds: where transmitter and receiver stand, the boresight's cosine and sine, the
# variances of its bistatic ranges and of the receiver's place, boresight and sine.
TX_X, TX_Y, RX_X, RX_Y, COSINE, SINE, RANGE_VAR, PLACE_VAR, BORESIGHT_VAR, SINE_VAR = range(10)

# Square of the errors, normalized, that what looks have in common may explain.
_MOST_IN_COMMON = 9.0
# Less than any probability beside one; exponentials that underflow are slow.
LEAST_EXPONENT = -700.0
# A level's share of its cell never falls below this: it could not rise again from zero. Reports
# would have to favour it by as much before the difference shows.
_LEAST_SHARE = 1e-290


@compiled
def _leg(x_m: FloatArray, y_m: FloatArray, at_x: float, at_y: float) -> FloatArray:
    """Length and direction cosines from a node to cells, ``(3, C)``; not numbers at the node."""
    leg = np.empty((3, len(x_m)))
    length_m, unit_x, unit_y = leg
    for c in range(len(x_m)):
        x, y = x_m[c] - at_x, y_m[c] - at_y
        apart_m = np.sqrt(x * x + y * y)
        length_m[c], unit_x[c], unit_y[c] = apart_m, x / apart_m, y / apart_m
    return leg


@compiled
def cell_geometry(x_m: FloatArray, y_m: FloatArray, cell_m: float, link: FloatArray) -> FloatArray:
    """What a link measures of each cell, and how far from it the cell's extent reaches.

    Bistatic range by (4) and sine of arrival by (5); variances by the slopes (15) and (16) over the
    cell's size and over what is not known of the nodes.

    Parameters
    ----------
    x_m, y_m, cell_m
        Centres and side of cells. Processors take neighbours in memory several at a time.
    link
        Shape ``(10,)``.

    Returns
    -------
    numpy.ndarray
        Range, its variance, sine and its variance, shape ``(4, C)``.
    """
    tx_m, tx_x, tx_y = _leg(x_m, y_m, link[TX_X], link[TX_Y])
    rx_m, rx_x, rx_y = _leg(x_m, y_m, link[RX_X], link[RX_Y])
    turn_x, turn_y, range_var_m2, sine_var = (
        link[COSINE],
        link[SINE],
        link[RANGE_VAR],
        link[SINE_VAR],
    )
    cell_var_m2, least_m = cell_m * cell_m / 12.0, cell_m / 2.0
    place_var_m2, boresight_var = cell_var_m2 + link[PLACE_VAR], link[BORESIGHT_VAR]
    seen = np.empty((4, len(x_m)))
    range_m, range_var, sine, sine_spread = seen
    for c in range(len(x_m)):
        slope_x, slope_y = tx_x[c] + rx_x[c], tx_y[c] + rx_y[c]
        slope2 = slope_x * slope_x + slope_y * slope_y
        slope2 = slope2 if slope2 <= 5.0 else 4.0  # not a number: a cell at a node
        range_m[c] = tx_m[c] + rx_m[c]
        range_var[c] = range_var_m2 + cell_var_m2 * slope2
        at_node = rx_m[c] == 0.0  # where angles count from the x axis
        unit_x, unit_y = 1.0 if at_node else rx_x[c], 0.0 if at_node else rx_y[c]
        cosine = unit_x * turn_x + unit_y * turn_y
        apart_m = rx_m[c] if rx_m[c] > least_m else least_m
        per_m2 = 1.0 / (apart_m * apart_m)
        # Near endfire the slope vanishes, but a cell still spans second-order sines.
        across2, along2 = cosine * cosine, cell_m * cell_m * per_m2
        sine[c] = unit_y * turn_x - unit_x * turn_y
        wide2 = across2 if across2 > along2 else along2
        sine_spread[c] = sine_var + (boresight_var + place_var_m2 * per_m2) * wide2
    return seen


@compiled
def told_again(error: float, own_var: float, common_var: float, look: int) -> tuple[float, float]:
    """Squared normalized error and variance of a measurement after others of the same quantity.

    Of the square that `look` measurements have together, which is ``e^2 / (common + own / look)``
    if all are off alike, what is more than that of those before; up to three standard deviations,
    which is what they can have in common. The variance is that about what those before foretell.
    """
    total = common_var + own_var
    square = error * error / total
    if look == 1:
        return square, total
    more = 1.0 / (common_var + own_var / look) - 1.0 / (common_var + own_var / (look - 1))
    square -= (1.0 - more * total) * min(square, _MOST_IN_COMMON)
    return square, own_var + common_var * own_var / ((look - 1) * common_var + own_var)


@compiled
def position_squares(
    seen: FloatArray,
    hypotheses: FloatArray,
    use_range: bool,
    use_sine: bool,
    period: float,
    looks: tuple[int, int],
) -> tuple[FloatArray, FloatArray]:
    """Squared normalized errors of hypotheses at cells, and the variances they have there.

    Parameters
    ----------
    seen
        See `cell_geometry`, shape ``(4, C)``.
    hypotheses
        Measured range, its variance, sine and its variance, shape ``(H, 4)``.
    use_range, use_sine
        What of them counts.
    period
        Ambiguity of the sine.
    looks
        For the how manieth time range and sine are measured.

    Returns
    -------
    tuple
        Sum of squares, and product of ``2 pi`` times the variances, shapes ``(H, C)``.
    """
    count, size, half = len(hypotheses), seen.shape[1], period / 2.0
    square, var = np.zeros((count, size)), np.ones((count, size))
    for h in range(count):
        range_m, range_var_m2, sine, sine_var = hypotheses[h]
        if use_range:
            for c in range(size):
                error = range_m - seen[0, c]
                more, total = told_again(error, range_var_m2, seen[1, c], looks[0])
                square[h, c] += more
                var[h, c] *= 2.0 * np.pi * total
        if use_sine:
            for c in range(size):
                error = sine - seen[2, c] + half
                error -= period * np.floor(error / period) + half
                more, total = told_again(error, sine_var, seen[3, c], looks[1])
                square[h, c] += more
                var[h, c] *= 2.0 * np.pi * total
    return square, var


@compiled
def set_detection_exponents(
    exponent: FloatArray, rcs_m2: FloatArray, detectable: FloatArray, miss_snr: float
) -> None:
    """Log probability of detection at each RCS level and cell, shape ``(S, C)``.

    Parameters
    ----------
    exponent
        Where it goes.
    rcs_m2
        RCS levels, shape ``(S,)``.
    detectable
        SNR for unit RCS that alignment leaves, shape ``(C,)``.
    miss_snr
        Threshold.
    """
    for s in range(len(rcs_m2)):
        for c in range(len(detectable)):
            snr = rcs_m2[s] * detectable[c]
            exponent[s, c] = -miss_snr / (1.0 + snr) if snr > 0.0 else LEAST_EXPONENT


@compiled
def add_echo(
    detection: FloatArray,
    near: IndexArray,
    log_density: FloatArray,
    level: float,
    log_false: float,
    rcs_m2: FloatArray,
    snr: FloatArray,
) -> None:
    """Take one hypothesis in at the cells that it may come from.

    Its likelihood ratio over that of a false peak is taken off the probability of detection, whose
    complement is the likelihood.

    Parameters
    ----------
    detection
        Shape ``(S, C)``.
    near, log_density
        Cells, and what the hypothesis' position says of each, shapes ``(n,)``.
    level, log_false
        See `LinkEvidence`.
    rcs_m2
        RCS levels, shape ``(S,)``.
    snr
        For unit RCS, shape ``(C,)``.
    """
    for s in range(len(rcs_m2)):
        for n in range(len(near)):
            mean = 1.0 + rcs_m2[s] * snr[near[n]]
            echo = np.exp(log_density[n] - log_false - level / mean) / mean
            detection[s, near[n]] -= echo


@compiled
def multiply_likelihood(
    share: FloatArray,
    detection: FloatArray,
    deaf: FloatArray,
    false: FloatArray,
    miss_anyway: float,
) -> FloatArray:
    """Take the likelihood into the levels' shares of their cells, which stay normalized.

    Parameters
    ----------
    share
        Probability of each level given the cell, shape ``(S, C)``.
    detection
        Probability of detection less that of the echoes there are, as `add_echo` leaves it.
    deaf
        How probably the link is deaf to a target, shape ``(C,)``.
    false
        How likely the report is then, relative to "everything in it is false", shape ``(C,)``.
    miss_anyway
        How often a target is missed that would be detected by a link that is not.

    Returns
    -------
    numpy.ndarray
        Likelihood of each cell, shape ``(C,)``.
    """
    likelihood = np.zeros(share.shape[1])
    for s in range(len(share)):
        for c in range(share.shape[1]):
            heard = (1.0 - deaf[c]) * (1.0 - (1.0 - miss_anyway) * detection[s, c])
            value = share[s, c] * (deaf[c] * false[c] + heard)
            share[s, c] = value if value > _LEAST_SHARE else _LEAST_SHARE
            likelihood[c] += share[s, c]
    for s in range(len(share)):
        for c in range(share.shape[1]):
            share[s, c] /= likelihood[c]
    return likelihood


@compiled
def log_sum_outside(
    cell_log: FloatArray, x_m: FloatArray, y_m: FloatArray, ellipses: FloatArray
) -> float:
    """Log of the sum over cells outside all ellipses; minus infinity where none is.

    What is less than ``exp(-40)`` of the largest is left out: 5e-18 of the sum a cell.

    Parameters
    ----------
    cell_log, x_m, y_m
        Logarithms and centres of cells, shapes ``(C,)``.
    ellipses
        Centre, entries ``xx, xy, yy`` of the quadratic form and what it is at the border, shape
        ``(n, 6)``.
    """
    outside = np.ones(len(cell_log), dtype=np.bool_)
    for n in range(len(ellipses)):
        at_x, at_y, xx, xy, yy, border = ellipses[n]
        for c in range(len(cell_log)):
            x, y = x_m[c] - at_x, y_m[c] - at_y
            outside[c] &= xx * x * x + 2.0 * xy * x * y + yy * y * y > border
    most, total = -np.inf, 0.0
    for c in range(len(cell_log)):
        if outside[c] and cell_log[c] > most:
            most = cell_log[c]
    for c in range(len(cell_log)):
        if outside[c] and cell_log[c] > most - 40.0:
            total += np.exp(cell_log[c] - most)
    return most + np.log(total) if total > 0.0 else most
