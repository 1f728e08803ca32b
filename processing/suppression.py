"""The background taken out of a capture, after the capture was brought onto it; (9)."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from drivers.capture import Capture, CaptureRefusedError
from drivers.geometry import ComplexArray
from drivers.waveform import OfdmGrid
from processing.alignment import (
    Alignment,
    Groups,
    alignment_of,
    noise_var_of,
    shifted,
)
from processing.channel import suppress_background
from processing.remainder import Remainder, remainder, remainder_again


@dataclass(frozen=True, eq=False)
class Background:
    """A learned background and what identifies it.

    Attributes
    ----------
    channel
        Shape ``(K, M)``.
    content_hash
        Of the dictionary entry.
    config_epoch
        Of the captures that it was learned from; captures that are aligned to it may be of others.
    delay_is_absolute
        Whether its delays count from transmission, and so those of captures aligned to it.
    on_direct_path
        Whether they do so by the direct path as surveyed.
    delay_var_s2
        Variance of that count, common to all delays on the link.
    response
        Of the receiver's elements, shape ``(K, M)``: captures are divided by it, and `channel`
        was. ``None`` where it is not known.
    response_var
        Mean square of what is unknown of an element's gain in it.
    known_noise_var
        Of the noise in an entry of `channel`, as captures that it was learned from tell it;
        ``None`` where they do not.
    """

    channel: ComplexArray
    content_hash: str
    config_epoch: int = 0
    delay_is_absolute: bool = True
    on_direct_path: bool = False
    delay_var_s2: float = 0.0
    response: ComplexArray | None = None
    response_var: float = 0.0
    known_noise_var: float | None = None

    def __post_init__(self) -> None:
        """Single precision, as captures are, elements side by side, and memory of one kind.

        What is compiled is compiled anew for arrays that cannot be written.
        """
        for name in ("channel", "response"):
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, np.require(value, np.complex64, ["C", "W"]))

    @cached_property
    def inverse_response(self) -> ComplexArray | None:
        """What captures are multiplied by to take the elements' response out."""
        return None if self.response is None else 1.0 / self.response

    @cached_property
    def noise_var(self) -> float:
        """Variance of the noise in an entry of the channel.

        If nothing is known of it, of all that is rough over its tones, as transmitters' images and
        spurs are that every capture has alike.
        """
        known = self.known_noise_var
        return noise_var_of(self.channel) if known is None else known

    def lying_as(self, lay: Alignment, grid: OfdmGrid) -> "Background":
        """The same with its elements to each other as a capture's are that lies to it so.

        Its common gain is that of the first element, its common delay the mean.
        """
        apart_s = lay.delay_s - lay.delay_s.mean()
        return replace(self, channel=shifted(self.channel, grid, apart_s, lay.gain / lay.gain[0]))

    def moved(self, delay_s: float, grid: OfdmGrid) -> "Background":
        """The same on an axis of delay that begins so much earlier."""
        return replace(self, channel=shifted(self.channel, grid, delay_s))


@dataclass(frozen=True)
class Suppression:
    """A capture with its background taken out.

    Attributes
    ----------
    left
        What is left.
    background
        What was taken out, shape ``(K, M)``.
    late_s
        How much later the capture's own time puts everything than the residual's axis does.
    lay
        How the capture lay to the background, with its energy.
    """

    left: Remainder
    background: ComplexArray
    late_s: float
    lay: Alignment

    @property
    def louder(self) -> float:
        """Power of the capture over the background, on whose scale the residual is."""
        return float(np.mean(np.abs(self.lay.gain) ** 2))

    @property
    def residual(self) -> ComplexArray:
        """What is left, shape ``(K, M)``."""
        return self.left.residual

    def realigned(self, still: Alignment, grid: OfdmGrid) -> "Suppression":
        """The same with how its capture still lies to the background taken back."""
        return replace(
            self,
            left=remainder_again(self.residual, self.background, grid, still),
            late_s=self.late_s + float(still.delay_s.mean()),
            lay=replace(
                self.lay,
                gain=self.lay.gain * still.gain,
                delay_s=self.lay.delay_s + still.delay_s,
            ),
        )


def suppressed(
    estimate: ComplexArray,
    background: Background,
    grid: OfdmGrid,
    groups: Groups,
    late_s: float | None = None,
    *,
    tones: ComplexArray | None = None,
) -> Suppression:
    """Align a channel to its background and take that out.

    Parameters
    ----------
    estimate
        With the elements' response taken out, shape ``(K, M)``.
    groups
        Elements that share phase, time and gain; all, if empty.
    late_s
        How much too late the capture's own time shows delays; ``None`` where it has no time.
    tones
        What each tone is multiplied by to be an estimate, shape ``(K,)``; nothing, if left out.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if background.channel.shape != estimate.shape:
        suppress_background(estimate, background.channel)  # says what is wrong
    lay = alignment_of(
        estimate, background.channel, grid, groups,
        reference_noise_var=background.noise_var, tones=tones,
    )  # fmt: skip
    own_s = 0.0 if late_s is None else float(lay.delay_s.mean()) - late_s
    left = remainder(estimate, background.channel, grid, lay, tones)
    return Suppression(left, background.channel, own_s, lay)


def check_capture(capture: Capture, background: Background | None, waveform_hash: str) -> None:
    """Refuse what cannot be processed.

    Raises
    ------
    CaptureRefusedError
        If the capture is not usable, of another waveform, or of another tuning than a background
        that it is not aligned to.
    """
    link = f"{capture.tx_id} -> {capture.rx_id}"
    if capture.quality.problem:
        msg = f"{link}: {capture.quality.problem}"
        raise CaptureRefusedError(msg)
    if capture.waveform_hash != waveform_hash:
        msg = f"{link}: capture of waveform {capture.waveform_hash}, expected {waveform_hash}"
        raise CaptureRefusedError(msg)
    members = sorted(member for group in capture.coherent_groups for member in group)
    if members and members != list(range(capture.rx_pilots.shape[1])):
        msg = (
            f"{link}: coherent groups {capture.coherent_groups} do not hold each of "
            f"{capture.rx_pilots.shape[1]} elements once; see the radio's capabilities"
        )
        raise CaptureRefusedError(msg)
    if (
        background is not None
        and background.config_epoch != capture.config_epoch
        and not capture.needs_alignment
    ):
        msg = (
            f"{link}: background learned in config epoch {background.config_epoch}, capture "
            f"in {capture.config_epoch}: the radio was retuned; calibrate this link again"
        )
        raise CaptureRefusedError(msg)


def check_signal(capture: Capture, energy: float) -> None:
    """Refuse a capture of this energy over all tones and elements if that is none.

    Raises
    ------
    CaptureRefusedError
        If it is zero or not finite.
    """
    if not np.isfinite(energy) or energy == 0.0:
        msg = (
            f"{capture.tx_id} -> {capture.rx_id}: capture holds no signal, its total power is "
            f"{energy}; check the receiver"
        )
        raise CaptureRefusedError(msg)
