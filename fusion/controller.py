"""Algorithm 1, PEB-based sensing reconfiguration, as a state machine without I/O."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace

import numpy as np

from fusion.belief import Belief
from fusion.network import Network
from fusion.planner import Planner
from fusion.planning import Plan
from fusion.sensing import PositionEstimate, SensingConfig, TooFewNodesError
from fusion.settings import FusionSettings
from processing.report import LinkReport


class Controller:
    """Senses, fuses, and chooses the next configuration until the target is found.

    Call `next_config`, sense it, hand the reports to `update`; repeat until `next_config`
    returns ``None``. Say by `set_absent` which nodes cannot take part, at any time.

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
        See `fusion.settings.FusionSettings`.
    rng
        For the samples of the initialization.

    Attributes
    ----------
    absent
        Nodes that cannot take part now. What they have reported stays.
    belief
        Where the target may be, given all reports.
    estimate
        The position now, with its status.
    num_sensings
        How many there have been, with those in which nothing was heard.
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
        self._settings = settings
        self.belief = self._new_belief()
        self._planner = Planner(
            network, area_m, mean_rcs_m2, detection_snr, settings, rng, self.belief
        )
        self.num_sensings = 0
        self.absent: frozenset[str] = frozenset()
        self._ended = False
        self._plan: Plan | None = None
        self._planned_without = self.absent
        with suppress(TooFewNodesError):  # `next_config` will say so
            self._make_plan()
        self.estimate = self.belief.summary()

    def _new_belief(self) -> Belief:
        return Belief(self._network, self._area_m, self._mean_rcs_m2, self._settings.bearing)

    def set_absent(self, node_ids: Collection[str]) -> None:
        """Say which nodes cannot take part from now on; all others can.

        The next configuration is chosen accordingly, and the same whatever was said in between.
        Before `update` it saves making that choice twice.

        Raises
        ------
        ValueError
            If a node is not of the network.
        """
        absent = frozenset(node_ids)
        if unknown := sorted(absent - self._network.index.keys()):
            msg = f"no nodes {unknown} to be absent; there are {list(self._network.index)}"
            raise ValueError(msg)
        self.absent = absent

    def next_config(self) -> SensingConfig | None:
        """Configuration to sense next, or ``None`` when there is nothing more to do.

        Raises
        ------
        TooFewNodesError
            If fewer than two nodes can take part; ask again once one has come back.
        """
        if self._ended:
            return None
        if self._plan is None or self._planned_without != self.absent:
            return self._make_plan().config
        return self._plan.config

    def _make_plan(self) -> Plan:
        self._plan = None
        self._plan = self._planner.plan(self.absent)
        self._planned_without = self.absent
        return self._plan

    def update(self, reports: Sequence[LinkReport]) -> PositionEstimate:
        """Take in one sensing's reports, none if nothing was heard; the new estimate."""
        if self._ended:
            msg = "update() after the end: next_config() has returned None"
            raise RuntimeError(msg)
        self.num_sensings += 1
        if reports:
            self._fuse(reports)
        before = self._plan
        self._planner.begin(self.belief)
        with suppress(TooFewNodesError):  # what was heard counts in any case
            self._make_plan()
        # That a plan stays where nothing was heard proves nothing.
        self._conclude(repeated=bool(reports) and _same_nodes(before, self._plan))
        return self.estimate

    def _fuse(self, reports: Sequence[LinkReport]) -> None:
        if self._settings.fusion == "accumulate":
            self.belief.update(reports)
            return
        # Forget earlier sensings; but keep the estimate where this one detected nothing.
        fresh = self._new_belief()
        fresh.update(reports)
        if fresh.modes or not self.belief.modes:
            self.belief = fresh

    def _conclude(self, *, repeated: bool) -> None:
        settings, found = self._settings, self.belief.best
        summary = self.belief.summary()
        converged = settings.satisfied_by(summary)
        spent = self.num_sensings >= settings.max_sensings
        if settings.stopping == "repeat":
            done = converged = repeated and found is not None
        else:
            promised = self._plan.peb_m if self._plan is not None else float("inf")
            worthwhile = promised < (1.0 - settings.min_improvement) * summary.peb_m
            done = converged and not worthwhile
        if done or spent:
            self._ended = True
            self.estimate = replace(summary, status="converged" if converged else "unresolved")
        else:
            self.estimate = summary


def _same_nodes(first: Plan | None, second: Plan | None) -> bool:
    return first is not None and second is not None and first.config.same_nodes(second.config)
