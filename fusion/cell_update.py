"""Passes over the cells of a grid that take in one report, compiled.

Between them stand NumPy's exponentials and logarithms of whole arrays, which are several times
faster than one at a time. `fusion.grid` says what is computed.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.compiled import compiled
from drivers.geometry import FloatArray
from fusion.echo_evidence import MISS_ANYWAY

IndexArray = NDArray[np.intp]

# What a link holds: where transmitter and receiver stand, the boresight's cosine and sine, the
# variances of its bistatic ranges and of the receiver's place, boresight and sine.
TX_X, TX_Y, RX_X, RX_Y, COSINE, SINE, RANGE_VAR, PLACE_VAR, BORESIGHT_VAR, SINE_VAR = range(10)

# Less than any probability beside one; exponentials that underflow are slow.
LEAST_EXPONENT = -700.0
# A level's share of its cell never falls below this: it could not rise again from zero. Reports
# would have to favour it by as much before the difference shows.
_LEAST_SHARE = 1e-290


@compiled
def cell_geometry(points_m: FloatArray, cell_m: float, link: FloatArray) -> FloatArray:
    """What a link measures of each cell, and how far from it the cell's extent reaches.

    Bistatic range by (4) and sine of arrival by (5); variances by the slopes (15) and (16) over the
    cell's size and over what is not known of the nodes.

    Parameters
    ----------
    points_m, cell_m
        Centres ``(C, 2)`` and side of cells.
    link
        Shape ``(10,)``.

    Returns
    -------
    numpy.ndarray
        Range, its variance, sine and its variance, shape ``(4, C)``.
    """
    seen = np.empty((4, len(points_m)))
    tx_at_x, tx_at_y, rx_at_x, rx_at_y = link[TX_X], link[TX_Y], link[RX_X], link[RX_Y]
    turn_x, turn_y, range_var_m2, sine_var = (
        link[COSINE],
        link[SINE],
        link[RANGE_VAR],
        link[SINE_VAR],
    )
    cell_var_m2, least_m = cell_m * cell_m / 12.0, cell_m / 2.0
    place_var_m2, boresight_var = cell_var_m2 + link[PLACE_VAR], link[BORESIGHT_VAR]
    for c in range(len(points_m)):
        x, y = points_m[c, 0], points_m[c, 1]
        tx_x, tx_y, rx_x, rx_y = x - tx_at_x, y - tx_at_y, x - rx_at_x, y - rx_at_y
        tx_leg_m = np.sqrt(tx_x * tx_x + tx_y * tx_y)
        rx_leg_m = np.sqrt(rx_x * rx_x + rx_y * rx_y)
        slope_x = tx_x / tx_leg_m + rx_x / rx_leg_m
        slope_y = tx_y / tx_leg_m + rx_y / rx_leg_m
        slope2 = slope_x * slope_x + slope_y * slope_y
        slope2 = slope2 if slope2 <= 5.0 else 4.0  # not a number: a cell at a node
        seen[0, c] = tx_leg_m + rx_leg_m
        seen[1, c] = range_var_m2 + cell_var_m2 * slope2
        at_node = rx_leg_m == 0.0  # where angles count from the x axis
        unit_x = 1.0 if at_node else rx_x / rx_leg_m
        unit_y = 0.0 if at_node else rx_y / rx_leg_m
        cosine = unit_x * turn_x + unit_y * turn_y
        apart_m = rx_leg_m if rx_leg_m > least_m else least_m
        bearing_var = boresight_var + place_var_m2 / (apart_m * apart_m)
        # Near endfire the slope vanishes, but a cell still spans second-order sines.
        across2, along2 = cosine * cosine, (cell_m / apart_m) ** 2
        seen[2, c] = unit_y * turn_x - unit_x * turn_y
        seen[3, c] = sine_var + bearing_var * (across2 if across2 > along2 else along2)
    return seen


@compiled
def position_squares(
    seen: FloatArray, hypotheses: FloatArray, use_range: bool, use_sine: bool, period: float
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
                total = range_var_m2 + seen[1, c]
                square[h, c] += error * error / total
                var[h, c] *= 2.0 * np.pi * total
        if use_sine:
            for c in range(size):
                error = sine - seen[2, c] + half
                error -= period * np.floor(error / period) + half
                total = sine_var + seen[3, c]
                square[h, c] += error * error / total
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
def multiply_likelihood(share: FloatArray, detection: FloatArray) -> FloatArray:
    """Take the likelihood into the levels' shares of their cells, which stay normalized.

    Parameters
    ----------
    share
        Probability of each level given the cell, shape ``(S, C)``.
    detection
        Probability of detection less that of the echoes there are, as `add_echo` leaves it.

    Returns
    -------
    numpy.ndarray
        Likelihood of each cell, shape ``(C,)``.
    """
    likelihood = np.zeros(share.shape[1])
    for s in range(len(share)):
        for c in range(share.shape[1]):
            value = share[s, c] * (1.0 - (1.0 - MISS_ANYWAY) * detection[s, c])
            share[s, c] = value if value > _LEAST_SHARE else _LEAST_SHARE
            likelihood[c] += share[s, c]
    for s in range(len(share)):
        for c in range(share.shape[1]):
            share[s, c] /= likelihood[c]
    return likelihood
