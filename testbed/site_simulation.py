"""The part of a site file that simulated radios live in: scene, nuisances and faults."""

from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Literal, get_type_hints

import msgspec
from msgspec import UNSET, Meta, UnsetType

from sim_backend.faults import FaultKind
from sim_backend.impairments import PRESETS, Impairments
from sim_backend.paths import Wavefront
from sim_backend.scene import RcsDraw
from testbed.site_types import Decibels, Name, NonNegative, Point, Positive, Section


class SurfacesSection(Section, frozen=True):
    """Walls around the area and a floor, which reflect; see ``sim_backend.paths.Surfaces``.

    Attributes
    ----------
    margin_m
        From the area's edges to the walls.
    """

    margin_m: Annotated[float, Meta(ge=0.1, le=1e6)] = 1.0
    wall_loss_db: NonNegative = 8.0
    floor_loss_db: NonNegative = 8.0
    height_m: Positive = 1.5


class FaultSection(Section, frozen=True):
    """A fault that strikes simulated radios at random.

    Attributes
    ----------
    kind
        See ``sim_backend.faults``.
    probability
        Each time that it could strike.
    node_id
        The radio; left out, every one.
    """

    kind: FaultKind
    probability: Annotated[float, Meta(ge=0.0, le=1.0)]
    node_id: Name | None = None


if TYPE_CHECKING:

    class ImpairmentsSection(Section, frozen=True):
        """A preset, and any nuisance of ``sim_backend.impairments`` set to another value."""

        preset: Literal["ideal", "lab", "pluto"] = "ideal"

else:  # one truth: a key for each field of the data class
    _HINTS = get_type_hints(Impairments)
    ImpairmentsSection = msgspec.defstruct(
        "ImpairmentsSection",
        [
            ("preset", Literal[tuple(PRESETS)], "ideal"),
            *((field.name, _HINTS[field.name] | UnsetType, UNSET) for field in fields(Impairments)),
        ],
        bases=(Section,),
        frozen=True,
        kw_only=True,
        forbid_unknown_fields=True,
    )


class SimulationSection(Section, frozen=True):
    """The scene of simulated radios; see ``sim_backend.scene.SceneStatistics``."""

    num_clutter: Annotated[int, Meta(ge=0, le=100_000)] = 30
    mean_rcs_dbsm: Decibels = 0.0
    nodes_are_clutter: bool = True
    direct_path: bool = True
    rcs_draw: RcsDraw = "burst_link"
    wavefront: Wavefront = "plane"
    target_m: Point | None = None
    surfaces: SurfacesSection | None = None
    impairments: ImpairmentsSection = ImpairmentsSection()
    faults: list[FaultSection] = msgspec.field(default_factory=list)
