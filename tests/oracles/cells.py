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
from fusion.echo_evidence import DEAF_LOOKS
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
    deaf_before: dict[tuple[str, str], list[np.ndarray]] = {}
    for number, (link, unit) in enumerate(zip(links, unit_snr, strict=True)):
        told = [(a.tx.node_id, a.rx.node_id) for a in links[: number + 1] if a.measurements]
        own = link.tx.node_id, link.rx.node_id
        looks = sum(set(pair) == set(own) for pair in told), told.count(own)
        snr = prior.level_m2[:, None] * unit
        kept, deaf = link.hearing(points_m)
        before = deaf_before.setdefault(own, [])
        deaf = (DEAF_LOOKS * deaf + np.sum(before, axis=0)) / (DEAF_LOOKS + len(before))
        likelihood = link.log_miss(snr, kept, deaf)
        for h in range(len(link.measurements)):
            density = _position_log(link, h, points_m, cell_m, looks)
            echo = np.where(density > density.max() - NEGLIGIBLE_LOG, density, -np.inf)
            likelihood = np.logaddexp(likelihood, echo + link.log_ratio(h, snr, deaf))
        # Given the cell, whatever the level
        level = total - log_sum(total, axis=0)
        false = np.where(kept == 0.0, link.hidden_log, 0.0)
        before.append(deaf * np.exp(false - log_sum(level + likelihood, axis=0)))
        total += likelihood
    return total


def log_sum(log_values: np.ndarray, axis: int | None = None) -> np.ndarray:
    """Log of the sum of exponentials."""
    return np.asarray(special.logsumexp(log_values, axis=axis))


def _position_log(
    link: LinkEvidence, h: int, points_m: np.ndarray, cell_m: float, looks: tuple[int, int]
) -> np.ndarray:
    """Of a range for the so manieth time either way, and a sine for the so manieth this way."""
    hypothesis, cell_var_m2 = link.report.hypotheses[h], cell_m**2 / 12
    tx_m, rx_m = link.tx.pose.position_m, link.rx.pose.position_m
    density = np.zeros(len(points_m))
    if link.report.delay_is_absolute:
        error_s = hypothesis.delay_s - bistatic_delay_s(tx_m, rx_m, points_m)
        slope = SPEED_OF_LIGHT_M_PER_S * delay_gradient_s_per_m(tx_m, rx_m, points_m)
        slope2 = np.nan_to_num(np.sum(slope**2, axis=-1), nan=4.0)
        var_m2 = hypothesis.delay_var_s2 * SPEED_OF_LIGHT_M_PER_S**2
        common_m2 = link.range_var_m2 + cell_var_m2 * slope2
        density += _log_told(SPEED_OF_LIGHT_M_PER_S * error_s, var_m2, common_m2, looks[0])
    if link.rx.array.num_elements > 1:
        angle = arrival_angle_rad(link.rx.pose, points_m)
        apart_m = np.maximum(distance_m(rx_m, points_m), cell_m / 2)
        slope2 = np.maximum(np.cos(angle) ** 2, (cell_m / apart_m) ** 2)
        bearing_var = link.rx_var[BORESIGHT_RAD] + (cell_var_m2 + link.rx_var[X_M]) / apart_m**2
        period = link.measurements[h].sine_period
        error = (hypothesis.sine - np.sin(angle) + period / 2) % period - period / 2
        common = link.rx_var[SINE] + bearing_var * slope2
        density += _log_told(error, hypothesis.sine_var, common, looks[1])
    return density


def _log_told(error: np.ndarray, own: float, common: np.ndarray, look: int) -> np.ndarray:
    """As `fusion.cell_update.told_again` says, in its own words."""
    before = 0.0 if look == 1 else 1.0 / (common + own / (look - 1))
    square = error**2 / (common + own)
    share = (common + own) * (1.0 / (common + own / look) - before)
    near = np.minimum(square, 9.0)
    known = common if look == 1 else 1.0 / (1.0 / common + (look - 1) / own)
    return -0.5 * (share * near + (square - near) + np.log(2 * np.pi * (own + known)))
