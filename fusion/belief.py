"""Where the target may still be: a grid over position and RCS level, and its refined modes."""

from collections.abc import Sequence

import numpy as np

from drivers.geometry import FloatArray, delay_limits_s
from fusion.grid import PositionGrid
from fusion.likelihood import LinkEvidence, RcsPrior, exponential_rcs_prior
from fusion.measurement import bearing_range_points, shared_focus_points
from fusion.modes import Mode, ModeFinder
from fusion.network import Network
from fusion.sensing import PositionEstimate
from fusion.wls import Bearing
from processing.report import LinkReport

_NUM_MODES = 8
_NEGLIGIBLE_LOG = 35.0
_NEAR_MAHALANOBIS2 = 16.0
# A mode with less of the posterior cannot state a 95 % ellipse alone.
_NEARLY_ALL = 0.95
# Modes as wide as this (root of the trace) are bent; narrower ones by less than a twentieth of it.
_BENT_M = 0.5
# Detections, newest first, that one which fixes no position is paired with: enough for the true
# pair to be among them, and the work stays proportional to the number of reports.
_NUM_PARTNERS = 6


class Belief:
    """Posterior over position and RCS level of one static target, given all reports.

    The grid carries the full likelihood of every report, with measurement errors widened by the
    cell's own size, so that it never misses a peak: it says where else the target could be, and
    samples for planning come from it. Modes carry the exact likelihood: each is a choice of
    hypotheses solved by P1, and its Laplace evidence competes with the other modes and with the
    grid's mass away from all of them.

    Parameters
    ----------
    network
        Nodes and waveform.
    area_m
        Search area ``(x_min, y_min, x_max, y_max)``; the prior is uniform over it.
    mean_rcs_m2
        Mean RCS of the targets that are searched for.
    bearing
        Residual of P1.

    Attributes
    ----------
    grid
        The posterior on cells.
    modes
        Heaviest first.
    best
        The most probable mode and its probability; ``None`` while nothing was detected.
    """

    def __init__(
        self,
        network: Network,
        area_m: tuple[float, float, float, float],
        mean_rcs_m2: float,
        bearing: Bearing = "sine",
    ) -> None:
        self._network = network
        self._area_m = area_m
        self._prior: RcsPrior = exponential_rcs_prior(mean_rcs_m2)
        self._finder = ModeFinder(area_m, self._prior, bearing, network.errors)
        self.grid = PositionGrid(area_m, self._prior)
        self._evidence: list[LinkEvidence] = []
        self.modes: list[Mode] = []
        self.best: tuple[Mode, float] | None = None

    def update(self, reports: Sequence[LinkReport]) -> None:
        """Take in the reports of one sensing."""
        first = len(self._evidence)
        for report in reports:
            limits = self._delay_limits(report)
            link = LinkEvidence(self._network, report, limits[1] - limits[0])
            self._evidence.append(link)
            self.grid.update(link)
        fresh = list(range(first, len(self._evidence)))
        extended = [self._extend(mode, fresh) for mode in self.modes]
        born = self._born(fresh, [mode for mode in extended if mode is not None])
        self.modes = _distinct([mode for mode in (*extended, *born) if mode is not None])
        self.best = self._weigh()

    def _delay_limits(self, report: LinkReport) -> tuple[float, float]:
        nodes, index = self._network.nodes, self._network.index
        tx, rx = nodes[index[report.tx_id]], nodes[index[report.rx_id]]
        return delay_limits_s(tx.pose.position, rx.pose.position, self._area_m)

    def _extend(self, mode: Mode, fresh: Sequence[int]) -> Mode | None:
        chosen = {i: h for i, h in enumerate(mode.choice) if h is not None}
        measurements = [self._evidence[i].measurements[h] for i, h in chosen.items()]
        solution = self._finder.start(measurements, mode.position_m)
        if solution is None:
            return None
        return self._finder.extend(solution, chosen, self._evidence, fresh)

    def _born(self, fresh: Sequence[int], existing: Sequence[Mode]) -> list[Mode]:
        """Modes that start from a fresh hypothesis no heavy mode has taken yet."""
        heaviest = max(existing, key=lambda mode: mode.log_weight, default=None)
        born: list[Mode] = []
        for index in fresh:
            for h in range(len(self._evidence[index].measurements)):
                if heaviest is not None and heaviest.choice[index] == h:
                    continue
                born += self._born_from(index, h)
                if heaviest is None and born:
                    heaviest = max(born, key=lambda mode: mode.log_weight)
        return born

    def _born_from(self, index: int, h: int) -> list[Mode]:
        measurement = self._evidence[index].measurements[h]
        if not measurement.locates:
            return []
        others = [i for i in range(len(self._evidence)) if i != index]
        others.sort(reverse=True)
        modes: list[Mode | None] = []
        for point in bearing_range_points(measurement):
            solution = self._finder.start([measurement], point)
            if solution is not None:
                modes.append(self._finder.extend(solution, {index: h}, self._evidence, others))
        if modes:
            return [mode for mode in modes if mode is not None]
        return self._born_from_pairs(index, h, others)

    def _born_from_pairs(self, index: int, h: int, others: Sequence[int]) -> list[Mode]:
        """Starts for a link that alone fixes no position: with each other link's hypotheses."""
        measurement = self._evidence[index].measurements[h]
        modes: list[Mode] = []
        for other in [i for i in others if self._evidence[i].measurements][:_NUM_PARTNERS]:
            for k, partner in enumerate(self._evidence[other].measurements):
                starts = shared_focus_points(measurement, partner) or self.grid.peaks()
                chosen = {index: h, other: k}
                rest = [i for i in others if i != other]
                for start in starts:
                    solution = self._finder.start([measurement, partner], start)
                    mode = solution and self._finder.extend(solution, chosen, self._evidence, rest)
                    if mode:
                        modes.append(mode)
        return modes

    def explained(self, mode: Mode) -> list[tuple[LinkEvidence, int | None]]:
        """Each report with the hypothesis that a mode takes for the target."""
        return list(zip(self._evidence, mode.choice, strict=True))

    def _weigh(self) -> tuple[Mode, float] | None:
        """Best mode and its probability among all modes and the grid's mass away from them."""
        if not self.modes:
            return None
        log_weights = np.array([mode.log_weight for mode in self.modes])
        rest = self.grid.log_mass_away_from(
            [mode.position_m for mode in self.modes],
            [mode.covariance_m2 for mode in self.modes],
            _NEAR_MAHALANOBIS2,
        )
        total = np.logaddexp(np.logaddexp.reduce(log_weights), rest)
        best = int(np.argmax(log_weights))
        return self.modes[best], float(np.exp(log_weights[best] - total))

    def summary(self) -> PositionEstimate:
        """Best position now: the most probable mode, or the mean where nothing was detected.

        The covariance is that of the mode where it holds nearly all of the posterior, and covers
        how it bends; otherwise the posterior's mean square about it, which knows of everywhere
        else.
        """
        if self.best is None:
            mean_m = self.grid.cell_probability() @ self.grid.points_m
            return PositionEstimate(mean_m, self._spread_m2(mean_m), 0.0, "searching")
        mode, probability = self.best
        sure = probability >= _NEARLY_ALL
        covariance = self._covariance_m2(mode) if sure else self._spread_m2(mode.position_m)
        return PositionEstimate(mode.position_m, covariance, probability, "searching")

    def _covariance_m2(self, mode: Mode) -> FloatArray:
        if np.trace(mode.covariance_m2) <= _BENT_M**2:
            return mode.covariance_m2
        problem = self._finder.problem(
            [link.measurements[h] for link, h in self.explained(mode) if h is not None]
        )
        return problem.bent(mode.position_m, mode.covariance_m2)

    def _spread_m2(self, about_m: FloatArray) -> FloatArray:
        """Mean square of the posterior about a point, shape ``(2, 2)``."""
        offset = self.grid.points_m - about_m
        between = (offset * self.grid.cell_probability()[:, None]).T @ offset
        return np.asarray(between + self.grid.cell_m**2 / 12.0 * np.eye(2))


def _distinct(modes: Sequence[Mode]) -> list[Mode]:
    """Heaviest first, one of each position, negligible ones left out."""
    kept: list[Mode] = []
    for mode in sorted(modes, key=lambda m: -m.log_weight):
        if kept and mode.log_weight < kept[0].log_weight - _NEGLIGIBLE_LOG:
            break
        if all(_apart(mode, other) for other in kept):
            kept.append(mode)
    return kept[:_NUM_MODES]


def _apart(first: Mode, second: Mode) -> bool:
    offset = first.position_m - second.position_m
    spread = first.covariance_m2 + second.covariance_m2
    return bool(offset @ np.linalg.solve(spread, offset) > _NEAR_MAHALANOBIS2)
