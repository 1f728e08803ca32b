"""Rates that an AD936x can have, and how its filters divide them (Analog Devices, UG-570)."""

import errno
from dataclasses import dataclass

from sim_backend.iiod.attributes import RefusedError
from sim_backend.iiod.fir import Fir

HIGHEST_RATE_HZ = 61_440_000
# The converters' lowest clock over the largest decimation of the fixed filters.
_LOWEST_RATE_HZ = 25_000_000 / 12.0
_HIGHEST_DAC_HZ = 320e6
_HIGHEST_ADC_HZ = 640e6
_LOWEST_PLL_HZ = 715e6
# Ratios of the three fixed half-band filters, the slowest last.
_HALF_BANDS = {
    1: (1, 1, 1), 2: (1, 1, 2), 3: (3, 1, 1), 4: (1, 2, 2), 6: (3, 1, 2), 8: (2, 2, 2),
    12: (3, 2, 2),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Path:
    """Clocks along a signal path, from the converter to the samples, in hertz."""

    converter: int
    stages: tuple[int, int, int]
    sample: int


def lowest_rate_hz(fir: Fir) -> int:
    """Lowest rate with a filter; ``Fir()`` for none."""
    return int(_LOWEST_RATE_HZ / fir.ratio)


def transmit_path(rate_hz: float, fir: Fir) -> Path:
    """Clocks of the transmit path: as fast as its converter can."""
    ratio = max(r for r in _HALF_BANDS if r == 1 or rate_hz * fir.ratio * r <= _HIGHEST_DAC_HZ)
    return _path(rate_hz, ratio, rate_hz * fir.ratio * ratio)


def receive_path(rate_hz: float, fir: Fir) -> Path:
    """Clocks of the receive path; its converter runs as fast as the other one, or twice that."""
    sent = transmit_path(rate_hz, fir)
    twice = sent.converter * 2
    ratio = round(twice / (rate_hz * fir.ratio))
    if twice <= _HIGHEST_ADC_HZ and ratio in _HALF_BANDS:
        return _path(rate_hz, ratio, twice)
    return sent


def check_filter(rate_hz: float, fir: Fir) -> None:
    """Refuse a filter that a rate leaves no time for: 16 coefficients a converter's clock.

    Raises
    ------
    RefusedError
    """
    path = transmit_path(rate_hz, fir)
    if not fir.taps or len(fir.taps) > 16 * (path.converter // path.sample):
        raise RefusedError(errno.EINVAL)


def pll_hz(path: Path) -> int:
    """Rate of the oscillator that a converter's clock is divided from."""
    rate = path.converter
    while rate < _LOWEST_PLL_HZ:
        rate *= 2
    return rate


def _path(rate_hz: float, ratio: int, converter_hz: float) -> Path:
    third, second, first = _HALF_BANDS[ratio]
    after_third = converter_hz / third
    after_second = after_third / second
    stages = round(after_third), round(after_second), round(after_second / first)
    return Path(round(converter_hz), stages, round(rate_hz))
