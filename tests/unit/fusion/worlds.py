"""Worlds of halls without signals, for policies."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from fusion.network import Network
from fusion.policy import Outcome, Policy, World
from fusion.sensing import SensingConfig
from fusion.settings import FusionSettings
from processing.report import LinkReport
from tests.unit.fusion.halls import AREA_M, DETECTION_SNR, GRID, Hall


class HallWorld(World):
    """A world that notes what is sensed in it.

    Attributes
    ----------
    sensed
        Configuration, sensing index and symbols of each sensing.
    """

    def __init__(self, hall: Hall, seed: int = 0, **settings) -> None:
        super().__init__(
            Network(hall.nodes, GRID), AREA_M, hall.rcs_m2, DETECTION_SNR,
            FusionSettings(**settings), np.random.default_rng(seed), self._look, hall.target_m,
        )  # fmt: skip
        self.hall = hall
        self.sensed: list[tuple[SensingConfig, int, int]] = []

    def _look(self, config: SensingConfig, index: int, num_symbols: int) -> Sequence[LinkReport]:
        """Averaging symbols does what a target of so much more RCS does."""
        self.sensed.append((config, index, num_symbols))
        louder = replace(self.hall, rcs_m2=self.hall.rcs_m2 * num_symbols)
        return [replace(r, num_averaged=num_symbols) for r in louder.sense(config, index)]

    @property
    def configs(self) -> list[SensingConfig]:
        return [config for config, _, _ in self.sensed]

    def run(self, policy: Policy) -> list[Outcome]:
        return list(policy.run(self))


class Given:
    """A policy that senses given configurations with given symbols."""

    def __init__(self, *sensings: tuple[SensingConfig, int]) -> None:
        self._sensings = sensings

    def run(self, world: World) -> Iterator[Outcome]:
        belief = world.new_belief()
        for config, num_symbols in self._sensings:
            belief.update(world.sense(config, num_symbols))
            yield belief.summary()
