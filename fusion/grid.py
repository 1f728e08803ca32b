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
from drivers.node_errors import BORESIGHT_RAD, SINE, X_M
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
        self._cell_var_m2 = self.cell_m**2 / 12.0
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
        total = link.log_miss(snr, link.kept(self.points_m))
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
        log_density = np.zeros((len(link.measurements), len(self.points_m)))
        if link.report.delay_is_absolute:
            log_density += self._range_log(link)
        if link.rx.array.num_elements > 1:
            log_density += self._sine_log(link)
        return log_density

    def _range_log(self, link: LinkEvidence) -> FloatArray:
        """Log density of each hypothesis' bistatic range at every cell, ``(H, cells)``, in 1/m."""
        foci = link.tx.pose.position_m, link.rx.pose.position_m
        range_m = SPEED_OF_LIGHT_M_PER_S * bistatic_delay_s(*foci, self.points_m)
        gradient = SPEED_OF_LIGHT_M_PER_S * delay_gradient_s_per_m(*foci, self.points_m)
        slope2 = np.nan_to_num(np.sum(gradient**2, axis=-1), nan=4.0)
        node_var = link.range_var_m2
        hypotheses = link.report.hypotheses
        measured_m = SPEED_OF_LIGHT_M_PER_S * np.array([[h.delay_s] for h in hypotheses])
        var_m2 = SPEED_OF_LIGHT_M_PER_S**2 * np.array([[h.delay_var_s2] for h in hypotheses])
        return _log_normal(measured_m - range_m, var_m2 + node_var + self._cell_var_m2 * slope2)

    def _sine_log(self, link: LinkEvidence) -> FloatArray:
        """Log density of each hypothesis' sine at every cell, ``(H, cells)``."""
        rx = link.rx
        angle = arrival_angle_rad(rx.pose, self.points_m)
        separation = np.maximum(distance_m(rx.pose.position_m, self.points_m), self.cell_m / 2.0)
        node_var = link.rx_var
        bearing_var = (self._cell_var_m2 + node_var[X_M]) / separation**2
        bearing_var += node_var[BORESIGHT_RAD]
        # Near endfire the slope vanishes, but a cell still spans second-order sines.
        slope2 = np.maximum(np.cos(angle) ** 2, (self.cell_m / separation) ** 2)
        half = np.array([[m.sine_period / 2.0] for m in link.measurements])
        measured = np.array([[h.sine] for h in link.report.hypotheses], dtype=np.float64)
        sine_var = np.array([[h.sine_var] for h in link.report.hypotheses], dtype=np.float64)
        error = (measured - np.sin(angle) + half) % (2.0 * half) - half
        return _log_normal(error, sine_var + node_var[SINE] + bearing_var * slope2)

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
        sides = np.subtract(self.area_m[2:], self.area_m[:2]) / self.shape
        jitter = rng.uniform(-0.5, 0.5, size=(count, 2)) * sides
        return self.points_m[cell] + jitter, self._prior.level_m2[level]


def _cell_centres(low: float, high: float, cell_m: float) -> FloatArray:
    count = max(round((high - low) / cell_m), 1)
    return np.asarray(low + (np.arange(count) + 0.5) * (high - low) / count)


def _log_normal(error: FloatArray, var: FloatArray) -> FloatArray:
    return np.asarray(-0.5 * (error**2 / var + np.log(2.0 * np.pi * var)))
