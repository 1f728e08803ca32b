"""Posterior on a grid over position and RCS level."""

from collections import Counter
from collections.abc import Iterable

import numpy as np

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, FloatArray, distance_m
from drivers.node_errors import BORESIGHT_RAD, SINE, X_M
from fusion.cell_update import (
    LEAST_EXPONENT,
    add_echo,
    cell_geometry,
    log_sum_outside,
    multiply_likelihood,
    position_squares,
    set_detection_exponents,
)
from fusion.echo_evidence import DEAF_LOOKS, MISS_ANYWAY
from fusion.likelihood import LinkEvidence, RcsPrior

_NUM_CELLS = 10_000
_NEGLIGIBLE_LOG = 35.0
_NUM_PEAKS = 3


class PositionGrid:
    """Log posterior over cells of the search area and RCS levels, not normalized.

    Every report's full likelihood is taken in, with measurement errors widened by the cell's own
    size, so that no peak falls between cells. Repeated looks at a link have that in common, and the
    nodes' errors: together they are no surer of it than one (`fusion.cell_update.told_again`).

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
        centres = np.meshgrid(x, y, indexing="ij")
        self._cell_x_m, self._cell_y_m = (axis.ravel() for axis in centres)
        self.points_m = np.stack((self._cell_x_m, self._cell_y_m), axis=-1)
        size = len(self.points_m)
        # Log probability of each cell, and of each RCS level given the cell: the shares of the
        # levels stay within the range of numbers where their logarithms would have to be kept.
        self._cell_log = np.full(size, -np.log(size))
        self._share = np.repeat(np.exp(prior.log_probability)[:, None], size, axis=1)
        self._scratch = self._share.copy()  # memory that is there before the first report
        self._peaks: list[FloatArray] | None = None
        self._looks: Counter[tuple[str, ...]] = Counter()
        # Of each link its looks, and in how many it was deaf to a target in each cell.
        self._deaf: dict[tuple[str, str], tuple[int, FloatArray]] = {}

    def update(self, link: LinkEvidence) -> None:
        """Take in one report."""
        level_m2, snr = self._prior.level_m2, link.unit_snr(self.points_m)
        detection = self._scratch
        kept, deaf = link.hearing(self.points_m)
        set_detection_exponents(detection, level_m2, snr * kept, link.miss_snr)
        np.exp(detection, out=detection)
        for h, log_density in enumerate(self._position_log(link) if link.measurements else ()):
            near = np.flatnonzero(log_density > log_density.max() - _NEGLIGIBLE_LOG)
            echo = link.levels[h], link.log_false[h]
            add_echo(detection, near, log_density[near], *echo, level_m2, snr)
        pair = link.tx.node_id, link.rx.node_id
        looks, misses = self._deaf.get(pair, (0, np.zeros_like(deaf)))
        deaf = (DEAF_LOOKS * deaf + misses) / (DEAF_LOOKS + looks)
        false = np.where(kept == 0.0, np.exp(link.hidden_log), 1.0)
        likelihood = multiply_likelihood(self._share, detection, deaf, false, MISS_ANYWAY)
        self._deaf[pair] = looks + 1, misses + deaf * false / likelihood
        self._cell_log += np.log(likelihood)
        self._peaks = None

    def _position_log(self, link: LinkEvidence) -> FloatArray:
        """Log density of each hypothesis' delay and sine at every cell, ``(H, cells)``, in 1/m.

        Variances are the measurement's, and of what looks have in common: the nodes' and the
        cell's own.
        """
        tx_id, rx_id = link.tx.node_id, link.rx.node_id
        path = min(tx_id, rx_id), max(tx_id, rx_id), "range"  # the same either way
        self._looks.update([path, (tx_id, rx_id)])
        hypotheses = link.report.hypotheses
        rx, rx_var, angle = link.rx, link.rx_var, link.rx.pose.boresight_rad
        row = np.array(
            (
                *link.tx.pose.position_m, *rx.pose.position_m, np.cos(angle), np.sin(angle),
                link.range_var_m2, rx_var[X_M], rx_var[BORESIGHT_RAD], rx_var[SINE],
            )
        )  # fmt: skip
        measured = np.array(
            [(h.delay_s, h.delay_var_s2, h.sine, h.sine_var) for h in hypotheses], dtype=np.float64
        ).reshape(-1, 4)
        measured[:, 0] *= SPEED_OF_LIGHT_M_PER_S
        measured[:, 1] *= SPEED_OF_LIGHT_M_PER_S**2
        seen = cell_geometry(self._cell_x_m, self._cell_y_m, self.cell_m, row)
        use_range, use_sine = link.report.delay_is_absolute, rx.array.num_elements > 1
        looks = self._looks[path], self._looks[tx_id, rx_id]
        square, var = position_squares(seen, measured, use_range, use_sine, link.sine_period, looks)
        return np.asarray(-0.5 * (square + np.log(var)))

    def cell_probability(self) -> FloatArray:
        """Probability of each cell, shape ``(cells,)``, summed over RCS levels."""
        weight = _relative(self._cell_log)
        return weight / weight.sum()

    def peaks(self) -> list[FloatArray]:
        """The heaviest cells, a few cells apart."""
        if self._peaks is None:
            weight = self.cell_probability()
            self._peaks = []
            for _ in range(_NUM_PEAKS):
                best = self.points_m[int(np.argmax(weight))]
                self._peaks.append(best)
                weight[distance_m(best, self.points_m) < 4.0 * self.cell_m] = 0.0
        return self._peaks

    def log_mass_away_from(
        self, positions_m: Iterable[FloatArray], covariances_m2: Iterable[FloatArray], limit: float
    ) -> float:
        """Log of the mass further than a squared Mahalanobis `limit` from all positions.

        The covariances are widened by the cell's size.
        """
        ellipses = []
        for position, covariance in zip(positions_m, covariances_m2, strict=True):
            (xx, xy), (_, yy) = covariance.tolist()
            xx, yy = xx + self.cell_m**2, yy + self.cell_m**2
            # The inverse times the determinant
            ellipses.append((*position.tolist(), yy, -xy, xx, limit * (xx * yy - xy * xy)))
        outlines = np.array(ellipses).reshape(-1, 6)
        return log_sum_outside(self._cell_log, self._cell_x_m, self._cell_y_m, outlines)

    def sample(self, rng: np.random.Generator, count: int) -> tuple[FloatArray, FloatArray]:
        """Positions ``(count, 2)`` and RCS levels ``(count,)`` drawn from the grid."""
        # Systematic resampling: one uniform draw, evenly spaced quantiles, least variance. The
        # column of cells first, then the cell within it.
        weight = (self._share * _relative(self._cell_log)).reshape(-1, self.shape[1])
        columns = np.cumsum(weight.sum(axis=1))
        quantiles = (np.arange(count) + rng.random()) / count * columns[-1]
        picked = np.minimum(np.searchsorted(columns, quantiles), len(columns) - 1)
        within = np.cumsum(weight[picked], axis=1)
        left = quantiles - (columns[picked] - within[:, -1])
        row = np.minimum(np.sum(within < left[:, None], axis=1), self.shape[1] - 1)
        level, cell = np.divmod(picked * self.shape[1] + row, len(self.points_m))
        sides = np.subtract(self.area_m[2:], self.area_m[:2]) / self.shape
        jitter = rng.uniform(-0.5, 0.5, size=(count, 2)) * sides
        return self.points_m[cell] + jitter, self._prior.level_m2[level]


def _relative(log_values: FloatArray) -> FloatArray:
    """Exponentials relative to the largest."""
    return np.asarray(np.exp(np.maximum(log_values - log_values.max(), LEAST_EXPONENT)))


def _cell_centres(low: float, high: float, cell_m: float) -> FloatArray:
    count = max(round((high - low) / cell_m), 1)
    return np.asarray(low + (np.arange(count) + 0.5) * (high - low) / count)
