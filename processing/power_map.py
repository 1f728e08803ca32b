"""Range-angle power map; eqs. (10) and (11)."""

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft, special

from drivers.array import UniformLinearArray
from drivers.geometry import SPEED_OF_LIGHT_M_PER_S, ComplexArray, FloatArray
from drivers.waveform import OfdmGrid

# Delay bins beyond the physical ones that the noise floor keeps away from on both sides, as a
# fraction of the empty stretch: delay sidelobes of a strong echo fall with distance.
_FLOOR_MARGIN = 0.25
# Delay cells that a map keeps at least, so that a detector in a small room finds training cells.
_MIN_CELLS = 64
_FLOOR_STRIDE = 4  # where enough samples are left
_MIN_FLOOR_SAMPLES = 256


@dataclass(frozen=True)
class PowerMapPlan:
    """What (10) and (11) need again and again for one waveform and one array.

    The wideband steering vector is the carrier's times a squint phase ``x u``, with ``u`` in
    [-1, 1] over the band and ``|x| <= pi W D / (2 c)`` over the aperture ``D``: 0.25 rad for 32
    half-wavelength elements at 10 GHz and 100 MHz. Its Chebyshev (Jacobi-Anger) expansion
    ``exp(j x u) = sum_n c_n j^n J_n(x) T_n(u)`` turns the sweep over G angles of K tones into
    `rank` weighted inverse FFTs per element and one matrix product over the delay bins that an
    echo can have.

    Attributes
    ----------
    angle_grid_rad
        Swept angles, shape ``(G,)``.
    delay_grid_s
        Delay bins, shape ``(L,)``.
    band_weights
        ``T_n(u_k)``, shape ``(rank, K)``.
    beam_weights
        Steering times expansion coefficients over sqrt(M), shape ``(G, rank * M)``.
    fft_length
        Length of the (zero-padded) inverse FFT; bin spacing is its inverse over the tone spacing.
    expansion_error
        Bound on the relative amplitude error of the truncated expansion.
    """

    grid: OfdmGrid
    array: UniformLinearArray
    angle_grid_rad: FloatArray
    delay_grid_s: FloatArray
    band_weights: np.ndarray
    beam_weights: ComplexArray
    fft_length: int
    expansion_error: float

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
    rank, error = _expansion_rank(float(np.abs(squint_rad).max()), tolerance)
    order = np.arange(rank)
    coefficient = np.where(order == 0, 1.0, 2.0) * 1j**order
    bessel = coefficient[:, None] * special.jv(order[:, None], squint_rad[:, None, :])
    carrier = np.exp(2j * np.pi * grid.carrier_hz * element_delay_s)[:, None, :]
    beams = (carrier * bessel / np.sqrt(array.num_elements)).reshape(len(angles), -1)
    band = grid.offset_hz / (grid.bandwidth_hz / 2.0)
    return PowerMapPlan(
        grid=grid,
        array=array,
        angle_grid_rad=np.asarray(angles),
        delay_grid_s=np.arange(num_bins) * bin_s,
        band_weights=special.eval_chebyt(order[:, None], band).astype(np.float32),
        beam_weights=beams.astype(np.complex64),
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


def power_map(residual: ComplexArray, plan: PowerMapPlan) -> PowerMap:
    """Range-angle power map of a residual channel, shape ``(G, L)``; eqs. (10) and (11).

    Parameters
    ----------
    residual
        Background-suppressed channel, shape ``(K, M)``.
    """
    rows = np.ascontiguousarray(residual.T, dtype=np.complex64)
    weighted = plan.band_weights[:, None, :] * rows
    profile = fft.ifft(weighted, n=plan.fft_length, axis=-1, norm="forward", overwrite_x=True)
    num_bins = len(plan.delay_grid_s)
    physical = profile[:, :, :num_bins].reshape(-1, num_bins)
    beams = plan.beam_weights @ physical
    power = beams.real**2 + beams.imag**2
    return PowerMap(power, _noise_power(profile[0], num_bins, power), plan)


def _noise_power(profile: ComplexArray, num_bins: int, power: np.ndarray) -> float:
    """Noise floor of a cell from delays that no echo can have; median over ln 2.

    The power of noise is exponential, whose median is ln 2 of its mean. Where the delay axis
    has too few empty bins the map itself serves, as in the paper.
    """
    num_empty = profile.shape[-1] - num_bins
    margin = int(_FLOOR_MARGIN * num_empty)
    empty = profile[:, num_bins + margin : profile.shape[-1] - margin]
    stride = min(_FLOOR_STRIDE, empty.size // _MIN_FLOOR_SAMPLES)
    samples = power if stride == 0 else np.abs(empty[:, ::stride]) ** 2
    return float(np.median(samples) / np.log(2.0))


def with_equal_noise(found: PowerMap, level: FloatArray) -> PowerMap:
    """A map with the same noise in each cell, as detection needs it.

    Parameters
    ----------
    level
        Noise of each cell over `noise_power`, shape ``(G, L)``; cells of level zero are left out.
    """
    power = np.divide(found.power, level, out=np.zeros_like(found.power), where=level > 0.0)
    return replace(found, power=power)


def bistatic_range_m(plan: PowerMapPlan) -> FloatArray:
    """Bistatic range of each delay bin (both legs), shape ``(L,)``, in metres."""
    return plan.delay_grid_s * SPEED_OF_LIGHT_M_PER_S
