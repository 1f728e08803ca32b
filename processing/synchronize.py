"""Finding a burst in samples whose time and carrier nobody knows."""

from dataclasses import dataclass

import numpy as np
import scipy.fft
from scipy import stats

from drivers.burst import SoundingBurst
from drivers.capture import CaptureRefusedError
from drivers.geometry import ComplexArray, FloatArray
from processing.resample import resampled

# Windows of the first search overlap by three quarters: one of them holds seven eighths of the
# preamble, wherever it lies.
_HOPS_PER_WINDOW = 4
# A window with seven eighths of a preamble shows at least this share of a whole one's comb.
_SAME_PREAMBLE_SHARE = 0.6
# Probability that noise alone passes for a preamble, and then that its echoes pass for a burst's.
_FALSE_ALARM_PROBABILITY = 1e-4
_TINY = float(np.finfo(np.float32).tiny)
# Carrier offsets are searched in steps of this share of a subcarrier; half of one leaves
# interference between tones 73 dB down.
_OFFSET_STEPS = 4096


@dataclass(frozen=True, slots=True)
class Synchronization:
    """Where a burst lies in a block, by the receiver's samples.

    Attributes
    ----------
    start_sample
        Position of the burst's first sample over the strongest path, fractional.
    offset_hz
        Transmitter's carrier over the receiver's.
    """

    start_sample: float
    offset_hz: float


def synchronize(
    samples: ComplexArray, burst: SoundingBurst, max_offset_hz: float
) -> Synchronization:
    """Time and carrier offset of the first whole burst in a block.

    One oscillator drives a radio's carrier and its sampling clock, so one offset gives both.

    Parameters
    ----------
    samples
        Shape ``(N, M)``; all elements share time and carrier.
    max_offset_hz
        Largest carrier offset, below half the preamble's tone spacing.

    Raises
    ------
    CaptureRefusedError
        If there is no whole burst.
    """
    window, tones = _preamble(samples, burst, max_offset_hz)
    # The window may lie a quarter too early or too late; what repeats does so there as well.
    first_symbol = window + burst.first_symbol_sample - burst.prefix_length
    offset_hz = _fine_offset_hz(samples, burst, first_symbol, tones)
    found = Synchronization(float(first_symbol - burst.first_symbol_sample), offset_hz)
    for _ in range(2):  # the second time with all symbols in their windows
        late, match, needed = _place(samples, burst, found)
        found = Synchronization(found.start_sample + late, found.offset_hz)
        left_hz = _offset_left_hz(samples, burst, found)
        found = Synchronization(found.start_sample, found.offset_hz + left_hz)
    if match < needed:
        msg = (
            f"no burst found in {len(samples)} samples: behind a preamble, pilots have "
            f"{match:.1f} times the power of noise, {needed:.1f} are needed"
        )
        raise CaptureRefusedError(msg)
    return found


def symbols_at(
    samples: ComplexArray,
    burst: SoundingBurst,
    found: Synchronization,
    advance: int,
    indices: range | None = None,
) -> ComplexArray:
    """The burst's symbols on the transmitter's clock and carrier, shape ``(S, N, M)``.

    Parameters
    ----------
    advance
        Samples by which windows begin before the symbols do.
    indices
        Which symbols, counted from the first pilot symbol; all pilot symbols, if left out.
    """
    wanted = range(burst.num_symbols) if indices is None else indices
    ratio = clock_ratio(burst, found.offset_hz)
    count = len(wanted) * burst.symbol_length
    into_burst = burst.first_symbol_sample + wanted.start * burst.symbol_length - advance
    first = found.start_sample + into_burst / ratio
    position = first + np.arange(count) / ratio
    turn = np.exp(-2j * np.pi * found.offset_hz / burst.sample_rate_hz * position)
    straight = resampled(samples, first, 1.0 / ratio, count) * turn.astype(np.complex64)[:, None]
    return straight.reshape(len(wanted), burst.symbol_length, -1)


def clock_ratio(burst: SoundingBurst, offset_hz: float) -> float:
    """How much faster the transmitter's clock runs than the receiver's."""
    return 1.0 + offset_hz / burst.local_oscillator_hz


def _preamble(
    samples: ComplexArray, burst: SoundingBurst, max_offset_hz: float
) -> tuple[int, float]:
    """First sample of a window in the preamble, and the carrier offset in subcarriers.

    The preamble's tones are a comb, so its power lies in equally spaced bins of a window's
    spectrum, shifted by the offset, whatever the channel does to each tone.
    """
    length = burst.num_preamble_symbols * burst.symbol_length
    bins_per_tone = 2 * burst.num_preamble_symbols  # zero-padded to twice the length
    stride = burst.preamble_stride * bins_per_tone
    last = max(0, len(samples) - (burst.num_samples - burst.prefix_length))
    starts = range(0, last + 1, length // _HOPS_PER_WINDOW)
    combs = np.array([_comb_power(samples[s : s + length], stride, 2 * length) for s in starts])
    offset = ((np.arange(stride) + stride // 2) % stride - stride // 2) / bins_per_tone
    allowed = np.abs(offset) <= max_offset_hz / burst.grid.subcarrier_spacing_hz + 1.0
    # Against the combs a whole number of subcarriers away: pilot symbols fill them all alike.
    per_tone = combs.reshape(len(starts), -1, bins_per_tone)
    ratio = (per_tone / per_tone.mean(axis=1, keepdims=True)).reshape(combs.shape) * allowed
    window = _first_preamble(ratio.max(axis=1))
    comb = int(np.argmax(ratio[window]))
    # A comb of noise is a sum of so many exponential powers.
    count = length * samples.shape[1] / burst.preamble_stride
    tests = len(starts) * int(allowed.sum())
    needed = float(stats.gamma.isf(_FALSE_ALARM_PROBABILITY / tests, count)) / count
    if ratio[window, comb] < needed:
        msg = (
            f"no burst found in {len(samples)} samples: the strongest comb has "
            f"{ratio[window, comb]:.2f} times the mean power, {needed:.2f} are needed"
        )
        raise CaptureRefusedError(msg)
    return starts[window], float(offset[comb])


def _first_preamble(strength: FloatArray) -> int:
    """Index of the window that holds most of the first preamble, by the strongest comb of each.

    Where bursts repeat, the strongest window may be of the last one, whose end the block cuts off.
    """
    first = int(np.argmax(strength >= _SAME_PREAMBLE_SHARE * strength.max()))
    return first + int(np.argmax(strength[first : first + _HOPS_PER_WINDOW]))


def _comb_power(window: ComplexArray, stride: int, size: int) -> FloatArray:
    # A receiver's constant would be a comb of one tone.
    spectrum = scipy.fft.fft(window - window.mean(axis=0), size, axis=0)
    power = np.sum(spectrum.real**2 + spectrum.imag**2, axis=1)
    return np.asarray(power.reshape(-1, stride).sum(axis=0))


def _fine_offset_hz(
    samples: ComplexArray, burst: SoundingBurst, first_symbol: int, tones: float
) -> float:
    """Carrier offset from what repeats after one symbol; `tones` says which multiple it is."""
    length = burst.symbol_length
    begin = first_symbol - burst.prefix_length // 2
    end = first_symbol + (burst.num_symbols - 1) * length
    repeated = samples[max(begin, 0) : end]
    later = samples[max(begin, 0) + length : end + length]
    repeated = repeated[: len(later)]
    turn = np.vdot(repeated, later)
    fraction = float(np.angle(turn)) / (2.0 * np.pi)
    return (round(tones - fraction) + fraction) * burst.grid.subcarrier_spacing_hz


def _offset_left_hz(samples: ComplexArray, burst: SoundingBurst, found: Synchronization) -> float:
    """Carrier offset that is left on the transmitter's clock: all lags between like symbols.

    On the receiver's clock a tone turns the more the higher it is, so that a channel which is
    stronger on one side of the band pulls at the first estimate.
    """
    early = burst.prefix_length // 2
    size, stride = burst.symbol_length, burst.preamble_stride
    alike = (
        (range(burst.num_symbols), early, np.delete(burst.tone_bins, burst.null_index)),
        # the preamble lies another prefix earlier; few strong tones, which is what counts in noise
        (range(-burst.num_preamble_symbols, 0), early + burst.prefix_length,
         np.arange(stride, size, stride)),
    )  # fmt: skip
    turns = np.zeros(_OFFSET_STEPS, dtype=np.complex128)
    for indices, advance, bins in alike:
        tones = scipy.fft.fft(symbols_at(samples, burst, found, advance, indices), axis=1)[:, bins]
        for lag in range(1, len(tones)):
            turns[lag] += np.vdot(tones[:-lag], tones[lag:])
    # Least squares for symbols that are equal but for a steady turn.
    steps = int(np.argmax(scipy.fft.fft(turns).real))
    steps = (steps + _OFFSET_STEPS // 2) % _OFFSET_STEPS - _OFFSET_STEPS // 2
    return steps / _OFFSET_STEPS * burst.grid.subcarrier_spacing_hz


def _taps(symbols: ComplexArray, burst: SoundingBurst) -> ComplexArray:
    """Impulse responses by matched filtering with the pilots, over the axis before the last."""
    spectrum = scipy.fft.fft(symbols, axis=-2)
    response = np.zeros_like(spectrum)
    bins = burst.tone_bins
    matched = burst.pilots.conj().astype(np.complex64)[:, None]
    response[..., bins, :] = spectrum[..., bins, :] * matched
    return scipy.fft.ifft(response, axis=-2)


def _place(
    samples: ComplexArray, burst: SoundingBurst, found: Synchronization
) -> tuple[float, float, float]:
    """Samples by which the strongest path comes later, its power over noise, and the least of it.

    To the right symbol where the window is less than half a symbol off.
    """
    advance, reach, length = burst.prefix_length // 2, burst.num_preamble_symbols, burst.num_symbols
    indices = range(-reach, length + reach)
    taps = _taps(symbols_at(samples, burst, found, advance, indices), burst)
    # As many symbols in succession as a burst has: its own are those that match best.
    power = np.array([_power(taps[n : n + length].mean(axis=0)) for n in range(2 * reach + 1)])
    peak = int(np.argmax(power.max(axis=0)))
    # With the echoes, which may hold more power together than the strongest path.
    around = (peak + np.arange(-advance, advance + 1)) % burst.symbol_length
    whole = int(np.argmax(power[:, around].sum(axis=1)))
    power = power[whole]
    near = np.sqrt(power[[peak - 1, peak, (peak + 1) % len(power)]])
    bend = near[0] - 2.0 * near[1] + near[2]
    fraction = 0.5 * (near[0] - near[2]) / bend if bend < 0.0 else 0.0
    half = burst.symbol_length / 2.0
    late = (peak + float(fraction) - advance + half) % burst.symbol_length - half
    # Power of noise in a tap is a sum of M exponential ones; the median is that of noise.
    size = samples.shape[1]
    noise = max(float(np.median(power)), _TINY) / float(stats.gamma.median(size))
    needed = float(stats.gamma.isf(_FALSE_ALARM_PROBABILITY / len(power), size))
    return late + (whole - reach) * burst.symbol_length, float(power[peak]) / noise, needed


def _power(taps: ComplexArray) -> FloatArray:
    return np.asarray(np.sum(taps.real**2 + taps.imag**2, axis=-1))
