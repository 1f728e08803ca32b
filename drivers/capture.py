"""Captures: the demodulated pilots of one sensing burst at one receiver, and who makes them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from drivers.geometry import ComplexArray
from drivers.node import Node
from drivers.waveform import OfdmGrid


@dataclass(frozen=True, slots=True)
class CaptureQuality:
    """What makes a capture trustworthy or not.

    Attributes
    ----------
    overflow, late, discontinuity
        Samples were lost, the burst or block missed its time, samples are missing in between.
    underflow
        The transmitter ran out of samples.
    gain_is_manual
        False where the receiver set its own gain.
    clock_locked, pps_locked
        Of all radios involved; ``None`` where nobody can tell.
    fault
        Why there are no pilots at all, in words; ``None`` if there are.
    """

    overflow: bool = False
    late: bool = False
    discontinuity: bool = False
    underflow: bool = False
    gain_is_manual: bool = True
    clock_locked: bool | None = None
    pps_locked: bool | None = None
    fault: str | None = None

    @property
    def problem(self) -> str | None:
        """Why the pilots may not be processed, in words; ``None`` if they may."""
        reasons = (
            (self.fault is not None, self.fault or ""),
            (self.overflow, "samples were lost (overflow)"),
            (self.late, "the burst missed its time (late)"),
            (self.discontinuity, "the samples are not one stretch (discontinuity)"),
            (self.underflow, "the transmitter ran out of samples (underflow)"),
            (not self.gain_is_manual, "the receiver sets its own gain (AGC is on)"),
            (self.clock_locked is False, "the reference clock is not locked"),
            (self.pps_locked is False, "the pulse per second is not there"),
        )
        found = [text for holds, text in reasons if holds]
        return ", ".join(found) or None

    @property
    def usable(self) -> bool:
        """Whether the pilots may be processed."""
        return self.problem is None


@dataclass(frozen=True, slots=True)
class DemodulationReport:
    """What a demodulator found out about a burst; ``None`` what it could not or need not.

    Attributes
    ----------
    carrier_offset_hz, clock_offset_ppm
        Transmitter's carrier over the receiver's, and the same as parts per million of it, which
        is the offset of the sampling clocks too; ``None`` where both share a clock.
    start_sample
        Position of the burst's first sample in the block, fractional: over the strongest path, or
        as sent where both share their time.
    snr
        Of one tone in one symbol, at the mean over tones and elements, by the differences between
        repeated symbols; at least 0.
    symbol_coherence
        Least coherence of neighbouring symbols, 0 to 1.
    """

    carrier_offset_hz: float | None
    clock_offset_ppm: float | None
    start_sample: float
    snr: float | None
    symbol_coherence: float | None


@dataclass(frozen=True, slots=True)
class Capture:
    """Demodulated pilots of one burst on one link.

    Attributes
    ----------
    tx_id, rx_id
        The link's nodes.
    rx_pilots
        ``Y`` of eq. (1), shape ``(K, M)``, complex64, per unit transmitted tone amplitude.
    num_averaged
        Repeated symbols that were averaged into `rx_pilots`.
    waveform_hash
        Of the pilots that were sent, see ``OfdmGrid.waveform_hash``.
    config_epoch
        Goes up with every change of tuning; a background of another epoch does not apply.
    delay_is_absolute
        Whether the delay axis starts at transmission. False for radios without common time.
    delay_var_s2
        Variance of the radios' common time, which all delays share.
    needs_alignment
        Whether phase, time and gain are the radios' own, so that a background applies only after
        alignment to it.
    coherent_groups
        Elements that share them; empty for all. The capture's time is that of the first group.
    quality
        Flags that travel with the data.
    first_sample_tick
        Receiver's device tick of the block's first sample, where known.
    demodulation
        How the pilots were found, where they came from samples.
    """

    tx_id: str
    rx_id: str
    rx_pilots: ComplexArray
    num_averaged: int
    waveform_hash: str
    config_epoch: int = 0
    delay_is_absolute: bool = True
    delay_var_s2: float = 0.0
    needs_alignment: bool = False
    coherent_groups: tuple[tuple[int, ...], ...] = ()
    quality: CaptureQuality = field(default_factory=CaptureQuality)
    first_sample_tick: int | None = None
    demodulation: DemodulationReport | None = None


def missing_capture(tx_id: str, rx_id: str, grid: OfdmGrid, fault: str) -> Capture:
    """The capture of a link that gave none, without pilots; `fault` says why."""
    return Capture(
        tx_id=tx_id,
        rx_id=rx_id,
        rx_pilots=np.zeros((0, 0), dtype=np.complex64),
        num_averaged=0,
        waveform_hash=grid.waveform_hash,
        quality=CaptureQuality(fault=fault),
    )


class CaptureRefusedError(ValueError):
    """A capture that may not be processed; the message names link and reason."""


class CaptureSource(Protocol):
    """Anything that turns a sensing command into captures: simulated, live or recorded."""

    @property
    def nodes(self) -> tuple[Node, ...]:
        """The nodes as surveyed."""
        ...

    @property
    def grid(self) -> OfdmGrid:
        """The waveform in use."""
        ...

    @property
    def origin(self) -> str:
        """What the captures are of: a simulated scene, the radios' identity, a recording.

        Backgrounds learned from one origin do not apply to another.
        """
        ...

    def sense(self, tx_id: str, rx_ids: Sequence[str], sensing_index: int) -> tuple[Capture, ...]:
        """Let ``tx_id`` send one burst, and return what each of ``rx_ids`` heard, in their order.

        A receiver that fails gives a capture without pilots whose quality says why.
        """
        ...

    def sense_background(
        self, tx_id: str, rx_ids: Sequence[str], capture_index: int, *, brief: bool = False
    ) -> tuple[Capture, ...]:
        """The same without a target, for calibration, with calibration's own longer burst.

        `brief` sends the burst of `sense`.
        """
        ...
