"""Grids that radios can send: presets, and the refusal of what does not fit, with what would."""

from dataclasses import replace

import scipy.fft

from drivers.burst import SoundingBurst
from drivers.radio_errors import BurstRefusedError
from drivers.tuning import Capabilities
from drivers.waveform import OfdmGrid

# Converters' and filters' pass band, as a share of the sample rate.
_USABLE_SHARE = 0.85
_FEWEST_TONES = 16

# A preamble repeats itself this often in a symbol, so that large carrier offsets show.
_REPETITIONS = 64

# Tones, spacing and sample rate; the carrier is the site's.
_PRESETS: dict[str, tuple[int, float, float]] = {
    # 100 MHz at 15 kHz as in the paper, which no standard has (6666 tones).
    "paper": (6666, 15e3, 122.88e6),
    # 3GPP TS 38.101-1 table 5.3.2-1: 100 MHz at 30 kHz, 273 resource blocks.
    "nr_100mhz": (3276, 30e3, 122.88e6),
    # The same table: 50 MHz at 30 kHz, 133 resource blocks; an E320 samples at 61.44 MS/s.
    "e320_50mhz": (1596, 30e3, 61.44e6),
    # The same table: 20 MHz at 30 kHz, 51 resource blocks; bursts that fit a Pluto's buffers.
    "pluto_20mhz": (612, 30e3, 30.72e6),
}
PRESET_NAMES = tuple(_PRESETS)


def preset_burst(
    name: str, carrier_hz: float, *, num_symbols: int = 1, max_delay_s: float = 2e-6
) -> SoundingBurst:
    """A burst of a named grid; the prefix covers `max_delay_s`.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    if name not in _PRESETS:
        msg = f"no grid preset {name!r}; there are {', '.join(PRESET_NAMES)}"
        raise ValueError(msg)
    num_subcarriers, spacing_hz, rate_hz = _PRESETS[name]
    grid = OfdmGrid(carrier_hz, spacing_hz, num_subcarriers)
    return SoundingBurst(grid, rate_hz, num_symbols, prefix_length(rate_hz, max_delay_s))


def prefix_length(sample_rate_hz: float, max_delay_s: float) -> int:
    """Samples of a cyclic prefix for a longest delay: twice that, for errors of timing as well."""
    return max(16, int(-(-2.0 * max_delay_s * sample_rate_hz // 1)))


def fitting_sample_rate_hz(grid: OfdmGrid) -> float:
    """Lowest convenient sample rate of a grid, in samples/s.

    A symbol length with small factors, long enough that the tones stay inside the pass band, and
    a multiple of the preamble's repetitions where the symbol has room for them.
    """
    shortest = int(grid.num_subcarriers / _USABLE_SHARE) + 1
    unit = 1
    while unit < _REPETITIONS and shortest >= 8 * unit:
        unit *= 2
    length = unit * scipy.fft.next_fast_len(-(-shortest // unit))
    return float(length * grid.subcarrier_spacing_hz)


def check_burst(burst: SoundingBurst, capabilities: Capabilities) -> None:
    """Refuse a burst that a radio cannot send or receive, with the nearest grid that fits.

    Raises
    ------
    BurstRefusedError
        All reasons named.
    """
    problems = _problems(burst, capabilities)
    if not problems:
        return
    nearest = nearest_burst(burst, capabilities)
    if nearest is None:
        remedy = "no grid of this subcarrier spacing and carrier fits this radio"
    else:
        remedy = (
            f"the nearest that fits is {nearest.grid.num_subcarriers} tones of "
            f"{nearest.grid.subcarrier_spacing_hz / 1e3:g} kHz "
            f"({nearest.grid.bandwidth_hz / 1e6:.4g} MHz) with {nearest.num_symbols} symbols at "
            f"{nearest.sample_rate_hz / 1e6:.6g} MS/s and a carrier of "
            f"{nearest.grid.carrier_hz / 1e6:.6g} MHz"
        )
    raise BurstRefusedError("this radio cannot send the burst: " + ", and ".join(problems), remedy)


def _problems(burst: SoundingBurst, capabilities: Capabilities) -> list[str]:
    problems = []
    low, high = capabilities.sample_rate_range_hz
    if not low <= burst.sample_rate_hz <= high:
        problems.append(
            f"it samples at {low / 1e6:.6g} to {high / 1e6:.6g} MS/s, the burst at "
            f"{burst.sample_rate_hz / 1e6:.6g}"
        )
    if burst.grid.bandwidth_hz > capabilities.max_bandwidth_hz:
        problems.append(
            f"it is {capabilities.max_bandwidth_hz / 1e6:.4g} MHz wide, the grid "
            f"{burst.grid.bandwidth_hz / 1e6:.4g}"
        )
    low, high = capabilities.carrier_range_hz
    if not low <= burst.local_oscillator_hz <= high:
        problems.append(
            f"it tunes from {low / 1e6:.6g} to {high / 1e6:.6g} MHz, the burst needs "
            f"{burst.local_oscillator_hz / 1e6:.6g}"
        )
    longest = min(capabilities.max_transmit_samples, capabilities.max_receive_samples)
    if burst.num_samples > longest:
        problems.append(f"it holds bursts of {longest} samples, this one has {burst.num_samples}")
    return problems


def nearest_burst(burst: SoundingBurst, capabilities: Capabilities) -> SoundingBurst | None:
    """The burst of the same subcarrier spacing that fits a radio and is most like this one.

    As many of the tones, then as many of the symbols as fit; the carrier moves only as far as it
    must. ``None`` if no such burst exists.
    """
    spacing_hz = burst.grid.subcarrier_spacing_hz
    num_tones = min(
        burst.grid.num_subcarriers,
        int(capabilities.max_bandwidth_hz // spacing_hz),
        int(capabilities.sample_rate_range_hz[1] // spacing_hz * _USABLE_SHARE),
    )
    while num_tones >= _FEWEST_TONES:
        grid = _moved(replace(burst.grid, num_subcarriers=num_tones), capabilities)
        fitting = None if grid is None else _fitted(grid, burst, capabilities)
        if grid is None or fitting is not None:
            return fitting
        num_tones = int(0.8 * num_tones)  # the buffers are too short: shorter symbols, fewer tones
    return None


def _moved(grid: OfdmGrid, capabilities: Capabilities) -> OfdmGrid | None:
    """The grid with its local oscillator within a radio's reach."""
    oscillator_off_hz = float(grid.offset_hz[grid.num_subcarriers // 2])
    low_hz, high_hz = capabilities.carrier_range_hz
    oscillator_hz = min(max(grid.carrier_hz + oscillator_off_hz, low_hz), high_hz)
    carrier_hz = oscillator_hz - oscillator_off_hz
    return replace(grid, carrier_hz=carrier_hz) if carrier_hz > 0.0 else None


def _fitted(
    grid: OfdmGrid, burst: SoundingBurst, capabilities: Capabilities
) -> SoundingBurst | None:
    """A burst of a grid at a rate and of a length that a radio takes, as like another as can be."""
    spacing_hz = grid.subcarrier_spacing_hz
    low_hz, high_hz = capabilities.sample_rate_range_hz
    shortest, longest = int(-(-low_hz // spacing_hz)), int(high_hz // spacing_hz)
    length = burst.symbol_length
    if grid.num_subcarriers < burst.grid.num_subcarriers or not shortest <= length <= longest:
        length = min(max(round(fitting_sample_rate_hz(grid) / spacing_hz), shortest), longest)
    if not (shortest <= length <= longest and length >= grid.num_subcarriers + 2):
        return None
    prefix = min(length, round(burst.prefix_length / burst.symbol_length * length))
    single = SoundingBurst(grid, length * spacing_hz, 1, prefix)
    room = min(capabilities.max_transmit_samples, capabilities.max_receive_samples)
    symbols = min(burst.num_symbols, 1 + (room - single.num_samples) // length)
    return None if symbols < 1 else replace(single, num_symbols=symbols)
