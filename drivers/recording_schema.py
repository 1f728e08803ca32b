"""The SigMF namespace ``isac``: all that rebuilds an IQ block or a capture from its samples.

One record is one SigMF recording; these fields stand in its global object as ``isac:<name>``.
"""

import dataclasses
import hashlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta

from drivers.burst import SoundingBurst
from drivers.capture import Capture, CaptureQuality, DemodulationReport
from drivers.geometry import ComplexArray
from drivers.radio import IqBlock
from drivers.recording_parts import (
    BurstFields,
    Closed,
    Count,
    DemodulationFields,
    GridFields,
    NodeFields,
    TransmissionFields,
    TuningFields,
)
from drivers.sounding import Sounding
from drivers.waveform import OfdmGrid

NAMESPACE = "isac"
NAMESPACE_VERSION = "1.0.0"
RecordKind = Literal["iq", "pilots"]
Phase = Literal["sensing", "background"]

_CONTENT_HASH = f"{NAMESPACE}:content_hash"


def _prefixed(name: str) -> str:
    return f"{NAMESPACE}:{name}"


class RecordFields(Closed, frozen=True, rename=_prefixed, tag_field=_prefixed("record_type")):
    """What IQ blocks and captures have in common.

    Attributes
    ----------
    sequence_number
        Place in the recording, from 0; a number is missing where a record could not be written.
    phase
        Whether it is of a sensing or of the background.
    index
        Which sensing, or which background capture.
    tx_id, rx_id
        The link's nodes.
    tx_node, rx_node
        The same nodes as surveyed.
    shape
        Rows and columns of the data: samples and channels, or subcarriers and elements.
    first_sample_tick
        Device tick of the first sample; null where the device could not say.
    config_epoch
        Went up with every change of tuning.
    overflow
        Samples were lost.
    late
        The burst or block missed its time.
    discontinuity
        The samples are not one stretch.
    gain_is_manual
        False where the receiver set its own gain.
    coherent_groups
        Channels that share phase and time; empty for all.
    clock_locked, pps_locked
        Of the external reference; null where there was none or nobody could tell.
    software, created
        What wrote the record, and when (UTC).
    content_hash
        Of all these fields and the data's digest.
    """

    sequence_number: Count
    phase: Phase
    index: Count
    tx_id: str
    rx_id: str
    tx_node: NodeFields
    rx_node: NodeFields
    shape: tuple[Count, Count]
    first_sample_tick: int | None
    config_epoch: Count
    overflow: bool
    late: bool
    discontinuity: bool
    gain_is_manual: bool
    coherent_groups: tuple[tuple[Count, ...], ...]
    clock_locked: bool | None
    pps_locked: bool | None
    software: str
    created: str
    content_hash: str


class IqFields(RecordFields, frozen=True, tag="iq"):
    """An IQ block, see ``drivers.radio.IqBlock``.

    Attributes
    ----------
    waveform
        The burst that was sent.
    transmission
        What is known of its transmission; null where only the burst was recorded.
    tuning
        Of the receiver, as its device applied it.
    tick_rate_hz
        Nominal ticks per second.
    full_scale_dbm
        Nominal power at the antenna port of magnitude 1 at the gain in use.
    temperature_c
        Of the device; null where not known.
    time_std_s
        Standard deviation of the device's time about the time that all radios share.
    """

    waveform: BurstFields
    transmission: TransmissionFields | None
    tuning: TuningFields
    tick_rate_hz: Annotated[float, Meta(gt=0.0)]
    full_scale_dbm: float
    temperature_c: float | None
    time_std_s: Annotated[float, Meta(ge=0.0)]

    def block(self, samples: ComplexArray) -> IqBlock:
        """The block of samples of shape `shape`."""
        values = _common_values(self, IqBlock)
        return IqBlock(**values | {"samples": samples, "tuning": self.tuning.tuning()})


class PilotsFields(RecordFields, frozen=True, tag="pilots"):
    """A capture of demodulated pilots, see ``drivers.capture.Capture``.

    Attributes
    ----------
    waveform
        The grid of the pilots.
    num_averaged
        Repeated symbols that were averaged.
    delay_is_absolute
        Whether the delay axis starts at transmission.
    delay_var_s2
        Variance of the radios' common time, which all delays share.
    needs_alignment
        Whether phase, time and gain are the radios' own.
    underflow
        The transmitter ran out of samples.
    fault
        Why there are no pilots at all; null if there are.
    demodulation
        How the pilots were found in samples; null where they came from none.
    """

    waveform: GridFields
    num_averaged: Count
    delay_is_absolute: bool
    delay_var_s2: Annotated[float, Meta(ge=0.0)]
    needs_alignment: bool
    underflow: bool
    fault: str | None
    demodulation: DemodulationFields | None

    def capture(self, rx_pilots: ComplexArray) -> Capture:
        """The capture of pilots of shape `shape`."""
        quality = CaptureQuality(**_common_values(self, CaptureQuality))
        values = _common_values(self, Capture) | {"rx_pilots": rx_pilots, "quality": quality}
        if self.demodulation is not None:
            values["demodulation"] = DemodulationReport(**msgspec.structs.asdict(self.demodulation))
        return Capture(**values, waveform_hash=self.waveform.waveform_hash)


def iq_fields(head: Mapping[str, Any], sent: SoundingBurst | Sounding, block: IqBlock) -> IqFields:
    """Description of a block; `head` holds the fields that a block does not have itself."""
    values = _common_values(block, IqFields)
    values["tuning"] = TuningFields.of(block.tuning)
    values["transmission"] = TransmissionFields.of(sent) if isinstance(sent, Sounding) else None
    waveform = BurstFields.of_burst(sent.burst if isinstance(sent, Sounding) else sent)
    return IqFields(**head, **values, waveform=waveform, shape=np.shape(block.samples))


def pilots_fields(head: Mapping[str, Any], grid: OfdmGrid, capture: Capture) -> PilotsFields:
    """Description of a capture; `head` holds the fields that a capture does not have itself."""
    values = _common_values(capture, PilotsFields) | _common_values(capture.quality, PilotsFields)
    if capture.demodulation is not None:
        found = dataclasses.asdict(capture.demodulation)
        values["demodulation"] = DemodulationFields(**found)
    waveform = GridFields.of(grid)
    shape = np.shape(capture.rx_pilots)
    return PilotsFields(**{**head, **values}, waveform=waveform, shape=shape)


def sealed_namespace(fields: RecordFields, sha512: str | None) -> dict[str, Any]:
    """The fields as JSON values by their full names, with the hash of all of them.

    Parameters
    ----------
    sha512
        Digest of the data, ``None`` where there is none.

    Raises
    ------
    ValueError
        If a value is not what its field allows; all numbers that JSON lacks are named.
    """
    values: dict[str, Any] = msgspec.to_builtins(fields, enc_hook=_plain)
    problems = list(_not_finite(values))
    if problems:
        msg = f"a record holds finite numbers only, got {', '.join(problems)}"
        raise ValueError(msg)
    values[_CONTENT_HASH] = _content_hash(values, sha512)
    try:
        msgspec.convert(values, type=type(fields))
    except msgspec.ValidationError as error:
        msg = f"this cannot be recorded: {error}"
        raise ValueError(msg) from error
    return values


def parse_namespace(
    global_fields: Mapping[str, Any], sha512: str | None
) -> IqFields | PilotsFields:
    """The description in a SigMF global object.

    Raises
    ------
    ValueError
        If fields are missing, unknown, of the wrong type, or changed since they were written.
    """
    values = {n: value for n, value in global_fields.items() if n.startswith(_prefixed(""))}
    try:
        fields: IqFields | PilotsFields = msgspec.convert(values, type=IqFields | PilotsFields)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    if fields.content_hash != _content_hash(values, sha512):
        msg = f"the fields do not match their {_CONTENT_HASH}: they were changed after recording"
        raise ValueError(msg)
    return fields


def _common_values(source: object, target: type) -> dict[str, Any]:
    """Values of the attributes of `source` that are fields of `target`, by name."""
    if dataclasses.is_dataclass(target):
        names = tuple(field.name for field in dataclasses.fields(target))
    else:
        names = tuple(field.name for field in msgspec.structs.fields(target))
    return {name: getattr(source, name) for name in names if hasattr(source, name)}


def _content_hash(values: Mapping[str, Any], sha512: str | None) -> str:
    hashed = {name: value for name, value in values.items() if name != _CONTENT_HASH}
    text = json.dumps([hashed, sha512], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:32]


def _plain(value: object) -> object:
    """Python's own number for one of NumPy's."""
    if isinstance(value, np.generic):
        return value.item()
    msg = f"{type(value).__name__} has no place in a record"
    raise TypeError(msg)


def _not_finite(value: object, name: str = "") -> Iterator[str]:
    """Names and values of all numbers in nested values that JSON lacks."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{name} = {value}"
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _not_finite(part, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for n, part in enumerate(value):
            yield from _not_finite(part, f"{name}[{n}]")
