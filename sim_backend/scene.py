"""One simulated hall: true poses, frozen clutter and a fluctuating target."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from drivers.geometry import FloatArray, Pose
from drivers.node import Node
from sim_backend.paths import Paths, Surfaces, Wavefront, direct_paths, scatterer_paths

RcsDraw = Literal["burst_link", "link", "scene"]

# Named streams of the scene's seed: no two draws of different meaning share random numbers, and
# none depends on how many others were drawn before it.
Stream = Literal[
    "nodes",
    "target",
    "clutter",
    "survey",
    "rcs",
    "noise",
    "background",
    "entry",
    "planning",
    "hardware",
    "receiver_noise",
    "retune",
    "phase_noise",
    "latency",
    "fault",
]
_STREAMS: tuple[Stream, ...] = get_args(Stream)


def random_stream(seed: int, stream: Stream, *key: int) -> np.random.Generator:
    """Generator for one draw, keyed by the scene's seed, the draw's meaning and its indices."""
    spawn_key = (_STREAMS.index(stream), *key)
    return np.random.default_rng(np.random.SeedSequence(entropy=seed, spawn_key=spawn_key))


@dataclass(frozen=True, slots=True)
class SceneStatistics:
    """What is drawn anew for every simulated scene.

    Attributes
    ----------
    area_m
        Search area ``(x_min, y_min, x_max, y_max)``.
    num_clutter
        Dedicated clutter scatterers, uniform over the area.
    mean_rcs_m2
        Mean radar cross section (RCS) of target and clutter, Swerling I (exponential).
    nodes_are_clutter
        Whether every node but a link's own two scatters as well.
    direct_path
        Whether the direct path is simulated.
    rcs_draw
        When the target's RCS is redrawn: each look at each link, once per link, or once a scene.
    wavefront
        ``plane`` (the paper) or ``spherical`` over the receiving array.
    target_m
        Fixed target position, or ``None`` to draw it.
    surfaces
        Walls and floor that reflect, or ``None`` for open space (the paper).
    """

    area_m: tuple[float, float, float, float]
    num_clutter: int = 30
    mean_rcs_m2: float = 1.0
    nodes_are_clutter: bool = True
    direct_path: bool = True
    rcs_draw: RcsDraw = "burst_link"
    wavefront: Wavefront = "plane"
    target_m: tuple[float, float] | None = None
    surfaces: Surfaces | None = None


@dataclass(frozen=True)
class Scene:
    """One drawn scene.

    Attributes
    ----------
    seed
        Everything random in the scene follows from it.
    nodes
        Nodes with their true poses, in the order of the site.
    target_m
        True target position, shape ``(2,)``.
    clutter_m, clutter_rcs_m2
        Dedicated scatterers then nodes, shapes ``(S, 2)`` and ``(S,)``; frozen for the scene.
    num_dedicated
        How many of them are dedicated; scatterer ``num_dedicated + n`` is node ``n``.
    statistics
        What it was drawn from.
    """

    seed: int
    nodes: tuple[Node, ...]
    target_m: FloatArray
    clutter_m: FloatArray
    clutter_rcs_m2: FloatArray
    num_dedicated: int
    statistics: SceneStatistics

    @property
    def static_hash(self) -> str:
        """Digest of true poses, clutter, direct path and wavefront: of what does not move.

        Whichever node stands where.
        """
        at_place = np.argsort([node.location_id for node in self.nodes])
        scattering = np.arange(len(self.clutter_m))
        if len(scattering) > self.num_dedicated:
            scattering[self.num_dedicated :] = self.num_dedicated + at_place
        described = (
            [(self.nodes[n].location_id, self.nodes[n].pose) for n in at_place],
            self.clutter_m[scattering].tolist(),
            self.clutter_rcs_m2[scattering].tolist(),
            self.num_dedicated,
            self.statistics.direct_path,
            self.statistics.wavefront,
            self.statistics.surfaces,
        )
        return hashlib.sha256(repr(described).encode()).hexdigest()[:12]

    def clutter_of_link(self, tx_index: int, rx_index: int) -> tuple[FloatArray, FloatArray]:
        """Clutter seen by a link, positions ``(S, 2)`` and RCS ``(S,)``: not its own two nodes."""
        keep = np.ones(len(self.clutter_m), dtype=bool)
        if len(self.clutter_m) > self.num_dedicated:
            keep[[self.num_dedicated + tx_index, self.num_dedicated + rx_index]] = False
        return self.clutter_m[keep], self.clutter_rcs_m2[keep]

    def static_paths(self, tx_index: int, rx_index: int, wavelength_m: float) -> Paths:
        """Everything on a link that does not move: clutter and, if there is one, direct path."""
        tx, rx = self.nodes[tx_index], self.nodes[rx_index]
        form = self.statistics.wavefront, self.statistics.surfaces
        clutter = self.clutter_of_link(tx_index, rx_index)
        paths = scatterer_paths(tx, rx, *clutter, wavelength_m, *form)
        if self.statistics.direct_path:
            paths = paths + direct_paths(tx, rx, wavelength_m, *form)
        return paths

    def target_paths(
        self, tx_index: int, rx_index: int, rcs_m2: float, wavelength_m: float
    ) -> Paths:
        """Echoes of the target on a link."""
        return scatterer_paths(
            self.nodes[tx_index], self.nodes[rx_index], self.target_m[None], np.array([rcs_m2]),
            wavelength_m, self.statistics.wavefront, self.statistics.surfaces,
        )  # fmt: skip

    def target_rcs_m2(self, tx_index: int, rx_index: int, sensing_index: int) -> float:
        """RCS of the target in one look at one link, Swerling I, in m^2."""
        key = {
            "burst_link": (tx_index, rx_index, sensing_index),
            "link": (tx_index, rx_index),
            "scene": (),
        }[self.statistics.rcs_draw]
        draw = random_stream(self.seed, "rcs", *key).standard_exponential()
        return float(draw * self.statistics.mean_rcs_m2)


def _uniform_points(
    rng: np.random.Generator, area_m: tuple[float, float, float, float], count: int
) -> FloatArray:
    return rng.uniform(area_m[:2], area_m[2:], size=(count, 2))


def draw_uniform_poses(
    seed: int, area_m: tuple[float, float, float, float], count: int
) -> list[Pose]:
    """Poses uniform over the area with uniform boresights, as in section VI."""
    rng = random_stream(seed, "nodes")
    positions = _uniform_points(rng, area_m, count)
    boresights = rng.uniform(0.0, 2.0 * np.pi, count)
    return [
        Pose((float(x), float(y)), float(psi))
        for (x, y), psi in zip(positions, boresights, strict=True)
    ]


def _true_node(node: Node, error: FloatArray) -> Node:
    """The node where it really is: its surveyed pose plus one draw of the survey error."""
    x, y = node.pose.position + error[:2] * node.survey.position_std_m
    boresight = node.pose.boresight_rad + error[2] * node.survey.boresight_std_rad
    return replace(node, pose=Pose((float(x), float(y)), float(boresight)))


def draw_scene(
    seed: int, surveyed: Sequence[Node], statistics: SceneStatistics, places: Sequence[str] = ()
) -> Scene:
    """Draw target, clutter and survey errors of one scene from its seed.

    Parameters
    ----------
    surveyed
        Nodes as the edge server knows them.
    places
        All locations, in an order that does not depend on which node stands where: survey errors
        and what scatters at a node stay with its place. Those of the nodes, if left out.
    """
    names = list(places) or [node.location_id for node in surveyed]
    at = [names.index(node.location_id) for node in surveyed]
    errors = random_stream(seed, "survey").standard_normal((len(names), 3))
    nodes = tuple(_true_node(node, errors[place]) for node, place in zip(surveyed, at, strict=True))
    if statistics.target_m is None:
        target = _uniform_points(random_stream(seed, "target"), statistics.area_m, 1)[0]
    else:
        target = np.array(statistics.target_m)
    clutter_rng = random_stream(seed, "clutter")
    num_dedicated = statistics.num_clutter
    clutter = _uniform_points(clutter_rng, statistics.area_m, num_dedicated)
    rcs = clutter_rng.standard_exponential(num_dedicated + len(names)) * statistics.mean_rcs_m2
    kept = list(range(num_dedicated))
    if statistics.nodes_are_clutter:
        clutter = np.concatenate((clutter, [node.pose.position_m for node in nodes]))
        kept += [num_dedicated + place for place in at]
    return Scene(seed, nodes, target, clutter, rcs[kept], num_dedicated, statistics)
