"""How the sensing loop senses, fuses and stops."""

from dataclasses import dataclass
from typing import Literal

from fusion.sensing import PositionEstimate
from fusion.wls import Bearing

Fusion = Literal["accumulate", "latest"]
Initialization = Literal["expected_error", "field_of_view", "random"]
Stopping = Literal["radius", "repeat"]
Recovery = Literal["belief", "random"]
Selection = Literal["visible", "point", "blind"]


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
    recovery
        What is sensed while no mode is more probable than not: ``belief``, where the target may
        still be; ``random``, nodes at random if nothing was detected, else P2 at the best mode.
    selection
        Whom P2 chooses. ``visible``: the bound averaged over where the target may be, with the
        probability that each link detects it there. ``point``: (19) at the estimate, of the nodes
        that face it. ``blind``: (19) as it is written, which knows no field of view.
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
    recovery: Recovery = "belief"
    selection: Selection = "visible"
    bearing: Bearing = "sine"
    num_scene_samples: int = 128

    def satisfied_by(self, estimate: PositionEstimate) -> bool:
        """Whether a position is as probable, and as sharp, as is asked for."""
        return (
            estimate.probability >= self.min_probability
            and estimate.radius_95_m <= self.tolerance_m
        )


# What the paper does: the current sensing alone, angles, until the configuration repeats.
PAPER_LITERAL = {
    "fusion": "latest",
    "initialization": "field_of_view",
    "stopping": "repeat",
    "recovery": "random",
    "selection": "point",
    "bearing": "angle",
}
