"""Posterior over cells and RCS levels by Bayes' rule in logarithms, level by level."""

from collections.abc import Sequence

import numpy as np
from scipy import special

from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    arrival_angle_rad,
    bistatic_delay_s,
    delay_gradient_s_per_m,
    distance_m,
)
from drivers.node_errors import BORESIGHT_RAD, SINE, X_M
from fusion.likelihood import LinkEvidence, RcsPrior

# As the grid: a hypothesis counts where its density is more than exp(-35) of the highest.
NEGLIGIBLE_LOG = 35.0


def log_posterior(
    links: Sequence[LinkEvidence],
    unit_snr: Sequence[np.ndarray],
    points_m: np.ndarray,
    cell_m: float,
    prior: RcsPrior,
) -> np.ndarray:
    """Prior times likelihood of all reports, shape ``(S, C)``, from every link's SNR ``(C,)``."""
    total = np.repeat(prior.log_probability[:, None], len(points_m), axis=1)
    total -= np.log(len(points_m))
    for link, unit in zip(links, unit_snr, strict=True):
        snr = prior.level_m2[:, None] * unit
        likelihood = link.log_miss(snr, link.kept(points_m))
        for h in range(len(link.measurements)):
            density = _position_log(link, h, points_m, cell_m)
            echo = np.where(density > density.max() - NEGLIGIBLE_LOG, density, -np.inf)
            likelihood = np.logaddexp(likelihood, echo + link.log_ratio(h, snr))
        total += likelihood
    return total


def log_sum(log_values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Log of the sum of exponentials."""
    return np.asarray(special.logsumexp(log_values, axis=axis))


def _position_log(link: LinkEvidence, h: int, points_m: np.ndarray, cell_m: float) -> np.ndarray:
    hypothesis, cell_var_m2 = link.report.hypotheses[h], cell_m**2 / 12
    tx_m, rx_m = link.tx.pose.position_m, link.rx.pose.position_m
    density = np.zeros(len(points_m))
    if link.report.delay_is_absolute:
        error_s = hypothesis.delay_s - bistatic_delay_s(tx_m, rx_m, points_m)
        slope = SPEED_OF_LIGHT_M_PER_S * delay_gradient_s_per_m(tx_m, rx_m, points_m)
        slope2 = np.nan_to_num(np.sum(slope**2, axis=-1), nan=4.0)
        var_m2 = hypothesis.delay_var_s2 * SPEED_OF_LIGHT_M_PER_S**2 + link.range_var_m2
        density += _log_normal(SPEED_OF_LIGHT_M_PER_S * error_s, var_m2 + cell_var_m2 * slope2)
    if link.rx.array.num_elements > 1:
        angle = arrival_angle_rad(link.rx.pose, points_m)
        apart_m = np.maximum(distance_m(rx_m, points_m), cell_m / 2)
        slope2 = np.maximum(np.cos(angle) ** 2, (cell_m / apart_m) ** 2)
        bearing_var = link.rx_var[BORESIGHT_RAD] + (cell_var_m2 + link.rx_var[X_M]) / apart_m**2
        period = link.measurements[h].sine_period
        error = (hypothesis.sine - np.sin(angle) + period / 2) % period - period / 2
        var = hypothesis.sine_var + link.rx_var[SINE] + bearing_var * slope2
        density += _log_normal(error, var)
    return density


def _log_normal(error: np.ndarray, var: np.ndarray) -> np.ndarray:
    return -0.5 * (error**2 / var + np.log(2 * np.pi * var))
