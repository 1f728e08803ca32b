"""What links foresee and say at points, for all of them in one go, compiled.

The literal forms of the same equations are `drivers.link_budget.leg_gain_per_m2` and the methods
of `fusion.likelihood.LinkEvidence`; tests hold the two together.
"""

import numpy as np
from numpy.typing import NDArray

from drivers.compiled import compiled
from drivers.geometry import FloatArray

BoolArray = NDArray[np.bool_]
IndexArray = NDArray[np.intp]

# Even a target in plain view is missed this often: a lost capture, a model that is wrong.
MISS_ANYWAY = 1e-3
# What made a link deaf once is still there at the next look, as is the phase of an echo to the
# direct path: after so many looks they tell as much of the next as what was expected before.
DEAF_LOOKS = 3.0

# What a leg holds: place, boresight with its cosine and sine, kind of pattern, half the field of
# view with its cosine, gain within it (or the peak) and behind it; of TR 38.901's pattern the
# width in which power falls by 12 dB and the most that it falls by; how near a point can be.
X, Y, BORESIGHT, COSINE, SINE, KIND, HALF_VIEW, COSINE_VIEW, GAIN, BEHIND = range(10)
BEAMWIDTH, MOST_DROP_DB, NEAREST_M = 10, 11, 12
OMNIDIRECTIONAL, SECTOR, TR38901 = range(3)
# What a link holds: SNR per RCS and legs, the SNR above which it would report, how much likelier
# (a logarithm) its hypotheses are false if alignment takes the target away, and both legs.
SCALE_M2, MISS_SNR, HIDDEN_LOG, TX, RX = 0, 1, 2, 3, 16
# Cosines further than this from the edge of a view tell the side without their angle.
_NEAR_EDGE = 1e-9


@compiled
def _angle_rad(leg: FloatArray, x: float, y: float) -> float:
    """As `angle_from_boresight_rad`, of a point so far off the node."""
    wrapped = (np.arctan2(y, x) - leg[BORESIGHT] + np.pi) % (2.0 * np.pi) - np.pi
    return wrapped if wrapped < np.pi else -np.pi


@compiled
def _gain(leg: FloatArray, x: float, y: float, distance_m: float) -> float:
    """As `ElementPattern.power_gain` towards a point so far off the node."""
    if leg[KIND] == OMNIDIRECTIONAL:
        return leg[GAIN]
    if leg[KIND] == TR38901:
        beams = _angle_rad(leg, x, y) / leg[BEAMWIDTH]
        drop_db = min(12.0 * beams * beams, leg[MOST_DROP_DB])
        return leg[GAIN] * 10.0 ** (-drop_db / 10.0)
    edge = leg[COSINE_VIEW] * distance_m
    cosine = x * leg[COSINE] + y * leg[SINE]
    if abs(cosine - edge) > _NEAR_EDGE * distance_m:
        return leg[GAIN] if cosine > edge else leg[BEHIND]
    return leg[GAIN] if abs(_angle_rad(leg, x, y)) <= leg[HALF_VIEW] else leg[BEHIND]


@compiled
def _leg_gain_per_m2(leg: FloatArray, x: float, y: float) -> float:
    from_x, from_y = x - leg[X], y - leg[Y]
    distance_m = np.sqrt(from_x * from_x + from_y * from_y)
    near_m = max(distance_m, leg[NEAREST_M])
    return _gain(leg, from_x, from_y, distance_m) / (near_m * near_m)


@compiled
def unit_snr(links: FloatArray, points_m: FloatArray) -> FloatArray:
    """Predicted SNR of links ``(R, 29)`` for unit RCS at points ``(Q, 2)``, shape ``(R, Q)``."""
    snr = np.empty((len(links), len(points_m)))
    for r in range(len(links)):
        tx, rx, scale_m2 = links[r, TX:RX], links[r, RX:], links[r, SCALE_M2]
        for q in range(len(points_m)):
            x, y = points_m[q, 0], points_m[q, 1]
            snr[r, q] = scale_m2 * _leg_gain_per_m2(tx, x, y) * _leg_gain_per_m2(rx, x, y)
    return snr


@compiled
def _miss(snr: float, kept: float, deaf: float, link: FloatArray) -> tuple[float, float]:
    """As `LinkEvidence.log_miss`, its exponential; and the part of it that a deaf link has."""
    missed = deaf * np.exp(link[HIDDEN_LOG]) if kept == 0.0 else deaf
    if kept == 0.0 or snr == 0.0:
        return missed + 1.0 - deaf, missed
    detection = (1.0 - MISS_ANYWAY) * np.exp(-link[MISS_SNR] / (1.0 + snr * kept))
    return missed + (1.0 - deaf) * (1.0 - detection), missed


@compiled
def _log_echo(snr: float, level: float, log_false: float) -> float:
    """As `LinkEvidence.log_ratio` of a link that is not deaf."""
    return np.log(1.0 - MISS_ANYWAY) - level / (1.0 + snr) - np.log(1.0 + snr) - log_false


@compiled
def _log_sum(log_values: FloatArray) -> float:
    """Log of the sum of everything, ``(n,)``."""
    most = np.max(log_values)
    if most == -np.inf:
        return most
    return most + np.log(np.sum(np.exp(log_values - most)))


@compiled
def log_rcs(
    links: FloatArray,
    levels: FloatArray,
    log_false: FloatArray,
    log_prior: FloatArray,
    rcs_m2: FloatArray,
    position_m: FloatArray,
) -> FloatArray:
    """Normalized log posterior of the RCS levels given detections at a position, ``(S,)``."""
    snr = unit_snr(links, position_m.reshape(1, 2))
    total = log_prior.copy()
    for r in range(len(links)):
        for s in range(len(rcs_m2)):
            total[s] += _log_echo(rcs_m2[s] * snr[r, 0], levels[r], log_false[r])
    return total - _log_sum(total)


@compiled
def choice_scores(
    link: FloatArray,
    levels: FloatArray,
    log_false: FloatArray,
    kept: FloatArray,
    deaf: FloatArray,
    log_rcs: FloatArray,
    rcs_m2: FloatArray,
    points_m: FloatArray,
) -> FloatArray:
    """Log probability of a miss, then of each hypothesis over that of a false one, ``(1 + H,)``.

    Mean over points that are equally likely; what a hypothesis says of the position is left out.

    Parameters
    ----------
    link
        Shape ``(29,)``.
    levels, log_false
        Of its hypotheses, shape ``(H,)``; see `LinkEvidence`.
    kept, deaf
        `LinkEvidence.hearing` of each point, shape ``(Q,)``.
    log_rcs, rcs_m2
        Log probability of each RCS level, and the level, shape ``(S,)``.
    """
    snr = unit_snr(link.reshape(1, -1), points_m)[0]
    log_size = np.log(float(len(points_m)))
    scores = np.empty(1 + len(levels))
    at_points, at_levels = np.empty(len(points_m)), np.empty(len(rcs_m2))
    for h in range(len(scores)):
        for s in range(len(rcs_m2)):
            for q in range(len(points_m)):
                mean = rcs_m2[s] * snr[q]
                if h == 0:
                    at_points[q] = np.log(_miss(mean, kept[q], deaf[q], link)[0])
                else:
                    heard = _log_echo(mean, levels[h - 1], log_false[h - 1])
                    at_points[q] = heard + np.log(1.0 - deaf[q])
            at_levels[s] = log_rcs[s] + _log_sum(at_points) - log_size
        scores[h] = _log_sum(at_levels)
    return scores


@compiled
def point_evidence(
    links: FloatArray,
    levels: FloatArray,
    log_false: FloatArray,
    number: IndexArray,
    kept: FloatArray,
    deaf: FloatArray,
    log_prior: FloatArray,
    rcs_m2: FloatArray,
    points_m: FloatArray,
    inside: BoolArray,
) -> tuple[float, FloatArray, FloatArray]:
    """Log of the sum over RCS levels and points of prior times likelihood, and its shares.

    Looks at one link that was deaf to a target before expect it to be so again (a beta-binomial).

    Parameters
    ----------
    links
        Shape ``(R, 29)``.
    levels, log_false
        Of the hypothesis that each report takes for the target, shape ``(R,)``; NaN for a miss.
    number, kept, deaf
        Which link each report is of, shape ``(R,)``; `LinkEvidence.hearing` of it, ``(L, Q)``.
    log_prior, rcs_m2
        Log probability of each RCS level, and the level, shape ``(S,)``.
    points_m, inside
        Shape ``(Q, 2)``; and which of them can be, shape ``(Q,)``.

    Returns
    -------
    tuple
        The log sum; probabilities of the points ``(Q,)``; and of the levels ``(S,)``.
    """
    snr = unit_snr(links, points_m)
    joint = np.full((len(rcs_m2), len(points_m)), -np.inf)
    looks, misses = np.empty(len(kept)), np.empty(len(kept))
    for s in range(len(rcs_m2)):
        for q in range(len(points_m)):
            if inside[q]:
                total = log_prior[s]
                looks[:], misses[:] = 0.0, 0.0
                for r in range(len(links)):
                    mean, n = rcs_m2[s] * snr[r, q], number[r]
                    again = (DEAF_LOOKS * deaf[n, q] + misses[n]) / (DEAF_LOOKS + looks[n])
                    looks[n] += 1.0
                    if np.isnan(levels[r]):
                        missed, deafly = _miss(mean, kept[n, q], again, links[r])
                        total += np.log(missed)
                        misses[n] += deafly / missed
                    else:
                        total += np.log(1.0 - again) + _log_echo(mean, levels[r], log_false[r])
                joint[s, q] = total
    log_total = _log_sum(joint.ravel())
    share = np.exp(joint - log_total)
    return log_total, share.sum(axis=0), share.sum(axis=1)
