"""Device time as UHD keeps it, seconds and a fraction, and as ticks: exact both ways.

Ticks since 1970 at 61.44 MS/s need 57 bits, so neither is ever a float.
"""

from fractions import Fraction
from math import floor


def ticks_of(full_s: int, fraction_s: float, rate_hz: float) -> int:
    """Nearest tick to a time."""
    return round((full_s + Fraction(fraction_s)) * Fraction(rate_hz))


def time_of(tick: int, rate_hz: float) -> tuple[int, float]:
    """Whole seconds, and the fraction, of a tick."""
    time_s = tick / Fraction(rate_hz)
    full_s = floor(time_s)
    return full_s, float(time_s - full_s)
