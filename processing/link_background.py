"""What is worked out once of a link's background, for all captures that are aligned to it."""

from dataclasses import dataclass, field

import numpy as np

from drivers.geometry import FloatArray
from processing.alignment import Groups
from processing.near_background import NearBackground
from processing.phase_noise import BackgroundCopies, PhaseNoiseCopies
from processing.power_map import PowerMap, PowerMapPlan
from processing.suppression import Background, Suppression


@dataclass(frozen=True, eq=False)
class LinkBackground:
    """A background and what alignment to it does to echoes and noise.

    Attributes
    ----------
    near
        What alignment takes from echoes.
    share
        Of echo and noise, what it leaves in each cell of a map, shape ``(G, L)``.
    copies
        Copies of it that phase noise leaves.
    moved
        The background on other axes of delay, by the number of resolution cells.
    """

    near: NearBackground
    share: FloatArray
    copies: BackgroundCopies
    moved: dict[int, tuple[Background, "LinkBackground"]] = field(default_factory=dict)

    def noise_level(self, what: Suppression, found: PowerMap) -> FloatArray:
        """Noise of each cell of a residual's map over the thermal one's, shape ``(G, L)``.

        Before alignment took its share.
        """
        return np.asarray(1.0 + self.copies.power(what.residual) / found.noise_power)


def link_background(
    background: Background, groups: Groups, plan: PowerMapPlan, copies: PhaseNoiseCopies
) -> LinkBackground:
    """Work out what captures of coherent groups will need of their background."""
    near = NearBackground(
        background.channel, plan.grid, plan.array, groups, background.noise_var,
        background.response_var,
    )  # fmt: skip
    return LinkBackground(near, near.share(plan), copies.of(background.channel))
