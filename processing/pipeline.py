"""From one capture to one link report."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drivers.array import UniformLinearArray
from drivers.capture import Capture, CaptureRefusedError
from drivers.geometry import ComplexArray
from drivers.link_budget import delay_var_s2, sine_var
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.alignment import align, shifted
from processing.channel import channel_estimate, suppress_background
from processing.detect import CfarPlan, detect, plan_cfar
from processing.echo import fitted_echoes
from processing.power_map import PowerMap, PowerMapPlan, plan_power_map, power_map
from processing.refine import refine
from processing.report import Hypothesis, LinkReport

# An echo below this matched-cell SNR has no meaningful variance; it is reported with this one.
_MIN_SNR = 1.0
# Refined echoes nearer than this share of a resolution cell in delay and angle are one.
_SAME_CELL = 0.3
# Each round leaves the square of the echo's likeness to the background: a hundredth, usually.
_NUM_JOINT_ROUNDS = 3


@dataclass(frozen=True, slots=True)
class ProcessingSettings:
    """How captures are processed.

    Attributes
    ----------
    false_alarm_probability
        Per map cell.
    num_angles
        Swept angles from -90 to 90 degrees.
    delay_oversampling
        Delay bins per resolution cell.
    max_hypotheses
        Candidates reported per link.
    num_snapshots
        Sub-band snapshots of MUSIC's covariance.
    """

    false_alarm_probability: float = 1e-6
    num_angles: int = 181
    delay_oversampling: int = 1
    max_hypotheses: int = 4
    num_snapshots: int = 4


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
        Of the captures that it was learned from.
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


class LinkProcessor:
    """Turns captures of one waveform and one array into link reports.

    Parameters
    ----------
    grid, array
        Waveform and receiving array.
    max_delay_s
        Longest bistatic delay on any link; the map ends there.
    settings
        Detection and refinement.
    """

    def __init__(
        self,
        grid: OfdmGrid,
        array: UniformLinearArray,
        max_delay_s: float,
        settings: ProcessingSettings,
    ) -> None:
        self.grid = grid
        self.array = array
        self.settings = settings
        self._pilots = pilot_symbols(grid)
        self._waveform_hash = grid.waveform_hash
        self.map_plan: PowerMapPlan = plan_power_map(
            grid, array, max_delay_s,
            num_angles=settings.num_angles, delay_oversampling=settings.delay_oversampling,
        )  # fmt: skip
        self.cfar: CfarPlan = plan_cfar(self.map_plan, settings.false_alarm_probability)
        # An echo between two delay bins loses up to sinc^2(1/2): what detection sees on average.
        offset_cells = np.linspace(-0.5, 0.5, 101) / self.map_plan.bins_per_cell
        self.detection_snr: float = self.cfar.typical_snr / float(
            np.mean(np.sinc(offset_cells) ** 2)
        )

    def residual(self, capture: Capture, background: Background | None) -> ComplexArray:
        """Residual channel of a capture, shape ``(K, M)``; eqs. (2) and (9).

        Raises
        ------
        CaptureRefusedError
            If the capture is not usable; if capture, background and processor do not belong
            together (another waveform, another tuning since the background was learned, another
            array); or if the capture holds no signal: not finite, or all zero.
        """
        link = f"{capture.tx_id} -> {capture.rx_id}"
        if capture.quality.problem:
            msg = f"{link}: {capture.quality.problem}"
            raise CaptureRefusedError(msg)
        if capture.waveform_hash != self._waveform_hash:
            msg = (
                f"{link}: capture of waveform {capture.waveform_hash}, expected "
                f"{self._waveform_hash}"
            )
            raise CaptureRefusedError(msg)
        power = float(np.vdot(capture.rx_pilots, capture.rx_pilots).real)
        if not np.isfinite(power) or power == 0.0:
            msg = f"{link}: capture holds no signal, its total power is {power}; check the receiver"
            raise CaptureRefusedError(msg)
        if background is not None and background.config_epoch != capture.config_epoch:
            msg = (
                f"{link}: background learned in config epoch {background.config_epoch}, capture "
                f"in {capture.config_epoch}: the radio was retuned; calibrate this link again"
            )
            raise CaptureRefusedError(msg)
        estimate = channel_estimate(capture.rx_pilots, self._pilots)
        if background is None:
            return estimate
        if background.response is not None and background.response.shape == estimate.shape:
            estimate = estimate / background.response
        if capture.needs_alignment and background.channel.shape == estimate.shape:
            estimate, _ = align(estimate, background.channel, self.grid, capture.coherent_groups)
        return suppress_background(estimate, background.channel)

    def map_of(self, residual: ComplexArray) -> PowerMap:
        """Range-angle power map of a residual; eqs. (10) and (11)."""
        return power_map(residual, self.map_plan)

    def report(
        self,
        capture: Capture,
        background: Background | None,
        *,
        sensing_index: int,
        delay_limits_s: tuple[float, float],
    ) -> LinkReport:
        """Link report of a capture.

        Parameters
        ----------
        background
            The link's entry, or ``None`` to process without suppression.
        delay_limits_s
            Shortest and longest delay an echo from the search area can have on this link.
        """
        residual = self.residual(capture, background)
        found, hypotheses, truncated = self._search(residual, delay_limits_s)
        if background is not None and capture.needs_alignment:
            # The echo was part of what was aligned, and pulled at it: estimated together, by
            # turns, alignment without the echo and the echo after that alignment.
            for _ in range(_NUM_JOINT_ROUNDS if hypotheses else 0):
                residual = self._realigned(residual, background, capture, hypotheses)
                found, hypotheses, truncated = self._search(residual, delay_limits_s)
        return LinkReport(
            tx_id=capture.tx_id,
            rx_id=capture.rx_id,
            sensing_index=sensing_index,
            hypotheses=tuple(hypotheses),
            truncated=truncated,
            detection_snr=self.detection_snr,
            noise_var=found.noise_var,
            delay_is_absolute=_is_absolute(capture, background),
            config_epoch=capture.config_epoch,
            background_hash=None if background is None else background.content_hash,
            on_direct_path=background is not None and background.on_direct_path,
            link_delay_var_s2=_link_delay_var_s2(capture, background),
        )

    def _search(
        self, residual: ComplexArray, delay_limits_s: tuple[float, float]
    ) -> tuple[PowerMap, list[Hypothesis], bool]:
        """Map of a residual, what is in it, and whether there was more than a report carries."""
        found = self.map_of(residual)
        cells = detect(
            found, self.cfar,
            min_delay_s=delay_limits_s[0], max_delay_s=delay_limits_s[1],
            max_candidates=self.settings.max_hypotheses + 1,
        )  # fmt: skip
        refined = [self._hypothesis(residual, found, cell) for cell in cells]
        hypotheses = self._distinct(refined)[: self.settings.max_hypotheses]
        return found, hypotheses, len(cells) > self.settings.max_hypotheses

    def _realigned(
        self,
        residual: ComplexArray,
        background: Background,
        capture: Capture,
        hypotheses: Sequence[Hypothesis],
    ) -> ComplexArray:
        """The residual after an alignment that leaves the hypotheses' echoes out."""
        aligned = residual + background.channel
        echoes = fitted_echoes(residual, self.grid, self.array, hypotheses)
        _, lay = align(aligned - echoes, background.channel, self.grid, capture.coherent_groups)
        again = shifted(aligned, self.grid, -lay.delay_s) / lay.gain.astype(np.complex64)
        return suppress_background(again, background.channel)

    def _distinct(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Strongest first, without those that refinement led to a stronger one's echo."""
        kept: list[Hypothesis] = []
        beam = self.grid.wavelength_m / (self.array.num_elements * self.array.spacing_m)
        for candidate in sorted(hypotheses, key=lambda hypothesis: -hypothesis.snr):
            if not any(
                abs(candidate.delay_s - other.delay_s) * self.grid.bandwidth_hz < _SAME_CELL
                and abs((candidate.sine or 0.0) - (other.sine or 0.0)) < _SAME_CELL * beam
                for other in kept
            ):
                kept.append(candidate)
        return kept

    def _hypothesis(
        self, residual: ComplexArray, found: PowerMap, cell: tuple[int, int]
    ) -> Hypothesis:
        echo = refine(
            residual, self.grid, self.array,
            float(self.map_plan.delay_grid_s[cell[1]]),
            float(self.map_plan.angle_grid_rad[cell[0]]),
            num_snapshots=self.settings.num_snapshots,
        )  # fmt: skip
        # The matched power holds one noise power besides the echo's.
        snr = max(echo.matched_power / found.noise_var - 1.0, _MIN_SNR)
        wavelengths = self.array.spacing_m / self.grid.wavelength_m
        return Hypothesis(
            delay_s=echo.delay_s,
            delay_var_s2=float(delay_var_s2(snr, self.grid.rms_bandwidth_hz)),
            sine=echo.sine,
            sine_var=(
                None
                if echo.sine is None
                else float(sine_var(snr, self.array.num_elements, wavelengths))
            ),
            snr=float(snr),
        )


def _link_delay_var_s2(capture: Capture, background: Background | None) -> float:
    """Variance that all delays on the link share, from what they count from."""
    if background is not None and capture.needs_alignment:
        return background.delay_var_s2
    return capture.delay_var_s2


def _is_absolute(capture: Capture, background: Background | None) -> bool:
    """Whether residual delays count from transmission: after alignment, as the background's do."""
    if background is not None and capture.needs_alignment:
        return background.delay_is_absolute
    return capture.delay_is_absolute
