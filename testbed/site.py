"""Site files: what a lab is, in YAML, refused with the place, the rule and the value."""

from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from drivers.array import PatternKind
from fusion.settings import Fusion, Initialization, Recovery, Selection, Stopping
from fusion.wls import Bearing
from testbed.site_services import ServicesSection
from testbed.site_simulation import SimulationSection
from testbed.site_types import (
    Coordinate,
    Count,
    Decibels,
    Degrees,
    Name,
    NoiseFigure,
    NonNegative,
    Point,
    Positive,
    Section,
)
from testbed.yaml_file import YamlFileError, read_yaml


class SiteError(YamlFileError):
    """A site file that cannot be used; see `YamlFileError`."""


class WaveformSection(Section, frozen=True):
    """OFDM pilots.

    Attributes
    ----------
    carrier_mhz, subcarrier_spacing_khz, num_subcarriers
        The grid, symmetric about the carrier.
    symbols_per_frame
        OFDM symbols in a frame, for the throughput that a sensing costs.
    sample_rate_mhz
        Of the radios, a whole multiple of the subcarrier spacing; left out, the lowest that suits.
    num_symbols
        Pilot symbols in a burst, averaged into one capture.
    """

    carrier_mhz: Positive
    subcarrier_spacing_khz: Positive
    num_subcarriers: Annotated[int, Meta(ge=16)]
    symbols_per_frame: Count = 140
    sample_rate_mhz: Positive | None = None
    num_symbols: Annotated[int, Meta(ge=1, le=1000)] = 1


class PatternSection(Section, frozen=True):
    """Element pattern; an infinite front-to-back ratio is written ``.inf``."""

    kind: PatternKind = "sector"
    field_of_view_deg: Annotated[float, Meta(gt=0.0, le=360.0)] = 180.0
    front_to_back_db: NonNegative = 30.0
    gain_dbi: Decibels = 0.0


class ArraySection(Section, frozen=True):
    """Uniform linear array."""

    num_elements: Annotated[int, Meta(ge=1, le=1024)] = 8
    spacing_wavelengths: Annotated[float, Meta(ge=0.01, le=100.0)] = 0.5


class SurveySection(Section, frozen=True):
    """Standard deviations of the survey."""

    position_std_m: Annotated[float, Meta(ge=0.0, le=1000.0)] = 0.0
    boresight_std_deg: Annotated[float, Meta(ge=0.0, le=360.0)] = 0.0


class RadioSection(Section, frozen=True):
    """Which radio a node drives.

    Attributes
    ----------
    kind
        ``sim``, or one that an installed package provides; `testbed radio list` shows them.
    address
        The radio's own device string.
    options
        For the radio's driver alone.
    """

    kind: Name = "sim"
    address: str | None = None
    options: dict[str, Any] = msgspec.field(default_factory=dict)


class NodeDefaults(Section, frozen=True):
    """What holds for every node that does not say otherwise."""

    array: ArraySection = ArraySection()
    receive_pattern: PatternSection = PatternSection()
    transmit_pattern: PatternSection = PatternSection(kind="omnidirectional")
    tx_power_dbm: Decibels = 23.0
    noise_figure_db: NoiseFigure = 0.0
    survey: SurveySection = SurveySection()
    radio: RadioSection = RadioSection()


class NodeSection(Section, frozen=True):
    """One node; what is left out comes from ``node_defaults``."""

    node_id: Name
    location_id: Name
    boresight_deg: Degrees
    array: ArraySection | None = None
    receive_pattern: PatternSection | None = None
    transmit_pattern: PatternSection | None = None
    tx_power_dbm: Decibels | None = None
    noise_figure_db: NoiseFigure | None = None
    survey: SurveySection | None = None
    radio: RadioSection | None = None


class LocationSection(Section, frozen=True):
    """A surveyed place at which a node can stand."""

    location_id: Name
    position_m: Point


class UniformNodes(Section, frozen=True):
    """Simulated nodes drawn anew for every seed, uniform in position and boresight."""

    num_nodes: Annotated[int, Meta(ge=2, le=400)]


class SensingSection(Section, frozen=True):
    """The sensing loop; see ``fusion.settings.FusionSettings``."""

    num_receivers: Count = 1
    max_sensings: Count = 10
    tolerance_m: Positive = 0.25
    min_improvement: Annotated[float, Meta(ge=0.0, lt=1.0)] = 0.35
    min_probability: Annotated[float, Meta(gt=0.0, lt=1.0)] = 0.999
    fusion: Fusion = "accumulate"
    initialization: Initialization = "expected_error"
    stopping: Stopping = "radius"
    recovery: Recovery = "belief"
    selection: Selection = "visible"
    bearing: Bearing = "sine"
    num_scene_samples: Annotated[int, Meta(ge=1, le=10_000)] = 128
    mean_rcs_dbsm: Decibels = 0.0


class ProcessingSection(Section, frozen=True):
    """From capture to report; see ``processing.search.ProcessingSettings``."""

    false_alarm_probability: Annotated[float, Meta(gt=0.0, lt=0.5)] = 1e-6
    num_angles: Annotated[int, Meta(ge=3, le=10_000)] = 181
    delay_oversampling: Annotated[int, Meta(ge=1, le=8)] = 1
    max_hypotheses: Count = 4
    num_snapshots: Count = 4


class BurstsSection(Section, frozen=True):
    """When bursts are sent; radios over a slow connection need more time than these.

    Attributes
    ----------
    lead_ms
        With common time, a burst is scheduled this far ahead, besides what the network takes.
    repeat_ms
        Without, it is repeated for so long at most, until all receivers have theirs.
    """

    lead_ms: Annotated[float, Meta(ge=1.0, le=10_000.0)] = 10.0
    repeat_ms: Annotated[float, Meta(ge=10.0, le=10_000.0)] = 50.0


class CalibrationSection(Section, frozen=True):
    """Background learning.

    Attributes
    ----------
    num_captures
        Bursts behind each entry, N_BG.
    num_symbols
        Pilot symbols in each of them; left out, as many as in a burst that senses.
    fresh_tuning
        Whether radios are tuned away and back before each of them.
    """

    num_captures: Annotated[int, Meta(ge=1, le=10_000)] = 70
    num_symbols: Annotated[int, Meta(ge=1, le=1000)] | None = None
    fresh_tuning: bool = False


class Site(Section, frozen=True):
    """A whole site file."""

    schema: Literal[1]
    name: Name
    waveform: WaveformSection
    area_m: tuple[Coordinate, Coordinate, Coordinate, Coordinate]
    node_defaults: NodeDefaults = NodeDefaults()
    uniform_nodes: UniformNodes | None = None
    locations: list[LocationSection] = msgspec.field(default_factory=list)
    nodes: list[NodeSection] = msgspec.field(default_factory=list)
    sensing: SensingSection = SensingSection()
    processing: ProcessingSection = ProcessingSection()
    bursts: BurstsSection = BurstsSection()
    calibration: CalibrationSection = CalibrationSection()
    simulation: SimulationSection = SimulationSection()
    services: ServicesSection = ServicesSection()


def drawn_node_id(number: int) -> str:
    """Id of a node that is drawn at random."""
    return f"n{number:02d}"


def load_site(path: Path) -> Site:
    """Read and check a site file.

    Raises
    ------
    SiteError
        With every problem found, each naming its place, the rule and the value.
    """
    from testbed.site_checks import readable, site_problems

    raw = read_yaml(path, SiteError)
    try:
        site = msgspec.convert(raw, Site)
    except msgspec.ValidationError as error:
        raise SiteError(path, [readable(str(error), raw)]) from error
    problems = site_problems(site)
    if problems:
        raise SiteError(path, problems)
    return site
