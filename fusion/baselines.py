"""The schemes of section VI: the proposed one, its variants, benchmarks and bounds.

Which variant of the paper's or of ours they are, the settings say (`fusion.settings`).
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import cast

import numpy as np

from fusion.belief import Belief
from fusion.candidates import Candidates
from fusion.controller import Controller
from fusion.error_bound import peb_m
from fusion.planning import Plan, best_configuration
from fusion.policy import Bound, World
from fusion.sensing import PositionEstimate, SensingConfig


class Proposed:
    """Sense, fuse, choose nodes by the error bound, repeat (PEB-SR, Algorithm 1)."""

    def run(self, world: World) -> Iterator[PositionEstimate]:
        """As `testbed localize` does, one symbol a sensing."""
        return _reconfigured(world, world.new_controller())


class WithoutSfi:
    """The proposed scheme with a random first configuration (PS-NSFI)."""

    def run(self, world: World) -> Iterator[PositionEstimate]:
        """The first configuration is drawn uniformly."""
        return _reconfigured(world, world.new_controller(initialization="random"))


def _reconfigured(world: World, controller: Controller) -> Iterator[PositionEstimate]:
    candidates = Candidates(list(world.network.index))
    while (config := controller.next_config()) is not None:
        reports = world.sense(config)
        candidates.update(config, set(config.rx_ids) - {report.rx_id for report in reports})
        controller.set_absent(candidates.absent())
        yield controller.update(reports)


class RandomSubsets:
    """Random configurations after the first one, averaged (RSA)."""

    def run(self, world: World) -> Iterator[PositionEstimate]:
        """Spend the whole budget, one symbol a sensing.

        With ``fusion: latest`` each sensing gives an estimate of its own and the result is the
        plain mean of those that detected something (the paper). With ``accumulate`` all sensings
        are fused, which is the mean with the weights that they deserve.
        """
        average = _Mean() if world.settings.fusion == "latest" else None
        belief, config = world.new_belief(), _first_config(world)
        for _ in range(world.settings.max_sensings):
            if average is not None:
                belief = world.new_belief()
            belief.update(world.sense(config))
            yield belief.summary() if average is None else average.with_next(belief)
            config = _random_config(world)


class _Mean:
    """Mean of the estimates that are of something detected."""

    def __init__(self) -> None:
        self._found: list[PositionEstimate] = []

    def with_next(self, belief: Belief) -> PositionEstimate:
        """The mean with one more sensing, by itself; errors are taken as independent."""
        estimate = belief.summary()
        if belief.best is not None:
            self._found.append(estimate)
        if not self._found:
            return estimate
        count = len(self._found)
        return replace(
            estimate,
            position_m=np.sum([e.position_m for e in self._found], axis=0) / count,
            covariance_m2=np.sum([e.covariance_m2 for e in self._found], axis=0) / count**2,
            probability=float(np.prod([e.probability for e in self._found])),
        )


class FixedSubset:
    """All symbols in one sensing of the first configuration (FIS)."""

    def run(self, world: World) -> Iterator[PositionEstimate]:
        """The configuration is what the proposed scheme would begin with."""
        yield _single_shot(world, _first_config(world))


class BestSubset:
    """All symbols in one sensing of the best configuration at the truth, an oracle (OBS)."""

    def run(self, world: World) -> Iterator[PositionEstimate]:
        """The configuration solves P2 at the true position, for the mean RCS."""
        yield _single_shot(world, _plan_at_truth(world).config)


class BestSubsetBound:
    """Bound (18) of one sensing of the best configuration, for the mean RCS (OBS-PEB)."""

    def run(self, world: World) -> Iterator[Bound]:
        """Of all symbols of the budget in one sensing."""
        yield Bound(_plan_at_truth(world).peb_m)


class FixedSubsetBound:
    """Bound (18) of one sensing of the first configuration, for the mean RCS (SFI-PEB)."""

    def run(self, world: World) -> Iterator[Bound]:
        """Of all symbols of the budget in one sensing."""
        config, index = _first_config(world), world.network.index
        links = _information_at_truth(world)[index[config.tx_id]]
        received = links[[index[rx_id] for rx_id in config.rx_ids]]
        yield Bound(float(peb_m(received.sum(axis=0))))


def _single_shot(world: World, config: SensingConfig) -> PositionEstimate:
    belief = world.new_belief()
    belief.update(world.sense(config, world.settings.max_sensings))
    return belief.summary()


def _first_config(world: World) -> SensingConfig:
    """What the proposed scheme would begin with, from the same samples."""
    # A loop that has not begun has not ended, so that there is one.
    return cast(SensingConfig, world.new_controller().next_config())


def _random_config(world: World) -> SensingConfig:
    size = 1 + world.settings.num_receivers
    tx, *rx = world.rng.choice(len(world.network.nodes), size, replace=False)
    nodes = world.network.nodes
    return SensingConfig(nodes[tx].node_id, tuple(nodes[n].node_id for n in rx))


def _plan_at_truth(world: World) -> Plan:
    links = _information_at_truth(world)
    return best_configuration(world.network, links, np.zeros(3), world.settings.num_receivers)


def _information_at_truth(world: World) -> np.ndarray:
    """Of all links in one burst with the whole budget, for the mean RCS, shape ``(N, N, 3)``."""
    point_m = world.truth_m()[None]
    snr = world.network.snr(point_m, np.array([world.mean_rcs_m2]))
    return world.network.information(point_m, snr * world.settings.max_sensings)[0]
