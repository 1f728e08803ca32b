"""The background taken out of a capture, after the capture was brought onto it; (9)."""

from dataclasses import dataclass, replace

import numpy as np

from drivers.capture import Capture, CaptureRefusedError
from drivers.geometry import ComplexArray, FloatArray
from drivers.waveform import OfdmGrid
from processing.alignment import Groups, align, noise_var_of, shifted
from processing.channel import suppress_background


@dataclass(frozen=True)
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
    """

    channel: ComplexArray
    content_hash: str
    config_epoch: int = 0
    delay_is_absolute: bool = True
    on_direct_path: bool = False
    delay_var_s2: float = 0.0
    response: ComplexArray | None = None


@dataclass(frozen=True)
class Suppression:
    """A capture with its background taken out.

    Attributes
    ----------
    residual
        What is left, shape ``(K, M)``.
    background
        What was taken out, shape ``(K, M)``.
    late_s
        How much later the capture's own time puts everything than the residual's axis does.
    background_noise_var
        Of an entry of the background.
    """

    residual: ComplexArray
    background: ComplexArray
    late_s: float = 0.0
    background_noise_var: float = 0.0

    def without(self, echoes: ComplexArray, grid: OfdmGrid, groups: Groups) -> "Suppression":
        """The same after an alignment that leaves these echoes out of account."""
        aligned = self.residual + self.background
        _, lay = align(
            aligned - echoes, self.background, grid, groups,
            reference_noise_var=self.background_noise_var,
        )  # fmt: skip
        again = shifted(aligned, grid, -lay.delay_s) / lay.gain.astype(np.complex64)
        return replace(
            self,
            residual=suppress_background(again, self.background),
            late_s=self.late_s + float(lay.delay_s.mean()),
        )


def suppressed(
    estimate: ComplexArray,
    background: Background,
    grid: OfdmGrid,
    groups: Groups,
    late_s: float | None = None,
) -> Suppression:
    """Align a channel to its background and take that out.

    Parameters
    ----------
    estimate
        With the elements' response taken out, shape ``(K, M)``.
    groups
        Elements that share phase, time and gain; all, if empty.
    late_s
        How much too late the capture's own time shows delays: the residual's axis then follows
        it. ``None`` where the capture has no time: the axis is the background's.

    Raises
    ------
    ValueError
        If the shapes differ.
    """
    if background.channel.shape != estimate.shape:
        suppress_background(estimate, background.channel)  # says what is wrong
    noise_var = noise_var_of(background.channel)
    aligned, lay = align(estimate, background.channel, grid, groups, reference_noise_var=noise_var)
    channel, delay_s = background.channel, float(lay.delay_s.mean())
    if late_s is not None:
        own: FloatArray = np.array([delay_s - late_s])
        aligned, channel = shifted(aligned, grid, own), shifted(channel, grid, own)
    residual = suppress_background(aligned, channel)
    return Suppression(residual, channel, background_noise_var=noise_var)


def check_capture(capture: Capture, background: Background | None, waveform_hash: str) -> None:
    """Refuse what cannot be processed.

    Raises
    ------
    CaptureRefusedError
        If the capture is not usable, of another waveform, of another tuning than a background that
        it is not aligned to, or holds no signal.
    """
    link = f"{capture.tx_id} -> {capture.rx_id}"
    if capture.quality.problem:
        msg = f"{link}: {capture.quality.problem}"
        raise CaptureRefusedError(msg)
    if capture.waveform_hash != waveform_hash:
        msg = f"{link}: capture of waveform {capture.waveform_hash}, expected {waveform_hash}"
        raise CaptureRefusedError(msg)
    power = float(np.vdot(capture.rx_pilots, capture.rx_pilots).real)
    if not np.isfinite(power) or power == 0.0:
        msg = f"{link}: capture holds no signal, its total power is {power}; check the receiver"
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
