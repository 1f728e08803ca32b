"""Posterior on a grid over position and RCS level."""

from collections.abc import Iterable

import numpy as np

from drivers.geometry import (
    SPEED_OF_LIGHT_M_PER_S,
    FloatArray,
    arrival_angle_rad,
    bistatic_delay_s,
    delay_gradient_s_per_m,
    distance_m,
)
from fusion.likelihood import LinkEvidence, RcsPrior

_NUM_CELLS = 10_000
_NEGLIGIBLE_LOG = 35.0
_NUM_PEAKS = 3


class PositionGrid:
    """Log posterior over cells of the search area and RCS levels, not normalized.

    Every report's full likelihood is taken in, with measurement errors widened by the cell's own
    size, so that no peak falls between cells.

    Parameters
    ----------
    area_m
        Search area ``(x_min, y_min, x_max, y_max)``; the prior is uniform over it.
    prior
        Of the RCS level.

    Attributes
    ----------
    points_m
        Cell centres, shape ``(cells, 2)``, x varying slowest.
    shape
        Number of cells along x and y.
    cell_m
        Side of a cell.
    """

    def __init__(self, area_m: tuple[float, float, float, float], prior: RcsPrior) -> None:
        self.area_m = area_m
        self._prior = prior
        self.cell_m = float(np.sqrt((area_m[2] - area_m[0]) * (area_m[3] - area_m[1]) / _NUM_CELLS))
        x = _cell_centres(area_m[0], area_m[2], self.cell_m)
        y = _cell_centres(area_m[1], area_m[3], self.cell_m)
        self.shape = (len(x), len(y))
        self.points_m = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1).reshape(-1, 2)
        prior_log = prior.log_probability[:, None] - np.log(len(self.points_m))
        self._log = np.repeat(prior_log, len(self.points_m), axis=1)
        self._cell_log = np.full(len(self.points_m), -np.log(len(self.points_m)))

    def update(self, link: LinkEvidence) -> None:
        """Take in one report."""
        self._log += self._log_likelihood(link)
        peak = self._log.max(axis=0)
        self._cell_log = peak + np.log(np.exp(self._log - peak).sum(axis=0))

    def _log_likelihood(self, link: LinkEvidence) -> FloatArray:
        """Log likelihood of one report at every RCS level and cell, shape ``(S, cells)``."""
        unit_snr = link.unit_snr(self.points_m)
        snr = self._prior.level_m2[:, None] * unit_snr
        total = link.log_miss(snr)
        if not link.measurements:
            return total
        position_log = self._position_log(link)
        for h, log_density in enumerate(position_log):
            near = np.flatnonzero(log_density > log_density.max() - _NEGLIGIBLE_LOG)
            detected = link.log_ratio(h, snr[:, near]) + log_density[near]
            total[:, near] = np.logaddexp(total[:, near], detected)
        return total

    def _position_log(self, link: LinkEvidence) -> FloatArray:
        """Log density of each hypothesis' delay and sine at every cell, ``(H, cells)``."""
        tx_m, rx = link.tx.pose.position_m, link.rx.pose
        log_density = np.zeros((len(link.measurements), len(self.points_m)))
        cell_var = self.cell_m**2 / 12.0
        if link.report.delay_is_absolute:
            range_m = SPEED_OF_LIGHT_M_PER_S * bistatic_delay_s(tx_m, rx.position_m, self.points_m)
            gradient = SPEED_OF_LIGHT_M_PER_S * delay_gradient_s_per_m(
                tx_m, rx.position_m, self.points_m
            )
            spread = cell_var * np.nan_to_num(np.sum(gradient**2, axis=-1), nan=4.0)
            for h, measurement in enumerate(link.measurements):
                hypothesis = measurement.hypothesis
                var = hypothesis.delay_var_s2 * SPEED_OF_LIGHT_M_PER_S**2 + spread
                log_density[h] += _log_normal(
                    hypothesis.delay_s * SPEED_OF_LIGHT_M_PER_S - range_m, var
                )
        if link.rx.array.num_elements > 1:
            angle = arrival_angle_rad(rx, self.points_m)
            separation = np.maximum(distance_m(rx.position_m, self.points_m), self.cell_m / 2.0)
            # Near endfire the slope vanishes but the cell still spans second-order sines.
            slope2 = np.maximum(np.cos(angle) ** 2, (self.cell_m / separation) ** 2)
            spread = cell_var * slope2 / separation**2
            for h, measurement in enumerate(link.measurements):
                half = measurement.sine_period / 2.0
                error = (measurement.hypothesis.sine or 0.0) - np.sin(angle)
                error = (error + half) % (2.0 * half) - half
                log_density[h] += _log_normal(
                    error, (measurement.hypothesis.sine_var or 0.0) + spread
                )
        return log_density

    def cell_probability(self) -> FloatArray:
        """Probability of each cell, shape ``(cells,)``, summed over RCS levels."""
        weight = np.exp(self._cell_log - self._cell_log.max())
        return np.asarray(weight / weight.sum())

    def peaks(self) -> list[FloatArray]:
        """The heaviest cells, a few cells apart."""
        weight = self.cell_probability().copy()
        peaks: list[FloatArray] = []
        for _ in range(_NUM_PEAKS):
            best = self.points_m[int(np.argmax(weight))]
            peaks.append(best)
            weight[distance_m(best, self.points_m) < 4.0 * self.cell_m] = 0.0
        return peaks

    def log_mass_away_from(
        self, positions_m: Iterable[FloatArray], covariances_m2: Iterable[FloatArray], limit: float
    ) -> float:
        """Log of the mass further than a squared Mahalanobis `limit` from all positions.

        The covariances are widened by the cell's size.
        """
        away = np.ones(len(self.points_m), dtype=bool)
        for position, covariance in zip(positions_m, covariances_m2, strict=True):
            spread = covariance + self.cell_m**2 * np.eye(2)
            offset = self.points_m - position
            away &= np.sum(offset * np.linalg.solve(spread, offset.T).T, axis=1) > limit
        return float(np.logaddexp.reduce(self._cell_log[away])) if away.any() else -np.inf

    def sample(self, rng: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
        """Positions ``(count, 2)`` and RCS levels ``(count,)`` drawn from the grid."""
        flat = np.exp(self._log - self._log.max()).ravel()
        # Systematic resampling: one uniform draw, evenly spaced quantiles, least variance.
        quantiles = (np.arange(count) + rng.random()) / count
        cumulative = np.cumsum(flat)
        picked = np.searchsorted(cumulative, quantiles * cumulative[-1])
        level, cell = np.divmod(np.minimum(picked, flat.size - 1), len(self.points_m))
        jitter = rng.uniform(-0.5, 0.5, size=(count, 2)) * self.cell_m
        return self.points_m[cell] + jitter, self._prior.level_m2[level]


def _cell_centres(low: float, high: float, cell_m: float) -> FloatArray:
    count = max(round((high - low) / cell_m), 1)
    return np.asarray(low + (np.arange(count) + 0.5) * (high - low) / count)


def _log_normal(error: FloatArray, var: FloatArray) -> FloatArray:
    return np.asarray(-0.5 * (error**2 / var + np.log(2.0 * np.pi * var)))
