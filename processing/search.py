"""Echoes in a residual: detected on its map, refined, with their bounds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from drivers.link_budget import delay_var_s2, sine_var
from processing.detect import CfarPlan, detect, plan_cfar
from processing.power_map import PowerMap, PowerMapPlan
from processing.refine import refined
from processing.report import Hypothesis
from processing.subbands import SubbandSums

# An echo below this matched-cell SNR has no meaningful variance; it is reported with this one.
_MIN_SNR = 1.0
# Refined echoes nearer than this share of a resolution cell in delay and angle are one.
_SAME_CELL = 0.3


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


class EchoSearch:
    """Finds and refines echoes.

    Parameters
    ----------
    plan
        Of the map.
    settings
        Detection and refinement.

    Attributes
    ----------
    cfar
        The detector.
    detection_snr
        Matched-cell SNR at which its threshold lies, linear.
    """

    def __init__(self, plan: PowerMapPlan, settings: ProcessingSettings) -> None:
        self._plan, self._settings = plan, settings
        self._grid, self._array = plan.grid, plan.array
        self.cfar: CfarPlan = plan_cfar(plan, settings.false_alarm_probability)
        # An echo between two delay bins loses up to sinc^2(1/2): what detection sees on average.
        offset_cells = np.linspace(-0.5, 0.5, 101) / plan.bins_per_cell
        self.detection_snr: float = self.cfar.typical_snr / float(
            np.mean(np.sinc(offset_cells) ** 2)
        )

    def found(
        self, residual: SubbandSums, even: PowerMap, delay_limits_s: tuple[float, float]
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
            max_candidates=self._settings.max_hypotheses + 1,
        )  # fmt: skip
        refined = [self._hypothesis(residual, even, cell) for cell in cells]
        hypotheses = self._distinct(refined)[: self._settings.max_hypotheses]
        return hypotheses, len(cells) > self._settings.max_hypotheses

    def _distinct(self, hypotheses: Sequence[Hypothesis]) -> list[Hypothesis]:
        """Strongest first, without those that refinement led to a stronger one's echo."""
        kept: list[Hypothesis] = []
        beam = self._grid.wavelength_m / (self._array.num_elements * self._array.spacing_m)
        for candidate in sorted(hypotheses, key=lambda hypothesis: -hypothesis.snr):
            if not any(
                abs(candidate.delay_s - other.delay_s) * self._grid.bandwidth_hz < _SAME_CELL
                and abs((candidate.sine or 0.0) - (other.sine or 0.0)) < _SAME_CELL * beam
                for other in kept
            ):
                kept.append(candidate)
        return kept

    def _hypothesis(
        self, residual: SubbandSums, found: PowerMap, cell: tuple[int, int]
    ) -> Hypothesis:
        bands, delay_s = residual.coarse(float(self._plan.delay_grid_s[cell[1]]))
        echo = refined(
            bands, self._grid, self._array,
            delay_s, float(self._plan.angle_grid_rad[cell[0]]),
            num_snapshots=self._settings.num_snapshots,
        )  # fmt: skip
        # The matched power holds one noise power besides the echo's.
        snr = max(echo.matched_power / found.noise_var - 1.0, _MIN_SNR)
        wavelengths = self._array.spacing_m / self._grid.wavelength_m
        return Hypothesis(
            delay_s=echo.delay_s,
            delay_var_s2=float(delay_var_s2(snr, self._grid.rms_bandwidth_hz)),
            sine=echo.sine,
            sine_var=(
                None
                if echo.sine is None
                else float(sine_var(snr, self._array.num_elements, wavelengths))
            ),
            snr=float(snr),
        )
