"""Detection on the range-angle map: CA-CFAR for correlated cells and non-maximum suppression."""

import itertools
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from drivers.compiled import compiled
from drivers.geometry import FloatArray
from processing.power_map import PowerMap, PowerMapPlan

_NEGLIGIBLE_EIGENVALUE = 1e-4
_SIDELOBE_MARGIN = 1.5


@dataclass(frozen=True)
class CfarPlan:
    """Edge-aware two-dimensional cell-averaging constant-false-alarm-rate (CA-CFAR) detector.

    Training cells of a cell under test: every swept angle within `angle_halfwidth` cells and
    every delay bin further than `guard` and not further than `guard + train` bins, cut at the
    edges of the map. The guard spans all angles of the window: the angular sidelobes of an echo
    share its delay and would otherwise hide it.

    Attributes
    ----------
    threshold
        Factor on the training mean, shape ``(G, L)``.
    """

    guard: int
    train: int
    angle_halfwidth: int
    threshold: FloatArray

    @cached_property
    def typical_snr(self) -> float:
        """Matched-cell SNR at the threshold, away from edges, linear."""
        return float(np.median(self.threshold))


def plan_cfar(
    plan: PowerMapPlan,
    probability: float,
    *,
    guard_cells: float = 2.0,
    train_cells: float = 24.0,
    angle_halfwidth: int = 4,
) -> CfarPlan:
    """Thresholds for a set false-alarm probability per cell, true for correlated cells.

    Swept beams overlap and padded delay bins do too, so the training sum is a sum of correlated
    exponentials: ``z^H z`` with field covariance ``C``, whose Laplace transform is
    ``prod 1 / (1 + s lambda_i)`` over the eigenvalues of ``C``. For an independent cell under
    test the false-alarm probability of factor ``a`` on the mean of N cells is therefore
    ``prod 1 / (1 + a lambda_i / N)``, which is solved for ``a``. ``C`` is the Kronecker product
    of an angle and a delay part. With independent cells this is the textbook
    ``a = N (P_fa^(-1/N) - 1)`` (Rohling 1983).

    Parameters
    ----------
    guard_cells, train_cells
        In delay resolution cells ``1 / W``, on each side.
    angle_halfwidth
        In swept angles, on each side.
    """
    guard = int(np.ceil(guard_cells * plan.bins_per_cell))
    train = int(np.ceil(train_cells * plan.bins_per_cell))
    num_angles, num_bins = len(plan.angle_grid_rad), len(plan.delay_grid_s)
    angle_eig = _angle_eigenvalues(plan, angle_halfwidth)
    # Mirrored windows have the same eigenvalues: solve one of each pair.
    shapes = [_training_counts(b, num_bins, guard, train) for b in range(num_bins)]
    unique, inverse = np.unique(np.sort(shapes, axis=1), axis=0, return_inverse=True)
    num_rows = (num_angles + 1) // 2
    threshold = np.empty((num_rows, len(unique)))
    for column, (left, right) in enumerate(unique):
        delay_eig = _delay_eigenvalues(plan, int(left), int(right), guard)
        for row, eigenvalues in enumerate(angle_eig[:num_rows]):
            num_cells = len(angle_window(row, num_angles, angle_halfwidth)) * (left + right)
            products = np.outer(eigenvalues, delay_eig).ravel() / num_cells
            threshold[row, column] = _solve_factor(products, probability)
    mirrored = np.concatenate((threshold, threshold[: num_angles - num_rows][::-1]))
    return CfarPlan(guard, train, angle_halfwidth, mirrored[:, inverse.ravel()])


def angle_window(index: int, num_angles: int, halfwidth: int) -> range:
    """Swept angles whose cells train the given one, cut at the edges."""
    return range(max(index - halfwidth, 0), min(index + halfwidth + 1, num_angles))


def _training_counts(index: int, num_bins: int, guard: int, train: int) -> tuple[int, int]:
    left = min(max(index - guard, 0), train)
    right = min(max(num_bins - 1 - index - guard, 0), train)
    return left, right


def _significant(covariance: np.ndarray) -> FloatArray:
    eigenvalues = np.linalg.eigvalsh(covariance)
    return eigenvalues[eigenvalues > _NEGLIGIBLE_EIGENVALUE * eigenvalues.max()]


def _angle_eigenvalues(plan: PowerMapPlan, halfwidth: int) -> list[FloatArray]:
    delay_s = plan.array.element_delay_s(np.sin(plan.angle_grid_rad))
    steering = np.exp(2j * np.pi * plan.grid.carrier_hz * delay_s)
    field = steering @ steering.conj().T / plan.array.num_elements
    windows = (angle_window(g, len(field), halfwidth) for g in range(len(field)))
    return [_significant(field[np.ix_(window, window)]) for window in windows]


def _delay_eigenvalues(plan: PowerMapPlan, left: int, right: int, guard: int) -> FloatArray:
    bins = np.concatenate((-guard - 1 - np.arange(left), guard + 1 + np.arange(right)))
    lag = bins[:, None] - bins[None]
    phase = np.pi * lag / plan.fft_length
    tones = plan.grid.num_subcarriers
    with np.errstate(invalid="ignore", divide="ignore"):
        kernel = np.sin(tones * phase) / (tones * np.sin(phase))
    return _significant(np.where(lag % plan.fft_length == 0, 1.0, kernel))


def _solve_factor(eigenvalues: FloatArray, probability: float) -> float:
    """Solve ``sum log(1 + a lambda_i) = -log P_fa`` for ``a``; concave, so Newton climbs to it."""
    target = -np.log(probability)
    factor = target / eigenvalues.sum()  # log(1+x) <= x: this starts below the root
    for _ in range(50):
        gap = target - np.log1p(factor * eigenvalues).sum()
        step = gap / np.sum(eigenvalues / (1.0 + factor * eigenvalues))
        factor += step
        if abs(step) <= 1e-10 * factor:
            break
    return float(factor)


def training_mean(power: np.ndarray, cfar: CfarPlan) -> FloatArray:
    """Mean of the training cells of every cell, shape ``(G, L)``."""
    return _training_mean(np.ascontiguousarray(power), cfar.guard, cfar.train, cfar.angle_halfwidth)


@compiled
def _training_mean(
    power: NDArray[np.floating], guard: int, train: int, angle_halfwidth: int
) -> FloatArray:
    """Sums of both stretches of delays of each row, then over rows: two passes of running sums."""
    num_angles, num_bins = power.shape
    ring = np.empty((num_angles + 1, num_bins))  # sums over delays, then over all rows before
    ring[0] = 0.0
    before = np.empty(num_bins + 1)
    before[0] = 0.0
    for g in range(num_angles):
        for b in range(num_bins):
            before[b + 1] = before[b] + power[g, b]
        for b in range(num_bins):
            left = max(b - guard, 0)
            right = min(b + guard + 1, num_bins)
            stretches = before[left] - before[max(left - train, 0)]
            stretches += before[min(right + train, num_bins)] - before[right]
            ring[g + 1, b] = ring[g, b] + stretches
    mean = np.empty((num_angles, num_bins))
    for g in range(num_angles):
        low, high = max(g - angle_halfwidth, 0), min(g + angle_halfwidth + 1, num_angles)
        for b in range(num_bins):
            left, right = max(b - guard, 0), min(b + guard + 1, num_bins)
            num_delays = left - max(left - train, 0) + min(right + train, num_bins) - right
            mean[g, b] = (ring[high, b] - ring[low, b]) / ((high - low) * num_delays)
    return mean


def exceedances(power: np.ndarray, cfar: CfarPlan) -> NDArray[np.bool_]:
    """Cells above their threshold, boolean, shape ``(G, L)``."""
    return np.asarray(
        _above(np.ascontiguousarray(power), training_mean(power, cfar), cfar.threshold)
    )


@compiled
def _above(power: NDArray[np.floating], mean: FloatArray, factor: FloatArray) -> NDArray[np.bool_]:
    above = np.empty(power.shape, np.bool_)
    for g in range(power.shape[0]):
        for b in range(power.shape[1]):
            above[g, b] = power[g, b] > factor[g, b] * mean[g, b]
    return above


def detect(
    found: PowerMap, cfar: CfarPlan, *, min_delay_s: float, max_delay_s: float, max_candidates: int
) -> list[tuple[int, int]]:
    """Candidate cells ``(g, l)``, strongest first, after non-maximum suppression.

    A candidate exceeds its threshold, is the largest of its 3 x 3 neighbourhood, has a delay
    that the search area allows on this link, and cannot be the sidelobe of a stronger one.
    """
    cells = _local_maxima(found.power, np.argwhere(exceedances(found.power, cfar)))
    delay = found.plan.delay_grid_s[cells[:, 1]]
    half_cell_s = 0.5 / found.plan.grid.bandwidth_hz
    allowed = (delay >= min_delay_s - half_cell_s) & (delay <= max_delay_s + half_cell_s)
    amplitude = np.sqrt(found.power[cells[:, 0], cells[:, 1]])
    return _without_sidelobes(cells, amplitude, allowed, found, cfar.typical_snr, max_candidates)


def _local_maxima(power: np.ndarray, cells: np.ndarray) -> np.ndarray:
    """Those of the cells ``(n, 2)`` that are the largest of their 3 x 3 neighbourhood."""
    bordered = np.pad(power, 1, constant_values=-np.inf)
    row, column = cells[:, 0] + 1, cells[:, 1] + 1
    own = bordered[row, column]
    largest = np.ones(len(cells), dtype=bool)
    for up, right in itertools.product((-1, 0, 1), repeat=2):
        largest &= own >= bordered[row + up, column + right]
    return np.asarray(cells[largest])


def _without_sidelobes(
    cells: np.ndarray,
    amplitude: FloatArray,
    allowed: np.ndarray,
    found: PowerMap,
    detection_snr: float,
    limit: int,
) -> list[tuple[int, int]]:
    """Allowed cells, strongest first; each peak removes what its response and noise explain.

    Peaks at delays that are not allowed remove their sidelobes too, before they are left out.
    """
    plan = found.plan
    sine = np.sin(plan.angle_grid_rad)[cells[:, 0]]
    delay = plan.delay_grid_s[cells[:, 1]]
    noise_amplitude = np.sqrt(detection_snr * found.noise_power)
    wavelengths = plan.array.spacing_m / plan.grid.wavelength_m
    half_bin = 0.5 / plan.bins_per_cell  # an echo's true delay is this near to its cell's
    remaining = np.ones(len(cells), dtype=bool)
    accepted: list[tuple[int, int]] = []
    while np.any(remaining & allowed) and len(accepted) < limit:
        best = int(np.argmax(np.where(remaining, amplitude, -1.0)))
        if allowed[best]:
            accepted.append((int(cells[best, 0]), int(cells[best, 1])))
        apart = np.abs(delay - delay[best]) * plan.grid.bandwidth_hz
        response = _sidelobe_envelope(np.maximum(apart - half_bin, 0.0), None)
        # Half way between two bins both hold the echo, scalloped: neither explains less.
        response = np.minimum(response / np.sinc(half_bin), 1.0)
        if plan.array.num_elements > 1:
            shift = (sine - sine[best]) * wavelengths
            response = response * _sidelobe_envelope(shift, plan.array.num_elements)
        explained = _SIDELOBE_MARGIN * amplitude[best] * response + noise_amplitude
        remaining &= amplitude > explained
        remaining[best] = False
    return accepted


def _sidelobe_envelope(offset: FloatArray, num_elements: int | None) -> FloatArray:
    """Envelope of the Dirichlet kernel's magnitude, at most one.

    ``offset`` is in cells for the (long) delay kernel, or in cycles across one element spacing
    for an array of `num_elements`, whose kernel is periodic.
    """
    with np.errstate(divide="ignore"):
        if num_elements is None:
            envelope = 1.0 / np.abs(np.pi * offset)
        else:
            envelope = 1.0 / np.abs(num_elements * np.sin(np.pi * offset))
    return np.minimum(envelope, 1.0)
