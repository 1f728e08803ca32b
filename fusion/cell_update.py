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
# What a hypothesis holds: bistatic range and sine, each with its variance.
RANGE_M, RANGE_VAR_M2, MEASURED_SINE, MEASURED_SINE_VAR = range(4)

# A level's share of its cell never falls below this: it could not rise again from zero. Reports
# would have to favour it by as much before the difference shows.
_LEAST_SHARE = 1e-290


@compiled
def position_squares(
    points_m: FloatArray,
    cell_m: float,
    link: FloatArray,
    hypotheses: FloatArray,
    use_range: bool,
    use_sine: bool,
    period: float,
) -> tuple[FloatArray, FloatArray]:
    """Squared normalized errors of hypotheses at cells, and the variances they have there.

    Ranges by (4), the slope that widens them by (15), sines by (5).

    Parameters
    ----------
    points_m, cell_m
        Centres ``(C, 2)`` and side of cells.
    link, hypotheses
        Shapes ``(10,)`` and ``(H, 4)``.
    use_range, use_sine
        What of the hypotheses counts.
    period
        Ambiguity of the sine.

    Returns
    -------
    tuple
        Sum of squares and product of ``2 pi`` times the variances, shapes ``(H, C)``.
    """
    count, size = len(hypotheses), len(points_m)
    square, var = np.zeros((count, size)), np.ones((count, size))
    cell_var_m2, half = cell_m * cell_m / 12.0, period / 2.0
    for c in range(size):
        tx_x, tx_y = points_m[c, 0] - link[TX_X], points_m[c, 1] - link[TX_Y]
        rx_x, rx_y = points_m[c, 0] - link[RX_X], points_m[c, 1] - link[RX_Y]
        tx_leg_m = np.sqrt(tx_x * tx_x + tx_y * tx_y)
        rx_leg_m = np.sqrt(rx_x * rx_x + rx_y * rx_y)
        if use_range:
            slope_x, slope_y = tx_x / tx_leg_m + rx_x / rx_leg_m, tx_y / tx_leg_m + rx_y / rx_leg_m
            slope2 = slope_x * slope_x + slope_y * slope_y
            slope2 = 4.0 if np.isnan(slope2) else slope2
            common = link[RANGE_VAR] + cell_var_m2 * slope2
            for h in range(count):
                error = hypotheses[h, RANGE_M] - (tx_leg_m + rx_leg_m)
                total = hypotheses[h, RANGE_VAR_M2] + common
                square[h, c] += error * error / total
                var[h, c] *= 2.0 * np.pi * total
        if use_sine:
            at_node = rx_leg_m == 0.0  # where the angle counts from the x axis
            unit_x, unit_y = (1.0, 0.0) if at_node else (rx_x / rx_leg_m, rx_y / rx_leg_m)
            cosine = unit_x * link[COSINE] + unit_y * link[SINE]
            sine = unit_y * link[COSINE] - unit_x * link[SINE]
            apart_m = max(rx_leg_m, cell_m / 2.0)
            bearing_var = link[BORESIGHT_VAR] + (cell_var_m2 + link[PLACE_VAR]) / (
                apart_m * apart_m
            )
            # Near endfire the slope vanishes, but a cell still spans second-order sines.
            slope2 = max(cosine * cosine, (cell_m / apart_m) ** 2)
            common = link[SINE_VAR] + bearing_var * slope2
            for h in range(count):
                error = hypotheses[h, MEASURED_SINE] - sine + half
                error -= period * np.floor(error / period) + half
                total = hypotheses[h, MEASURED_SINE_VAR] + common
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
            exponent[s, c] = -miss_snr / (1.0 + snr) if snr > 0.0 else -np.inf


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
