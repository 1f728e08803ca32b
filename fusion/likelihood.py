"""What one link report says about a position: detection, miss, false alarm and ghost."""

import math
from dataclasses import dataclass

import numpy as np

from drivers.array import (
    TR38901_BEAMWIDTH_RAD,
    TR38901_MAX_ATTENUATION_DB,
    TR38901_PEAK_GAIN_DBI,
    ElementPattern,
)
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, FloatArray
from drivers.link_budget import snr_scale_m2
from drivers.node import Node
from fusion.echo_evidence import MISS_ANYWAY, unit_snr
from fusion.measurement import Measurement
from fusion.network import MIN_DISTANCE_M, Network
from processing.accuracy import LEAST_SHARE
from processing.report import LinkReport

# Expected number of false echoes per map that are not noise (residual clutter, double bounces).
# Their SNR is taken as Pareto-distributed above the threshold: strong ghosts are rare, not absent.
_GHOSTS_PER_MAP = 0.01
# The same of a single element that hears a target which alignment takes away: it scales the
# background, and copies of that are left, most of which are recognized (decision 17).
_GHOSTS_OF_HIDDEN = 0.3
# Square of the share of an echo, in the worse phase, of which every other one is missed; and an
# echo that alignment takes away may come back with an error: no link is deaf for sure.
_HALF_DEAF, _MOST_DEAF = 2e-3, 0.99
# In the order of `fusion.echo_evidence`
_PATTERN_KINDS = ("omnidirectional", "sector", "3gpp_38901")


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
    levels
        What the matched filter put out for each hypothesis: reports take the one noise power in
        it away; shape ``(H,)``.
    log_false
        Log density of false peaks at each hypothesis, per SNR and per measured unit.
    miss_snr
        SNR above which a target that was not reported would have been.
    hidden_log
        Log of how much likelier all hypotheses are false if alignment takes the target away.
    row
        What the compiled forms need to know of the link; see `fusion.echo_evidence`.
    """

    def __init__(self, network: Network, report: LinkReport, delay_span_s: float) -> None:
        self.report = report
        self.tx: Node = network.nodes[network.index[report.tx_id]]
        self.rx: Node = network.nodes[network.index[report.rx_id]]
        self._network = network
        self.sine_period = network.sine_period(self.rx)
        self.range_var_m2 = network.range_var_m2(self.tx, self.rx) + (
            report.link_delay_var_s2 * SPEED_OF_LIGHT_M_PER_S**2
        )
        self.rx_var = network.node_var(self.rx)
        self.measurements = tuple(
            Measurement(
                self.tx, self.rx, hypothesis, self.sine_period,
                report.delay_is_absolute, report.on_direct_path, report.link_delay_var_s2,
            )
            for hypothesis in report.hypotheses
        )  # fmt: skip
        self.levels = np.array([hypothesis.snr + 1.0 for hypothesis in report.hypotheses])
        self.log_false = self._log_false_density(delay_span_s)
        # A full report hides what is weaker than all of it: no evidence against such a target.
        hidden = float(self.levels.min()) if report.truncated and len(self.levels) else 0.0
        self.miss_snr = max(report.detection_snr, hidden)
        alone = self.rx.array.num_elements == 1
        more = _GHOSTS_OF_HIDDEN / _GHOSTS_PER_MAP if alone else 1.0
        self.hidden_log = len(self.levels) * math.log(more)
        scale_m2 = snr_scale_m2(self.tx, self.rx, network.grid) * report.num_averaged
        self.row = np.array(
            (
                scale_m2, self.miss_snr, self.hidden_log,
                *_leg_row(self.tx, self.tx.transmit_pattern),
                *_leg_row(self.rx, self.rx.receive_pattern),
            )
        )  # fmt: skip

    def _log_false_density(self, delay_span_s: float) -> FloatArray:
        """Log density of false peaks at each hypothesis, per SNR and per measured unit."""
        grid, array = self._network.grid, self.rx.array
        cells_per_m = grid.bandwidth_hz / SPEED_OF_LIGHT_M_PER_S
        cells_per_sine = array.num_elements * array.spacing_m / grid.wavelength_m
        delay_cells = max(delay_span_s * grid.bandwidth_hz, 1.0)
        level = np.maximum(self.levels, 2.0)
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
        """Predicted SNR for unit RCS, shape of the points, in 1/m^2.

        As `Network.link_snr`, for as many symbols as the capture is a mean of.
        """
        return unit_snr(self.row[None], points_m.reshape(-1, 2)).reshape(points_m.shape[:-1])

    def hearing(self, points_m: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Share of an echo from points that alignment leaves, and how probably the link is deaf.

        Nothing is left of one that is not reported. The less is left, the less do clutter and
        noise need to make an echo look like a part of the background (counted in looks of forty
        halls, decision 18).
        """
        mean, least = self._network.link_shares(self.tx, self.rx, points_m)
        deaf = _HALF_DEAF * (1.0 - least**2) / (_HALF_DEAF + least**2)
        return np.where(least >= LEAST_SHARE, mean, 0.0), np.minimum(deaf, _MOST_DEAF)

    def log_miss(
        self,
        snr: FloatArray,
        kept: FloatArray | float = 1.0,
        deaf: FloatArray | float = 0.0,
    ) -> FloatArray:
        """Log probability that a target is not among the hypotheses, over that of false ones.

        Parameters
        ----------
        snr
            As predicted.
        kept
            Share of it that alignment leaves for detection.
        deaf
            How probably the link is deaf to it, see `hearing`.
        """
        detection = (1.0 - MISS_ANYWAY) * detection_probability(snr * kept, self.miss_snr)
        false = np.where(np.equal(kept, 0.0), np.exp(self.hidden_log), 1.0)
        return np.asarray(np.log(deaf * false + (1.0 - deaf) * (1.0 - detection)))

    def log_ratio(self, index: int, snr: FloatArray, deaf: FloatArray | float = 0.0) -> FloatArray:
        """Log of echo over false density of one hypothesis' SNR, less its position terms."""
        echo = -self.levels[index] / (1.0 + snr) - np.log1p(snr) - self.log_false[index]
        return np.asarray(echo + np.log1p(-MISS_ANYWAY) + np.log1p(-np.asarray(deaf)))


def _leg_row(node: Node, pattern: ElementPattern) -> tuple[float, ...]:
    boresight, half_view = node.pose.boresight_rad, pattern.field_of_view_rad / 2.0
    gain_dbi = pattern.gain_dbi
    if pattern.kind == "3gpp_38901":
        gain_dbi += TR38901_PEAK_GAIN_DBI
    gain = 10.0 ** (gain_dbi / 10.0)
    return (
        *node.pose.position_m, boresight, math.cos(boresight), math.sin(boresight),
        float(_PATTERN_KINDS.index(pattern.kind)), half_view, math.cos(half_view),
        gain, gain * 10.0 ** (-pattern.front_to_back_db / 10.0),
        TR38901_BEAMWIDTH_RAD, TR38901_MAX_ATTENUATION_DB, MIN_DISTANCE_M,
    )  # fmt: skip


def detection_probability(snr: FloatArray, detection_snr: float) -> FloatArray:
    """Probability that a Swerling I echo of mean `snr` exceeds the threshold.

    ``exp(-T / (1 + snr))``; none where there is no echo, as behind an infinite front-to-back
    ratio (there only false alarms exceed it, and those are accounted for elsewhere).
    """
    return np.asarray(np.exp(-detection_snr / (1.0 + snr)) * (snr > 0.0))
