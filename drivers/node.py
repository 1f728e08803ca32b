"""A radio node as the edge server knows it."""

from dataclasses import dataclass, field, replace

from drivers.array import ElementPattern, UniformLinearArray
from drivers.geometry import Pose


@dataclass(frozen=True, slots=True)
class SurveyUncertainty:
    """Standard deviations of a node's surveyed pose.

    Attributes
    ----------
    position_std_m
        Of each coordinate of the position.
    boresight_std_rad
        Of the boresight.
    """

    position_std_m: float = 0.0
    boresight_std_rad: float = 0.0


@dataclass(frozen=True, slots=True)
class Node:
    """One node: where it is, what it hears with, how loud and how noisy it is.

    Attributes
    ----------
    node_id, location_id
        Who it is, and which surveyed place it stands at (the dictionary is keyed by places).
    pose
        Surveyed position and boresight.
    array
        Receiving array.
    receive_pattern, transmit_pattern
        Of each receiving element, and of the single transmitting element.
    tx_power_dbm
        Total transmit power over all tones.
    noise_figure_db
        Of the receiver.
    survey
        How well `pose` is known.
    """

    node_id: str
    location_id: str
    pose: Pose
    array: UniformLinearArray
    receive_pattern: ElementPattern = field(default_factory=ElementPattern)
    transmit_pattern: ElementPattern = field(
        default_factory=lambda: ElementPattern(kind="omnidirectional")
    )
    tx_power_dbm: float = 23.0
    noise_figure_db: float = 0.0
    survey: SurveyUncertainty = field(default_factory=SurveyUncertainty)

    def seeing_everywhere(self) -> "Node":
        """The node with `ElementPattern.seeing_everywhere` for both of its patterns."""
        return replace(
            self,
            receive_pattern=self.receive_pattern.seeing_everywhere(),
            transmit_pattern=self.transmit_pattern.seeing_everywhere(),
        )
