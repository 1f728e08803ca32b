"""Parts of a record's description: tuning, waveform and nodes, as they stand on disk.

These mirror the classes of the same name elsewhere; a change there does not change the files.
"""

import dataclasses
import math
from typing import Annotated, Self

import msgspec
from msgspec import Meta

from drivers.array import ElementPattern, PatternKind, UniformLinearArray
from drivers.burst import SoundingBurst
from drivers.geometry import Pose
from drivers.node import Node, SurveyUncertainty
from drivers.radio import TransmitReport
from drivers.sounding import Sounding
from drivers.tuning import ClockSource, TimeSource, Tuning
from drivers.waveform import OfdmGrid

Count = Annotated[int, Meta(ge=0)]
Hertz = Annotated[float, Meta(gt=0.0, le=1e12)]  # as SigMF bounds rates and frequencies


class Closed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Base of all structures: a field that this version does not know is an error."""


class TuningFields(Closed, frozen=True):
    """What the radio was set to, see ``drivers.radio.Tuning``.

    Attributes
    ----------
    carrier_hz, sample_rate_hz
        Local oscillator, and complex samples per second.
    rx_gain_db, tx_gain_db
        Manual gains.
    clock_source, time_source
        Where the reference clock and the time came from.
    """

    carrier_hz: Hertz
    sample_rate_hz: Hertz
    rx_gain_db: float
    tx_gain_db: float
    clock_source: ClockSource
    time_source: TimeSource

    @classmethod
    def of(cls, tuning: Tuning) -> Self:
        """Fields of a tuning."""
        return cls(**dataclasses.asdict(tuning))

    def tuning(self) -> Tuning:
        """The tuning itself."""
        return Tuning(**msgspec.structs.asdict(self))


class GridFields(Closed, frozen=True):
    """The pilots' grid, see ``drivers.waveform.OfdmGrid``.

    Attributes
    ----------
    carrier_hz, subcarrier_spacing_hz
        Centre of the occupied band, and spacing of the tones.
    num_subcarriers
        Number of pilot tones.
    waveform_hash
        Digest of the grid and its pilots.
    """

    carrier_hz: Hertz
    subcarrier_spacing_hz: Hertz
    num_subcarriers: Annotated[int, Meta(ge=1)]
    waveform_hash: str

    @classmethod
    def of(cls, grid: OfdmGrid) -> Self:
        """Fields of a grid."""
        return cls(**dataclasses.asdict(grid), waveform_hash=grid.waveform_hash)

    def grid(self) -> OfdmGrid:
        """The grid itself.

        Raises
        ------
        ValueError
            If this version makes other pilots for it.
        """
        grid = OfdmGrid(self.carrier_hz, self.subcarrier_spacing_hz, self.num_subcarriers)
        if grid.waveform_hash != self.waveform_hash:
            msg = (
                f"waveform_hash is {self.waveform_hash}, this version's pilots of that grid have "
                f"{grid.waveform_hash}; process it with the version that recorded it"
            )
            raise ValueError(msg)
        return grid


class BurstFields(GridFields, frozen=True):
    """The sounding burst, see ``drivers.burst.SoundingBurst``.

    Attributes
    ----------
    sample_rate_hz
        Complex samples per second.
    num_symbols
        Repeated pilot symbols.
    prefix_length
        Samples of each cyclic prefix.
    """

    sample_rate_hz: Hertz
    num_symbols: Annotated[int, Meta(ge=1)]
    prefix_length: Count

    @classmethod
    def of_burst(cls, burst: SoundingBurst) -> Self:
        """Fields of a burst."""
        values = dataclasses.asdict(burst)
        grid = values.pop("grid")
        return cls(**grid, **values, waveform_hash=burst.grid.waveform_hash)

    def burst(self) -> SoundingBurst:
        """The burst itself; raises as `grid` does."""
        return SoundingBurst(self.grid(), self.sample_rate_hz, self.num_symbols, self.prefix_length)


class TransmissionFields(Closed, frozen=True):
    """What is known of a transmission, see ``drivers.sounding.Sounding``.

    Attributes
    ----------
    start_tick
        Tick of its first sample on the time that the radios share; null where they share none.
    tx_full_scale_dbm
        Nominal power at the transmitter's port of magnitude 1.
    first_sample_tick
        Tick of its first sample by the transmitter's report; null where it cannot say.
    underflow
        The transmitter ran out of samples.
    late
        It missed its time and was not sent.
    config_epoch
        Of the transmitting radio.
    clock_locked, pps_locked
        Of the transmitter's external reference; null where there was none or nobody could tell.
    time_std_s
        Standard deviation of the transmitter's time about the time that all radios share.
    """

    start_tick: int | None
    tx_full_scale_dbm: float
    first_sample_tick: int | None
    underflow: bool
    late: bool
    config_epoch: Count
    clock_locked: bool | None
    pps_locked: bool | None
    time_std_s: Annotated[float, Meta(ge=0.0)]

    @classmethod
    def of(cls, sounding: Sounding) -> Self:
        """Fields of a transmission."""
        report = dataclasses.asdict(sounding.report)
        full_scale_dbm = sounding.tx_full_scale_dbm
        return cls(start_tick=sounding.start_tick, tx_full_scale_dbm=full_scale_dbm, **report)

    def sounding(self, tx_id: str, burst: SoundingBurst) -> Sounding:
        """The transmission of a burst itself."""
        report = msgspec.structs.asdict(self)
        start_tick, full_scale_dbm = report.pop("start_tick"), report.pop("tx_full_scale_dbm")
        return Sounding(tx_id, burst, start_tick, full_scale_dbm, TransmitReport(**report))


class DemodulationFields(Closed, frozen=True):
    """How pilots were found in samples, see ``drivers.capture.DemodulationReport``.

    Attributes
    ----------
    carrier_offset_hz, clock_offset_ppm
        Transmitter's over the receiver's; null where they share a clock.
    start_sample
        Position of the burst's first sample in the block.
    snr, symbol_coherence
        Of one tone in one symbol, and of neighbouring symbols; null where they cannot be told.
    """

    carrier_offset_hz: float | None
    clock_offset_ppm: float | None
    start_sample: float
    snr: Annotated[float, Meta(ge=0.0)] | None
    symbol_coherence: Annotated[float, Meta(ge=0.0, le=1.0)] | None


class PatternFields(Closed, frozen=True):
    """Power gain of an antenna element, see ``drivers.array.ElementPattern``.

    Attributes
    ----------
    kind
        Shape of the pattern.
    field_of_view_rad
        Full width of the field of view.
    front_to_back_db
        Attenuation outside it; null where that is infinite.
    gain_dbi
        Gain inside it.
    """

    kind: PatternKind
    field_of_view_rad: float
    front_to_back_db: float | None
    gain_dbi: float

    @classmethod
    def of(cls, pattern: ElementPattern) -> Self:
        """Fields of a pattern."""
        values = dataclasses.asdict(pattern)
        if values["front_to_back_db"] == math.inf:  # JSON has no infinity
            values["front_to_back_db"] = None
        return cls(**values)

    def pattern(self) -> ElementPattern:
        """The pattern itself."""
        behind_db = math.inf if self.front_to_back_db is None else self.front_to_back_db
        return ElementPattern(self.kind, self.field_of_view_rad, behind_db, self.gain_dbi)


class NodeFields(Closed, frozen=True):
    """A node as surveyed, see ``drivers.node.Node``.

    Attributes
    ----------
    node_id, location_id
        Who it is, and the surveyed place that it stands at.
    position_m
        Cartesian x and y.
    boresight_rad
        Of the array, counter-clockwise from the x axis.
    num_elements, spacing_m
        Of the uniform linear array.
    receive_pattern, transmit_pattern
        Of each receiving element, and of the transmitting one.
    tx_power_dbm
        Total transmit power over all tones.
    noise_figure_db
        Of the receiver.
    position_std_m, boresight_std_rad
        How well position and boresight are known.
    """

    node_id: str
    location_id: str
    position_m: tuple[float, float]
    boresight_rad: float
    num_elements: Annotated[int, Meta(ge=1)]
    spacing_m: float
    receive_pattern: PatternFields
    transmit_pattern: PatternFields
    tx_power_dbm: float
    noise_figure_db: float
    position_std_m: float
    boresight_std_rad: float

    @classmethod
    def of(cls, node: Node) -> Self:
        """Fields of a node."""
        return cls(
            node_id=node.node_id,
            location_id=node.location_id,
            receive_pattern=PatternFields.of(node.receive_pattern),
            transmit_pattern=PatternFields.of(node.transmit_pattern),
            tx_power_dbm=node.tx_power_dbm,
            noise_figure_db=node.noise_figure_db,
            **dataclasses.asdict(node.pose),
            **dataclasses.asdict(node.array),
            **dataclasses.asdict(node.survey),
        )

    def node(self) -> Node:
        """The node itself."""
        return Node(
            node_id=self.node_id,
            location_id=self.location_id,
            pose=Pose(self.position_m, self.boresight_rad),
            array=UniformLinearArray(self.num_elements, self.spacing_m),
            receive_pattern=self.receive_pattern.pattern(),
            transmit_pattern=self.transmit_pattern.pattern(),
            tx_power_dbm=self.tx_power_dbm,
            noise_figure_db=self.noise_figure_db,
            survey=SurveyUncertainty(self.position_std_m, self.boresight_std_rad),
        )
