"""Range-angle power map; eqs. (10) and (11)."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft, special

from drivers.array import UniformLinearArray
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, ComplexArray, FloatArray
from drivers.waveform import OfdmGrid
from processing.delay_gate import DelayGate, gated, plan_delay_gate

# Delay bins beyond the physical ones that the noise floor keeps away from on both sides, as a
# fraction of the empty stretch: delay sidelobes of a strong echo fall with distance.
_FLOOR_MARGIN = 0.25
# Delay cells that a map keeps at least, so that a detector in a small room finds training cells.
_MIN_CELLS = 64
_MIN_FLOOR_SAMPLES = 256
_OUTSIDE_MARGIN_CELLS = 2.0  # main lobe and first sidelobe of an echo at the last delay
_FLOOR_SAMPLES = 10_000  # the median of so many is off by 1.4 %


@dataclass(frozen=True)
class PowerMapPlan:
    """What (10) and (11) need again and again for one waveform and one array.

    The wideband steering vector is the carrier's times a squint phase ``x u``, with ``u`` in
    [-1, 1] over the band and ``|x| <= pi W D / (2 c)`` over the aperture ``D``: 0.25 rad for 32
    half-wavelength elements at 10 GHz and 100 MHz. Its Chebyshev (Jacobi-Anger) expansion
    ``exp(j x u) = sum_n c_n j^n J_n(x) T_n(u)`` turns the sweep over G angles of K tones into
    `rank` weighted inverse FFTs per element and one matrix product over the delay bins that an
    echo can have. To these the tones are limited first, see `processing.delay_gate`.

    Attributes
    ----------
    angle_grid_rad
        Swept angles, shape ``(G,)``.
    delay_grid_s
        Delay bins, shape ``(L,)``.
    gate
        What limits a channel to these delays.
    band_weights
        ``T_n(u)`` at the gate's rows, shape ``(rank, J)``.
    even_weights, odd_weights
        Real and imaginary parts of steering times expansion coefficients over sqrt(M), for angles
        from boresight up and the first half of the elements, shape ``(G', rank * M')``: those of
        the mirrored angle, and those of the mirrored element, are their conjugates.
    fft_length
        Delay bins of all delays that tones tell apart; bin spacing is its inverse over the tone
        spacing.
    expansion_error
        Bound on the relative amplitude error of the truncated expansion.
    """

    grid: OfdmGrid
    array: UniformLinearArray
    angle_grid_rad: FloatArray
    delay_grid_s: FloatArray
    gate: DelayGate
    band_weights: np.ndarray
    even_weights: np.ndarray
    odd_weights: np.ndarray
    fft_length: int
    expansion_error: float

    @property
    def bin_s(self) -> float:
        """Spacing of the delay bins."""
        return 1.0 / (self.fft_length * self.grid.subcarrier_spacing_hz)

    @property
    def bins_per_cell(self) -> float:
        """Delay bins per resolution cell ``1 / W``."""
        return self.fft_length / self.grid.num_subcarriers


@dataclass(frozen=True)
class PowerMap:
    """A range-angle power map.

    Attributes
    ----------
    power
        ``P[g, l]``, shape ``(G, L)``; noise alone has mean ``noise_power`` in every cell.
    noise_power
        Noise floor of a cell, estimated where no echo can be.
    plan
        Its axes.
    """

    power: np.ndarray
    noise_power: float
    plan: PowerMapPlan

    @property
    def noise_var(self) -> float:
        """Variance of one entry of the residual channel."""
        return self.noise_power / self.plan.grid.num_subcarriers


def plan_power_map(
    grid: OfdmGrid,
    array: UniformLinearArray,
    max_delay_s: float,
    *,
    num_angles: int = 181,
    delay_oversampling: int = 1,
    tolerance: float = 1e-4,
) -> PowerMapPlan:
    """Plan the map of echoes up to a delay.

    Parameters
    ----------
    max_delay_s
        Longest bistatic delay that the search area allows.
    num_angles
        Swept angles, uniform from -pi/2 to pi/2; one element sweeps none.
    delay_oversampling
        Delay bins per resolution cell, at least; the FFT length is rounded up to a fast one.
    tolerance
        Largest relative amplitude error of the squint expansion.
    """
    fft_length = fft.next_fast_len(grid.num_subcarriers * delay_oversampling)
    bin_s = 1.0 / (fft_length * grid.subcarrier_spacing_hz)
    num_bins = max(int(np.ceil(max_delay_s / bin_s)) + 2, _MIN_CELLS * delay_oversampling)
    num_bins = min(num_bins, fft_length)
    angles = np.linspace(-np.pi / 2, np.pi / 2, num_angles) if array.num_elements > 1 else [0.0]
    element_delay_s = array.element_delay_s(np.sin(angles))  # (G, M)
    squint_rad = np.pi * grid.bandwidth_hz * element_delay_s
    gate = plan_delay_gate(grid, fft_length, num_bins)
    band = (gate.row_tone - (grid.num_subcarriers - 1) / 2.0) / (grid.num_subcarriers / 2.0)
    widest = float(np.abs(squint_rad).max() * np.abs(band).max())
    rank, error = _expansion_rank(widest, tolerance)
    order = np.arange(rank)
    coefficient = np.where(order == 0, 1.0, 2.0) * 1j**order
    bessel = coefficient[:, None] * special.jv(order[:, None], squint_rad[:, None, :])
    carrier = np.exp(2j * np.pi * grid.carrier_hz * element_delay_s)[:, None, :]
    beams = carrier * bessel / np.sqrt(array.num_elements)  # (G, rank, M)
    if array.num_elements % 2:
        beams[:, :, array.num_elements // 2] /= 2.0  # is its own mirror image, and counts twice
    first_half = beams[len(angles) // 2 :, :, : (array.num_elements + 1) // 2]
    weights = first_half.reshape(len(first_half), -1)
    return PowerMapPlan(
        grid=grid,
        array=array,
        angle_grid_rad=np.asarray(angles),
        delay_grid_s=np.arange(num_bins) * bin_s,
        gate=gate,
        band_weights=special.eval_chebyt(order[:, None], band).astype(np.float32),
        even_weights=weights.real.astype(np.float32),
        odd_weights=weights.imag.astype(np.float32),
        fft_length=fft_length,
        expansion_error=error,
    )


def _expansion_rank(max_squint_rad: float, tolerance: float) -> tuple[int, float]:
    """Number of Chebyshev terms and the bound ``2 sum_{n >= rank} |J_n(x)|`` they leave."""
    # Bessel functions vanish beyond their argument: these terms reach far into nothing.
    num_terms = 32 + int(np.ceil(2.0 * max_squint_rad))
    terms = 2.0 * np.abs(special.jv(np.arange(num_terms), max_squint_rad))
    remainder = np.append(np.cumsum(terms[::-1])[::-1][1:], 0.0)
    rank = int(np.argmax(remainder <= tolerance)) + 1
    return rank, float(remainder[rank - 1])


def power_map(
    residual: ComplexArray, plan: PowerMapPlan, *, noise_power: float | None = None
) -> PowerMap:
    """Range-angle power map of a residual channel, shape ``(G, L)``; eqs. (10) and (11).

    Parameters
    ----------
    residual
        Background-suppressed channel, shape ``(K, M)``.
    noise_power
        Of a cell, where it is known already; estimated, if left out.
    """
    beams = beam_profiles(residual, plan)
    power = beams.real**2 + beams.imag**2
    if noise_power is None:
        noise_power = _noise_power(residual, plan, power)
    return PowerMap(power, noise_power, plan)


def beam_profiles(residual: ComplexArray, plan: PowerMapPlan) -> ComplexArray:
    """Delay profile of each swept beam, (11) before its square, shape ``(G, L)``, complex64.

    Up to a phase that all beams and all residuals share in a bin.
    """
    rows = np.ascontiguousarray(gated(residual, plan.gate).T)
    period = plan.fft_length // plan.gate.decimation
    weighted = plan.band_weights[:, None, :] * rows
    if len(plan.gate.row_tone) > period:  # rows a period apart have the same phases
        beyond = weighted[:, :, period:]
        weighted[:, :, : beyond.shape[2]] += beyond
    profile = fft.ifft(weighted[:, :, :period], n=period, axis=-1, norm="forward")
    return _beams(profile[:, :, : len(plan.delay_grid_s)], plan)


def _beams(profile: ComplexArray, plan: PowerMapPlan) -> ComplexArray:
    """Sum of the elements' profiles ``(rank, M, L)`` for each angle, shape ``(G, L)``; (10).

    Mirrored elements are added and subtracted first: both products are real, and of half the size.
    """
    num_angles, num_bins = len(plan.angle_grid_rad), profile.shape[2]
    half = (profile.shape[1] + 1) // 2
    first, mirrored = profile[:, :half], profile[:, ::-1][:, :half]
    even, odd = (
        (weights @ part.reshape(-1, num_bins).view(np.float32)).view(np.complex64)
        for weights, part in (
            (plan.even_weights, first + mirrored),
            (plan.odd_weights, first - mirrored),
        )
    )
    odd *= np.complex64(1j)
    beams = np.empty((num_angles, num_bins), dtype=np.complex64)
    np.subtract(even, odd, out=beams[: len(even)][::-1])
    np.add(even, odd, out=beams[num_angles - len(even) :])
    return beams


def _noise_power(residual: ComplexArray, plan: PowerMapPlan, power: np.ndarray) -> float:
    """Noise floor of a cell from delays that no echo can have; median over ln 2.

    The power of noise is exponential, whose median is ln 2 of its mean. Where the delay axis
    has too few empty bins the map itself serves, as in the paper.
    """
    num_bins, num_elements = len(plan.delay_grid_s), residual.shape[1]
    num_empty = plan.fft_length - num_bins
    margin = int(_FLOOR_MARGIN * num_empty)
    kept = num_empty - 2 * margin
    if kept * num_elements < _MIN_FLOOR_SAMPLES:
        return float(np.median(power) / np.log(2.0))
    # Orthogonal sums of all elements, as many as the median needs: none of them depends on one.
    count = min(num_elements, -(-_FLOOR_SAMPLES // kept))
    turn = np.outer(np.arange(num_elements), np.arange(count) * (num_elements // count))
    sums = np.exp(2j * np.pi / num_elements * turn) / np.sqrt(num_elements)
    columns = np.ascontiguousarray((residual @ sums.astype(np.complex64)).T)
    profile = fft.ifft(columns, n=plan.fft_length, axis=-1, norm="forward")
    empty = profile[:, num_bins + margin : plan.fft_length - margin]
    return float(np.median(empty.real**2 + empty.imag**2) / np.log(2.0))


def with_equal_noise(found: PowerMap, level: FloatArray) -> PowerMap:
    """A map with the same noise in each cell, as detection needs it.

    Parameters
    ----------
    level
        Noise of each cell over `noise_power`, shape ``(G, L)``; cells of level zero are left out.
    """
    power = np.divide(found.power, level, out=np.zeros_like(found.power), where=level > 0.0)
    return replace(found, power=power)


def energy_outside_db(even: PowerMap, delay_limits_s: tuple[float, float]) -> float | None:
    """Energy in the cells that no echo can be in, over that of noise, in decibels.

    By their median, as `_noise_power`: sidelobes of a strong echo reach all delays, in its beam.
    ``None`` where the map has no such cells.

    Parameters
    ----------
    even
        A map with equal noise in all cells; those that are left out of it have no power.
    delay_limits_s
        Shortest and longest delay of an echo.
    """
    plan = even.plan
    margin_s = _OUTSIDE_MARGIN_CELLS / plan.grid.bandwidth_hz
    before, after = np.searchsorted(
        plan.delay_grid_s, (delay_limits_s[0] - margin_s, delay_limits_s[1] + margin_s)
    )
    # Beams that are nearer to each other than this show the same noise.
    some = even.power[:: max(1, len(plan.angle_grid_rad) // (2 * plan.array.num_elements))]
    power = np.hstack((some[:, :before], some[:, after:]))
    power = power[power > 0.0]
    if not power.size:
        return None
    return 10.0 * float(np.log10(np.median(power) / np.log(2.0) / even.noise_power))


def bistatic_range_m(plan: PowerMapPlan) -> FloatArray:
    """Bistatic range of each delay bin (both legs), shape ``(L,)``, in metres."""
    return plan.delay_grid_s * SPEED_OF_LIGHT_M_PER_S
