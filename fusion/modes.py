"""Modes of the posterior: positions that explain a choice of hypotheses, with their evidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from drivers.geometry import FloatArray
from drivers.node_errors import NodeErrors
from fusion.echo_evidence import choice_scores, log_rcs, point_evidence
from fusion.likelihood import LinkEvidence, RcsPrior
from fusion.measurement import Measurement, bearing_range_points
from fusion.wls import Bearing, WlsProblem, WlsSolution

# Below this spread (root of the trace) P1 has one minimum and needs no second start.
_WIDE_M = 0.5


def _unit_points(num_rings: int = 4, per_ring: int = 8) -> FloatArray:
    """Equally likely points of a unit Gaussian, shape ``(32, 2)``, with exact second moments.

    Rings at the mid-quantiles of the radius, staggered in angle.
    """
    quantile = (np.arange(num_rings) + 0.5) / num_rings
    radius = np.sqrt(-2.0 * np.log1p(-quantile))
    radius *= np.sqrt(2.0 / np.mean(radius**2))
    turn = (np.arange(per_ring) + 0.5 * (np.arange(num_rings)[:, None] % 2)) / per_ring
    rings = radius[:, None, None] * np.stack(
        (np.cos(2.0 * np.pi * turn), np.sin(2.0 * np.pi * turn)), axis=-1
    )
    return np.asarray(rings.reshape(-1, 2))


_UNIT_POINTS = _unit_points()
# Each point stands for a neighbourhood with this share of the whole covariance, so that weight
# collapsing onto one point of a wide mode never passes for certainty.
_KERNEL_SHARE = 0.1
# A micrometre: what is known in one direction only still has an inverse.
_LEAST_COVARIANCE_M2 = 1e-12 * np.eye(2)


@dataclass(frozen=True)
class Mode:
    """One explanation of all reports so far.

    Attributes
    ----------
    position_m, covariance_m2
        Of the target under this explanation: P1 reweighted by what the misses and the echoes'
        strengths say about each of `points_m`.
    points_m, weights
        Points over the mode, shape ``(Q, 2)``, and their probabilities, shape ``(Q,)``.
    choice
        For every report, the index of the hypothesis taken for the target, or ``None`` (missed).
    log_weight
        Log of prior times likelihood, integrated over position (Laplace) and RCS.
    rcs_m2
        Posterior mean RCS level.
    """

    position_m: FloatArray
    covariance_m2: FloatArray
    points_m: FloatArray
    weights: FloatArray
    choice: tuple[int | None, ...]
    log_weight: float
    rcs_m2: float


class ModeFinder:
    """Builds and extends modes.

    Parameters
    ----------
    area_m
        Search area ``(x_min, y_min, x_max, y_max)``; a mode outside it is dropped.
    prior
        Of the RCS level.
    bearing
        Residual of P1.
    errors
        What is not known of the nodes; what their surveys say, if left out.
    """

    def __init__(
        self,
        area_m: tuple[float, float, float, float],
        prior: RcsPrior,
        bearing: Bearing,
        errors: NodeErrors | None = None,
    ) -> None:
        self._low, self._high = np.array(area_m[:2]), np.array(area_m[2:])
        self._log_area = float(np.log(np.prod(self._high - self._low)))
        self._span2_m2 = float(np.sum((self._high - self._low) ** 2))
        self._prior = prior
        self._bearing: Bearing = bearing
        self._errors = errors
        self._problems: WeakKeyDictionary[LinkEvidence, list[WlsProblem | None]] = (
            WeakKeyDictionary()
        )

    def problem(self, measurements: Sequence[Measurement]) -> WlsProblem:
        """P1 of some measurements."""
        return WlsProblem(measurements, self._bearing, self._errors)

    def start(self, measurements: Sequence[Measurement], start_m: FloatArray) -> WlsSolution | None:
        """Local minimum of P1 near a start; ``None`` if outside the area or undetermined."""
        solution = self.problem(measurements).solve(start_m)
        (xx, _), (_, yy) = solution.covariance_m2.tolist()
        margin_m = 3.0 * np.sqrt((xx, yy))
        low, high = solution.position_m + margin_m, solution.position_m - margin_m
        inside = (low >= self._low).all() and (high <= self._high).all()
        return solution if inside and xx + yy < self._span2_m2 else None

    def extend(
        self,
        solution: WlsSolution,
        choice: dict[int, int],
        evidence: Sequence[LinkEvidence],
        fresh: Sequence[int],
    ) -> Mode | None:
        """Take further reports into an explanation, one after the other.

        Parameters
        ----------
        solution
            Position so far.
        choice
            Hypotheses chosen so far, report index to hypothesis index.
        evidence
            All reports.
        fresh
            Indices of the reports not yet decided upon, in the order to decide.
        """
        chosen = dict(choice)
        for index in fresh:
            best = self._best_hypothesis(solution, chosen, evidence, index)
            if best is None:
                continue
            trial = {**chosen, index: best}
            extended = self._solve(solution, trial, evidence, evidence[index].measurements[best])
            if extended is not None:
                solution, chosen = extended, trial
        return self._mode(solution, chosen, evidence) if chosen else None

    def _solve(
        self,
        solution: WlsSolution,
        chosen: dict[int, int],
        evidence: Sequence[LinkEvidence],
        newest: Measurement,
    ) -> WlsSolution | None:
        """P1 over the chosen hypotheses, from the old position and, if that is wide, the new.

        Of the new measurement's front and back only the one that the old position is about: the
        other may fit as well, as for two looks at one link, but it is another mode's.
        """
        measurements = [evidence[i].measurements[h] for i, h in sorted(chosen.items())]
        starts = [solution.position_m]
        if np.trace(solution.covariance_m2) > _WIDE_M**2:
            starts += sorted(bearing_range_points(newest), key=solution.distance2)[:1]
        found = [self.start(measurements, start) for start in starts]
        kept = [s for s in found if s is not None]
        return min(kept, key=lambda s: s.cost) if kept else None

    def _best_hypothesis(
        self,
        solution: WlsSolution,
        chosen: dict[int, int],
        evidence: Sequence[LinkEvidence],
        index: int,
    ) -> int | None:
        """Hypothesis of a report that explains the target better than a miss does, if any."""
        link = evidence[index]
        if not link.measurements:
            return None
        points = gaussian_points(solution.position_m, solution.covariance_m2)
        scores = choice_scores(
            link.row, link.levels, link.log_false, *link.hearing(points),
            self._log_rcs(solution, chosen, evidence), self._prior.level_m2, points,
        )  # fmt: skip
        for h, problem in enumerate(self._alone(link), start=1):
            if problem is not None:
                scores[h] += problem.foreseen_log_density(
                    solution.position_m, solution.covariance_m2
                )
        best = int(np.argmax(np.where(np.isnan(scores), -np.inf, scores)))
        return None if best == 0 else best - 1

    def _alone(self, link: LinkEvidence) -> list[WlsProblem | None]:
        """P1 of each of a report's hypotheses alone; ``None`` where it says nothing about where."""
        if link not in self._problems:
            self._problems[link] = [
                self.problem([measurement]) if measurement.locates else None
                for measurement in link.measurements
            ]
        return self._problems[link]

    def _log_rcs(
        self, solution: WlsSolution, chosen: dict[int, int], evidence: Sequence[LinkEvidence]
    ) -> FloatArray:
        """Normalized log posterior of the RCS level given the chosen hypotheses."""
        taken = [(evidence[i], h) for i, h in chosen.items()]
        return log_rcs(
            np.array([link.row for link, _ in taken]),
            np.array([link.levels[h] for link, h in taken]),
            np.array([link.log_false[h] for link, h in taken]),
            self._prior.log_probability,
            self._prior.level_m2,
            solution.position_m,
        )

    def _mode(
        self, solution: WlsSolution, chosen: dict[int, int], evidence: Sequence[LinkEvidence]
    ) -> Mode | None:
        points = gaussian_points(solution.position_m, solution.covariance_m2)
        inside = np.all((points >= self._low) & (points <= self._high), axis=1)
        if not inside.any():
            return None
        choice = [chosen.get(index) for index in range(len(evidence))]
        taken = list(zip(evidence, choice, strict=True))
        total, weights, level_share = point_evidence(
            np.array([link.row for link in evidence]),
            np.array([np.nan if h is None else link.levels[h] for link, h in taken]),
            np.array([np.nan if h is None else link.log_false[h] for link, h in taken]),
            *_hearing(evidence, points),
            self._prior.log_probability,
            self._prior.level_m2,
            points,
            inside,
        )
        position = weights @ points
        offset = points - position
        log_volume = np.log(2.0 * np.pi) + 0.5 * np.log(_determinant(solution.covariance_m2))
        log_weight = total - np.log(len(points)) + solution.log_likelihood + log_volume
        return Mode(
            position_m=position,
            covariance_m2=(offset * weights[:, None]).T @ offset
            + _KERNEL_SHARE * solution.covariance_m2
            + _LEAST_COVARIANCE_M2,
            points_m=points,
            weights=weights,
            choice=tuple(choice),
            log_weight=float(log_weight - self._log_area),
            rcs_m2=float(level_share @ self._prior.level_m2),
        )


def gaussian_points(position_m: FloatArray, covariance_m2: FloatArray) -> FloatArray:
    """Equally likely points of a Gaussian, shape ``(Q, 2)``.

    They keep its mean and, with a kernel of `_KERNEL_SHARE` of it about each, its covariance.
    """
    (xx, xy), (_, yy) = covariance_m2.tolist()
    middle, half = (xx + yy) / 2.0, math.hypot((xx - yy) / 2.0, xy)
    major_m = math.sqrt((1.0 - _KERNEL_SHARE) * (middle + half))
    minor_m = math.sqrt((1.0 - _KERNEL_SHARE) * max(middle - half, 0.0))
    turn = 0.5 * math.atan2(2.0 * xy, xx - yy)
    cosine, sine = math.cos(turn), math.sin(turn)
    axes = np.array(((major_m * cosine, major_m * sine), (-minor_m * sine, minor_m * cosine)))
    return np.asarray(position_m + _UNIT_POINTS @ axes)


def _hearing(
    evidence: Sequence[LinkEvidence], points_m: FloatArray
) -> tuple[NDArray[np.intp], FloatArray, FloatArray]:
    """Which link each report is of, ``(R,)``; `LinkEvidence.hearing` of the links, ``(L, Q)``."""
    pairs = [(link.tx.node_id, link.rx.node_id) for link in evidence]
    first = {pair: n for n, pair in reversed(list(enumerate(pairs)))}
    numbers = {pair: n for n, pair in enumerate(first)}
    kept, deaf = zip(*(evidence[n].hearing(points_m) for n in first.values()), strict=True)
    return np.array([numbers[pair] for pair in pairs]), np.array(kept), np.array(deaf)


def _determinant(covariance_m2: FloatArray) -> float:
    (xx, xy), (_, yy) = covariance_m2.tolist()
    return max(abs(xx * yy - xy * xy), 1e-300)  # rounding may leave nothing
