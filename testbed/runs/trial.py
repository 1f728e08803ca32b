"""One trial of a study: a policy in one drawn scene."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from drivers.geometry import FloatArray
from fusion.policy import Bound, Outcome, PolicyError, World
from fusion.sensing import SensingConfig
from processing.report import LinkReport
from sim_backend.source import SimulatedSource
from testbed.build import assumed_rcs_m2, build_fusion
from testbed.runs.backgrounds import (
    BackgroundKind,
    BackgroundOf,
    equivalent_background,
    no_background,
)
from testbed.runs.links import LocalLinks, Processors
from testbed.runs.policies import PROPOSED, new_policy
from testbed.runs.preparation import prepared
from testbed.runs.setup import Fidelity, Setup, opened_setup, simulate
from testbed.runs.trial_bounds import TrialBounds, TruthBounds
from testbed.site import Site

LinksOf = Callable[[int], LocalLinks]
"""Links that are sensed with so many of the site's bursts in one."""


@dataclass(frozen=True, slots=True)
class TrialResult:
    """One trial of a study.

    Attributes
    ----------
    seed
        Of its scene.
    error_m
        After each sensing; of a theoretical policy what it states.
    converged
        Whether the run says so.
    nees
        Squared error normalized by the stated covariance, two degrees of freedom; ``None`` of a
        theoretical policy.
    peb_m
        Stated bound at the end.
    num_links
        Links sensed.
    policy
        What sensed.
    num_symbols
        Spent on sensing.
    bounds
        What could have been reached by then, after each sensing, as `error_m`; ``None`` where
        nothing was heard yet.
    knows_truth
        Whether the policy asked where the target is.
    """

    seed: int
    error_m: tuple[float, ...]
    converged: bool
    nees: float | None
    peb_m: float
    num_links: int
    policy: str = PROPOSED
    num_symbols: int = 0
    bounds: tuple[TrialBounds | None, ...] = ()
    knows_truth: bool = False


def run_trial(
    site: Site,
    seed: int,
    background: BackgroundKind,
    processors: Processors,
    fidelity: Fidelity = "pilot",
    policy: str = PROPOSED,
) -> TrialResult:
    """Locate the target of one drawn scene.

    At pilot fidelity ``learned`` uses the equivalent form (static channel cancelled, the median's
    noise drawn), ``none`` synthesizes the whole channel. At IQ fidelity nodes are calibrated and
    backgrounds learned through the simulated radios, as by `testbed localize`.

    Raises
    ------
    UsageError
        If there is no such policy.
    PolicyError
        If the policy does what none may.
    """
    if fidelity == "iq":
        return _run_iq_trial(site, seed, background, processors, policy)
    simulation = simulate(site, seed, cancel_static=background != "none")
    source = simulation.source
    background_of = _background_of(site, source, background)

    def links_of(num_bursts: int) -> LocalLinks:
        bursts = source.of_symbols(num_bursts * site.waveform.num_symbols)
        return LocalLinks(site, bursts, background_of, processors)

    return _Trial(site, simulation, links_of).result(policy)


def _run_iq_trial(
    site: Site, seed: int, background: BackgroundKind, processors: Processors, policy: str
) -> TrialResult:
    with (
        opened_setup(site, seed, "iq") as setup,
        TemporaryDirectory(prefix="testbed-") as scratch,
        prepared(site, setup, background, Path(scratch) / "dictionary") as known,
    ):
        links = LocalLinks(site, setup.source, known.background_of, processors, known.calibration)

        def links_of(num_bursts: int) -> LocalLinks:
            if num_bursts == 1:
                return links
            msg = f"radios send the site's burst: {num_bursts} in one need --fidelity pilot"
            raise PolicyError(msg)

        return _Trial(site, setup, links_of).result(policy)


class _Trial:
    """One scene for one policy."""

    def __init__(self, site: Site, setup: Setup, links_of: LinksOf) -> None:
        if setup.target_m is None or setup.pilots is None:
            msg = "a study needs simulated radios"
            raise ValueError(msg)
        self._seed = setup.seed
        self._target_m: FloatArray = setup.target_m
        self._scene = setup.pilots.scene
        self._links_of = links_of
        self._links = links_of(1)
        self._world = World(
            self._links.network,
            site.area_m,
            assumed_rcs_m2(site),
            self._links.detection_snr,
            build_fusion(site),
            setup.planning_rng(),
            self._sense,
            setup.target_m,
        )

    def _sense(self, config: SensingConfig, index: int, num_symbols: int) -> list[LinkReport]:
        links = self._links if num_symbols == 1 else self._links_of(num_symbols)
        return [look.report for look in links.sense(config, index).looks]

    def result(self, name: str) -> TrialResult:
        """Let a policy run to its end."""
        world = self._world
        outcomes: list[Outcome] = []
        spent: list[int] = []
        try:
            for outcome in new_policy(name).run(world):
                outcomes.append(outcome)
                spent.append(world.num_sensings)
        except PolicyError as error:
            msg = f"policy {name!r}: {error}"
            raise PolicyError(msg) from error
        if not outcomes:
            msg = f"policy {name!r}: it ended without a position"
            raise PolicyError(msg)
        converged, nees, peb_m = self._ending(outcomes[-1])
        return TrialResult(
            seed=self._seed,
            error_m=tuple(self._error_m(outcome) for outcome in outcomes),
            converged=converged,
            nees=nees,
            peb_m=peb_m,
            num_links=len(world.reports),
            policy=name,
            num_symbols=world.num_symbols,
            bounds=self._bounds(world.reports, spent),
            knows_truth=world.knows_truth,
        )

    def _ending(self, last: Outcome) -> tuple[bool, float | None, float]:
        """Whether the target is found, normalized squared error, stated bound in metres."""
        if isinstance(last, Bound):
            return False, None, last.error_m
        offset = last.position_m - self._target_m
        nees = float(offset @ np.linalg.solve(last.covariance_m2, offset))
        resolved = last.status == "converged" or (
            last.status == "searching" and self._world.settings.satisfied_by(last)
        )
        return resolved, nees, last.peb_m

    def _error_m(self, outcome: Outcome) -> float:
        if isinstance(outcome, Bound):
            return outcome.error_m
        return float(np.hypot(*(outcome.position_m - self._target_m)))

    def _bounds(
        self, reports: Sequence[LinkReport], spent: Sequence[int]
    ) -> tuple[TrialBounds | None, ...]:
        """After so many sensings each."""
        scene = self._scene
        index = {node.node_id: n for n, node in enumerate(scene.nodes)}
        bounds = TruthBounds(
            self._world.network,
            self._target_m,
            scene.statistics.mean_rcs_m2,
            lambda tx_id, rx_id, look: scene.target_rcs_m2(index[tx_id], index[rx_id], look),
        )
        known: list[tuple[int, TrialBounds | None]] = [(-1, None), *bounds.of(reports)]
        return tuple([own for at, own in known if at < count][-1] for count in spent)


def _background_of(site: Site, pilots: SimulatedSource, background: BackgroundKind) -> BackgroundOf:
    if background == "learned":
        return equivalent_background(pilots, site.calibration.num_captures)
    return no_background  # perfect: the cancelled static channel leaves nothing to subtract
