"""Bistatic radar equation, direct path, noise and the accuracy bound they imply.

The simulator and the planner both call this, so a predicted signal-to-noise ratio (SNR) and a
simulated one can only differ by what the planner does not know.
"""

import numpy as np
from numpy.typing import ArrayLike

from drivers.array import ElementPattern
from drivers.geometry import (
    FloatArray,
    angle_from_boresight_rad,
    arrival_angle_rad,
    distance_m,
)
from drivers.node import Node
from drivers.waveform import OfdmGrid

# IEEE standard noise temperature 290 K: k T = -174 dBm/Hz (rounded as in the paper).
THERMAL_NOISE_DBM_PER_HZ = -174.0


def leg_gain_per_m2(
    pattern: ElementPattern,
    position_m: ArrayLike,
    boresight_rad: ArrayLike,
    points_m: ArrayLike,
    *,
    min_distance_m: float = 0.0,
    climb_m: ArrayLike = 0.0,
) -> FloatArray:
    """Element gain over squared distance, ``G / d^2``, of one leg of an echo, in 1/m^2.

    Position, boresight, points and `climb_m`, the vertical part of the leg, broadcast.
    Distances under `min_distance_m` count as that;
    with the default the result is infinite at the node's own position (NaN where the element
    also has no gain in that direction).
    """
    gain = pattern.power_gain(angle_from_boresight_rad(position_m, boresight_rad, points_m))
    leg_m = np.maximum(np.hypot(distance_m(position_m, points_m), climb_m), min_distance_m)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(gain / leg_m**2)


def path_gain(
    tx: Node, rx: Node, points_m: ArrayLike, rcs_m2: ArrayLike, wavelength_m: float
) -> FloatArray:
    """Amplitude of an echo per unit transmitted amplitude, shape of the points, dimensionless.

    ``sqrt(G_i G_j lambda^2 sigma / (4 pi)^3) / (d_i d_j)``: the bracket of (7) as in section V,
    with the element gains towards the point. Infinite at a node's own position.
    """
    tx_pose, rx_pose = tx.pose, rx.pose
    legs = leg_gain_per_m2(
        tx.transmit_pattern, tx_pose.position_m, tx_pose.boresight_rad, points_m
    ) * leg_gain_per_m2(rx.receive_pattern, rx_pose.position_m, rx_pose.boresight_rad, points_m)
    return echo_amplitude(legs, rcs_m2, wavelength_m)


def echo_amplitude(legs_per_m4: ArrayLike, rcs_m2: ArrayLike, wavelength_m: float) -> FloatArray:
    """Amplitude of echoes from the product of both legs' `leg_gain_per_m2`; see `path_gain`."""
    power = np.asarray(legs_per_m4) * wavelength_m**2 * np.asarray(rcs_m2) / (4.0 * np.pi) ** 3
    return np.asarray(np.sqrt(power))


def friis_amplitude(gain_product: ArrayLike, path_m: ArrayLike, wavelength_m: float) -> FloatArray:
    """Amplitude of an unscattered path, ``sqrt(G_i G_j) lambda / (4 pi d)``."""
    return np.asarray(np.sqrt(gain_product) * wavelength_m / (4.0 * np.pi * np.asarray(path_m)))


def direct_path_gain(tx: Node, rx: Node, wavelength_m: float) -> float:
    """Amplitude of the direct path, ``lambda / (4 pi d)`` (Friis) with both element gains."""
    gain = tx.transmit_pattern.power_gain(arrival_angle_rad(tx.pose, rx.pose.position_m))
    gain = gain * rx.receive_pattern.power_gain(arrival_angle_rad(rx.pose, tx.pose.position_m))
    separation_m = float(distance_m(tx.pose.position_m, rx.pose.position_m))
    return float(friis_amplitude(gain, separation_m, wavelength_m))


def channel_noise_var(tx: Node, rx: Node, grid: OfdmGrid) -> float:
    """Variance of one channel-estimate entry, ``sigma_H^2 = sigma_n^2 / P_tone``; below (2)."""
    noise_dbm = (
        THERMAL_NOISE_DBM_PER_HZ + rx.noise_figure_db + 10.0 * np.log10(grid.subcarrier_spacing_hz)
    )
    tone_dbm = tx.tx_power_dbm - 10.0 * np.log10(grid.num_subcarriers)
    return float(10.0 ** ((noise_dbm - tone_dbm) / 10.0))


def snr_scale_m2(tx: Node, rx: Node, grid: OfdmGrid) -> float:
    """Matched-cell SNR per unit of RCS and of both legs' gains, in m^2.

    ``lambda^2 K M / ((4 pi)^3 sigma_H^2)``: times ``G_i/d_i^2``, ``G_j/d_j^2`` and the RCS it is
    the SNR after matched combining of all tones and elements, ``gamma = alpha^2 K M / sigma_H^2``.
    That is the one SNR scale of the project (detection, variances and prediction), where the
    paper's measured and proxy SNR differ by ``K M``.
    """
    cells = grid.num_subcarriers * rx.array.num_elements
    noise_var = channel_noise_var(tx, rx, grid)
    return grid.wavelength_m**2 * cells / ((4.0 * np.pi) ** 3 * noise_var)


def delay_var_s2(snr: ArrayLike, rms_bandwidth_hz: float) -> FloatArray:
    """Cramer-Rao bound of the delay, ``1 / (8 pi^2 W_c^2 gamma)``, in s^2; section IV.

    ``snr`` is the matched-cell SNR (linear), any shape; infinite variance at zero SNR.
    """
    with np.errstate(divide="ignore"):
        return np.asarray(1.0 / (8.0 * np.pi**2 * rms_bandwidth_hz**2 * np.asarray(snr)))


def sine_var(snr: ArrayLike, num_elements: int, spacing_wavelengths: float) -> FloatArray:
    """Cramer-Rao bound of the sine of the arrival angle, dimensionless; section IV.

    ``6 / (gamma (2 pi d / lambda)^2 (M^2 - 1))``. Deviates from the paper by one factor M, which
    the matched-cell SNR already holds; divide by ``cos^2`` for the angle's own variance.
    Infinite for a single element, which sees no angle.
    """
    aperture = (2.0 * np.pi * spacing_wavelengths) ** 2 * (num_elements**2 - 1)
    with np.errstate(divide="ignore"):
        return np.asarray(6.0 / (np.asarray(snr, dtype=np.float64) * aperture))
