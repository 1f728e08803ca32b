"""Algorithm 1, PEB-based sensing reconfiguration, as a state machine without I/O."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from drivers.geometry import FloatArray
from fusion.belief import Belief
from fusion.initialization import expected_error_plan, field_of_view_plan
from fusion.likelihood import detection_probability
from fusion.modes import Mode
from fusion.network import Network
from fusion.planning import Plan, best_configuration
from fusion.sensing import PositionEstimate, SensingConfig
from fusion.wls import Bearing
from processing.report import LinkReport

Fusion = Literal["accumulate", "latest"]
Initialization = Literal["expected_error", "field_of_view", "random"]
Stopping = Literal["radius", "repeat"]

# A mode is sensed by P2 once it is more probable than not; below that the search goes on.
_REFINE_PROBABILITY = 0.5
# Below this spread (root of the trace) every link looks the same from all over the mode.
_NARROW_M = 0.1


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """How the controller senses, fuses and stops.

    Attributes
    ----------
    num_receivers
        Receivers per sensing, ``N_r``.
    max_sensings
        Budget, ``J_max``.
    tolerance_m
        The posterior's 95 % radius that is asked for.
    min_improvement
        Once within tolerance, sense on only while the best next configuration promises to
        shrink the error bound by at least this fraction.
    min_probability
        Posterior probability that the best mode needs to count as converged.
    fusion
        ``accumulate``: all sensings; ``latest``: the current one only (the paper).
    initialization
        ``expected_error``; ``field_of_view`` (the paper's SFI); ``random`` (without SFI).
    stopping
        ``radius``; ``repeat``: when the configuration repeats (the paper).
    bearing
        Residual of P1: ``sine``, or ``angle`` (the paper).
    num_scene_samples
        Samples of the belief for the initialization, ``N_s``.
    """

    num_receivers: int = 1
    max_sensings: int = 10
    tolerance_m: float = 0.5
    min_improvement: float = 0.35
    min_probability: float = 0.999
    fusion: Fusion = "accumulate"
    initialization: Initialization = "expected_error"
    stopping: Stopping = "radius"
    bearing: Bearing = "sine"
    num_scene_samples: int = 128


class Controller:
    """Senses, fuses, and chooses the next configuration until the target is found.

    Call `next_config`, sense it, hand the reports to `update`; repeat until `next_config`
    returns ``None``.

    Parameters
    ----------
    network
        Nodes and waveform.
    area_m
        Search area ``(x_min, y_min, x_max, y_max)``.
    mean_rcs_m2
        Mean RCS of the targets that are searched for.
    detection_snr
        Matched-cell SNR of the detectors' threshold, for planning.
    settings
        See `FusionSettings`.
    rng
        For the samples of the initialization.
    """

    def __init__(
        self,
        network: Network,
        area_m: tuple[float, float, float, float],
        mean_rcs_m2: float,
        detection_snr: float,
        settings: FusionSettings,
        rng: np.random.Generator,
    ) -> None:
        self._network = network
        self._area_m = area_m
        self._mean_rcs_m2 = mean_rcs_m2
        self._detection_snr = detection_snr
        self._settings = settings
        self._rng = rng
        self._looks: dict[tuple[str, str], list[float]] = {}
        self.belief = self._new_belief()
        self.num_sensings = 0
        self._plan: Plan | None = self._initial_plan()
        self.estimate = self.belief.summary()

    def _new_belief(self) -> Belief:
        return Belief(self._network, self._area_m, self._mean_rcs_m2, self._settings.bearing)

    def next_config(self) -> SensingConfig | None:
        """Configuration to sense next, or ``None`` when there is nothing more to do."""
        return None if self._plan is None else self._plan.config

    def update(self, reports: Sequence[LinkReport]) -> PositionEstimate:
        """Take in one sensing's reports; the new estimate, with its status."""
        if self._plan is None:
            msg = "update() after the end: next_config() has returned None"
            raise RuntimeError(msg)
        self.num_sensings += 1
        if self._settings.fusion == "latest":
            self._fuse_latest(reports)
        else:
            self.belief.update(reports)
        self._remember()
        before = self._plan
        found = self.belief.best
        self._plan = self._next_plan(found)
        repeated = self._plan.config.same_nodes(before.config)
        self._conclude(found, repeated=repeated)
        return self.estimate

    def _fuse_latest(self, reports: Sequence[LinkReport]) -> None:
        """Forget earlier sensings; but keep the estimate where this one detected nothing."""
        fresh = self._new_belief()
        fresh.update(reports)
        if fresh.modes or not self.belief.modes:
            self.belief = fresh

    def _remember(self) -> None:
        """Keep the SNR that each link has shown of the best mode, relative to the prediction."""
        self._looks.clear()
        if self.belief.best is None:
            return
        mode = self.belief.best[0]
        for link, chosen in self.belief.explained(mode):
            expected = float(link.unit_snr(mode.position_m)) * mode.rcs_m2
            if expected > 0.0:
                seen = 0.0 if chosen is None else link.report.hypotheses[chosen].snr
                key = link.report.tx_id, link.report.rx_id
                self._looks.setdefault(key, []).append(seen / expected)

    def _conclude(self, found: tuple[Mode, float] | None, *, repeated: bool) -> None:
        settings = self._settings
        summary = self.belief.summary()
        converged = (
            found is not None
            and summary.probability >= settings.min_probability
            and summary.radius_95_m <= settings.tolerance_m
        )
        spent = self.num_sensings >= settings.max_sensings
        if settings.stopping == "repeat":
            done = converged = repeated and found is not None
        else:
            promised = self._plan.peb_m if self._plan is not None else 0.0
            worthwhile = promised < (1.0 - settings.min_improvement) * summary.peb_m
            done = converged and not worthwhile
        if done or spent:
            self._plan = None
            self.estimate = replace(summary, status="converged" if converged else "unresolved")
        else:
            self.estimate = summary

    def _initial_plan(self) -> Plan:
        settings = self._settings
        if settings.initialization == "random":
            picked = self._rng.permutation(len(self._network.nodes))[: settings.num_receivers + 1]
            tx, *rx = (self._network.nodes[int(n)].node_id for n in picked)
            return Plan(SensingConfig(tx, tuple(rx)), float("inf"))
        if settings.initialization == "field_of_view":
            points = self._rng.uniform(
                self._area_m[:2], self._area_m[2:], size=(settings.num_scene_samples, 2)
            )
            return field_of_view_plan(
                self._network, points, self._mean_rcs_m2, settings.num_receivers
            )
        return self._search_plan()

    def _next_plan(self, found: tuple[Mode, float] | None) -> Plan:
        literal = self._settings.fusion == "latest"
        if found is None or (not literal and found[1] < _REFINE_PROBABILITY):
            return self._search_plan()
        return self._refine_plan(found[0])

    def _search_plan(self) -> Plan:
        points, rcs = self.belief.grid.sample(self._rng, self._settings.num_scene_samples)
        span = float(np.hypot(*np.subtract(self._area_m[2:], self._area_m[:2])))
        return expected_error_plan(
            self._network, points, rcs, self._detection_snr, span, self._settings.num_receivers
        )

    def _refine_plan(self, mode: Mode) -> Plan:
        """P2 at the mode, averaged over its covariance, on top of what is known already."""
        literal = self._settings.fusion == "latest"
        prior = np.zeros(3) if literal else _entries(np.asarray(np.linalg.inv(mode.covariance_m2)))
        points, weights = mode.points_m, mode.weights
        if literal or np.trace(mode.covariance_m2) < _NARROW_M**2:
            points, weights = mode.position_m[None], np.ones(1)
        snr = self._network.snr(points, np.full(len(points), mode.rcs_m2))
        if literal:
            information = self._network.information(points, snr)
        else:
            snr *= self._link_memory()
            seen = detection_probability(snr, self._detection_snr)
            information = self._network.information(points, snr) * seen[..., None]
        mean = np.tensordot(weights, information, axes=1)
        plan = best_configuration(self._network, mean, prior, self._settings.num_receivers)
        return plan if np.isfinite(plan.peb_m) else self._search_plan()

    def _link_memory(self) -> FloatArray:
        """What each link has shown over what was predicted, drawn towards one; ``(N, N)``.

        Whether fades last is unknown. The mean of one imagined average look and the looks taken
        moves away from a link that keeps fading, and costs little where every look is new.
        """
        size = len(self._network.nodes)
        memory = np.ones((size, size))
        for (tx_id, rx_id), looks in self._looks.items():
            key = self._network.index[tx_id], self._network.index[rx_id]
            memory[key] = (1.0 + sum(looks)) / (1.0 + len(looks))
        return memory


def _entries(matrix: FloatArray) -> FloatArray:
    return np.array([matrix[0, 0], matrix[0, 1], matrix[1, 1]])
