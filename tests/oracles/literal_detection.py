"""Detection and refinement as vectorised NumPy: windows shifted one by one, searches on grids."""

from functools import lru_cache

import numpy as np

from tests.oracles.channel import SPEED_OF_LIGHT_M_PER_S
from tests.oracles.literal_map import steering

# What the package's suppression takes for a sidelobe, see `processing.detect`.
SIDELOBE_MARGIN = 1.5
# Grid points a resolution cell and a beam to either side: a twentieth of the bound at 30 dB.
NUM_GRID_POINTS = 401


def shifted(values: np.ndarray, angles: int, delays: int, fill: float) -> np.ndarray:
    """What lies so many cells further on in angle and delay; `fill` beyond the edges."""
    moved = np.full_like(values, fill)
    size_g, size_l = values.shape
    to_g = slice(max(0, -angles), min(size_g, size_g - angles))
    to_l = slice(max(0, -delays), min(size_l, size_l - delays))
    from_g = slice(max(0, angles), min(size_g, size_g + angles))
    from_l = slice(max(0, delays), min(size_l, size_l + delays))
    moved[to_g, to_l] = values[from_g, from_l]
    return moved


def training_mean(power: np.ndarray, guard: int, train: int, angle_halfwidth: int) -> np.ndarray:
    """Mean of the training cells of every cell, by one shifted map after the other."""
    total = training_sum(power, guard, train, angle_halfwidth)
    return total / training_count(power.shape, guard, train, angle_halfwidth)


def training_sum(values: np.ndarray, guard: int, train: int, angle_halfwidth: int) -> np.ndarray:
    total = np.zeros(values.shape)
    for angles in range(-angle_halfwidth, angle_halfwidth + 1):
        for away in range(guard + 1, guard + train + 1):
            for delays in (-away, away):
                total += shifted(values, angles, delays, 0.0)
    return total


@lru_cache
def training_count(
    shape: tuple[int, int], guard: int, train: int, angle_halfwidth: int
) -> np.ndarray:
    """How many training cells each cell has: the same for all maps, and so not counted again."""
    return training_sum(np.ones(shape), guard, train, angle_halfwidth)


def local_maxima(power: np.ndarray) -> np.ndarray:
    """Cells that are as large as each of their eight neighbours, boolean."""
    largest = np.ones(power.shape, dtype=bool)
    for angles in (-1, 0, 1):
        for delays in (-1, 0, 1):
            largest &= power >= shifted(power, angles, delays, -np.inf)
    return largest


def detect(
    power: np.ndarray,
    noise_power: float,
    threshold: np.ndarray,
    windows: tuple[int, int, int],
    angle_grid_rad: np.ndarray,
    delay_grid_s: np.ndarray,
    delay_limits_s: tuple[float, float],
    bandwidth_hz: float,
    array: tuple[int, float],
    max_candidates: int,
) -> list[tuple[int, int]]:
    """Candidate cells, strongest first; the arguments are parts of a map and of its plan.

    Parameters
    ----------
    windows
        Guard, training cells, and half width in angle.
    array
        Number of elements, and their spacing in wavelengths.
    """
    above = (power > threshold * training_mean(power, *windows)) & local_maxima(power)
    cells = [(int(g), int(bin_index)) for g, bin_index in np.argwhere(above)]
    cells.sort(key=lambda cell: -power[cell])
    noise_amplitude = np.sqrt(np.median(threshold) * noise_power)
    per_cell = 1.0 / ((delay_grid_s[1] - delay_grid_s[0]) * bandwidth_hz)
    low, high = (limit + side * 0.5 / bandwidth_hz
                 for limit, side in zip(delay_limits_s, (-1, 1), strict=True))  # fmt: skip
    found: list[tuple[int, int]] = []
    peaks: list[tuple[int, int]] = []
    for cell in cells:
        explained = [
            SIDELOBE_MARGIN * np.sqrt(power[peak])
            * _response(cell, peak, angle_grid_rad, delay_grid_s * bandwidth_hz, per_cell, array)
            + noise_amplitude
            for peak in peaks
        ]  # fmt: skip
        if any(np.sqrt(power[cell]) <= value for value in explained):
            continue
        peaks.append(cell)
        if low <= delay_grid_s[cell[1]] <= high:
            found.append(cell)
        if len(found) == max_candidates:
            break
    return found


def _response(cell, peak, angle_grid_rad, delay_cells, bins_per_cell, array) -> float:
    """Largest share of an echo's amplitude in one cell that another cell can show of it."""
    num_elements, wavelengths = array
    half = 0.5 / bins_per_cell
    apart = max(abs(delay_cells[cell[1]] - delay_cells[peak[1]]) - half, 0.0)
    over_delay = 1.0 if apart == 0.0 else min(1.0 / (np.pi * apart), 1.0)
    over_delay = min(over_delay / np.sinc(half), 1.0)
    turn = (np.sin(angle_grid_rad[cell[0]]) - np.sin(angle_grid_rad[peak[0]])) * wavelengths
    kernel = abs(num_elements * np.sin(np.pi * turn))
    over_angle = 1.0 if num_elements == 1 or kernel == 0.0 else min(1.0 / kernel, 1.0)
    return float(over_delay * over_angle)


def refine(
    residual: np.ndarray,
    frequency_hz: np.ndarray,
    spacing_m: float,
    delay_s: float,
    angle_rad: float,
    num_snapshots: int = 4,
) -> tuple[float, float, float]:
    """Delay, sine and matched power of one echo by grids about a cell of the map.

    Delay by the matched filter on a grid over two resolution cells, sine by the MUSIC spectrum
    (Schmidt 1986) of sub-band snapshots on a grid over two beams, one after the other, twice.
    """
    num_tones, num_elements = residual.shape
    spacing_hz = frequency_hz[1] - frequency_hz[0]
    middle_hz = np.mean(frequency_hz)
    beam = SPEED_OF_LIGHT_M_PER_S / (middle_hz * num_elements * spacing_m)
    step = np.linspace(-1.0, 1.0, NUM_GRID_POINTS)
    sine, first_sine = float(np.sin(angle_rad)), float(np.sin(angle_rad))
    delays = delay_s + step / (num_tones * spacing_hz)
    over_delays = np.exp(2j * np.pi * np.outer(delays, frequency_hz))
    for _ in range(2):
        combined = np.sum(_steered(frequency_hz, sine, num_elements, spacing_m) * residual, axis=1)
        match = np.abs(over_delays @ combined) ** 2
        delay_s = float(delays[int(np.argmax(match))])
        if num_elements > 1:
            turned = residual * np.exp(2j * np.pi * frequency_hz * delay_s)[:, None]
            sine = _music(turned, frequency_hz, spacing_m, first_sine + step * beam, num_snapshots)
    combined = np.sum(_steered(frequency_hz, sine, num_elements, spacing_m) * residual, axis=1)
    matched = np.abs(np.sum(np.exp(2j * np.pi * frequency_hz * delay_s) * combined)) ** 2
    return delay_s, sine, float(matched / residual.size)


def _steered(frequency_hz: np.ndarray, sine: float, num_elements: int, spacing_m: float):
    return steering(frequency_hz, np.arcsin(np.clip(sine, -1, 1)), num_elements, spacing_m).conj()


def _music(
    turned: np.ndarray,
    frequency_hz: np.ndarray,
    spacing_m: float,
    sines: np.ndarray,
    num_snapshots: int,
) -> float:
    """Sine at the peak of the one-source MUSIC spectrum over a grid."""
    num_elements = turned.shape[1]
    snapshots = np.array([part.sum(axis=0) for part in np.array_split(turned, num_snapshots)])
    covariance = np.einsum("sm,sn->mn", snapshots, snapshots.conj()) / num_snapshots
    noise_space = np.linalg.eigh(covariance)[1][:, :-1]
    centred = np.arange(num_elements) - (num_elements - 1) / 2
    wavelengths = np.mean(frequency_hz) / SPEED_OF_LIGHT_M_PER_S * spacing_m
    responses = np.exp(-2j * np.pi * wavelengths * np.outer(sines, centred))
    spectrum = 1.0 / np.sum(np.abs(responses.conj() @ noise_space) ** 2, axis=1)
    return float(sines[int(np.argmax(spectrum))])
