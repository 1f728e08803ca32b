"""What a way to sense is: who senses when, and how that becomes a position."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from drivers.geometry import FloatArray
from fusion.belief import Belief
from fusion.controller import Controller
from fusion.network import Network
from fusion.sensing import PositionEstimate, SensingConfig
from fusion.settings import FusionSettings, Initialization
from processing.report import LinkReport

Sense = Callable[[SensingConfig, int, int], Sequence[LinkReport]]
"""Senses a configuration, with a sensing index, in a burst of so many symbols."""


class PolicyError(ValueError):
    """A policy that does what none may; the message names it."""


@dataclass(frozen=True, slots=True)
class Bound:
    """An error that a theoretical policy states in place of a position.

    Attributes
    ----------
    error_m
        In metres.
    """

    error_m: float


Outcome = PositionEstimate | Bound


class World:
    """What a policy knows in one trial, and what it can do there.

    Parameters
    ----------
    network
        Nodes and waveform as the edge server knows them.
    area_m
        Search area ``(x_min, y_min, x_max, y_max)``.
    mean_rcs_m2
        Mean RCS of the targets that are searched for.
    detection_snr
        Matched-cell SNR of the detectors' threshold, for planning.
    settings
        Budget, receivers per sensing, demanded accuracy, and how sensings are fused.
    rng
        For whatever the policy draws; seeded by the trial.
    sense
        How the links are looked at.
    target_m
        The truth, shape ``(2,)``.

    Attributes
    ----------
    reports
        All that was reported so far.
    num_sensings, num_symbols
        What was spent so far.
    knows_truth
        Whether the policy has asked for the truth.
    """

    def __init__(
        self,
        network: Network,
        area_m: tuple[float, float, float, float],
        mean_rcs_m2: float,
        detection_snr: float,
        settings: FusionSettings,
        rng: np.random.Generator,
        sense: Sense,
        target_m: FloatArray,
    ) -> None:
        self.network = network
        self.area_m = area_m
        self.mean_rcs_m2 = mean_rcs_m2
        self.detection_snr = detection_snr
        self.settings = settings
        self.rng = rng
        self.reports: list[LinkReport] = []
        self.num_sensings = 0
        self.num_symbols = 0
        self.knows_truth = False
        self._sense = sense
        self._target_m = target_m

    def sense(self, config: SensingConfig, num_symbols: int = 1) -> Sequence[LinkReport]:
        """Let one burst be sent, and return what its receivers report.

        A receiver whose capture was lost is missing; one that detected nothing reports that.

        Raises
        ------
        PolicyError
            If the budget of ``settings.max_sensings`` symbols does not allow it.
        """
        budget = self.settings.max_sensings
        if num_symbols < 1 or self.num_symbols + num_symbols > budget:
            msg = (
                f"sensing {self.num_sensings + 1} asks for {num_symbols} symbols with "
                f"{self.num_symbols} spent of {budget} (max_sensings)"
            )
            raise PolicyError(msg)
        reports = self._sense(config, self.num_sensings, num_symbols)
        self.num_sensings += 1
        self.num_symbols += num_symbols
        self.reports += reports
        return reports

    def truth_m(self) -> FloatArray:
        """Where the target is, shape ``(2,)``: for oracles, which results call so."""
        self.knows_truth = True
        return self._target_m.copy()

    def new_belief(self) -> Belief:
        """A belief that knows of no report yet."""
        return Belief(self.network, self.area_m, self.mean_rcs_m2, self.settings.bearing)

    def new_controller(self, initialization: Initialization | None = None) -> Controller:
        """The loop of Algorithm 1 at its beginning; begun as the settings say, if left out."""
        settings = self.settings
        if initialization is not None:
            settings = replace(settings, initialization=initialization)
        return Controller(
            self.network, self.area_m, self.mean_rcs_m2, self.detection_snr, settings, self.rng
        )


class Policy(Protocol):
    """One way to sense.

    A package of its own provides one, a class without arguments or a function that returns one,
    by an entry point::

        [project.entry-points."isac_testbed.policies"]
        my_policy = "my_package:MyPolicy"

    The first line of its docstring is what `testbed study policies` says of it.
    """

    def run(self, world: World) -> Iterator[Outcome]:
        """Sense, and yield the position after each sensing, at least one.

        A position whose status is still ``searching`` at the end counts as resolved if
        `FusionSettings.satisfied_by` says so.
        """
        ...
