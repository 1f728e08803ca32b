"""From one capture to one link report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from drivers.array import UniformLinearArray
from drivers.capture import Capture
from drivers.geometry import ComplexArray, FloatArray
from drivers.link_budget import delay_var_s2, sine_var
from drivers.waveform import OfdmGrid, pilot_symbols
from processing.alignment import Groups
from processing.channel import channel_estimate, suppress_background
from processing.detect import CfarPlan, detect, plan_cfar
from processing.near_background import NearBackground
from processing.phase_noise import PhaseNoiseCopies
from processing.power_map import (
    PowerMap,
    PowerMapPlan,
    plan_power_map,
    power_map,
    with_equal_noise,
)
from processing.refine import refine
from processing.report import Hypothesis, LinkReport
from processing.suppression import Background, Suppression, check_capture, suppressed

# An echo below this matched-cell SNR has no meaningful variance; it is reported with this one.
_MIN_SNR = 1.0
# Refined echoes nearer than this share of a resolution cell in delay and angle are one.
_SAME_CELL = 0.3
# Alignment is linear about one that the echo had pulled at: each round leaves the square of that.
_MAX_JOINT_ROUNDS = 5
_SETTLED_STD = 0.05


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
        self._copies = PhaseNoiseCopies(self.map_plan)
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
        return self.suppressed(capture, background).residual

    def suppressed(
        self, capture: Capture, background: Background | None, late_s: float | None = None
    ) -> Suppression:
        """A capture with its background taken out; as `residual`, with what it was aligned by."""
        check_capture(capture, background, self._waveform_hash)
        estimate = channel_estimate(capture.rx_pilots, self._pilots)
        if background is None:
            return Suppression(estimate, np.zeros_like(estimate))
        if background.response is not None and background.response.shape == estimate.shape:
            estimate = estimate / background.response
        if capture.needs_alignment:
            return suppressed(estimate, background, self.grid, capture.coherent_groups, late_s)
        return Suppression(suppress_background(estimate, background.channel), background.channel)

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
        late_s: float | None = None,
    ) -> LinkReport:
        """Link report of a capture.

        Parameters
        ----------
        background
            The link's entry, or ``None`` to process without suppression.
        delay_limits_s
            Shortest and longest delay an echo from the search area can have on this link.
        late_s
            How much too late the capture's own common time shows delays, where that is
            calibrated; delays then follow it, and not the background.
        """
        own_time = late_s if capture.delay_is_absolute else None
        what = self.suppressed(capture, background, own_time)
        count = _delay_count(capture, background, own_time)
        limits = delay_limits_s if count.is_absolute else (0.0, np.inf)
        if background is None or not capture.needs_alignment:
            found = self.map_of(what.residual)
            hypotheses, truncated = self._search(what.residual, found, limits)
        else:
            what, found, hypotheses, truncated = self._joint(what, limits, capture.coherent_groups)
        if own_time is not None:
            hypotheses = [replace(h, delay_s=h.delay_s + what.late_s) for h in hypotheses]
        return LinkReport(
            tx_id=capture.tx_id,
            rx_id=capture.rx_id,
            sensing_index=sensing_index,
            hypotheses=tuple(hypotheses),
            truncated=truncated,
            detection_snr=self.detection_snr,
            noise_var=found.noise_var,
            delay_is_absolute=count.is_absolute,
            config_epoch=capture.config_epoch,
            background_hash=None if background is None else background.content_hash,
            on_direct_path=count.on_direct_path,
            link_delay_var_s2=count.var_s2,
        )

    def _joint(
        self, what: Suppression, limits: tuple[float, float], groups: Groups
    ) -> tuple[Suppression, PowerMap, list[Hypothesis], bool]:
        """Echoes and alignment estimated together: an echo was part of what was aligned."""
        near = NearBackground(what.background, self.grid, self.array, groups)
        found = self.map_of(what.residual)
        level = self.noise_level(what, found)
        hypotheses, truncated = self._search(
            what.residual, with_equal_noise(found, level * near.share(self.map_plan)), limits
        )
        if hypotheses:
            hypotheses = near.whole(what.residual, hypotheses)
            for _ in range(_MAX_JOINT_ROUNDS):
                before = hypotheses[0]
                echoes = near.echoes(what.residual, hypotheses)
                what = what.without(echoes, self.grid, groups)
                found = self.map_of(what.residual)
                hypotheses, truncated = self._search(
                    what.residual, with_equal_noise(found, level), limits
                )
                hypotheses = near.fitted(what.residual, hypotheses)
                if not hypotheses or _settled(before, hypotheses[0]):
                    break
        return what, found, near.told_apart(hypotheses), truncated

    def noise_level(self, what: Suppression, found: PowerMap) -> FloatArray:
        """Noise of each cell of a residual's map over the thermal one's, shape ``(G, L)``.

        Before alignment took its share.
        """
        return 1.0 + self._copies.power(what.residual, what.background) / found.noise_power

    def _search(
        self, residual: ComplexArray, even: PowerMap, delay_limits_s: tuple[float, float]
    ) -> tuple[list[Hypothesis], bool]:
        """What is in a residual, and whether there was more than a report carries.

        Parameters
        ----------
        even
            Its map, with equal noise in all cells.
        """
        cells = detect(
            even, self.cfar,
            min_delay_s=delay_limits_s[0], max_delay_s=delay_limits_s[1],
            max_candidates=self.settings.max_hypotheses + 1,
        )  # fmt: skip
        refined = [self._hypothesis(residual, even, cell) for cell in cells]
        hypotheses = self._distinct(refined)[: self.settings.max_hypotheses]
        return hypotheses, len(cells) > self.settings.max_hypotheses

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


def _settled(before: Hypothesis, now: Hypothesis) -> bool:
    """Whether a round of the joint estimation has moved an echo by nothing that matters."""
    moved = abs(now.delay_s - before.delay_s) / np.sqrt(now.delay_var_s2)
    if now.sine is not None and now.sine_var is not None and before.sine is not None:
        moved = max(moved, abs(now.sine - before.sine) / np.sqrt(now.sine_var))
    return bool(moved < _SETTLED_STD)


@dataclass(frozen=True, slots=True)
class _DelayCount:
    """What a report's delays count from."""

    is_absolute: bool
    on_direct_path: bool
    var_s2: float


def _delay_count(
    capture: Capture, background: Background | None, own_time_late_s: float | None
) -> _DelayCount:
    if background is None or not capture.needs_alignment:
        return _DelayCount(capture.delay_is_absolute, False, capture.delay_var_s2)
    if own_time_late_s is not None:  # the nodes' joint errors say how well it is known
        return _DelayCount(True, False, 0.0)
    return _DelayCount(
        background.delay_is_absolute, background.on_direct_path, background.delay_var_s2
    )
