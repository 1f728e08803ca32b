"""What one link report says about a position: detection, miss, false alarm and ghost."""

from dataclasses import dataclass

import numpy as np

from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, FloatArray
from drivers.node import Node
from fusion.measurement import Measurement
from fusion.network import Network
from processing.report import LinkReport

# Even a target in plain view is missed this often: blockage, a lost capture, a model that is wrong.
_MISS_ANYWAY = 1e-3
# Expected number of false echoes per map that are not noise (residual clutter, double bounces).
# Their SNR is taken as Pareto-distributed above the threshold: strong ghosts are rare, not absent.
_GHOSTS_PER_MAP = 0.01


@dataclass(frozen=True)
class RcsPrior:
    """Discrete prior of the target's RCS level.

    Attributes
    ----------
    level_m2
        Levels, shape ``(S,)``.
    log_probability
        Their log probabilities, shape ``(S,)``.
    """

    level_m2: FloatArray
    log_probability: FloatArray


def exponential_rcs_prior(mean_rcs_m2: float) -> RcsPrior:
    """Swerling I spread about the mean, from -32 to +8 dB in 4 dB steps.

    Broad enough for a target whose every look is drawn anew about the mean as well as for one
    whose single draw, perhaps a deep fade, holds for the whole scene.
    """
    level = 10.0 ** (np.arange(-32.0, 9.0, 4.0) / 10.0)
    log_density = np.log(level) - level  # of ln(x) for x ~ Exp(1)
    return RcsPrior(level * mean_rcs_m2, log_density - np.log(np.exp(log_density).sum()))


class LinkEvidence:
    """The likelihood of one link report, relative to "everything in it is false".

    Given the target at ``p`` with RCS level ``r`` (Swerling I about it), the link detects it
    with probability ``exp(-T / (1 + snr))``; the power of a detected echo, its SNR plus the one
    noise power that a report has taken away, is exponential with mean ``1 + snr``. False peaks
    of the noise field above a level ``g`` of that power number ``pi/6 (2 g - 1) exp(-g)`` per
    resolution cell (expected Euler characteristic of a chi-square field with the Dirichlet
    kernel's second moment ``pi^2/3`` per axis; Worsley 1994), ``sqrt(pi g / 3) exp(-g)`` on one
    axis.

    Parameters
    ----------
    network
        Supplies the predicted SNR.
    report
        What the link reported.
    delay_span_s
        Length of the delays searched on this link.

    Attributes
    ----------
    range_var_m2
        What all looks leave unknown of the link's bistatic ranges.
    rx_var
        Variances of the receiver's errors, see `drivers.node_errors`.
    """

    def __init__(self, network: Network, report: LinkReport, delay_span_s: float) -> None:
        self.report = report
        self.tx: Node = network.nodes[network.index[report.tx_id]]
        self.rx: Node = network.nodes[network.index[report.rx_id]]
        self._network = network
        self.range_var_m2 = network.range_var_m2(self.tx, self.rx) + (
            report.link_delay_var_s2 * SPEED_OF_LIGHT_M_PER_S**2
        )
        self.rx_var = network.node_var(self.rx)
        self.measurements = tuple(
            Measurement(
                self.tx, self.rx, hypothesis, network.sine_period(self.rx),
                report.delay_is_absolute, report.on_direct_path, report.link_delay_var_s2,
            )
            for hypothesis in report.hypotheses
        )  # fmt: skip
        # What the matched filter put out: reports take the one noise power in it away.
        self._level = np.array([hypothesis.snr + 1.0 for hypothesis in report.hypotheses])
        self._log_false = self._log_false_density(delay_span_s)
        # A full report hides what is weaker than all of it: no evidence against such a target.
        hidden = float(self._level.min()) if report.truncated and len(self._level) else 0.0
        self._miss_level = max(report.detection_snr, hidden)

    def _log_false_density(self, delay_span_s: float) -> FloatArray:
        """Log density of false peaks at each hypothesis, per SNR and per measured unit."""
        grid, array = self._network.grid, self.rx.array
        cells_per_m = grid.bandwidth_hz / SPEED_OF_LIGHT_M_PER_S
        cells_per_sine = array.num_elements * array.spacing_m / grid.wavelength_m
        delay_cells = max(delay_span_s * grid.bandwidth_hz, 1.0)
        level = np.maximum(self._level, 2.0)
        if array.num_elements > 1:
            angle_cells = 2.0 * cells_per_sine
            noise = np.pi / 6.0 * (2.0 * level - 3.0) * np.exp(-level)
        else:
            angle_cells, cells_per_sine = 1.0, 1.0
            root = np.sqrt(level)
            noise = np.sqrt(np.pi / 3.0) * (root - 0.5 / root) * np.exp(-level)
        pareto = self.report.detection_snr / level**2
        ghosts = _GHOSTS_PER_MAP / (delay_cells * angle_cells) * pareto
        per_unit = cells_per_m if self.report.delay_is_absolute else delay_cells
        return np.asarray(np.log((noise + ghosts) * per_unit * cells_per_sine))

    def unit_snr(self, points_m: FloatArray) -> FloatArray:
        """Predicted SNR for unit RCS, shape of the points, in 1/m^2."""
        return self._network.link_snr(self.tx, self.rx, points_m)

    def kept(self, points_m: FloatArray) -> FloatArray:
        """Share of an echo from points that alignment leaves for detection."""
        return self._network.link_kept(self.tx, self.rx, points_m)

    def log_miss(self, snr: FloatArray, kept: FloatArray | float = 1.0) -> FloatArray:
        """Log probability that a target is not among the hypotheses.

        Parameters
        ----------
        snr
            As predicted.
        kept
            Share of it that alignment leaves for detection.
        """
        detection = detection_probability(snr * kept, self._miss_level)
        return np.asarray(np.log1p(-(1.0 - _MISS_ANYWAY) * detection))

    def log_ratio(self, index: int, snr: FloatArray) -> FloatArray:
        """Log of echo over false density of one hypothesis' SNR, less its position terms."""
        echo = -self._level[index] / (1.0 + snr) - np.log1p(snr) + np.log1p(-_MISS_ANYWAY)
        return np.asarray(echo - self._log_false[index])


def detection_probability(snr: FloatArray, detection_snr: float) -> FloatArray:
    """Probability that a Swerling I echo of mean `snr` exceeds the threshold.

    ``exp(-T / (1 + snr))``; none where there is no echo, as behind an infinite front-to-back
    ratio (there only false alarms exceed it, and those are accounted for elsewhere).
    """
    return np.asarray(np.exp(-detection_snr / (1.0 + snr)) * (snr > 0.0))
