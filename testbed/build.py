"""From a site file to the objects that runs are made of."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import msgspec
import numpy as np

from drivers.array import ElementPattern, UniformLinearArray
from drivers.burst import SoundingBurst
from drivers.geometry import Pose, area_corners_m, bistatic_delay_s
from drivers.grids import fitting_sample_rate_hz, prefix_length
from drivers.node import Node, SurveyUncertainty
from drivers.usrp.address import board_addresses
from drivers.waveform import OfdmGrid
from fusion.settings import FusionSettings
from processing.search import ProcessingSettings
from sim_backend.impairments import PRESETS, Impairments
from sim_backend.paths import Surfaces
from sim_backend.scene import Scene, SceneStatistics, draw_scene, draw_uniform_poses
from testbed.site import (
    NodeDefaults,
    NodeSection,
    PatternSection,
    RadioSection,
    Site,
    SiteError,
    drawn_node_id,
)


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line may change of a site; ``None`` leaves the site's value.

    Attributes
    ----------
    num_receivers, max_sensings, fusion, tolerance_m
        Of the sensing section.
    num_elements
        Of every node's array.
    rcs_draw
        Of the simulation section.
    impairments
        Preset of the simulated radios, all of the site's own values for single nuisances kept.
    """

    num_receivers: int | None = None
    max_sensings: int | None = None
    num_elements: int | None = None
    fusion: str | None = None
    tolerance_m: float | None = None
    rcs_draw: str | None = None
    impairments: str | None = None


def overridden(site: Site, overrides: Overrides) -> Site:
    """The site with command-line options applied and checked like the file itself.

    Raises
    ------
    SiteError
        If an option breaks a rule; the message names the site field that it stands for.
    """
    from testbed.site_checks import readable, site_problems

    fields = {
        name: getattr(overrides, name)
        for name in ("num_receivers", "max_sensings", "fusion", "tolerance_m")
        if getattr(overrides, name) is not None
    }
    raw = msgspec.to_builtins(site)
    raw["sensing"].update(fields)
    if overrides.rcs_draw is not None:
        raw["simulation"]["rcs_draw"] = overrides.rcs_draw
    if overrides.impairments is not None:
        raw["simulation"]["impairments"]["preset"] = overrides.impairments
    if overrides.num_elements is not None:
        for section in (raw["node_defaults"], *raw["nodes"]):
            if section.get("array") is not None:
                section["array"]["num_elements"] = overrides.num_elements
    try:
        changed = msgspec.convert(raw, Site)
    except msgspec.ValidationError as error:
        raise SiteError("command line", [readable(str(error), raw)]) from error
    problems = site_problems(changed)
    if problems:
        raise SiteError("command line", problems)
    return changed


def build_grid(site: Site) -> OfdmGrid:
    """The site's waveform."""
    waveform = site.waveform
    return OfdmGrid(
        carrier_hz=waveform.carrier_mhz * 1e6,
        subcarrier_spacing_hz=waveform.subcarrier_spacing_khz * 1e3,
        num_subcarriers=waveform.num_subcarriers,
    )


def build_nodes(site: Site, seed: int) -> tuple[Node, ...]:
    """The site's nodes as surveyed; those drawn at random follow from the seed."""
    grid = build_grid(site)
    if site.uniform_nodes:
        poses = draw_uniform_poses(seed, site.area_m, site.uniform_nodes.num_nodes)
        return tuple(
            _node(drawn_node_id(n), f"loc{n:02d}", pose, site.node_defaults, grid)
            for n, pose in enumerate(poses)
        )
    position = {location.location_id: location.position_m for location in site.locations}
    return tuple(
        _node(
            node.node_id,
            node.location_id,
            Pose(position[node.location_id], float(np.deg2rad(node.boresight_deg))),
            _with_defaults(node, site.node_defaults),
            grid,
        )
        for node in site.nodes
    )


def _with_defaults(node: NodeSection, defaults: NodeDefaults) -> NodeDefaults:
    own = {
        field: getattr(node, field)
        for field in NodeDefaults.__struct_fields__
        if getattr(node, field) is not None
    }
    return msgspec.structs.replace(defaults, **own)


def _node(
    node_id: str, location_id: str, pose: Pose, section: NodeDefaults, grid: OfdmGrid
) -> Node:
    spacing_m = section.array.spacing_wavelengths * grid.wavelength_m
    return Node(
        node_id=node_id,
        location_id=location_id,
        pose=pose,
        array=UniformLinearArray(section.array.num_elements, spacing_m),
        receive_pattern=_pattern(section.receive_pattern),
        transmit_pattern=_pattern(section.transmit_pattern),
        tx_power_dbm=section.tx_power_dbm,
        noise_figure_db=section.noise_figure_db,
        survey=SurveyUncertainty(
            section.survey.position_std_m, float(np.deg2rad(section.survey.boresight_std_deg))
        ),
    )


def _pattern(section: PatternSection) -> ElementPattern:
    return ElementPattern(
        kind=section.kind,
        field_of_view_rad=float(np.deg2rad(section.field_of_view_deg)),
        front_to_back_db=section.front_to_back_db,
        gain_dbi=section.gain_dbi,
    )


def build_scene(site: Site, nodes: tuple[Node, ...], seed: int) -> Scene:
    """The simulated scene of a seed."""
    simulation = site.simulation
    statistics = SceneStatistics(
        area_m=site.area_m,
        num_clutter=simulation.num_clutter,
        mean_rcs_m2=10.0 ** (simulation.mean_rcs_dbsm / 10.0),
        nodes_are_clutter=simulation.nodes_are_clutter,
        direct_path=simulation.direct_path,
        rcs_draw=simulation.rcs_draw,
        wavefront=simulation.wavefront,
        target_m=simulation.target_m,
        surfaces=_surfaces(site),
    )
    places = [location.location_id for location in site.locations]
    return draw_scene(seed, nodes, statistics, places)


def _surfaces(site: Site) -> Surfaces | None:
    section = site.simulation.surfaces
    if section is None:
        return None
    x_min, y_min, x_max, y_max = site.area_m
    margin = section.margin_m
    return Surfaces(
        walls_m=(x_min - margin, y_min - margin, x_max + margin, y_max + margin),
        wall_loss_db=section.wall_loss_db,
        floor_loss_db=section.floor_loss_db,
        height_m=section.height_m,
    )


def build_impairments(site: Site) -> Impairments:
    """Nuisances of the site's simulated radios: a preset with single values changed."""
    given = msgspec.to_builtins(site.simulation.impairments)
    return replace(PRESETS[given.pop("preset")], **given)


def build_calibration_burst(site: Site) -> SoundingBurst:
    """What the site's radios send to learn backgrounds."""
    burst = build_burst(site)
    return replace(burst, num_symbols=site.calibration.num_symbols or burst.num_symbols)


def build_burst(site: Site) -> SoundingBurst:
    """What the site's radios send to sense.

    Raises
    ------
    SiteError
        If the grid and the sample rate do not go together.
    """
    grid = build_grid(site)
    mega = site.waveform.sample_rate_mhz
    rate_hz = fitting_sample_rate_hz(grid) if mega is None else mega * 1e6
    symbol_length = round(rate_hz / grid.subcarrier_spacing_hz)
    prefix = min(prefix_length(rate_hz, longest_delay_s(site)), symbol_length)
    try:
        return SoundingBurst(grid, rate_hz, site.waveform.num_symbols, prefix)
    except ValueError as error:
        raise SiteError("$.waveform.sample_rate_mhz", [str(error)]) from error


def longest_delay_s(site: Site) -> float:
    """Longest bistatic delay from anywhere in the area on any link, in seconds."""
    corners = area_corners_m(site.area_m)
    stands = [location.position_m for location in site.locations] or corners
    return max(float(bistatic_delay_s(stand, stand, corners).max()) for stand in stands)


def build_processing(site: Site) -> ProcessingSettings:
    """Settings of detection and refinement."""
    return ProcessingSettings(**msgspec.structs.asdict(site.processing))


def build_fusion(site: Site) -> FusionSettings:
    """Settings of the sensing loop."""
    fields = msgspec.structs.asdict(site.sensing)
    del fields["mean_rcs_dbsm"]
    return FusionSettings(**fields)


def assumed_rcs_m2(site: Site) -> float:
    """Mean RCS of the targets that are searched for, in m^2."""
    return float(10.0 ** (site.sensing.mean_rcs_dbsm / 10.0))


def radio_sections(site: Site, nodes: Sequence[Node]) -> dict[str, RadioSection]:
    """Which radio each node drives, by node id."""
    default = site.node_defaults.radio
    own = {node.node_id: node.radio for node in site.nodes if node.radio is not None}
    return {node.node_id: own.get(node.node_id, default) for node in nodes}


def simulated(site: Site) -> Site:
    """The site with every radio replaced by a simulated one, of as many boards."""
    raw = msgspec.to_builtins(site)
    for section in (raw["node_defaults"], *raw["nodes"]):
        radio = section.get("radio")
        if radio is not None and radio["kind"] != "sim":
            boards = len(board_addresses(radio["address"] or "")) if radio["kind"] == "usrp" else 1
            section["radio"] = {"kind": "sim", "options": {"boards": boards} if boards > 1 else {}}
    return msgspec.convert(raw, Site)


def radio_kinds(site: Site) -> set[str]:
    """Kinds of radio that the site's nodes drive."""
    return {section.kind for section in radio_sections(site, build_nodes(site, 0)).values()}
