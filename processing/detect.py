"""Detection on the range-angle map: CA-CFAR for correlated cells and non-maximum suppression."""

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
    power = np.ascontiguousarray(found.power)
    cells = _local_maxima(power, exceedances(power, cfar))
    delay = found.plan.delay_grid_s[cells[:, 1]]
    half_cell_s = 0.5 / found.plan.grid.bandwidth_hz
    allowed = (delay >= min_delay_s - half_cell_s) & (delay <= max_delay_s + half_cell_s)
    amplitude = np.sqrt(found.power[cells[:, 0], cells[:, 1]])
    return _without_sidelobes(cells, amplitude, allowed, found, cfar.typical_snr, max_candidates)


@compiled
def _local_maxima(power: NDArray[np.floating], above: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Those of the marked cells that are the largest of their 3 x 3 neighbourhood, ``(n, 2)``."""
    num_angles, num_bins = power.shape
    cells = np.empty((above.sum(), 2), np.intp)
    count = 0
    for g in range(num_angles):
        for b in range(num_bins):
            if above[g, b]:
                about = power[max(g - 1, 0) : g + 2, max(b - 1, 0) : b + 2]
                if power[g, b] >= about.max():
                    cells[count, 0], cells[count, 1] = g, b
                    count += 1
    return cells[:count]


def _without_sidelobes(
    cells: NDArray[np.intp],
    amplitude: FloatArray,
    allowed: NDArray[np.bool_],
    found: PowerMap,
    detection_snr: float,
    limit: int,
) -> list[tuple[int, int]]:
    """Allowed cells, strongest first; each peak removes what its response and noise explain.

    Peaks at delays that are not allowed remove their sidelobes too, before they are left out.
    """
    plan = found.plan
    accepted = _unexplained(
        np.sin(plan.angle_grid_rad)[cells[:, 0]] * plan.array.spacing_m / plan.grid.wavelength_m,
        plan.delay_grid_s[cells[:, 1]] * plan.grid.bandwidth_hz,
        amplitude.astype(np.float64),
        allowed,
        float(np.sqrt(detection_snr * found.noise_power)),
        0.5 / plan.bins_per_cell,  # an echo's true delay is this near to its cell's
        plan.array.num_elements,
        limit,
    )
    return [(int(cells[n, 0]), int(cells[n, 1])) for n in accepted]


@compiled
def _unexplained(
    cycles: FloatArray,
    delay_cells: FloatArray,
    amplitude: FloatArray,
    allowed: NDArray[np.bool_],
    noise_amplitude: float,
    half_bin: float,
    num_elements: int,
    limit: int,
) -> NDArray[np.intp]:
    """Places of the peaks that are kept, see `_without_sidelobes`.

    Parameters
    ----------
    cycles, delay_cells
        Of each peak: across one element spacing, and in resolution cells.
    """
    remaining = np.ones(len(cycles), np.bool_)
    accepted = np.empty(limit, np.intp)
    count = 0
    while count < limit and np.any(remaining & allowed):
        best = np.argmax(np.where(remaining, amplitude, -1.0))
        remaining[best] = False
        if allowed[best]:
            accepted[count] = best
            count += 1
        for n in range(len(cycles)):
            apart = max(abs(delay_cells[n] - delay_cells[best]) - half_bin, 0.0)
            # Half way between two bins both hold the echo, scalloped: neither explains less.
            response = min(_envelope(np.pi * apart) / _sinc(half_bin), 1.0)
            if num_elements > 1:
                shift = cycles[n] - cycles[best]
                response *= _envelope(num_elements * np.sin(np.pi * shift))
            if amplitude[n] <= _SIDELOBE_MARGIN * amplitude[best] * response + noise_amplitude:
                remaining[n] = False
    return accepted[:count]


@compiled
def _envelope(argument: float) -> float:
    """Envelope of the Dirichlet kernel's magnitude, at most one, where its sine is one."""
    return 1.0 / max(abs(argument), 1.0)


@compiled
def _sinc(cells: float) -> float:
    return np.sin(np.pi * cells) / (np.pi * cells) if cells > 0.0 else 1.0
